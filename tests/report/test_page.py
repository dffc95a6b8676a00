"""The page as text: complete, safe, and written whole or not at all."""

import json
import math
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

import handmade
from thalweg.files import write_atomically
from thalweg.report import render, write
from thalweg.report.page import embedded
from thalweg.stats.proportion import Rate
from thalweg.study import Suite
from thalweg.study.model.settings import Settings
from thalweg.view.comparison import view_of

VOID = {"meta", "br", "wbr", "img", "rect", "circle", "path", "link"}


class Outline(HTMLParser):
    """Elements in order; complains about what is not closed."""

    def __init__(self):
        super().__init__()
        self.open, self.elements, self.text = [], [], []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"script", "style", "nav"} & set(self.open):
            self.text.append(data)


def outline(page):
    found = Outline()
    found.feed(page)
    found.close()
    assert found.open == []
    return found


@pytest.fixture(scope="module")
def page():
    return render(handmade.comparison())


@pytest.fixture(scope="module")
def several():
    return render(handmade.suite(3, trials=12, seeds=3))


@pytest.fixture(scope="module")
def hostile():
    return render(handmade.comparison(hostile=True))


def test_the_answer_stands_before_everything_else(page):
    text = " ".join("".join(outline(page).text).split())
    order = ("At an edge of its search", "On digits-mlp, each tuned", "Bars: the intervals of the answer",
             "As they come", "Filled marks", "What it rests on", "Default and tuned", "Every two untuned settings",
             "Gains of tuning, and other pairs", "What tuning buys", "Sensitivity", "Training curves",
             "Trials and re-runs", "Failures", "Cost", "Repeating it", "How to read this", "Make it again",
             "Provenance")  # fmt: skip
    places = [text.index(words) for words in order]
    assert places == sorted(places)


def words(page):
    return " ".join("".join(outline(page).text).split())


@pytest.mark.parametrize("name", ["page", "several"])
def test_it_can_be_used_without_seeing_it(name, request):
    found = outline(request.getfixturevalue(name))
    tags = [tag for tag, _ in found.elements]
    assert ("html", {"lang": "en"}) in found.elements
    assert tags.count("h1") == 1
    assert all("scope" in attributes for tag, attributes in found.elements if tag == "th")
    assert all(a.get("aria-label") for _, a in found.elements if a.get("role") in ("img", "region"))
    levels = [int(tag[1]) for tag in tags if re.fullmatch(r"h\d", tag)]
    assert all(next_ <= level + 1 for level, next_ in pairwise(levels))


def places(page):
    """Names of the places of figures, and those of the figures."""
    data = re.search(r'<script type="application/json" id="figures">(.*?)</script>', page).group(1)
    return [a["id"] for _, a in outline(page).elements if a.get("class") == "plot"], list(json.loads(data)["figures"])


def test_every_figure_has_its_place(page, several):
    on_page, drawn = places(page)
    names = ("forest", "intervals", "best", "by-lr", "by-weight_decay", "training")
    assert on_page == drawn == [f"fig-{name}" for name in names]
    on_page, drawn = places(several)
    assert len(set(on_page)) == len(on_page) == 19  # six on each of three tasks, and the profile
    assert set(on_page) == set(drawn)


@pytest.mark.parametrize("name", ["page", "several"])
def test_it_refers_to_nothing_outside(name, request):
    page = request.getfixturevalue(name)
    elements = outline(page).elements
    own = {attributes["id"] for _, attributes in elements if "id" in attributes}
    for tag, attributes in elements:
        assert tag not in ("link", "iframe", "img", "object")
        assert not {"src", "srcset"} & set(attributes)
        assert attributes.get("href", "#")[0] == "#"
        assert attributes.get("href", "#verdict")[1:] in own
    assert "@import" not in page
    assert "default-src 'none'" in page


def test_users_text_cannot_become_markup(hostile, page):
    assert [tag for tag, _ in outline(hostile).elements if tag in ("img", "script")].count("img") == 0
    scripts = [len(re.findall(rf"<{slash}script", text)) for text in (hostile, page) for slash in ("", "/")]
    assert scripts[:2] == scripts[2:]
    assert 'onerror="alert' not in hostile
    assert handmade.HOSTILE in "".join(outline(hostile).text)


def test_embedded_data_survives_any_text():
    given = {"text": handmade.HOSTILE + "\u2028<!--", "gap": [1.0, math.nan, math.inf], "nested": ({"a": None},)}
    text = embedded(given)
    assert not set("<>&") & set(text)
    assert json.loads(text) == {"text": given["text"], "gap": [1.0, None, None], "nested": [{"a": None}]}


def test_what_is_not_finished_says_so():
    text = "".join(outline(render(handmade.comparison(missing=7))).text)
    assert "7 runs are still to do" in text


