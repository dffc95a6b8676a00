import json
import subprocess
import sys
from dataclasses import replace
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest
from explorer_runs import run

from thalweg.explore.figure import spelt
from thalweg.explore.valley import STORED, packed, stored, valley, virtual_studies, wins
from thalweg.stats.pool import Pool, procedure, winning
from thalweg.study.judge.results import Suite
from thalweg.study.run.compare import compare
from thalweg.study.run.engines import Serial

TASKS = {task["task"]: task for task in stored()["tasks"]}
SIZE = len(stored()["tasks"][0]["rules"][0]["values"])


@pytest.fixture(params=TASKS)
def task(request):
    return TASKS[request.param]


def pool_of(rule, places=()):
    fresh = {int(trial): tuple(values) for trial, values in rule["fresh"].items()}
    # What ranks behind the default is never chosen: any order will do.
    behind = [trial for trial in range(SIZE) if trial not in rule["ranking"]]
    return Pool((*rule["ranking"], *behind), tuple(rule["values"]), fresh, places)


@pytest.mark.parametrize("n", [5, 16])
def test_virtual_studies_are_those_of_the_comparison(task, n):
    """Who is chosen, and the mean of what it gives, are what `stats.pool` works out without drawing."""
    chosen, values = virtual_studies(task, n, 5, 3000)
    for place, rule in enumerate(task["rules"]):
        pool = pool_of(rule)
        share = np.bincount(chosen[:, place], minlength=SIZE) / 3000
        assert np.abs(share - winning(pool.ranking, n, even=False)).max() < 0.035
        column = values[:, place]
        assert abs(column.mean() - procedure(pool, n).mean) < 4 * column.std() / 3000**0.5


def test_at_the_studys_budget_it_matters_little_that_no_trial_is_drawn_twice(task):
    """The comparison draws the points of an even pool with replacement, and the page without."""
    n = task["budget"]
    for rule in task["rules"]:
        once, anew = (winning(pool_of(rule).ranking, n, even=even) for even in (False, True))
        assert np.abs(once - anew).sum() / 2 < 0.011
        even = procedure(pool_of(rule, tuple(np.linspace(0, 1, SIZE))), n)
        assert abs(procedure(pool_of(rule), n).mean - even.mean) < even.se / 3


def test_a_study_of_one_is_the_default_and_a_study_of_all_the_winner(task):
    assert (virtual_studies(task, 1, 0, 20)[0] == 0).all()
    first = [rule["ranking"][0] for rule in task["rules"]]
    assert (virtual_studies(task, SIZE, 0, 20)[0] == first).all()
    with pytest.raises(ValueError, match=f"a study of {SIZE + 1} trials cannot be drawn from {SIZE}"):
        virtual_studies(task, SIZE + 1, 0, 1)


def test_wins_are_shared_where_studies_tie():
    values = np.array([[1.0, 2.0, 2.0], [3.0, 1.0, 1.0]])
    assert wins(values, True).tolist() == [0.5, 0.25, 0.25]
    assert wins(values, False).tolist() == [0.5, 0.25, 0.25]
    assert wins(values[:1], False).tolist() == [1, 0, 0]


