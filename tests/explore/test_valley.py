import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from explorer_runs import run

from thalweg.explore.valley import STORED, stored, valley, virtual_studies, wins
from thalweg.stats.pool import Pool, procedure, winning
from thalweg.study.judge.results import Suite
from thalweg.study.run.compare import compare
from thalweg.study.run.engines import Serial

TASKS = {task["task"]: task for task in stored()["tasks"]}


def pool_of(rule):
    return Pool(tuple(rule["ranking"]), tuple(rule["values"]), {int(k): tuple(v) for k, v in rule["fresh"].items()})


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_virtual_studies_are_those_of_the_comparison(task):
    """Who is chosen, and the mean of what it gives, are what `stats.pool` works out without drawing."""
    chosen, values = virtual_studies(task, 8, 5, 3000)
    for place, rule in enumerate(task["rules"]):
        pool = pool_of(rule)
        share = np.bincount(chosen[:, place], minlength=25) / 3000
        assert np.abs(share - winning(pool.ranking, 8, even=False)).max() < 0.035
        column = values[:, place]
        assert abs(column.mean() - procedure(pool, 8).mean) < 4 * column.std() / 3000**0.5


def test_a_study_of_one_is_the_default_and_a_study_of_all_the_winner():
    for task in TASKS.values():
        assert (virtual_studies(task, 1, 0, 20)[0] == 0).all()
        first = [rule["ranking"][0] for rule in task["rules"]]
        assert (virtual_studies(task, 25, 0, 20)[0] == first).all()
    with pytest.raises(ValueError, match="a study of 26 trials cannot be drawn from 25"):
        virtual_studies(task, 26, 0, 1)


def test_wins_are_shared_where_studies_tie():
    values = np.array([[1.0, 2.0, 2.0], [3.0, 1.0, 1.0]])
    assert wins(values, True).tolist() == [0.5, 0.25, 0.25]
    assert wins(values, False).tolist() == [0.5, 0.25, 0.25]
    assert wins(values[:1], False).tolist() == [1, 0, 0]


def test_what_is_stored_says_nothing_of_a_machine():
    text = STORED.read_text(encoding="utf-8")
    assert "/" not in text
    assert not {"host", "path", "cpu", "processor", "seconds"} & {word.strip('":,') for word in text.lower().split('"')}
    for task in TASKS.values():
        assert task["verdict"].startswith(f"On {task['task']}, tuned with {task['budget']} trials each, ")
        best = (max if task["higher"] else min)(v for rule in task["rules"] for v in rule["values"])
        assert best <= task["ideal"] if task["higher"] else best >= task["ideal"]


SCRIPT = """
import torch

def train(trial):
    draw = torch.Generator().manual_seed(trial.seed("data"))
    w = torch.nn.Parameter(torch.ones(3))
    optimizer = trial.optimizer([w])
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
    assert [rule["name"] for rule in task["rules"]] == ["SGD", "Momentum"]
    assert task["verdict"] == comparison.verdict.answer
    assert (task["pairs"], task["budget"]) == (1, 4)
    assert [rule["ranking"][0] for rule in task["rules"]] == [row.winner_trial for row in comparison.rows]
    assert virtual_studies(task, 9, 0, 10)[1].shape == (10, 2)
    unfinished = SimpleNamespace(missing=3, comparisons=suite.comparisons, across=None)
    with pytest.raises(ValueError, match="not finished: 3 runs are missing"):
        valley(unfinished)
    uneven = replace(comparison, rows=(replace(comparison.rows[0], trials=()), comparison.rows[1]))
    with pytest.raises(ValueError, match="the rules have not as many trials each"):
        valley(replace(suite, comparisons=(uneven,)))


STATES = [{}, {"n": 1, "seed": 0}, {"task": "quadratic-deep", "n": 25, "seed": 12}, {"task": "digits-cnn", "n": 13}]


@pytest.mark.slow
def test_the_page_draws_the_same_studies(visit):
    there = visit()
    for state in STATES:
        drawn, printed = there.draw("valley", state), run(there.python("valley", state))
        assert [int(row[2]) for row in drawn["table"]["rows"]] == printed["trials"]
        widths = [mark["x"][1] for mark in drawn["panels"][2]["marks"] if mark["kind"] == "rect"]
        np.testing.assert_allclose(widths, printed["wins"], rtol=1e-12)
        task = TASKS[state.get("task", "digits-mlp")]
        for row, value in zip(drawn["table"]["rows"], printed["values"], strict=True):
            assert row[3] == (f"{100 * value:.1f}%" if task["share"] else f"{value:.2f}")
        assert drawn["note"].endswith(f"“{task['verdict']}”")
        assert ("Beyond 8" in drawn["note"]) == (state.get("n", 8) > 8)


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
def test_the_program_is_as_ruff_wants_it(visit, tmp_path):
    path = tmp_path / "program.py"
    path.write_text(visit().python("valley"), encoding="utf-8")
    for verb in (["format", "--check"], ["check"]):
        subprocess.run([sys.executable, "-m", "ruff", *verb, "--isolated", str(path)], check=True)