def test_what_the_page_says_of_searches(page):
    found = handmade.comparison()
    text, unit = words(page), found.metric.unit
    assert "tuned, 5 trials" in text
    for level in found.searches.intervals.values():
        assert f"{unit.mean(level)} {unit.levels(level)}" in text
    pairs = (*found.family.contrasts, *found.family.settings, *found.searches.gains.values(), *found.searches.others)
    for pair in pairs:
        assert f"{unit.difference(pair.interval)} ({unit.bounds(pair.interval)})" in text
    for name in ("adamw: tuned minus default", "adamw minus sgd", "adamw minus lion", "Nothing is called equal"):
        assert name in text
    ratios = words(render(handmade.comparison(tests=500)))
    for name in ("adamw: tuned against default", "adamw against sgd", "adamw against lion"):
        assert name in ratios
    assert " minus " not in ratios


def test_of_what_is_outside_the_answer_nothing_is_said(page):
    """And every difference stands on the page once: it has one interval."""
    table = page[page.index('<section id="differences">') : page.index('<section id="best">')]
    answer, settings, described = table.split("<details>")
    for part, count in ((answer, 3), (settings, 6), (described, 0)):
        assert len(re.findall("<td>(better|worse|cannot tell)</td>", part)) == count
        assert ("the first is" in part) == (count > 0)
    assert described.count('scope="row"') == 4 + 3
    assert "nothing is called better" in described
    titles = re.findall(r'<th scope="row">(.*?)</th>', answer + described)
    assert len({*titles}) == len(titles) == 3 + 4 + 3


def test_failed_runs_stand_beside_the_differences():
    """What of the answer's runs failed, and the difference of those that did not, each in a column of its own."""
    found = handmade.comparison(trials=6)
    first = found.family.contrasts[0]
    lost = replace(first, failures=(Rate(3, 15), Rate(0, 15)), quality=first.interval)
    family = replace(found.family, contrasts=(lost, *found.family.contrasts[1:]))
    page, head = render(replace(found, family=family)), "of those that did not fail</th>"
    assert "3 of 15 failed, 0 of 15 failed (up to 18% not excluded)" in page
    assert head in page
    assert head not in render(found)


def test_runs_can_be_trained_again_from_what_the_page_shows():
    found = handmade.comparison(trials=6)
    row = found.rows[0]
    long = tuple(replace(run, key="0123456789abcdef" * 4) for run in row.tuned_runs)
    shown = render(replace(found, rows=(replace(row, again={**row.again, row.winner_trial: long}), *found.rows[1:])))
    assert "<code>0123456789ab</code>" in shown
    assert "thalweg rerun STORE KEY" in shown
    lost = next(run for run in found.runs if run.status == "failed")
    assert f"<code>{lost.key[:12]}</code>" in shown
    assert f"not the same: {found.rows[-1].unlike[0]}" in shown
    assert "epoch 2: " in found.rows[-1].unlike[0]


def test_the_page_says_how_the_search_was_seeded():
    now = handmade.comparison(trials=6)
    before = replace(now, plan=replace(now.plan, design=1, search_seeds=()))
    own, shared = "Each trial of the search has a tuning seed", "All trials of the search share one tuning seed"
    for found, said, other in ((before, shared, own), (now, own, shared)):
        page = render(found)
        assert said in page
        assert other not in page
        assert (
            ("one for each trial, from the study seed" in page) == ("points that lie evenly" in page) == (said == own)
        )


def test_every_training_is_in_the_table_of_trials(page):
    found = handmade.comparison()
    table = page[page.index('<section id="trials">') : page.index('<section id="failures">')]
    assert table.count("<details>") == len(found.rows)
    assert table.count("★") == len(found.rows)
    for row in found.rows:
        again = [run for runs in row.again.values() for run in runs]
        body = table[table.index(f"Trials of {row.contender} table") :].partition("</details>")[0]
        trials = body.split("<tbody>")[1:]
        assert len(trials) == len(row.trials)
        assert body.count("<code>") == len(row.trials) + len(again) + 1  # the default's repeat
        for (number, run), shown in zip(row.trials.items(), trials, strict=True):
            assert f"<code>{run.key[:12]}</code>" in shown
            assert f'data-value="{run.values["lr"]!r}"' in shown
            assert ("★" in shown) == (number == row.winner_trial)
            assert shown.count("re-run</th>") == len(row.again.get(number, ()))
            assert shown.count("repeat</th>") == (number == 0)
            if run.status == "done":
                assert f"{100 * run.curves['valid_accuracy'].end():.2f}%" in shown
                assert f"{100 * run.curves['test_accuracy'].values[-1]:.2f}%" in shown
    lost = next(run for run in found.runs if run.status == "failed")
    assert ">failed<" in table
    assert lost.key[:12] in table


