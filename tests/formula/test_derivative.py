"""Derivatives of formulas, against torch's automatic ones."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from thalweg.formula import vocabulary
from thalweg.formula.derivative import derivative, simple
from thalweg.formula.expression import COMPARISONS, LEAVES, Expression, apply, constant, number, weight
from thalweg.formula.vocabulary import abs, clip, exp, floor, log, maximum, minimum, sign, sqrt, where

X, Y = number("x"), number("y")
Operation = Callable[..., Any]

# Each operation on values whose derivative is neither hidden nor huge: roots and logarithms of what is positive.
UNARY: list[Operation] = [
    lambda a: -a, abs, sign, floor, lambda a: sqrt(a * a + 0.5), lambda a: log(abs(a) + 0.1),
    lambda a: exp(clip(a, -3, 3)), lambda a: a**2, lambda a: a**3, lambda a: (abs(a) + 0.2) ** 0.5,
    lambda a: (abs(a) + 0.2) ** -1.5, lambda a: 2 - a, lambda a: 0.5 ** clip(a, -3, 3), lambda a: clip(a, -0.7, 0.9),
    lambda a: 1 / (a * a + 1), lambda a: a * 0 + 1 * a,
]  # fmt: skip
BINARY: list[Operation] = [
    lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: a / (abs(b) + 0.5), maximum, minimum,
    lambda a, b: (abs(a) + 0.2) ** clip(b, -2, 2),
]  # fmt: skip
CHOICES: list[Operation] = [
    lambda a, b, c, d: where(a < b, c, d), lambda a, b, c, d: where(a <= b, c, d),
    lambda a, b, c, d: where(a > b, c, d), lambda a, b, c, d: where(a >= b, c, d),
]  # fmt: skip


def wider(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.builds(lambda f, a: f(a), st.sampled_from(UNARY), inner),
        st.builds(lambda f, a, b: f(a, b), st.sampled_from(BINARY), inner, inner),
        st.builds(lambda f, a, b, c, d: f(a, b, c, d), st.sampled_from(CHOICES), inner, inner, inner, inner),
    )


LEAF = st.one_of(st.sampled_from([X, Y]), st.sampled_from([0.0, 1.0, -1.0, 2.0, 0.3]).map(constant))
FORMULAS = st.recursive(LEAF, wider, max_leaves=10)
POINTS = st.floats(-3, 3, allow_subnormal=False)


def value(e: Expression, known: dict[str, torch.Tensor], gaps: list[float] | None = None) -> torch.Tensor:
    """An expression on tensors; ``gaps`` collects how far from a kink it was."""
    if e.op == "constant":
        return torch.tensor(e.arguments[0], dtype=torch.float64)
    if e.op in LEAVES:
        return known[e.arguments[0]]
    a = [value(each, known, gaps) for each in e.arguments]
    if gaps is not None and e.op in (*COMPARISONS, "maximum", "minimum"):
        gaps.append((a[0] - a[1]).abs().item())
    if gaps is not None and e.op == "abs":
        gaps.append(a[0].abs().item())
    if gaps is not None and e.op == "floor":
        gaps.append((a[0] - a[0].round()).abs().item())
    infix = {
        "+": torch.add, "-": torch.sub, "*": torch.mul, "/": torch.div, "**": torch.pow, "neg": torch.neg,
        "<": torch.lt, "<=": torch.le, ">": torch.gt, ">=": torch.ge,
    }  # fmt: skip
    return infix[e.op](*a) if e.op in infix else getattr(vocabulary, e.op)(*a)


@settings(max_examples=150)
@given(formula=FORMULAS, x=POINTS, y=POINTS)
def test_is_torchs(formula: Expression, x: float, y: float) -> None:
    known = {name: torch.tensor(v, dtype=torch.float64, requires_grad=True) for name, v in (("x", x), ("y", y))}
    gaps: list[float] = []
    found = value(formula, known, gaps)
    assume(all(gap > 1e-6 for gap in gaps))
    assume(math.isfinite(found.item()) and abs(found.item()) < 1e8)
    asked = [known["x"], known["y"]]
    exact = torch.autograd.grad(found, asked, allow_unused=True) if found.requires_grad else [None, None]
    for name, theirs in zip("xy", exact, strict=True):
        slope = 0.0 if theirs is None else theirs.item()
        assume(math.isfinite(slope))
        assert value(derivative(formula, name), known).item() == pytest.approx(slope, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        (constant(3.0), constant(0.0)),
        (Y, constant(0.0)),
        (weight("x"), constant(0.0)),
        (X, constant(1.0)),
        (3 * X + Y, constant(3.0)),
        (X * Y, Y),
        (0.5 * X**2, 0.5 * (2 * X)),
        (X - Y * Y, constant(1.0)),
        (Y - X, constant(-1.0)),
        (X / Y, 1 / Y),
        (exp(X), exp(X)),
        (log(X), 1 / X),
        (sqrt(X), 1 / (2 * sqrt(X))),
        (abs(X), where(X > 0, 1, where(X < 0, -1, 0))),
        (maximum(X, Y), where(X > Y, 1, 0)),
        (where(Y > 0, X, X + Y), constant(1.0)),
        (sign(X) + floor(X), constant(0.0)),
        (Y**3, constant(0.0)),
    ],
    ids=range(18),
)
def test_is_short(formula: Expression, expected: Expression) -> None:
    assert derivative(formula, "x") == expected


def test_a_negative_base_needs_no_logarithm() -> None:
    slope = derivative(X**3, "x")
    assert float(value(slope, {"x": torch.tensor(-2.0, dtype=torch.float64)})) == 12.0


def test_shared_parts_are_derived_once() -> None:
    """As a tree this formula has 2^60 leaves."""
    deep: Expression = X
    for _ in range(60):
        deep = deep * deep
    assert derivative(deep, "x").op == "+"


def test_what_does_nothing_is_left_out() -> None:
    assert simple("+", X, 0.0) is X
    assert simple("+", 0.0, X) is X
    assert simple("-", X, 0.0) is X
    assert simple("-", 0.0, X) == -X
    assert simple("*", X, 0.0) == simple("/", 0.0, X) == constant(0.0)
    assert simple("*", 1.0, X) is simple("/", X, 1.0) is simple("**", X, 1.0) is X
    assert simple("*", -1.0, X) == -X
    assert simple("neg", -X) is X
    assert simple("*", -X, -Y) == X * Y
    assert simple("**", X, 0.0) == constant(1.0)
    assert simple("where", simple(">", X, constant(math.inf)), X, Y) is Y
    assert simple("where", simple("<", X, constant(-math.inf)), X, Y) is Y
    assert simple("where", X > Y, X, X) is X
    assert simple("/", X, Y) == apply("/", X, Y)