def test_what_is_stored_is_the_whole_study():
    assert packed(stored()) == json.loads(STORED.read_text(encoding="utf-8"))
    assert len({len(task["rules"]) for task in TASKS.values()}) == 1
    for task in TASKS.values():
        for rule in task["rules"]:
            assert len(rule["values"]) == SIZE
            assert rule["ranking"][-1] == 0
            assert len({*rule["ranking"]}) == len(rule["ranking"])
            assert {len(values) for values in rule["fresh"].values()} == {len(rule["fresh"]["0"])}
        assert (task["budget"], task["largest"]) == (5, (SIZE - 1) // 2)
        assert task["pairs"] == len(task["rules"]) - 1


def test_what_is_stored_says_nothing_of_a_machine():
    text = STORED.read_text(encoding="utf-8")
    assert "/" not in text
    assert ".py" not in text
    assert not {"host", "path", "cpu", "processor", "seconds"} & {word.strip('":,') for word in text.lower().split('"')}
    for task in TASKS.values():
        assert task["verdict"].startswith(
            f"On {task['task']}, each tuned by a random search of {task['budget']} trials, "
        )
        best = (max if task["higher"] else min)(v for rule in task["rules"] for v in rule["values"])
        assert best <= task["ideal"] if task["higher"] else best >= task["ideal"]


SCRIPT = """
import torch

def train(trial):
    draw = torch.Generator().manual_seed(trial.seed("data"))
    w = torch.nn.Parameter(torch.ones(3))
    optimizer = trial.optimizer([w])
    if optimizer.param_groups[0]["lr"] > 0.2:
        trial.report(valid_loss=float("nan"), test_loss=float("nan"))
    for _ in trial.epochs(3):
        loss = (w + 0.1 * torch.randn(3, generator=draw)).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        trial.report(valid_loss=loss.item(), test_loss=w.detach().square().sum().item())
"""


@pytest.mark.slow
def test_a_study_of_ones_own_can_be_shown(tmp_path):
    path, script = tmp_path / "own.sqlite", tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    compare(f"{script}:train", ["sgd", "momentum"], trials=9, seeds=2, store=path, engine=Serial())
    suite = Suite.load(path)
    (task,) = valley(suite)["tasks"]
    (comparison,) = suite.comparisons
    assert (task["task"], task["reference"]) == ("train", "SGD")
    assert [rule["name"] for rule in task["rules"]] == ["SGD", "Momentum"]
    assert task["verdict"] == comparison.verdict.answer.replace("script.py:train", "train")
    assert "script.py" not in task["verdict"]
    assert (task["pairs"], task["budget"], task["largest"]) == (1, 4, 4)
    assert [rule["ranking"][0] for rule in task["rules"]] == [row.winner_trial for row in comparison.rows]
    assert virtual_studies(task, 9, 0, 10)[1].shape == (10, 2)
    # A trial that diverged has the worst value of all, at its own place.
    worst = max(value for one in comparison.runs if one.curves for value in one.curves["test_loss"].values)
    lost = 0
    for rule, row in zip(task["rules"], comparison.rows, strict=True):
        assert len(rule["values"]) == 9
        for number, one in row.trials.items():
            value = one.curves["test_loss"].values[-1] if one.status == "done" else worst
            assert rule["values"][number] == pytest.approx(value, rel=1e-3)
            lost += one.status == "diverged"
    assert 0 < lost < 18
    unfinished = SimpleNamespace(missing=3, comparisons=suite.comparisons, across=None)
    with pytest.raises(ValueError, match="not finished: 3 runs are missing"):
        valley(unfinished)
    uneven = replace(comparison, rows=(replace(comparison.rows[0], trials=()), comparison.rows[1]))
    with pytest.raises(ValueError, match="the rules have not as many trials each"):
        valley(replace(suite, comparisons=(uneven,)))
    with pytest.raises(ValueError, match="on train there are too few trials to be judged as searches: 9 are enough"):
        valley(replace(suite, comparisons=(replace(comparison, searches=None),)))


FIRST = next(iter(TASKS))
STATES = [
    {},
    {"n": 1, "seed": 0},
    {"task": "quadratic-deep", "n": SIZE, "seed": 12},
    {"task": "digits-mlp", "n": 32},
    {"task": "autoencoder", "n": 33},
]


@pytest.mark.slow
def test_the_page_draws_the_same_studies(visit):
    there = visit()
    for state in STATES:
        drawn, printed = there.draw("valley", state), run(there.python("valley", state))
        assert [int(row[2]) for row in drawn["table"]["rows"]] == printed["trials"]
        widths = [mark["x"][1] for mark in drawn["panels"][2]["marks"] if mark["kind"] == "rect"]
        np.testing.assert_allclose(widths, printed["wins"], rtol=1e-12)
        task = TASKS[state.get("task", FIRST)]
        for row, value in zip(drawn["table"]["rows"], printed["values"], strict=True):
            assert row[3] == (f"{100 * value:.1f}%" if task["share"] else f"{value:.{len(str(task['scale'])) - 2}f}")
        assert drawn["note"].endswith(f"“{spelt(task['verdict'])}”")
        assert ("Beyond 32 of the 65 trials" in drawn["note"]) == (state.get("n", 5) > 32)


@pytest.mark.slow
def test_nothing_that_was_measured_lies_outside_the_panels(visit):
    there = visit()
    for state in STATES:
        for panel in there.draw("valley", state)["panels"][:2]:
            ends = sorted([panel["x"]["from"], panel["x"]["to"]])
            places = [x for mark in panel["marks"] if mark["kind"] == "dots" for x in mark["x"]]
            assert ends[0] <= min(places)
            assert max(places) <= ends[1]


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("lang", ["en", "fr"])
def test_no_words_are_cut_or_lie_on_others(visit, width, lang):
    there = visit(f"#valley?lang={lang}", viewport={"width": width, "height": 900})
    for name in TASKS:
        there.page.locator("#controls select").select_option(name)
        there.page.wait_for_timeout(60)
        panels = there.page.evaluate(
            """[...document.querySelectorAll(".panel svg")].map((svg) => {
                const box = (each) => { const { left, right, top, bottom } = each.getBoundingClientRect();
                    return [left, right, top, bottom]; };
                return [box(svg), [...svg.querySelectorAll("text")].map((each) => [each.textContent, box(each)])];
            })"""
        )
        assert len(panels) == 3
        for (left, right, top, bottom), texts in panels:
            words = [(text, box) for text, box in texts if text not in ("★", "")]
            assert len(words) >= len(TASKS[name]["rules"]) + 3
            for text, (a, b, c, d) in words:
                assert left <= a < b <= right, text
                assert top <= c < d <= bottom, text
            for (text, (a, b, c, d)), (other, (e, f, g, h)) in combinations(words, 2):
                assert b <= e or f <= a or d <= g + 1 or h <= c + 1, (text, other)


@pytest.mark.slow
def test_the_program_is_as_ruff_wants_it(visit, tmp_path):
    path = tmp_path / "program.py"
    path.write_text(visit().python("valley"), encoding="utf-8")
    for verb in (["format", "--check"], ["check"]):
        subprocess.run([sys.executable, "-m", "ruff", *verb, "--isolated", str(path)], check=True)
