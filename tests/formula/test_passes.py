"""How many passes a step takes and what they read, add and write: the examples that the code is introduced with."""

import numpy as np
import pytest

from thalweg.formula import Rule, chain, compose, wrapped
from thalweg.formula.compose import Pass
from thalweg.rules import CATALOGUE
from thalweg.wrappers import Cautious

EXAMPLES = {
    "SGD": (CATALOGUE["sgd"], False, 1),
    "AdamW, clipped by norm": (CATALOGUE["adamw"], True, 2),
    "LAMB under Cautious, clipped by norm": (wrapped(CATALOGUE["lamb"], Cautious), True, 4),
}


def told(name: str, walk: Pass) -> str:
    """A line of the docstring, each run of blanks one blank."""
    reads, adds, writes = (" ".join(of) for of in (walk.operands, walk.totals, walk.writes))
    return " ".join(filter(None, (name, f"reads {reads}", adds and f"adds {adds}", writes and f"writes {writes}")))


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_passes_are_those_that_the_docstring_shows(example: str) -> None:
    rule, clipped, count = EXAMPLES[example]
    program = compose.program(rule, {**chain.SWITCHES, **compose.usual_switches(rule)})
    walks = {"limited_norm": program.limited_norm} if clipped else {}
    walks |= {f"sums[{i}]": walk for i, walk in enumerate(program.sums)} | {"update": program.update}
    shown = " ".join(str(compose.__doc__).split())
    assert len(walks) == count
    assert f"{example} {' '.join(told(*each) for each in walks.items())}" in shown


def after_a_step(rule: type[Rule], w: np.ndarray, g: np.ndarray, **numbers: float) -> np.ndarray:
    """The weights after a first step from states of 0, with a decoupled decay and both clips."""
    limits = {name: numbers.pop(name) for name in ("clip_value", "clip_norm")}
    values = {**compose.symbols(rule, {**chain.SWITCHES, **compose.usual_switches(rule)}), **chain.NUMBERS}
    values |= {name: hyper.default for name, hyper in compose.hypers(rule).items()} | numbers
    values |= chain.decay("decoupled", values["lr"], values["lr"], values["weight_decay"])
    values |= {"w": w, "g": g, "m": np.zeros(2), "v": np.zeros(2), "t": 1.0, "unscale": -1.0}
    values |= {"clip_value": limits["clip_value"]}
    squares = compose.limited_norm_totals(values)["squares"].sum()
    values["clip_scale"] = chain.norm_scale(squares, limits["clip_norm"], 1e-6)
    return np.asarray(compose.updated(rule, values)["w"])


def test_the_chain_computes_its_worked_example() -> None:
    """By hand: g is (-3, 4), then (-1, 1), not shortened; d is 0.1 of its sign; decay takes 0.01 of w."""
    numbers = {"lr": 0.1, "weight_decay": 0.1, "clip_value": 1.0, "clip_norm": 2.0}
    w = after_a_step(CATALOGUE["adamw"], np.array([5.0, 5.0]), np.array([3.0, -4.0]), **numbers)
    np.testing.assert_allclose(w, [5.05, 4.85], atol=1e-8)
