"""What Newton-Schulz does to a singular value, for the page: the library's own text, of matrices of one number."""

from typing import Any

from thalweg.formula.derivative import simple
from thalweg.formula.expression import Expression, number, rebuilt, weight
from thalweg.formula.javascript import function
from thalweg.formula.matrices import norm, transpose
from thalweg.formula.rule import hypers
from thalweg.formula.text import Line
from thalweg.formula.typeset import mathml_lines
from thalweg.rules import muon

# Rules are written without types.
_LIBRARY: Any = muon
SAFETY, EPS = (float(hypers(muon.Muon)[name].default) for name in ("safety", "eps"))

# What NVIDIA-NeMo/Emerging-Optimizers had as "aol": made for matrices that another scaling has prepared (Boissin et al.
# 2025, arXiv:2512.04632, whose authors have other numbers since), and offered without it. The library refuses it.
REFUSED = (
    (4.0098, -7.0585, 2.4635),
    (3.4585, -5.5479, 2.5959),
    (2.7573, -3.2939, 1.4254),
    (2.7215, -3.0494, 1.3169),
)


def step() -> str:
    """A step of a singular value, as JavaScript: ``(x, a, b, c) => [next]``.

    The step multiplies matrices alone, so that it does to each singular value what it does to a matrix of one number.
    """
    names = ("x", "a", "b", "c")
    return function(names, [_of_one_number(_LIBRARY.newton_schulz(*map(number, names)))])


def divisor() -> str:
    """What Muon divides a matrix by before the steps, as JavaScript: ``(length, safety, eps) => [divisor]``."""
    names = ("length", "safety", "eps")
    length, safety, eps = map(number, names)
    return function(names, [_LIBRARY.added(safety * length, eps)])


def _of_one_number(e: Expression) -> Expression:
    """A formula of matrices, of those that have one row and one column."""

    def made(op: str, *arguments: Expression) -> Expression:
        if op == "transpose":
            return arguments[0]
        return simple("*" if op == "@" else op, *arguments)

    return rebuilt(e, {}, made)


def typeset() -> str:
    """What a matrix M is divided by, the step, and what it does to a singular value, as MathML."""
    a, b, c, sigma = map(number, ("a", "b", "c", "sigma"))
    m, x = weight("M"), weight("X")
    square = x @ transpose(x)
    told = rebuilt(_LIBRARY.newton_schulz(x, a, b, c), {square: weight("Y")}, simple)
    lines = [
        Line("X", m / _LIBRARY.added(SAFETY * norm(m), number("eps"))),
        Line("Y", square),
        Line("X", told, stored=True),
        Line("sigma", a * sigma + b * sigma**3 + c * sigma**5, stored=True),
    ]
    return mathml_lines(lines) + "<p><small><math><mi>ε</mi></math> = <code>eps</code></small></p>"
