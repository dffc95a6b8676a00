import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

from thalweg.study.ask.draws import defaults
from thalweg.study.ask.method_references import resolve_method
from thalweg.study.ask.task_references import resolve_task
from thalweg.study.model.cells import Cell
from thalweg.study.run.trial import Trial
from thalweg.study.run.worker import run_cell
from thalweg.tasks import TASKS
from thalweg.tasks.digits import METRICS, batches, load, split

# Steps and reports of an epoch; a whole training of these takes too long for every day.
STEPS = {"quadratic-deep": 7, "char-transformer": 5, "digits-tiny-batch": 539}
REPORTED = {"char-transformer": 8}
LONG = ("digits-cnn-bn", "digits-tiny-batch", "char-transformer")
SHORT = {"char-transformer": 3, "digits-tiny-batch": 1, "quadratic-deep": 20}
WHOLE = [pytest.param(name, marks=pytest.mark.slow) if name in LONG else name for name in TASKS]


def run(task, rule="adam", seed=1, **more):
    found = resolve_method(rule)
    values = defaults(found.method, found.fixed)
    options = resolve_task(task).options
    cell = Cell(task, "", found.label, found.hash, values, seed, {}, 0, task, found.source, options=options, **more)
    return run_cell(cell)


def shortened(name, monkeypatch, rule="adam", seed=1):
    """`run`, of so few epochs that it is over in a second or two."""
    task = name.split(":")[0]
    module = sys.modules[TASKS[task].train.__module__]
    monkeypatch.setattr(module, "EPOCHS", SHORT.get(task, 2))
    if task in REPORTED:
        monkeypatch.setattr(module, "BETWEEN_REPORTS", SHORT[task])
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
    usual = split(classes)
    seeds = (0, 7, 2**63 - 1, 2**63 - 2, 2**32)
    for parts in (usual, *(split(classes, seed) for seed in seeds)):
        train, valid, test = parts
        assert sorted(train + valid + test) == list(range(1797))
        for digit in range(10):
            shares = [np.sum(classes[part] == digit) / np.sum(classes == digit) for part in parts]
            assert shares == pytest.approx([0.6, 0.2, 0.2], abs=0.005)
        # Another division of the others leaves the test part as it is.
        assert test == usual[2]
        assert len(test) == 359
    assert usual == split(classes)
    assert split(classes, 7) == split(classes, 7)
    assert len({tuple(sorted(split(classes, seed)[1])) for seed in seeds} | {tuple(sorted(usual[1]))}) == 6


def test_runs_divide_the_data_as_they_did_unless_they_are_to_split(monkeypatch):
    """What is loaded: the usual division, that of the run's seed, or that of the source that is held."""
    loaded = []

    def noted(seed=None):
        loaded.append(seed)
        return load(seed)

    monkeypatch.setattr("thalweg.tasks.digits.load", noted)
    plain = run("digits-mlp", seed=3)
    for more in ({}, {"splits": True}, {"splits": True, "held": {"split": 8}}, {"held": {"split": 8}}):
        found = run("digits-mlp", seed=3, **more)
        assert (found.curves == plain.curves) == ("splits" not in more)
    own, held = (Trial(seed, None, {}).seed("split") for seed in (3, 8))
    assert loaded == [None, None, own, held, None]


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
def test_a_task_trains_and_reports_what_it_says(name):
    task, found = TASKS[name], run(name)
    assert found.status == "done", found.message
    assert set(found.curves) == set(task.metrics)
    assert found.curves["test_loss"].epochs == tuple(range(0, task.epochs + 1, REPORTED.get(name, 1)))
    assert found.curves["test_loss"].values[-1] < 0.6 * found.curves["test_loss"].values[0]
    assert found.seconds < (120 if name in LONG else 20)
    assert found.steps == task.epochs * STEPS.get(name, 17)
    if name in ("digits-mlp", "digits-cnn", "sequence-gru"):
        assert set(found.curves) == set(METRICS)
        assert found.curves["test_accuracy"].values[0] < 0.3 < 0.9 < found.curves["test_accuracy"].values[-1]


@pytest.mark.parametrize("name", list(TASKS))
def test_a_training_begins_as_a_guess_is_deterministic_and_tests_the_weights_to_test(name, monkeypatch):
    """Left out, `Trial.evaluations` changes the losses of a rule that trains other weights than it keeps."""
    one, again = (shortened(name, monkeypatch, "schedulefreesgd:lr=0.01") for _ in range(2))
    assert one.status == "done", one.message
    assert one.curves == again.curves
    kept = one.curves["test_loss"].values
    assert kept[-1] < kept[0]
    if name != "quadratic-deep":
        assert kept[0] == pytest.approx(np.log(73 if name == "char-transformer" else 10), abs=0.35)

    def nothing(trial, *_):
        trial._evaluated = True
        yield "none"

    monkeypatch.setattr(Trial, "evaluations", nothing)
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
