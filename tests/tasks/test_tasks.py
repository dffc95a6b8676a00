import subprocess
import sys
from contextlib import nullcontext

import numpy as np
import pytest
from sklearn.datasets import load_digits

from thalweg.study.cells import Cell
from thalweg.study.draws import defaults
from thalweg.study.rule_references import resolve_rule
from thalweg.study.task_references import resolve_task
from thalweg.study.trial import Trial, run_cell
from thalweg.tasks import TASKS
from thalweg.tasks.digits import METRICS, batches, load, split

# Steps and reports of an epoch; a whole training of these takes too long for every day.
STEPS = {"quadratic-deep": 7, "char-transformer": 5, "digits-tiny-batch": 539}
REPORTED = {"char-transformer": 8}
LONG = ("digits-cnn-bn", "digits-tiny-batch", "char-transformer")
SHORT = {"char-transformer": 8, "digits-tiny-batch": 1, "quadratic-deep": 20}
WHOLE = [pytest.param(name, marks=pytest.mark.slow) if name in LONG else name for name in TASKS]


def run(task, rule="adam", seed=1):
    found = resolve_rule(rule)
    values = defaults(found.rule, found.fixed)
    options = resolve_task(task).options
    return run_cell(Cell(task, "", found.label, found.hash, values, seed, {}, 0, task, found.source, options=options))


def shortened(name, monkeypatch, rule="adam", seed=1):
    """`run`, of so few epochs that it is over in a second or two."""
    task = name.split(":")[0]
    monkeypatch.setattr(sys.modules[TASKS[task].train.__module__], "EPOCHS", SHORT.get(task, 2))
    return run(name, rule, seed)


def test_tasks_are_listed_without_torch():
    code = "import sys, thalweg.tasks; assert 'torch' not in sys.modules; print(*thalweg.tasks.TASKS)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == [
        "digits-mlp", "digits-cnn", "digits-cnn-bn", "digits-tiny-batch", "sequence-gru", "char-transformer",
        "quadratic-deep",
    ]  # fmt: skip


def test_the_split_is_a_partition_in_equal_shares_of_every_class():
    classes = load_digits().target
    train, valid, test = split(classes)
    assert sorted(train + valid + test) == list(range(1797))
    assert split(classes) == (train, valid, test)
    for digit in range(10):
        shares = [np.sum(classes[part] == digit) / np.sum(classes == digit) for part in (train, valid, test)]
        assert shares == pytest.approx([0.6, 0.2, 0.2], abs=0.005)


def test_the_inputs_are_scaled_to_the_unit_interval():
    data = load()
    assert data.train.images.shape == (len(data.train.classes), 64)
    assert (float(data.train.images.min()), float(data.train.images.max())) == (0.0, 1.0)


def test_every_epoch_sees_every_example_once_in_a_new_order():
    data, epochs = load(), batches(load().train, 64, 7)
    first, second = (np.concatenate([classes for _, classes in next(epochs)]) for _ in range(2))
    assert sorted(first) == sorted(second) == sorted(data.train.classes.tolist())
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("name", WHOLE)
def test_a_task_trains_reports_what_it_says_and_is_deterministic(name):
    task, one, again = TASKS[name], run(name), run(name)
    assert one.status == "done", one.message
    assert set(one.curves) == set(task.metrics)
    assert one.curves["test_loss"].epochs == tuple(range(0, task.epochs + 1, REPORTED.get(name, 1)))
    assert one.curves["test_loss"].values[-1] < 0.6 * one.curves["test_loss"].values[0]
    assert one.curves == again.curves
    assert one.seconds < (120 if name in LONG else 20)
    assert one.steps == task.epochs * STEPS.get(name, 17)


@pytest.mark.parametrize("name", list(TASKS))
def test_a_shorter_training_begins_as_a_guess_and_is_deterministic(name, monkeypatch):
    one, again = shortened(name, monkeypatch), shortened(name, monkeypatch)
    assert one.status == "done", one.message
    assert one.curves == again.curves
    first, last = (one.curves["test_loss"].values[i] for i in (0, -1))
    assert last < first
    if name != "quadratic-deep":
        assert first == pytest.approx(np.log(73 if name == "char-transformer" else 10), abs=0.35)


@pytest.mark.parametrize("name", ["digits-mlp", "digits-cnn", "sequence-gru"])
def test_digits_are_learned(name):
    curves = run(name).curves
    assert set(curves) == set(METRICS)
    assert curves["test_accuracy"].values[0] < 0.3 < 0.9 < curves["test_accuracy"].values[-1]


@pytest.mark.parametrize("name", list(TASKS))
def test_a_task_tests_the_weights_to_test(name, monkeypatch):
    """Left out, `Trial.evaluation` changes the losses of a rule that trains other weights than it keeps."""
    kept = shortened(name, monkeypatch, "schedulefreesgd:lr=0.01").curves["test_loss"].values

    def nothing(trial):
        trial._evaluated = True
        return nullcontext()

    monkeypatch.setattr(Trial, "evaluation", nothing)
    trained = shortened(name, monkeypatch, "schedulefreesgd:lr=0.01").curves["test_loss"].values
    assert len(kept) == len(trained)
    assert kept[0] == trained[0]
    assert kept[-1] != trained[-1]


def test_seeds_differ_and_rules_share_the_start():
    one, other, rule = run("digits-mlp"), run("digits-mlp", seed=2), run("digits-mlp", "lion")
    assert one.curves["train_loss"].values[0] == rule.curves["train_loss"].values[0]
    assert one.curves["train_loss"].values[0] != other.curves["train_loss"].values[0]


def test_a_wild_rate_ends_as_diverged_with_finite_curves():
    found = run("digits-mlp", "sgd:lr=1e30")
    assert found.status == "diverged"
    assert "was nan" in found.message or "was inf" in found.message
    assert np.isfinite([v for curve in found.curves.values() for v in curve.values]).all()
    assert found.curves["test_accuracy"].epochs[0] == 0
