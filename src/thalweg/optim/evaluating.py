"""The expressions of a lowered pass, computed on torch tensors: one operation after the other, as kernels have them.

computed = Computation([c0 * m + c1 * g])
(m,) = computed.of(leaf, like)          # `leaf` says what stands for c0, m, c1, g
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from thalweg.formula.expression import COMPARISONS, LEAVES, Expression
from thalweg.formula.operations import OPERATIONS

Value = torch.Tensor | float
"""One by weight, or anything that broadcasts to it; a number that the host knows is a float."""

# Operators that round with a number as with a tensor; what torch calls the others.
_PLAIN = ("+", "-", "*", "neg")
_CALLED = {"/": "div", "**": "pow"}


class Computation:
    """Expressions, each distinct part of which is computed once, and forgotten after its last use."""

    def __init__(self, outputs: Sequence[Expression]) -> None:
        self._outputs = tuple(outputs)
        order: dict[Expression, None] = {}
        for e in self._outputs:
            _visit(e, order)
        last = {part: e for e in order for part in _parts(e)}
        kept = {*self._outputs}
        self._order = [(e, [a for a in dict.fromkeys(_parts(e)) if last[a] == e and a not in kept]) for e in order]

    def of(self, leaf: Callable[[Expression], Value], like: torch.Tensor) -> list[Value]:
        """The values of the outputs; ``like`` has the element type to compute in, and the device."""
        known: dict[Expression, Value] = {}
        for e, gone in self._order:
            if e.op == "constant":
                known[e] = rounded(e.arguments[0], like.dtype)
            else:
                known[e] = leaf(e) if e.op in LEAVES else _applied(e.op, [known[a] for a in e.arguments], like)
            for a in gone:
                del known[a]
        return [known[e] for e in self._outputs]


def rounded(value: Any, kind: torch.dtype) -> float:
    """A number as the element type has it."""
    with np.errstate(over="ignore"):
        return float(value) if kind == torch.float64 else float(np.float32(value))


def filled(value: Value, like: torch.Tensor) -> torch.Tensor:
    """A number as a tensor on the device, which nobody waits for: it is filled there, and not copied."""
    if isinstance(value, torch.Tensor):
        return value
    return torch.full((), value, dtype=like.dtype, device=like.device)


def _visit(e: Expression, order: dict[Expression, None]) -> None:
    if e not in order:
        for part in _parts(e):
            _visit(part, order)
        order[e] = None


def _parts(e: Expression) -> tuple[Expression, ...]:
    return () if e.op in LEAVES else e.arguments


def _applied(op: str, a: Sequence[Any], like: torch.Tensor) -> Value:
    """One operation, in the element type of ``like``. Numbers stay such where torch rounds with them as kernels do.

    Not beside a division: under a number torch puts the reciprocal, and on a GPU it multiplies by a number's.
    """
    if op == "where" and not isinstance(a[0], torch.Tensor):
        chosen: Value = a[1] if a[0] else a[2]
        return chosen
    if op == "sqrt" and like.dtype == torch.float32 and like.device.type == "cpu":
        # torch's own, MKL's, is not rounded to the nearest; this one is, as GPUs' are.
        return torch.sqrt(filled(a[0], like).double()).float()
    plain = op in COMPARISONS or (op in _PLAIN and any(isinstance(x, torch.Tensor) for x in a))
    condition = len(a) - 2 if op == "where" else 0
    values = a if plain else [*a[:condition], *(filled(x, like) for x in a[condition:])]
    function = OPERATIONS[op].python if op in (*COMPARISONS, *_PLAIN) else getattr(torch, _CALLED.get(op, op))
    found: Value = function(*values)
    return found
