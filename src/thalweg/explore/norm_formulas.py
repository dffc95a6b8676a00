"""The formulas of `thalweg.nn.formulas`, for the page: as JavaScript and typeset."""

from collections.abc import Mapping
from typing import Any

from thalweg.formula.derivative import simplified
from thalweg.formula.expression import Expression, number
from thalweg.formula.javascript import function
from thalweg.formula.text import Line
from thalweg.formula.typeset import mathml_lines
from thalweg.formula.vocabulary import sqrt
from thalweg.nn.formulas import normalised, output, scale, squared

from .figure import Words

NORMS: Mapping[str, str] = {"batch": "BatchNorm", "layer": "LayerNorm", "rms": "RMSNorm"}

# (x, mean) => [what it adds to the spread's sum], (x, mean, spread, eps) => [z], and (z, weight, bias) => [y]
FUNCTIONS: Mapping[str, str] = {
    "squared": function(["x", "mean"], [squared(number("x"), number("mean"))]),
    "normalised": function(
        ["x", "mean", "spread", "eps"],
        [normalised(number("x"), number("mean"), scale(number("spread"), number("eps")))],
    ),
    "output": function(["z", "weight", "bias"], [output(number("z"), number("weight"), number("bias"))]),
}


def shown(*norms: str) -> tuple[tuple[Words, str], ...]:
    """Norms as `Figure.formulas` wants them."""
    return tuple((Words(NORMS[norm], NORMS[norm]), typeset(norm)) for norm in norms)


def typeset(norm: str) -> str:
    """A norm as MathML: "batch", "layer" or "rms". The line has n numbers."""
    x, mu, sigma, n = (number(name) for name in ("x", "mu", "sigma", "n"))
    each, mean = number("x_j"), 0.0 if norm == "rms" else mu
    squares = simplified(squared(each, mean), {})
    lines = [] if norm == "rms" else [Line("mu", _total(each) / n)]
    lines.append(Line("sigma", sqrt(_total(squares) / n)))
    factor = scale(sigma**2, number("eps"))
    lines.append(Line("z", x * factor if norm == "rms" else normalised(x, mean, factor)))
    lines.append(Line("y", output(number("z"), number("gamma"), None if norm == "rms" else number("beta"))))
    return mathml_lines(lines)


def _total(value: Any) -> Expression:
    return Expression("sum", (value,))
