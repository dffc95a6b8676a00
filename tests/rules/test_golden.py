"""Every rule's first moves, to eight digits, from numbers that this project did not compute.

One float64 weight that starts at 0 sees the gradients below. The numbers of the rules that torch has are
torch 2.13.0's (its conventions: first momentum buffer whole, eps outside the root); Momentum and Lion, which it
has not, are worked by hand from the formulas of their sources.
"""

import itertools
from typing import Any

import pytest
import torch

from thalweg.formula import Rule, torch_reader
from thalweg.formula.rule import hypers
from thalweg.optim import OPTIMIZERS, Optimizer
from thalweg.rules import CATALOGUE

GRADIENTS = (1.0, 1.0, -0.5, 0.25, 1.0, 2.0, -1.0, 0.5)

# rule, arguments, the first four moves (six decimals), the weight after eight steps (eight decimals)
GOLDEN: list[tuple[str, dict[str, Any], tuple[float, ...], float]] = [
    ("sgd", {}, (-1.0, -1.0, 0.5, -0.25), -4.25),
    ("sgd", {"momentum": 0.9}, (-1.0, -1.9, -1.21, -1.339), -17.05233890),
    ("sgd", {"momentum": 0.9, "dampening": 0.9}, (-1.0, -1.0, -0.85, -0.79), -6.83102900),
    ("sgd", {"momentum": 0.9, "nesterov": True}, (-1.9, -2.71, -0.589, -1.4551), -19.59710501),
    ("adagrad", {}, (-1.0, -0.707107, 0.333333, -0.164399), -2.65124250),
    ("adagrad", {"initial_accumulator_value": 0.1}, (-0.953463, -0.690066, 0.326164, -0.160956), -2.57935227),
    ("rmsprop", {}, (-9.999999, -7.088812, 3.355704, -1.662828), -26.63302368),
    ("rmsprop", {"alpha": 0.9}, (-3.162278, -2.294157, 1.129385, -0.584965), -8.77201317),
    ("rmsprop", {"momentum": 0.9}, (-9.999999, -16.088811, -11.124225, -11.674631), -119.39852755),
    ("adam", {}, (-1.0, -1.0, -0.515653, -0.512277), -5.39399064),
    # Decoupled, so that the first step from 0 is Adam's; afterwards the weight also shrinks by 1% a step.
    ("adamw", {"weight_decay": 0.0}, (-1.0, -1.0, -0.515653, -0.512277), -5.39399064),
    # v = .9 v + .1 g: .1, .19, .121, .1339, .22051, .398459, .2586131, .28275179; the moves are -v.
    ("momentum", {}, (-0.1, -0.19, -0.121, -0.1339), -1.70523389),
    # c = .9 m + .1 g, m = .99 m + .01 g: m is 0, .01, .0199, .014701, ...; c is .1, .109, -.03209, .0382309, then +, +,
    # -.0621..., +, so the moves are -1 -1 +1 -1 and -1 -1 +1 -1.
    ("lion", {}, (-1.0, -1.0, 1.0, -1.0), -4.0),
]


def moves(name: str, arguments: dict[str, Any], gradients: tuple[float, ...] = GRADIENTS) -> list[float]:
    weight = torch.nn.Parameter(torch.zeros((), dtype=torch.float64))
    optimizer = OPTIMIZERS[name]([weight], lr=1.0, **arguments)
    at = [0.0]
    for gradient in gradients:
        weight.grad = torch.tensor(gradient, dtype=torch.float64)
        optimizer.step()
        at.append(weight.item())
    return [b - a for a, b in itertools.pairwise(at)]


@pytest.mark.parametrize(("name", "arguments", "first", "last"), GOLDEN, ids=lambda x: str(x))
def test_golden(name: str, arguments: dict[str, Any], first: tuple[float, ...], last: float) -> None:
    found = moves(name, arguments)
    assert found[:4] == pytest.approx(first, abs=6e-7)
    assert sum(found) == pytest.approx(last, abs=6e-9)


def test_every_rule_has_golden_numbers() -> None:
    assert {name for name, *_ in GOLDEN} == set(CATALOGUE)


def test_adamw_by_hand() -> None:
    """Adam's move, and lr * decay * (the weight before it)."""
    adam, at = moves("adam", {}), 0.0
    for move, found in zip(adam, moves("adamw", {"weight_decay": 0.1}), strict=True):
        assert found == pytest.approx(move - 0.1 * at, abs=1e-12)
        at += found


def test_lion_does_not_move_without_gradient() -> None:
    assert moves("lion", {}, (0.0, -0.0)) == [0.0, 0.0]


def test_amsgrad_by_hand() -> None:
    """With beta2 = 0.5 and a quiet tail the maximum matters: of the raw v, corrected afterwards."""
    gradients = (2.0, 0.5, 0.0)
    m = v = top = 0.0
    expected = []
    for t, g in enumerate(gradients, start=1):
        m, v = 0.9 * m + 0.1 * g, 0.5 * v + 0.5 * g * g
        top = max(top, v)
        expected.append(-(m / (1 - 0.9**t)) / ((top / (1 - 0.5**t)) ** 0.5 + 1e-8))
    found = moves("adam", {"betas": (0.9, 0.5), "amsgrad": True}, gradients)
    assert found == pytest.approx(expected, abs=1e-12)
    assert abs(found[2] - moves("adam", {"betas": (0.9, 0.5)}, gradients)[2]) > 0.1


@pytest.mark.parametrize("rule", CATALOGUE.values(), ids=lambda rule: rule.__name__)
class TestCatalogue:
    def test_documented(self, rule: type[Rule]) -> None:
        assert rule.__doc__
        first, blank, *rest = rule.__doc__.splitlines()
        assert first.endswith(".")
        assert not blank.strip()
        assert any(line.strip().startswith("Source:") for line in rest)
        assert rule.year is not None
        assert 1951 <= rule.year <= 2026

    def test_default_is_inside_its_search(self, rule: type[Rule]) -> None:
        numbers = hypers(rule)
        defaults = {name: hyper.default for name, hyper in numbers.items()}
        searched = {name: hyper.search for name, hyper in numbers.items() if hyper.search is not None}
        assert "lr" in searched
        assert searched["lr"].trials == 0
        for name, search in searched.items():
            # Weight decay may be off by default: 0 is on no logarithmic scale.
            assert defaults[name] == 0 or 0 <= search.position(defaults[name], defaults) <= 1
            for draw in (0.0, 0.37, 0.999):
                assert numbers[name].problem(search.value(draw, defaults)) is None

    def test_made_into_an_optimizer(self, rule: type[Rule]) -> None:
        made = OPTIMIZERS[rule.__name__.lower()]
        assert issubclass(made, Optimizer)
        assert made.rule is rule
        assert (made.__name__, made.__doc__) == (rule.__name__, rule.__doc__)

    def test_differentiable_through_the_torch_reader(self, rule: type[Rule]) -> None:
        """The oracle is plain torch: the next weight has the derivative 1 - lr * decay by the weight before."""
        weight = torch.tensor([0.5], dtype=torch.float64, requires_grad=True)
        known = torch_reader.values_of(rule)
        after = torch_reader.step(rule, torch_reader.begin(rule, weight, known), torch.ones_like(weight), known)
        (slope,) = torch.autograd.grad(after.weight.sum(), weight)
        assert slope.item() == pytest.approx(1.0)
