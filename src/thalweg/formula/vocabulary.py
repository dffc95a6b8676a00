"""The functions a formula may call. Each works on floats, NumPy and JAX arrays, torch tensors and traced expressions.

Numbers follow IEEE 754 everywhere: the root of a negative number is nan, 1/0 is inf, nothing raises. What stands above
a function is its row in the table of `operations`; to add one is to write one here.
"""

import math
from math import inf
from types import FunctionType
from typing import Any

import numpy as np

from .expression import Expression, averaged
from .operations import function


@function(
    python=math.sqrt, numpy=np.sqrt, llvm="llvm.sqrt", javascript="Math.sqrt", paper=None,
    derivative="da / (2 * e)",
)  # fmt: skip
def sqrt(x: Any) -> Any:
    """Square root."""


@function(
    python=abs, numpy=np.abs, llvm="llvm.fabs", javascript="Math.abs", paper=None,
    derivative="where(a > 0, da, where(a < 0, -da, 0))",
)  # fmt: skip
def abs(x: Any) -> Any:
    """Absolute value."""


@function(
    python=math.exp, numpy=np.exp, exact=False, llvm="llvm.exp", javascript="Math.exp", paper="exp",
    derivative="e * da",
)  # fmt: skip
def exp(x: Any) -> Any:
    """Exponential."""


@function(
    python=math.log, numpy=np.log, exact=False, llvm="llvm.log", javascript="Math.log", paper="ln",
    derivative="da / a",
)  # fmt: skip
def log(x: Any) -> Any:
    """Natural logarithm."""


@function(
    python=math.cos, numpy=np.cos, exact=False, llvm="llvm.cos", javascript="Math.cos", paper="cos",
    derivative="-(sin(a) * da)",
)  # fmt: skip
def cos(x: Any) -> Any:
    """Cosine, of radians."""


@function(
    python=math.sin, numpy=np.sin, exact=False, llvm="llvm.sin", javascript="Math.sin", paper="sin",
    derivative="cos(a) * da",
)  # fmt: skip
def sin(x: Any) -> Any:
    """Sine, of radians."""


@function(
    python=lambda x: float(math.floor(x)) if x else x, numpy=np.floor, llvm="llvm.floor", javascript="Math.floor",
    paper=None, derivative="0",
)  # fmt: skip
def floor(x: Any) -> Any:
    """The largest integer not above x."""


@function(
    python=lambda a, b: a if a != a or a > b else b, numpy=np.maximum, llvm="llvm.maximum", javascript="Math.max",
    paper="max", derivative="where(a > b, da, db)",
)  # fmt: skip
def maximum(x: Any, y: Any) -> Any:
    """The larger one; nan if either is nan."""


@function(
    python=lambda a, b: a if a != a or a < b else b, numpy=np.minimum, llvm="llvm.minimum", javascript="Math.min",
    paper="min", derivative="where(a < b, da, db)",
)  # fmt: skip
def minimum(x: Any, y: Any) -> Any:
    """The smaller one; nan if either is nan."""


@function(
    python=lambda c, a, b: a if c else b, numpy=np.where, llvm="select <{w} x i1> {0}, {v} {1}, {v} {2}",
    javascript=None, paper=None, derivative="where(a, db, dc)",
)  # fmt: skip
def where(condition: Any, x: Any, y: Any) -> Any:
    """x where the condition (a comparison) holds, y elsewhere; both are computed."""


def sign(x: Any) -> Any:
    """-1, 0 or 1; 0 for 0 and, as in torch, for nan."""
    return where(x > 0, 1.0, where(x < 0, -1.0, 0.0))


def clip(x: Any, low: Any, high: Any) -> Any:
    """x between low and high; nan stays nan."""
    return where(x < low, low, where(x > high, high, x))


# Three products whose neutral numbers are neutral: 0 * infinity is nan, and weights may hold infinities that mean
# something (masks, transition tables). Of finite numbers they are the plain formulas, bit for bit.


def times(rate: Any, x: Any) -> Any:
    """rate * x, and 0 where the rate is 0, also of infinity."""
    return rate * where(abs(rate) > 0, x, where(abs(x) < inf, x, 0.0))


def share(rate: Any, x: Any) -> Any:
    """rate * x of a finite x, else 0: what decay takes of a weight, which does not bring an infinite one nearer."""
    return rate * where(abs(x) < inf, x, 0.0)


def towards(x: Any, y: Any, rate: Any) -> Any:
    """x + rate * (y - x), on the way from x to y; an infinite x stays where it is."""
    return where(abs(x) < inf, x + rate * (y - x), x)


def mean(x: Any) -> Any:
    """The mean over each matrix of x, one number by row or by column; it may stand in ``after`` only."""
    return averaged(x) if isinstance(x, Expression) else x.mean(axis=(-2, -1), keepdims=True)


__all__ = [name for name, value in vars().items() if isinstance(value, FunctionType) and value.__module__ == __name__]
