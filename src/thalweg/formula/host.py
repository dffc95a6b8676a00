"""The numbers of a pass, computed on the host in float64: once a step, for each distinct set of hyperparameters.

    of = host_function([lr / (1 - beta1**t)])              # of symbols
    of.one({"lr": 0.2, "beta1": 0.5, "t": 1.0})                        # (0.4,): floats, what most steps ask for
    of.many({"lr": array([0.2, 0.3]), "beta1": 0.5, "t": 2.0})         # (array([0.26667, 0.4]),): a row each

Both give the same bits.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .expression import Expression
from .operations import OPERATIONS

Numbers = Mapping[str, Any]
# What is no name in Python.
_NAMES = {"**": "power", "neg": "negated"}


def _each(plain: Callable[..., float], array: Any) -> Callable[..., Any]:
    """A function of floats on arrays, and where it raises, NumPy's answer."""

    def one(*numbers: float) -> float:
        try:
            return plain(*numbers)
        except (ArithmeticError, ValueError):
            return float(array(*numbers))

    every = np.frompyfunc(one, array.nin, 1)
    return lambda *arrays: np.asarray(every(*arrays), np.float64)[()]


def _called() -> tuple[dict[str, Any], dict[str, Any]]:
    """What the text calls, on floats and on arrays.

    Plain floats are several times faster than NumPy's, but raise where IEEE 754 has an answer. The last bits of NumPy's
    own powers, exponentials and logarithms are others than the C library's, in a few of a hundred: a row of its own
    must not change a weight, so they are taken one by one.
    """
    rows = {_NAMES.get(name, name): row for name, row in OPERATIONS.items() if not row.infix}
    plain = {name: row.python for name, row in rows.items()}
    arrays = {name: row.numpy if row.exact else _each(row.python, row.numpy) for name, row in rows.items()}
    return plain, arrays


@dataclass(frozen=True)
class HostFunction:
    """From named numbers to the values of some host expressions.

    ``one`` takes floats and returns floats. ``many`` takes float64 arrays of shape (rows,) too, and returns arrays of
    that shape, or of shape () where nothing that a value depends on is an array.
    """

    one: Callable[[Numbers], tuple[Any, ...]]
    many: Callable[[Numbers], tuple[Any, ...]]


def host_function(expressions: Sequence[Expression]) -> HostFunction:
    """Compile host expressions, each distinct part of them computed once."""
    code = compile(_text(expressions), "<host numbers>", "exec")
    plain, arrays = _called()
    exec(code, plain)
    exec(code, arrays)

    def many(numbers: Numbers) -> tuple[Any, ...]:
        exact = {name: np.asarray(value, np.float64)[()] for name, value in numbers.items()}
        with np.errstate(all="ignore"):
            return arrays["numbers"](exact)  # type: ignore[no-any-return]

    def one(numbers: Numbers) -> tuple[Any, ...]:
        try:
            return plain["numbers"](numbers)  # type: ignore[no-any-return]
        except (ArithmeticError, ValueError):
            return many(numbers)

    return HostFunction(one, many)


def _text(expressions: Sequence[Expression]) -> str:
    lines: list[str] = []
    names: dict[Expression, str] = {}

    def name(expression: Expression) -> str:
        if expression not in names:
            if expression.op == "constant":
                value = repr(expression.arguments[0])
                value = f"float({value!r})" if not math.isfinite(expression.arguments[0]) else value
            elif expression.op == "number":
                value = f"n[{expression.arguments[0]!r}]"
            else:
                a = [name(x) for x in expression.arguments]
                called = _NAMES.get(expression.op, expression.op)
                infix = OPERATIONS[expression.op].infix
                value = f" {expression.op} ".join(a) if infix else f"{called}({', '.join(a)})"
            names[expression] = f"x{len(names)}"
            lines.append(f"    {names[expression]} = {value}")
        return names[expression]

    returned = ", ".join([name(e) for e in expressions])
    body = "\n".join(lines)
    return f"def numbers(n):\n{body}\n    return ({returned}{',' if expressions else ''})\n"
