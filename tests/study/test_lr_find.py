"""Ranges of learning rates from short trainings."""

import io
import json
from itertools import pairwise
from math import inf

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

import thalweg
from thalweg.formula import Hyper, Rule
from thalweg.study.model.cells import Curve
from thalweg.study.model.errors import StudyError
from thalweg.study.run.engines import Serial
from thalweg.study.run.lr_find import grid, lr_find
from thalweg.study.run.lr_range import ShortRun, judged
from thalweg.terminal import learning_rates

EPOCHS = 40


class Unsearched(Rule):
    """Says nothing of where its learning rate should be looked for."""

    lr = Hyper(0.1)

    @staticmethod
    def step(g, lr):
        return lr * g


def bowl(curvature=1.0, epochs=EPOCHS, seen=None, first=True):
    """Half curvature times w squared from w = 1, one step an epoch: gradient descent diverges from lr 2 / curvature."""

    def train(trial):
        w = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
        optimizer = trial.optimizer([w])

        def report():
            trial.report(valid_loss=0.5 * curvature * w.item() ** 2)

        if first:
            report()
        for epoch in trial.epochs(epochs):
            if seen is not None:
                seen.append((epoch, optimizer.param_groups[0]["lr"]))
            w.grad = curvature * w.detach()
            optimizer.step()
            report()

    return train


def serial(task, rule="sgd", **asked):
    return lr_find(task, rule, engine=Serial(), **{"seeds": 1, "low": 1e-3, "high": 1.0, "points": 4, **asked})


@settings(max_examples=5)
@given(st.floats(-1.5, 2.5))
def test_the_edge_of_gradient_descent_is_bracketed(exponent):
    """Known exactly: |1 - lr curvature| < 1."""
    edge = 2 / 10**exponent
    found = serial(bowl(10**exponent), low=1e-3, high=1e3, points=13)
    trains = [rate.lr for rate in found.rates if rate.status == "done"]
    assert max(trains) < edge < found.fails_from
    assert found.search[1] <= (max(trains) * found.fails_from) ** 0.5 * (1 + 1e-9)
    lost = [rate for rate in found.rates if rate.lr > edge]
    assert lost
    assert {rate.status for rate in lost} == {"worse"}


@pytest.mark.slow
def test_the_edge_of_the_deep_quadratic_is_bracketed():
    from thalweg.tasks.quadratic_deep import hessian

    edge = 2 / np.linalg.eigvalsh(hessian(1)).max()
    assert 2 / 60 < edge < 2 / 30
    found = lr_find("quadratic-deep", "sgd", low=1e-3, high=1.0, points=16, seeds=1, engine=Serial())
    trains = [rate.lr for rate in found.rates if rate.status == "done"]
    assert max(trains) < edge < found.fails_from
    assert found.fails_from / max(trains) < 1.6
    assert (found.epochs, found.planned) == (10, 100)


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["adamw", "sgd"])
def test_what_is_recommended_holds_the_best_of_whole_trainings(rule):
    found = lr_find("digits-mlp", rule, engine=Serial())
    assert (found.epochs, found.planned) == (3, 30)
    whole = lr_find("digits-mlp", rule, epochs=30, seeds=1, engine=Serial())
    assert whole.epochs == 30
    assert found.search[0] < whole.best < found.search[1]
    assert found.search[1] / found.search[0] < (whole.rates[-1].lr / whole.rates[0].lr) / 10, "it narrows the search"


def test_a_point_is_the_training_it_says():
    """The same seeds, and the same numbers, as `thalweg.train`, as far as it goes."""
    found = lr_find("quadratic-deep", "adam", engine=Serial(), low=1e-3, high=0.1, points=4, seed=7, epochs=2)
    assert found.seeds == (7, 8)
    rate = found.rates[2]
    alone = thalweg.train("quadratic-deep", "adam", lr=rate.lr, seed=8)
    assert alone.curves["valid_loss"].values[2] == rate.values[1] != rate.values[0]
    assert rate.train is not None


def test_it_stops_early_and_the_schedule_sees_the_whole():
    seen = []
    found = serial(bowl(epochs=EPOCHS, seen=seen), schedule="cosine")
    assert len(seen) == 4 * EPOCHS / 10
    assert (found.epochs, found.planned) == (4, EPOCHS)
    factors = [lr / seen[0][1] for _, lr in seen[:4]]
    assert factors == pytest.approx([(1 + np.cos(np.pi * e / EPOCHS)) / 2 for e in range(4)])


def test_no_script_goes_on_past_its_end():
    """Neither one that counts its own epochs, nor one that catches whatever is raised."""
    steps = []

    def own(trial):
        w = torch.nn.Parameter(torch.ones(1))
        optimizer = trial.optimizer([w])
        for _ in range(50):
            w.grad = w.detach().clone()
            optimizer.step()
            steps.append(1)
            try:
                trial.report(valid_loss=w.item() ** 2)
            except Exception:
                continue

    found = serial(own)
    assert len(steps) == 4 * 3
    assert (found.epochs, found.planned) == (3, None)