def test_the_contents_name_every_section(page, several):
    for text in (page, several):
        elements = outline(text).elements
        links = [attributes["href"][1:] for tag, attributes in elements if tag == "a" and "href" in attributes]
        listed = links[: links.index("again") + 2] if "provenance" in links else links[: links.index("again") + 1]
        named = [a["id"] for tag, a in elements if tag in ("section", "p") and "id" in a]
        assert sorted(listed) == sorted(named)
        assert len(set(named)) == len(named)
    assert {"means", "differences", "slices", "trials", "provenance"} <= {
        a.get("id") for _, a in outline(page).elements
    }
    assert {"task-2", "means-2", "trials-3"} <= {a.get("id") for _, a in outline(several).elements}


def test_provenance_says_what_all_had_in_common():
    found = handmade.comparison(trials=6)
    plan = replace(found.plan, settings=Settings("cosine", {"clip_norm": 0.5}), held=("init",), minutes=3.0)
    text = words(render(replace(found, plan=plan)))
    for said in ("schedule cosine, clip_norm 0.5", "init", "3 of training for each search", "0123abc+"):
        assert said in text
    assert "--minutes 3 --schedule cosine --clip-norm 0.5 --hold init" in text


def test_several_tasks_stand_on_one_page(several):
    found = handmade.suite(3, trials=12, seeds=3)
    text = words(several)
    order = [found.across.sentences[0], found.comparisons[0].verdict.answer, "Who is better where",
             "How far from the best", "Default and tuned", "How to read this", "Make it again"]  # fmt: skip
    places = [text.index(said) for said in order]
    assert places == sorted(places)
    assert "thalweg compare spiral,digits-mlp,quadratic-deep -r" in text
    assert "Mean ranks" not in text  # too few tasks
    record = found.across.wins.between("adamw", "sgd")
    said = [
        f"{n} {what}"
        for n, what in ((record.wins, "better"), (record.losses, "worse"), (record.undecided, "open"))
        if n
    ]
    assert ", ".join(said) in text


def test_mean_ranks_with_many_tasks():
    found = handmade.suite(10, trials=3, seeds=2)
    text = words(render(found))
    assert f"differ by less than {found.across.ranking.critical_difference:.2f}" in text


def test_several_tasks_of_which_one_is_not_finished():
    one, two = handmade.comparison(trials=6), handmade.comparison(trials=6, missing=4, task="spiral")
    text = words(render(Suite((one, two), None)))
    assert "4 runs are still to do" in text
    assert "Who is better where" not in text
    assert text.index("one answer for each task") < text.index("Default and tuned")


def test_tasks_with_studies_of_their_own_have_commands_of_their_own():
    one, two = handmade.comparison(trials=6), handmade.comparison(trials=12, task="spiral")
    lines = view_of(Suite((one, two), None)).command.splitlines()
    assert [line.split()[2] for line in lines] == ["digits-mlp", "spiral"]


def test_commands_are_given_from_the_folder_of_the_page(tmp_path):
    found = replace(handmade.comparison(), path=tmp_path / "data" / "a study.sqlite")
    beside = view_of(found, tmp_path)
    assert "--store 'data/a study.sqlite'" in beside.command
    assert beside.again == "thalweg rerun 'data/a study.sqlite' KEY"
    assert ("store", "data/a study.sqlite") in beside.tasks[0].provenance
    assert str(tmp_path) not in write(found, tmp_path / "page.html").read_text()
    assert str(tmp_path) in view_of(found, tmp_path / "elsewhere").command


def test_nothing_lost_is_said_too():
    rules = [(label, best, where, 9.0, step) for label, best, where, _, step in handmade.RULES]
    text = "".join(outline(render(handmade.comparison(rules=rules, failing=False))).text)
    assert "None: every run ended" in text
    assert "No trial diverged or failed" in text


def test_a_failed_write_loses_nothing(tmp_path, monkeypatch):
    target = tmp_path / "page.html"
    target.write_text("before")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(target, "after")
    assert target.read_text() == "before"
    assert list(tmp_path.iterdir()) == [target]


def test_a_write_keeps_links_and_modes(tmp_path):
    real, link = tmp_path / "real.html", tmp_path / "link.html"
    real.write_text("before")
    real.chmod(0o640)
    link.symlink_to(real)
    write_atomically(link, "after")
    assert link.is_symlink()
    assert real.read_text() == "after"
    assert real.stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_device_is_written_to_and_stays_a_device():
    with pytest.raises(OSError, match="No space"):
        write_atomically(Path("/dev/full"), "x" * 100)
    assert not Path("/dev/full").is_file()
    assert sys.platform != "linux" or Path("/dev/full").exists()
