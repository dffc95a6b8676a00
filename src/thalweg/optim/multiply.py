"""What `matrix` says of matrices of one size, as torch operations on stacks of them.

code = compiled({"o": expression}, torch.bfloat16, torch.float32)
code.run({"u": stack}, code.hosts values)["o"]            # of (matrices, rows, columns)

It is one list of operations: what is a whole matrix is kept in the element type of the products, what there is one of
each row, column or matrix in that of the weights. A product that something is added to is one operation (baddbmm).
"""

import operator
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from thalweg.formula import matrices, vocabulary
from thalweg.formula.expression import Expression, apply, constant
from thalweg.formula.operations import OPERATIONS

Value = torch.Tensor | float

_BY_EACH: Mapping[str, Callable[..., torch.Tensor]] = {"*": torch.mul, "/": torch.div}
_SUMS: Mapping[str, tuple[int, ...]] = {"row_sums": (-1,), "column_sums": (-2,), "total": (-2, -1)}
_EXACT: Mapping[str, Callable[[Any], Any]] = {
    "qr": matrices.qr, "descending": matrices.descending, "trace": matrices.trace,
    "eigenvalues": lambda x: matrices.eigh(x)[0], "eigenvectors": lambda x: matrices.eigh(x)[1],
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Operation:
    """``place`` gets what ``function`` makes of what is in ``arguments``; ``last``: what nobody asks for again."""

    place: int
    function: Callable[..., Value]
    arguments: tuple[int, ...]
    last: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Code:
    """``operands`` and ``hosts`` fill the first places, in their order; the ``outputs`` are in these places."""

    operands: tuple[str, ...]
    hosts: tuple[Expression, ...]
    """The values that a host works out beforehand, one for all matrices."""
    operations: tuple[_Operation, ...]
    outputs: Mapping[str, int]

    def run(self, stacks: Mapping[str, torch.Tensor], hosts: Sequence[float]) -> dict[str, Value]:
        """The outputs, of stacks (matrices, rows, columns)."""
        values: list[Any] = [*(stacks[name] for name in self.operands), *hosts, *[None] * len(self.operations)]
        for each in self.operations:
            values[each.place] = each.function(*(values[place] for place in each.arguments))
            for place in each.last:
                values[place] = None
        return {name: values[place] for name, place in self.outputs.items()}


def compiled(outputs: Mapping[str, Expression], products: torch.dtype, real: torch.dtype) -> Code:
    """The operations that give some outputs, each once. ``real``: of what is no whole matrix."""
    simple: dict[Expression, Expression] = {}
    asked = {name: _rearranged(e, simple) for name, e in outputs.items()}
    made = _Making(products, real, _uses(asked.values()))
    for e in asked.values():
        made.make(e)
    return made.code(asked)


def _uses(outputs: Iterable[Expression]) -> Counter[Expression]:
    """How often each part of some expressions is asked for."""
    found: Counter[Expression] = Counter()
    pending = [*outputs]
    while pending:
        e = pending.pop()
        found[e] += 1
        if found[e] == 1 and not e.on_host and e.op != "weight":
            pending += e.arguments
    return found


def _rearranged(e: Expression, known: dict[Expression, Expression]) -> Expression:
    """Without products by the identity, and with numbers on matrices as they were before they were transposed."""
    if e.on_host or e.op == "weight":
        return e
    if e not in known:
        a = tuple(_rearranged(argument, known) for argument in e.arguments)
        if e.op == "@" and "identity" in (a[0].op, a[1].op):
            known[e] = a[1] if a[0].op == "identity" else a[0]
        elif e.op == "*" and a[0].on_host and a[1].op == "transpose":
            known[e] = apply("transpose", apply("*", a[0], *a[1].arguments))
        elif all(map(operator.is_, a, e.arguments)):
            known[e] = e  # a copy would be compared with it, part by part
        else:
            known[e] = Expression(e.op, a)
    return known[e]


class _Making:
    """A code under construction."""

    def __init__(self, products: torch.dtype, real: torch.dtype, asked: Counter[Expression]) -> None:
        self.products, self.real, self.asked = products, real, asked
        self.operands: dict[Expression, None] = {}
        self.hosts: dict[Expression, None] = {}
        self.made: dict[Expression, tuple[Callable[..., Value], tuple[Expression, ...]]] = {}
        self.known_by_matrix: dict[Expression, bool] = {}

    def make(self, e: Expression) -> None:
        """Note what computes an expression, after all that it is made of."""
        if e.on_host:
            self.hosts[e] = None
        elif e.op == "weight":
            self.operands[e] = None
        elif e not in self.made:
            function, arguments = self.operation(e)
            for argument in arguments:
                self.make(argument)
            self.made[e] = (function, arguments)

    def code(self, outputs: Mapping[str, Expression]) -> Code:
        """With places for all values, and what is asked for the last time where."""
        place = {e: i for i, e in enumerate((*self.operands, *self.hosts, *self.made))}
        places = [(place[e], f, tuple(place[a] for a in arguments)) for e, (f, arguments) in self.made.items()]
        last = {argument: at for at, _, arguments in places for argument in arguments}
        kept = {place[e] for e in outputs.values()}
        operations = [
            _Operation(at, f, a, tuple(each for each in {*a} if last[each] == at and each not in kept))
            for at, f, a in places
        ]
        operands = tuple(str(e.arguments[0]) for e in self.operands)
        return Code(operands, tuple(self.hosts), tuple(operations), {name: place[e] for name, e in outputs.items()})

    def operation(self, e: Expression) -> tuple[Callable[..., Value], tuple[Expression, ...]]:
        """What computes an expression, and of what."""
        if e.op == "+" and (added := self.added_product(e)):
            return self.product_added, added
        if e.op == "*" and (scaled := self.scaled_product(e)):
            return self.product_added, scaled
        if e.op == "*" and e.arguments[0].on_host and e.arguments[1].op == "@" and self.asked[e.arguments[1]] == 1:
            # Of a square matrix by a long one the square is the smaller.
            return self.scaled, (e.arguments[0], *e.arguments[1].arguments)
        if e.op == "@":
            return self.product, e.arguments
        if e.op == "transpose":
            return operator.attrgetter("mT"), e.arguments
        if e.op == "norm":
            return self.norm, e.arguments
        if e.op in _SUMS:
            axes = _SUMS[e.op]
            return lambda x: x.sum(axes, keepdim=True, dtype=self.real), e.arguments
        if e.op == "identity":
            return matrices.identity, e.arguments
        if e.op in _EXACT:
            exactly = _EXACT[e.op]
            return lambda x: exactly(x.to(self.real)), e.arguments
        return _elementwise(e.op, [self.by_matrix(argument) for argument in e.arguments]), e.arguments

    def added_product(self, e: Expression) -> tuple[Expression, ...] | None:
        """Of ``beta * x + alpha * (p @ q)``: (x, p, q, beta, alpha), if nobody else asks for the product."""
        for plain, product in (e.arguments, e.arguments[::-1]):
            alpha, found = _scaled(product)
            if found.op == "@" and self.asked[found] == 1 and self.asked[product] == 1 and not plain.on_host:
                beta, x = _scaled(plain)
                if plain is not x and self.asked[plain] > 1:
                    beta, x = constant(1.0), plain
                return x, *found.arguments, beta, alpha
        return None

    def scaled_product(self, e: Expression) -> tuple[Expression, ...] | None:
        """Of a number times such a sum, which nobody else asks for: the same with the number in both factors."""
        by, found = _scaled(e)
        added = self.added_product(found) if found.op == "+" and self.asked[found] == 1 else None
        if added is None:
            return None
        *matrices_of, beta, alpha = added
        return *matrices_of, apply("*", by, beta), apply("*", by, alpha)

    def product_added(
        self, x: torch.Tensor, p: torch.Tensor, q: torch.Tensor, beta: float, alpha: float
    ) -> torch.Tensor:
        x, p, q = self.multiplied(x, p, q)
        if _by_columns(x):
            return torch.baddbmm(x.mT, q.mT, p.mT, beta=beta, alpha=alpha).mT
        return torch.baddbmm(x, p, q, beta=beta, alpha=alpha)

    def product(self, p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
        p, q = self.multiplied(p, q)
        if _by_columns(q) and p.shape[-1] == p.shape[-2]:
            return torch.bmm(q.mT, p.mT).mT
        return torch.bmm(p, q)

    def scaled(self, by: float, p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
        return self.product(by * p, q) if p.numel() < q.numel() else by * self.product(p, q)

    def multiplied(self, *factors: torch.Tensor) -> list[torch.Tensor]:
        return [factor.to(self.products) for factor in factors]

    def by_matrix(self, e: Expression) -> bool:
        """Whether there is one of each matrix."""
        if e.on_host or e.op in ("norm", "total", "trace"):
            return True
        if e not in self.known_by_matrix:
            self.known_by_matrix[e] = e.op in OPERATIONS and all(map(self.by_matrix, e.arguments))
        return self.known_by_matrix[e]

    def norm(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = torch.linalg.vector_norm(x, dim=(-2, -1), keepdim=True, dtype=self.real)
        return found


def _by_columns(x: torch.Tensor) -> bool:
    """Whether matrices lie in memory column by column: what is made of them does then too, or they would be turned."""
    return x.mT.is_contiguous() and not x.is_contiguous()


def _elementwise(op: str, alone: Sequence[bool]) -> Callable[..., Any]:
    """An operation of the language. What is one number of the only matrix is a number, and leaves types alone.

    ``alone``  which of its arguments there is one of each matrix of.
    """
    row = OPERATIONS[op]
    function = operator.pow if op == "**" else getattr(vocabulary, op) if hasattr(vocabulary, op) else row.python

    def of(*given: Value) -> Any:
        found: list[Any] = [
            np.float64(a) if one and np.size(a) == 1 else a for a, one in zip(given, alone, strict=True)
        ]
        if op in _BY_EACH and [*alone] == [False, True] and isinstance(found[1], torch.Tensor):
            by = _by_each if found[1].device.type == "cpu" else _at_once
            return by(_BY_EACH[op], found[0], found[1])
        return function(*found)

    return of


def _by_each(function: Callable[..., torch.Tensor], x: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """A stack by a number of each matrix, in the stack's element type: at once, torch would widen it and narrow it."""
    found = torch.empty_like(x)
    for matrix, one, given in zip(x, numbers.flatten().tolist(), found, strict=True):
        function(matrix, one, out=given)
    return found


def _at_once(function: Callable[..., torch.Tensor], x: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """The same without waiting for a device's numbers."""
    return function(x, numbers).to(x.dtype)


def _scaled(e: Expression) -> tuple[Expression, Expression]:
    """A factor that the host knows, and the rest."""
    if e.op == "*" and e.arguments[0].on_host:
        return e.arguments[0], e.arguments[1]
    return constant(1.0), e