@pytest.mark.slow
def test_processes_give_the_same(script, workers):
    task = script()
    asked = {"points": 4, "low": 1e-3, "high": 0.3}
    parallel = lr_find(task, "adam", engine=workers, **asked)
    alone = lr_find(task, "adam", engine=Serial(), **asked)
    assert parallel == alone
    assert parallel.task == "script.py:train"
    # A function goes to the workers too, and progress is told.
    told = []
    sent = lr_find(
        bowl(), "sgd", engine=workers, seeds=1, points=4, low=1e-3, high=1.0, on_run=lambda *counts: told.append(counts)
    )
    assert sent == serial(bowl())
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_the_rules_own_box_is_the_grid():
    found = lr_find(bowl(1e-2), "momentum", engine=Serial(), seeds=1, epochs=1)
    rates = [rate.lr for rate in found.rates]
    assert (rates[0], rates[-1]) == (pytest.approx(1e-4), pytest.approx(50.0))  # declared over 1 - momentum, 0.1
    assert len(rates) == 13
    assert [b / a for a, b in pairwise(rates)] == pytest.approx([(50 / 1e-4) ** (1 / 12)] * 12)
    assert grid(1.0, 16.0, 5) == pytest.approx((1, 2, 4, 8, 16))


def test_other_values_are_passed_on():
    low = serial(bowl(), "momentum:momentum=0.5", like="torch")
    same = serial(bowl(), "momentum", like="torch", momentum=0.5)
    other = serial(bowl(), "momentum", like="torch", momentum=0.9)
    assert [r.mean for r in low.rates] == [r.mean for r in same.rates] != [r.mean for r in other.rates]


def run(lr, seed, *values, status="done", metric="valid_loss", planned=None):
    epochs = tuple(range(len(values)))
    return ShortRun(lr, seed, status, "" if status == "done" else "why", {metric: Curve(epochs, values)}, planned)


def table(*rows, **named):
    """Runs of rates 0.001, 0.01, ...: the last value of each seed, from 10 at the start; a word is how it ended."""
    ends = [
        run(10.0 ** (i - 3), seed, 10.0, *([end] if isinstance(end, float) else []), **named)
        if isinstance(end, float)
        else run(10.0 ** (i - 3), seed, 10.0, status=end, **named)
        for i, row in enumerate(rows)
        for seed, end in enumerate(row)
    ]
    return judged("t", "r", ends, None)


def test_good_is_what_is_within_5_percent_of_the_progress():
    found = table([9.0], [4.4], [4.0], [4.2], [4.5])
    assert found.best == 0.1
    assert found.good == (pytest.approx(0.1), 1.0)  # progress 6: up to 4.3
    assert found.noise is None
    assert found.suggestion == pytest.approx(0.1**0.5)
    assert found.search == (pytest.approx(0.01), 3.0)
    assert "No rate up to 10 failed" in " ".join(found.sentences)


def test_or_within_the_noise():
    """Seed by seed: what the seeds have in common is no noise."""
    together = table([9.0, 8.0], [5.0, 4.0], [4.0, 3.0], [9.0, 8.0])
    assert together.noise == 0.0
    assert together.good == (0.1, 0.1)
    apart = table([9.0, 8.0], [5.0, 3.2], [4.0, 3.0], [9.0, 6.0])
    assert apart.noise == pytest.approx(0.8 / 2)
    assert apart.good == (pytest.approx(0.01), 0.1)


def test_good_has_no_holes():
    found = table([4.0], [9.0], [4.0], [4.0], ["diverged"])
    assert found.best == 0.001
    assert found.good == (0.001, 0.001)


def test_a_lost_seed_loses_the_rate():
    found = table([9.0, 9.0], [5.0, 5.0], [1.0, "diverged"], ["failed", "failed"], planned=100)
    assert found.best == 0.01
    assert found.fails_from == 0.1
    assert found.rates[2].mean == inf
    assert found.rates[2].values == (1.0, None)
    assert [rate.status for rate in found.rates] == ["done", "done", "diverged", "failed"]
    assert found.epochs == 1
    assert found.search == (pytest.approx(1e-4), pytest.approx(0.03))  # a hundredth of the training was seen


def test_higher_may_be_better():
    runs = [
        run(lr, 0, 0.1, end, metric="valid_accuracy") for lr, end in ((1e-3, 0.1), (1e-2, 0.5), (0.1, 0.9), (1.0, 0.05))
    ]
    found = judged("t", "r", runs, None)
    assert found.higher_is_better
    assert (found.best, found.good, found.fails_from) == (0.1, (0.1, 0.1), 1.0)
    assert [rate.status for rate in found.rates] == ["worse", "done", "done", "worse"]
    assert "valid_accuracy 90.00%" in found.sentences[1]


def test_without_a_value_before_training_the_smallest_rate_is_the_start():
    found = serial(bowl(100.0, first=False), low=1e-4, high=1.0, points=5)
    assert found.start == pytest.approx(found.rates[0].mean / (1 - 1e-4 * 100) ** 6)  # after 1 of 4 steps
    assert found.fails_from == pytest.approx(0.1)


