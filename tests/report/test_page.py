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
        if not {"script", "style"} & set(self.open):
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
    order = ("AdamW is better than SGD", "Filled marks", "AdamW against Lion", "Default and tuned", "Differences",
             "Tuning against switching", "What tuning buys", "Sensitivity", "Training curves", "Failures", "Cost",
             "Repeating it", "How to read this", "Make it again", "Provenance")  # fmt: skip
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
    assert on_page == drawn == ["fig-intervals", "fig-best", "fig-lr", "fig-training"]
    on_page, drawn = places(several)
    assert len(set(on_page)) == len(on_page) == 13  # four on each of three tasks, and the profile
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


def test_what_the_page_says_of_procedures(page):
    found = handmade.comparison()
    (procedures,) = found.procedures
    text = words(page)
    assert f"tuned, {procedures.trials['adamw']} trials" in text
    mean = procedures.intervals["adamw"]
    assert f"{found.metric.unit.mean(mean)} {found.metric.unit.levels(mean)}" in text
    pair = procedures.pairs[0]
    assert f"{pair.first} minus {pair.second}" in text
    assert f"{100 * pair.superiority.estimate:.0f}%" in text
    for name in ("adamw: tuned minus default", "both tuned", "both defaults", "noise floor", "P(first better)"):
        assert name in text


def test_differences_below_the_noise_floor_are_grey():
    found = handmade.comparison()
    view = view_of(found).tasks[0]
    floor = found.procedures[0].noise_floor
    quiet = 0
    for pair, shown in zip(found.procedures[0].pairs, view.budgets[0].pairs, strict=True):
        small = abs(pair.interval.mean) < max(floor[pair.first], floor[pair.second])
        assert shown.quiet == (small and pair.answer not in ("better", "worse"))
        quiet += shown.quiet
    assert quiet
    assert render(found).count('<span class="mean quiet">') >= quiet


def test_runs_can_be_trained_again_from_what_the_page_shows():
    found = handmade.comparison(trials=6)
    row = found.rows[0]
    long = tuple(replace(run, key="0123456789abcdef" * 4) for run in row.tuned_runs)
    shown = render(replace(found, rows=(replace(row, again={**row.again, row.winner_trial: long}), *found.rows[1:])))
    assert "<code>0123456789ab</code>" in shown
    assert "thalweg rerun STORE KEY" in shown
    lost = next(run for run in found.runs if run.status == "failed")
    assert f"<code>{lost.key[:12]}</code>" in shown
    assert "not the same: valid_loss differs from epoch 2 on" in shown


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
    order = [found.across.sentences[0], "On spiral, cannot tell", "Who is better where", "How far from the best",
             "Default and tuned", "How to read this", "Make it again"]  # fmt: skip
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
