"""The next values of a rule's scalars, computed on the host in float64 from a step's numbers.

of = host_function([lr / (1 - beta1**t)])                                # of symbols
of({"lr": 0.2, "beta1": 0.5, "t": 1.0})                                  # (0.4,)
of({"lr": array([0.2, 0.3]), "beta1": 0.5, "t": array([1.0, 2.0])})      # (array([0.4, 0.4]),): a row each

A kernel's coefficients are computed from the same expressions in machine code (`llvm`), with the same bits.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
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


@cache
def _called() -> dict[str, Any]:
    """What the text calls.

    The last bits of NumPy's own powers, exponentials and logarithms are others than the C library's, in a few of a
    hundred, and kernels take the C library's: so they are taken one by one.
    """
    rows = {_NAMES.get(name, name): row for name, row in OPERATIONS.items() if not row.infix}
    return {name: row.numpy if row.exact else _each(row.python, row.numpy) for name, row in rows.items()}


def host_function(expressions: Sequence[Expression]) -> Callable[[Numbers], tuple[Any, ...]]:
    """Compile host expressions, each distinct part of them computed once.

    The function takes numbers by name, floats or float64 arrays of shape (rows,), and returns arrays of that shape, or
    floats where nothing that a value depends on is an array.
    """
    code = compile(_text(expressions), "<host numbers>", "exec")
    known = {**_called()}
    exec(code, known)

    def of(numbers: Numbers) -> tuple[Any, ...]:
        exact = {name: np.asarray(value, np.float64)[()] for name, value in numbers.items()}
        with np.errstate(all="ignore"):
            return known["numbers"](exact)  # type: ignore[no-any-return]

    return of


@cache
def float_function(expression: Expression) -> Callable[[Mapping[str, float]], float]:
    """Compile a host expression of floats: the bits of `host_function`, in a fraction of its time."""
    exact = host_function([expression])
    known = {_NAMES.get(name, name): row.python for name, row in OPERATIONS.items() if not row.infix}
    exec(compile(_text([expression]), "<host number>", "exec"), known)

    def of(numbers: Mapping[str, float]) -> float:
        try:
            (value,) = known["numbers"](numbers)
        except (ArithmeticError, ValueError):  # where Python raises, IEEE 754 has an answer
            (value,) = exact(numbers)
        return float(value)

    return of


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