def test_edges_are_told():
    words = " ".join(serial(bowl(1e-3)).sentences)
    assert "look higher too, with high=10" in words
    words = " ".join(serial(bowl(1.0), low=0.9, high=1.1).sentences)
    assert "look lower too" in words
    assert "A range, not a winner" in words
    whole = serial(bowl(epochs=2))
    assert (whole.epochs, whole.planned) == (2, 2)
    assert "whole trainings" in whole.sentences[-1]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"points": 3}, "points must be a whole number, at least 4; got 3"),
        ({"seeds": 0}, "seeds must be a whole number, at least 1"),
        ({"epochs": 1.5}, "epochs must be a whole number, at least 1; got 1.5"),
        ({"low": 1.0, "high": 0.1}, "low must be below high; got 1 and 0.1"),
        ({"low": 0.0}, "low must be a number above 0"),
        ({"lr": 0.1}, "leave lr=0.1 out"),
        ({"rule": "sgd:lr=0.5"}, "leave lr=0.5 out"),
        ({"rule": "adamm"}, "did you mean adam?"),
        ({"rule": Unsearched, "low": None}, "Unsearched declares no search of lr: give both ends"),
        ({"momentun": 0.9}, "did you mean momentum?"),
        ({"schedule": "cosin"}, "did you mean cosine?"),
        ({"task": "quadratic-dep"}, "did you mean quadratic-deep?"),
        ({"metric": "f1"}, "no metric valid_f1 is reported"),
        ({"low": 100.0, "high": 1000.0}, "no learning rate from 100 to 1e+03 made valid_loss"),
    ],
)
def test_mistakes_are_answered_in_words(asked, message):
    with pytest.raises(StudyError) as found:
        serial(**{"task": bowl(), **asked})
    assert message in str(found.value)


def test_a_script_that_fails_is_told_at_once():
    tried = []

    def broken(trial):
        tried.append(1)
        raise RuntimeError("no data here")

    with pytest.raises(StudyError, match=r"lr=0.001 failed: RuntimeError: no data here"):
        serial(broken)
    assert tried == [1]

    def alike(trial):
        trial.report(valid_loss=1.0)
        for _ in trial.epochs(5):
            trial.report(valid_loss=1.0)

    with pytest.raises(StudyError, match=r"it never called trial.optimizer"):
        serial(alike)


def test_a_rate_at_which_a_script_fails_is_a_result():
    def fragile(trial):
        w = torch.nn.Parameter(torch.ones(1))
        optimizer = trial.optimizer([w])
        for _ in trial.epochs(3):
            w.grad = w.detach().clone()
            optimizer.step()
            if optimizer.param_groups[0]["lr"] > 0.5:
                raise FloatingPointError("overflow")
            trial.report(valid_loss=w.item() ** 2)

    found = serial(fragile)
    assert found.rates[-1].status == "failed"
    assert "overflow" in found.rates[-1].message
    assert found.fails_from == 1.0


@pytest.mark.parametrize("width", [40, 80, 200])
def test_it_is_drawn(width):
    found = serial(bowl(10.0), low=1e-3, high=10.0, points=9)
    stream = io.StringIO()
    learning_rates.print_rates(found, Console(file=stream, width=width, highlight=False))
    shown = stream.getvalue()
    assert "Search lr from" in shown
    assert max(map(len, shown.splitlines())) <= width
    figure = shown[shown.index("│") :].splitlines()
    (band,) = [line for line in figure if "●" in line and "best" not in line]
    axis = figure[figure.index(band) + 1]
    columns = [i for i, sign in enumerate(band) if sign in "●×"]
    lost = sum(rate.status != "done" for rate in found.rates)
    assert band.count("×") == lost > 0
    assert axis.split()[0] == "0.001"
    assert axis.split()[-1] == "10"
    # The best stands where its rate is.
    place = [rate.lr for rate in found.rates].index(found.best) / 8
    assert abs((columns[0] - 12) / (columns[-1] - 12) - place) < 0.05


def test_what_blew_up_does_not_flatten_the_figure():
    found = table([9.0], [2.0], [4.0], [1e70])
    stream = io.StringIO()
    Console(file=stream, width=80).print(learning_rates.figure(found, 80))
    assert " 9 │" in stream.getvalue()
    assert " 2 │" in stream.getvalue()
    assert "e+" not in stream.getvalue()


def test_json_has_everything_and_no_infinity():
    found = table([9.0, 9.0], [5.0, 5.0], [1.0, "diverged"], [10.0, 11.0])
    read = json.loads(learning_rates.as_json(found), parse_constant=pytest.fail)
    assert read["search"] == list(found.search)
    assert [rate["mean"] for rate in read["rates"]] == [9.0, 5.0, None, 10.5]
    assert read["rates"][2]["status"] == "diverged"
    assert read["sentences"] == list(found.sentences)


def test_the_bar_is_for_terminals(capsys):
    with learning_rates.watching("x") as on_run:
        on_run(1, 2)
    assert capsys.readouterr() == ("", "")
