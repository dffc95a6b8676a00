"""A single training from Python."""

import pytest
import torch

import thalweg
from thalweg.formula import Hyper, Rule
from thalweg.study.ask.spec import resolve, study
from thalweg.study.model.errors import StudyError
from thalweg.study.run.worker import run_cell

PUBLISHED = {"seed": 44, "like": "tf1", "task_options": {"instance": 2, "reshuffle": False}}


def small(trial):
    torch.manual_seed(trial.seed("init"))
    model = torch.nn.Linear(3, 1)
    optimizer = trial.optimizer(model)
    for _ in trial.epochs(3):
        optimizer.zero_grad()
        model(torch.ones(1, 3)).square().sum().backward()
        optimizer.step()
        with trial.evaluation():
            trial.report(valid_loss=model(torch.ones(1, 3)).square().sum())


def test_a_published_run_is_repeated():
    found = thalweg.train("quadratic-deep", "momentum", **PUBLISHED)
    assert found.final["test_loss"] == pytest.approx(84.19591086251395, rel=1e-6)
    assert (found.status, found.steps, found.message) == ("done", 700, "")
    assert found.options == {"instance": 2, "reshuffle": False, "op_seed": 3}
    assert found.values["momentum"] == 0.99


def test_it_is_the_training_of_a_comparison():
    plan = resolve(study("quadratic-deep:instance=2", "adam:lr=0.01", trials=1))
    run = run_cell(plan.cell(plan.rules[0], 0, 7))
    alone = thalweg.train("quadratic-deep", "adam", lr=0.01, seed=7, task_options={"instance": 2})
    assert run.curves == alone.curves
    assert dict(run.values) == dict(alone.values)


def test_what_is_printed_can_be_read():
    found = repr(thalweg.train("quadratic-deep", "momentum", schedule="cosine", **PUBLISHED))
    first, second, third = found.splitlines()
    assert first.startswith("Training of quadratic-deep:instance=2:reshuffle=false with momentum:like=tf1 (lr=0.01, ")
    assert first.endswith("schedule cosine, seed 44")
    assert "done after 700 steps" in second
    assert "test_loss 347.4 -> " in third


@pytest.mark.parametrize("rule", ["adamw", thalweg.AdamW, thalweg.AdamW.rule], ids=["name", "class", "rule"])
def test_a_rule_may_come_in_any_form(rule):
    assert thalweg.train(small, rule, lr=0.1).curves == thalweg.train(small, "adamw:lr=0.1").curves


def test_a_rule_of_a_notebook_needs_no_file():
    class Mine(Rule):
        lr = Hyper(0.1)

        @staticmethod
        def step(g, lr):
            return lr * g

    assert thalweg.train(small, Mine).curves == thalweg.train(small, "sgd", lr=0.1).curves


def test_a_task_may_be_a_script_or_a_function(script):
    assert thalweg.train(small, "sgd").task == "small"
    assert thalweg.train(script(), "sgd").status == "done"


def test_conventions_change_a_class_too():
    named = thalweg.train("quadratic-deep", "rmsprop", like="tf1")
    assert thalweg.train("quadratic-deep", thalweg.RMSprop, like="tf1").curves == named.curves
    assert thalweg.train("quadratic-deep", "rmsprop").curves != named.curves


def test_reports_are_told_as_they_come():
    told = []
    found = thalweg.train(small, "sgd", on_report=lambda epoch, values: told.append((epoch, values["valid_loss"])))
    curve = found.curves["valid_loss"]
    assert told == list(zip(curve.epochs, curve.values, strict=True))


def test_averages_are_tested_where_the_rule_keeps_them():
    """The same steps: only what is tested differs, within trial.evaluation()."""
    weights = {}

    def train(trial, options):
        weight = torch.nn.Parameter(torch.full((2,), 4.0))
        optimizer = trial.optimizer([weight], **options)
        for _ in trial.epochs(2):
            weight.grad = torch.ones(2)
            optimizer.step()
            with trial.evaluation():
                weights.setdefault(str(options), []).append(weight[0].item())
            trial.report(valid_loss=weight[0].item())

    own = thalweg.train(lambda trial: train(trial, {}), "sgd", lr=1.0)
    averaged = thalweg.train(lambda trial: train(trial, {"ema": 0.5, "ema_warmup": False}), "sgd", lr=1.0)
    assert own.curves["valid_loss"].values == averaged.curves["valid_loss"].values == (3.0, 2.0)
    assert weights["{}"] == [3.0, 2.0]
    assert weights["{'ema': 0.5, 'ema_warmup': False}"] == pytest.approx([3.5, 2.75])


def test_a_task_tests_the_averages():
    averaged = thalweg.train("quadratic-deep", "sgd", lr=0.01)
    assert averaged.status == "done"
    free = thalweg.train("quadratic-deep", "schedulefreesgd", lr=0.01)
    assert free.status == "done", free.message
    assert free.final["test_loss"] < 100


def test_a_failure_is_told_not_raised():
    def broken(trial):
        raise RuntimeError("no data here")

    found = thalweg.train(broken, "sgd")
    assert found.status == "failed"
    assert "no data here" in found.message
    assert found.final == {}
    assert "no data here" in repr(found)


def test_divergence_is_told():
    found = thalweg.train("quadratic-deep", "sgd", lr=100.0)
    assert found.status == "diverged"
    assert "at the end of epoch" in found.message


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"task": "quadratic-dep"}, "did you mean quadratic-deep?"),
        ({"rule": "adamm"}, "did you mean adam?"),
        ({"rule": int}, "int is no update rule"),
        ({"schedule": "cosin"}, "did you mean cosine?"),
        ({"like": "tf2"}, "did you mean tf1?"),
        ({"rule": thalweg.SGD, "like": "tf2"}, "has no convention 'tf2'"),
        ({"momentun": 0.9}, "did you mean momentum?"),
        ({"lr": -1.0}, "lr must be at least 0"),
        ({"lr": "fast"}, "lr must be a number; got 'fast'"),
        ({"nesterov": 1.0}, "nesterov is a switch"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"task_options": {"instanc": 2}}, "did you mean instance?"),
        ({"task_options": {"instance": 0}}, "instance must be a whole number, at least 1; got 0"),
        ({"task_options": {"instance": True}}, "instance must be a whole number"),
        ({"task_options": {"reshuffle": 0}}, "reshuffle is a switch"),
        ({"task": "digits-mlp", "task_options": {"instance": 2}}, "digits-mlp has no option 'instance'. It has none."),
        ({"task": "quadratic-deep:instance"}, "write options as name=value"),
        ({"task": "quadratic-deep:instance=two"}, "instance must be a whole number, at least 1; got 'two'"),
        ({"task": small, "task_options": {"in stance": 2}}, "an option has a name such as 'norm'; got 'in stance'"),
    ],
)
def test_mistakes_are_answered_in_words(given, message):
    with pytest.raises(StudyError) as found:
        thalweg.train(**{"task": "quadratic-deep", "rule": "sgd", **given})
    assert message in str(found.value)


def test_a_value_that_is_given_twice_is_refused():
    with pytest.raises(StudyError, match=r"lr is given twice: in 'sgd:lr=0.1' and as 0.2; leave one out"):
        thalweg.train("quadratic-deep", "sgd:lr=0.1", lr=0.2)
