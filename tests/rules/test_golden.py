"""Every rule's and wrapper's first moves, to eight digits, from numbers that it did not compute: golden.toml."""

import tomllib
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import thalweg
from thalweg.formula import Rule, like, torch_reader, wrapped
from thalweg.formula.check import check
from thalweg.formula.rule import hypers
from thalweg.optim import OPTIMIZERS, Optimizer
from thalweg.rules import CATALOGUE
from thalweg.wrappers import WRAPPERS

Array = np.ndarray

GOLDEN = tomllib.loads((Path(__file__).parent / "golden.toml").read_text(encoding="utf-8"))
GRADIENTS = tuple(GOLDEN["gradients"])


def walked(name: str, arguments: dict[str, Any], start: Any, gradients: Any, compared: str = "weights") -> Array:
    """The weights, or those to test, before the first step and after each."""
    rule, *wrappers = name.split("+")
    made_by: Any = OPTIMIZERS[rule]
    for wrapper in wrappers:
        # The average is an option of every optimizer.
        made_by = made_by if wrapper == "weightaverage" else thalweg.wrap(made_by, WRAPPERS[wrapper])
    weight = torch.nn.Parameter(torch.tensor(start, dtype=torch.float64))
    optimizer = made_by([weight], **{"lr": 1.0, **arguments})
    at = [weight.detach().numpy().copy()]
    for gradient in gradients:
        weight.grad = torch.tensor(gradient, dtype=torch.float64)
        optimizer.step()
        with optimizer.averaged() if compared == "weights to test" else nullcontext():
            at.append(weight.detach().numpy().copy())
    return np.stack(at)


def moves(name: str, arguments: dict[str, Any], gradients: tuple[float, ...] = GRADIENTS) -> list[float]:
    return [float(move) for move in np.diff(walked(name, arguments, 0.0, gradients))]


@pytest.mark.parametrize("golden", GOLDEN["golden"], ids=lambda golden: f"{golden['rule']} {golden.get('arguments')}")
def test_golden(golden: dict[str, Any]) -> None:
    given = golden.get("arguments", {}), golden.get("start", 0.0), golden.get("gradients", GRADIENTS)
    at = walked(golden["rule"], *given, golden.get("compared", "weights"))
    np.testing.assert_allclose(np.diff(at, axis=0)[: len(golden["moves"])], golden["moves"], rtol=0, atol=6e-7)
    np.testing.assert_allclose(at[-1], golden["weight"], rtol=0, atol=6e-9)


def test_every_rule_and_wrapper_has_golden_numbers() -> None:
    assert {name for golden in GOLDEN["golden"] for name in golden["rule"].split("+")} == {*CATALOGUE, *WRAPPERS}


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

    def test_formulas_hold_under_every_switch(self, rule: type[Rule]) -> None:
        """The catalogue is not tried when it is imported, as a user's rule is when its optimizer is made."""
        for each in (rule, *(like(rule, convention) for convention in rule.conventions)):
            check(each)
            for wrapper in {*WRAPPERS.values()} - {*rule.around}:
                check(wrapped(each, wrapper))

    def test_made_into_an_optimizer(self, rule: type[Rule]) -> None:
        made = OPTIMIZERS[rule.__name__.lower()]
        assert issubclass(made, Optimizer)
        assert made.rule is rule
        assert (made.__name__, made.__doc__) == (rule.__name__, rule.__doc__)

    def test_differentiable_through_the_torch_reader(self, rule: type[Rule]) -> None:
        """The oracle is plain torch: without decay the next weight has the derivative 1 by the weight before."""
        weight = torch.tensor([0.5], dtype=torch.float64, requires_grad=True)
        # A rate in proportion to the weight has a slope of its own.
        known = {**torch_reader.values_of(rule), "weight_decay": 0.0, "scale_parameter": False}
        after = torch_reader.step(rule, torch_reader.begin(rule, weight, known), torch.ones_like(weight), known)
        (slope,) = torch.autograd.grad(after.weight.sum(), weight)
        assert slope.item() == pytest.approx(1.0)
