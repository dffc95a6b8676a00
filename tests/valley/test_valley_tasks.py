"""The valley's own tasks: their data, and that one training and many at once are the same."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from plotly.data import gapminder
from torch import nn

import tasks
from thalweg.study.ask.method_references import resolve_method
from thalweg.study.run.conduct import conduct, conduct_stack
from thalweg.study.run.trial import Trial

PROBLEMS = {"tabular": tasks.TABULAR, "regression": tasks.REGRESSION, "autoencoder": tasks.AUTOENCODER}


def test_gapminder_is_what_plotly_reads() -> None:
    """By pandas, which plotly reads it with."""
    table = gapminder()
    inputs, classes = tasks.countries()
    assert len(table) == len(inputs) == 1704
    read = table[["year", "pop", "gdpPercap", "lifeExp"]].to_numpy(dtype=float)
    np.testing.assert_allclose(
        inputs, np.column_stack([read[:, 0], np.log(read[:, 1]), np.log(read[:, 2]), read[:, 3]])
    )
    assert [sorted(set(table["continent"]))[k] for k in classes] == list(table["continent"])
    numbers, lives = tasks.lives()
    np.testing.assert_array_equal(lives[:, 0], read[:, 3])
    np.testing.assert_array_equal(numbers[:, 3:].argmax(1), classes)


@pytest.mark.parametrize("name", PROBLEMS)
def test_parts_hold_every_row_once_and_the_test_part_stays(name: str) -> None:
    problem = PROBLEMS[name]
    inputs, targets = tasks.scaled(problem, torch.float32)
    count = len(targets)
    assert len(inputs) == count == len(problem.table()[0])
    first, second = (tasks.divided(count, seed) for seed in (1, 2**62))
    for parts in (first, second):
        assert sorted(torch.cat([*parts.values()]).tolist()) == [*range(count)]
        assert (len(parts["test"]), len(parts["valid"])) == (round(0.4 * count), round(0.15 * count))
    assert torch.equal(first["test"], second["test"])
    assert not torch.equal(first["valid"], second["valid"])
    rest = inputs[torch.cat([first["train"], first["valid"]])]
    if problem.scaled[0]:
        assert torch.allclose(rest.mean(0), torch.zeros(rest.shape[1]), atol=1e-5)
        assert torch.allclose(rest.std(0, correction=0), torch.ones(rest.shape[1]), atol=1e-5)


def test_values_by_hand() -> None:
    """Scores (2, 0), (0, 0), (0, 1) of classes 0, 0, 0: losses log(1 + e^-2), log 2, log(1 + e); two of three right."""
    scores = torch.tensor([[2.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
    loss, accuracy = tasks.values_of(tasks.TABULAR, nn.Identity(), scores, torch.zeros(3, dtype=torch.int64))
    expected = (np.log1p(np.exp(-2)) + np.log(2) + np.log1p(np.e)) / 3
    assert loss.item() == pytest.approx(expected)
    assert accuracy.item() == pytest.approx(2 / 3)
    assert tasks.named("test", torch.stack([loss, accuracy])).keys() == {"test_loss", "test_accuracy"}
    (error,) = tasks.values_of(tasks.REGRESSION, nn.Identity(), torch.tensor([[1.0], [3.0]]), torch.zeros(2, 1))
    assert error.item() == 5


@pytest.fixture
def in_double() -> None:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("rule", ["adam", "momentum+lookahead"])
def test_many_at_once_train_as_each_alone(name: str, rule: str, in_double: None) -> None:
    problem, method = replace(PROBLEMS[name], epochs=2), resolve_method(rule).method
    defaults = {key: hyper.default for key, hyper in method.hypers.items()}

    def trials() -> list[Trial]:
        return [Trial(seed, method, {**defaults, "lr": lr}) for seed, lr in ((5, 1e-3), (6, 1e-2), (5, 1e-2))]

    alone, together = trials(), trials()
    for trial in alone:
        assert conduct(trial, lambda given: tasks.fit(given, problem)).status == "done"
    endings = conduct_stack(together, lambda given: tasks.fit_stack(given, problem))
    assert [ending.status for ending in endings] == ["done"] * 3
    for one, other in zip(alone, together, strict=True):
        curves, same = one.outcome()["curves"], other.outcome()["curves"]
        assert curves.keys() == same.keys()
        for metric, curve in curves.items():
            assert curve.epochs == same[metric].epochs == (0, 1, 2)
            assert curve.tests == same[metric].tests == (682 if metric == "test_accuracy" else None)
            np.testing.assert_allclose(curve.values, same[metric].values, rtol=1e-10)
        assert curves["valid_loss"].values[-1] < curves["valid_loss"].values[0]
