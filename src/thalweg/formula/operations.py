"""The operations of the language, one row each: what every reader makes of it.

Operators stand here, functions in `vocabulary`, where a row stands above the function's definition. A reader looks up
what it needs; none has a table of its own.
"""

import inspect
import math
import operator
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any

import numpy as np

from .expression import Expression, apply, constant


@dataclass(frozen=True, eq=False)
class Operation:
    """One operation.

    ``name``        as expressions call it; an operator's is that of Python and of JavaScript.
    ``arity``       how many values it takes.
    ``python``      of floats. It may raise where IEEE 754 has an answer, which ``numpy`` then gives.
    ``numpy``       of float64 arrays.
    ``exact``       whether both have the same bits; NumPy's own exponentials, say, differ from the C library's.
    ``llvm``        an instruction, where {0}, {1} are the values, {v} their vector's type and {w} its width; or the
                    name of an intrinsic function, ``llvm.sqrt``.
    ``javascript``  the function; None for what is written with an operator.
    ``paper``       what mathematics calls the function; None for what has a notation of its own.
    ``derivative``  a formula of the values a, b, c, of their derivatives da, db, dc, and of the result, e.

    Of torch and jax.numpy a function has the same name everywhere, ``name``; operators are Python's.
    """

    name: str
    arity: int
    python: Callable[..., Any]
    numpy: Callable[..., Any]
    exact: bool
    llvm: str
    javascript: str | None
    paper: str | None
    derivative: str

    @property
    def infix(self) -> bool:
        """Whether it is written between its two values."""
        return self.arity == 2 and not self.name.isalpha() and self.name != "**"


OPERATIONS: dict[str, Operation] = {}
"""All rows, by name."""


def _operator(name: str, arity: int, function: Callable[..., Any], llvm: str, derivative: str, **other: Any) -> None:
    row = {"python": function, "numpy": function, "exact": True, "javascript": None, "paper": None, **other}
    OPERATIONS[name] = Operation(name=name, arity=arity, llvm=llvm, derivative=derivative, **row)


_operator("+", 2, operator.add, "fadd {v} {0}, {1}", "da + db")
_operator("-", 2, operator.sub, "fsub {v} {0}, {1}", "da - db")
_operator("*", 2, operator.mul, "fmul {v} {0}, {1}", "da * b + a * db")
_operator("/", 2, operator.truediv, "fdiv {v} {0}, {1}", "da / b - e * db / b")
# Over weights kernels have powers only as products and roots (`lower`).
_operator("**", 2, math.pow, "llvm.pow", "b * a ** (b - 1) * da + e * log(a) * db", numpy=np.power, exact=False)
_operator("neg", 1, operator.neg, "fneg {v} {0}", "-da")
_operator("<", 2, operator.lt, "fcmp olt {v} {0}, {1}", "0")
_operator("<=", 2, operator.le, "fcmp ole {v} {0}, {1}", "0")
_operator(">", 2, operator.gt, "fcmp ogt {v} {0}, {1}", "0")
_operator(">=", 2, operator.ge, "fcmp oge {v} {0}, {1}", "0")


def function(
    *,
    python: Callable[..., Any],
    numpy: Callable[..., Any],
    llvm: str,
    javascript: str | None,
    paper: str | None,
    derivative: str,
    exact: bool = True,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The row of a function, above its definition, which says its name, its arguments and what it is.

    It then works on floats, NumPy and JAX arrays, torch tensors and expressions. The arguments are those of
    `Operation`.
    """

    def row(defined: Callable[..., Any]) -> Callable[..., Any]:
        name, arity = defined.__name__, len(inspect.signature(defined).parameters)
        OPERATIONS[name] = Operation(name, arity, python, numpy, exact, llvm, javascript, paper, derivative)

        @wraps(defined)
        def call(*arguments: Any) -> Any:
            return _called(OPERATIONS[name], arguments)

        return call

    return row


def _called(operation: Operation, arguments: tuple[Any, ...]) -> Any:
    """A function of the language on whatever its arguments are."""
    if any(isinstance(a, Expression) for a in arguments):
        return _expressed(operation, arguments)
    # An array can only exist if its library is loaded; rules alone never load it.
    for library, of in _LIBRARIES.items():
        loaded = sys.modules.get(library)
        if loaded is not None and (found := of(loaded, operation, arguments)) is not None:
            return found
    with np.errstate(all="ignore"):
        value = operation.numpy(*arguments)
    return value if np.ndim(value) else float(value)


def _expressed(operation: Operation, arguments: tuple[Any, ...]) -> Expression:
    made = apply(operation.name, *arguments)
    if operation.exact and all(a.op == "constant" for a in made.arguments):
        return constant(_called(operation, tuple(a.arguments[0] for a in made.arguments)))
    return made


def _of_torch(torch: Any, operation: Operation, arguments: tuple[Any, ...]) -> Any:
    """torch's function of this name; None if no argument is a tensor. torch wants tensors where two values meet."""
    tensor = next((a for a in arguments if isinstance(a, torch.Tensor)), None)
    if tensor is None:
        return None
    kinds: list[Any] = [tensor.dtype] * len(arguments)
    if operation.name == "where":
        like = next((a for a in arguments[1:] if isinstance(a, torch.Tensor)), None)
        # Between two plain numbers nothing says how precise the result must be: as precise as the device can.
        widest = torch.float32 if tensor.device.type == "mps" else torch.float64
        kinds = [torch.bool, *[widest if like is None else like.dtype] * 2]
    if operation.arity > 1:
        arguments = tuple(
            a if isinstance(a, torch.Tensor)
            # torch 2.8 does not take a bool of NumPy's.
            else torch.tensor(bool(a) if isinstance(a, np.bool_) else a, dtype=kind, device=tensor.device)
            for a, kind in zip(arguments, kinds, strict=True)
        )  # fmt: skip
    return getattr(torch, operation.name)(*arguments)


def _of_jax(jax: Any, operation: Operation, arguments: tuple[Any, ...]) -> Any:
    """jax.numpy's function of this name; None if no argument is an array of JAX's, or traced by it."""
    if not any(isinstance(a, jax.Array) for a in arguments):
        return None
    return getattr(jax.numpy, operation.name)(*arguments)


_LIBRARIES: Mapping[str, Callable[[Any, Operation, tuple[Any, ...]], Any]] = {"torch": _of_torch, "jax": _of_jax}
