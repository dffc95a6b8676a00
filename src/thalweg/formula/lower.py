"""From a pass to what a kernel computes: host values become a row of coefficients, products are put in order.

Everything that does not depend on a weight (1 - beta1, lr / c1) is computed on the host in float64 and
rounded once: faster than in the kernel, and more accurate. So of Adam's

    m = beta1 * m + (1 - beta1) * g            the kernel computes   c0 * m + c1 * g
    d = lr * (m / c1) / (sqrt(v_hat) + eps)    with lr / c1 as one number of its row

A row of coefficients is in float32, or in float64 where the kernel computes in that.
"""

from dataclasses import dataclass, field
from functools import reduce

from .compose import Pass
from .expression import COMPARISONS, LEAVES, Expression, apply, coefficient
from .language import FormulaError


@dataclass(frozen=True)
class Kernel:
    """A pass over one kind of memory: what to compute for each weight, from its operands and its row."""

    operands: tuple[str, ...]
    totals: tuple[Expression, ...]
    writes: tuple[tuple[str, Expression], ...]
    coefficients: tuple[Expression, ...]


@dataclass
class _Row:
    """The coefficients found so far, in order."""

    found: dict[Expression, Expression] = field(default_factory=dict)

    def place(self, value: Expression) -> Expression:
        if value.op == "constant":
            return value
        return self.found.setdefault(value, coefficient(len(self.found)))


def lower(walk: Pass) -> Kernel:
    """Split a pass into the host's part and the kernel's."""
    row = _Row()
    seen: dict[Expression, Expression] = {}
    totals = tuple(_total(e, row, seen) for e in walk.totals.values())
    writes = tuple((name, _lower(e, row, seen)) for name, e in walk.writes.items())
    return Kernel(walk.operands, totals, writes, tuple(row.found))


def _total(e: Expression, row: _Row, seen: dict[Expression, Expression]) -> Expression:
    """A total; one that is a square remains a square, which a reader can take in float64."""
    if e.op != "*" or e.on_host or e.arguments[0] != e.arguments[1]:
        return _lower(e, row, seen)
    factor = _lower(e.arguments[0], row, seen)
    return apply("*", factor, factor)


def _lower(e: Expression, row: _Row, seen: dict[Expression, Expression]) -> Expression:
    if e not in seen:
        seen[e] = _lowered(e, row, seen)
    return seen[e]


def _lowered(e: Expression, row: _Row, seen: dict[Expression, Expression]) -> Expression:
    if e.on_host:
        return row.place(e)
    if e.op in LEAVES:
        return e
    if e.op in ("*", "/"):
        host, above, below = _factors(e)
        if host:
            # One multiplication by everything the host knows, on the first factor.
            known = row.place(reduce(lambda a, b: apply("*", a, b), host))
            product = apply("*", known, _lower(above[0], row, seen)) if above else known
            product = reduce(lambda a, b: apply("*", a, _lower(b, row, seen)), above[1:], product)
            return reduce(lambda a, b: apply("/", a, _lower(b, row, seen)), below, product)
    if e.op in COMPARISONS:
        return Expression(e.op, tuple(_compared(a, row, seen) for a in e.arguments))
    if e.op == "**":
        return _power(_lower(e.arguments[0], row, seen), e.arguments[1])
    if e.op == "where" and e.arguments[0].on_host:
        # A condition the host knows reaches the kernel as 1 or 0.
        chosen = row.place(apply("where", e.arguments[0], 1.0, 0.0))
        return apply("where", apply(">", chosen, 0.5), *(_lower(a, row, seen) for a in e.arguments[1:]))
    return Expression(e.op, tuple(_lower(a, row, seen) for a in e.arguments))


def _compared(e: Expression, row: _Row, seen: dict[Expression, Expression]) -> Expression:
    """What is compared. Of a product of two weights the signs count: each as it is computed for other uses too."""
    if e.op == "*" and not any(a.on_host for a in e.arguments):
        return apply("*", *(_lower(a, row, seen) for a in e.arguments))
    return _lower(e, row, seen)


def _factors(e: Expression) -> tuple[list[Expression], list[Expression], list[Expression]]:
    """A product as (host factors, weights' factors above the line, below it)."""
    if e.on_host:
        return [e], [], []
    if e.op == "*":
        a, b = (_factors(x) for x in e.arguments)
        return a[0] + b[0], a[1] + b[1], a[2] + b[2]
    if e.op == "/":
        host, above, below = _factors(e.arguments[0])
        divisor = e.arguments[1]
        if divisor.on_host:
            return [*host, apply("/", 1.0, divisor)], above, below
        return host, above, [*below, divisor]
    return [], [e], []


def _power(base: Expression, exponent: Expression) -> Expression:
    power = exponent.arguments[0] if exponent.op == "constant" else None
    if power == 0.5:
        return apply("sqrt", base)
    if power in (1.0, 2.0, 3.0, 4.0):
        return reduce(lambda a, b: apply("*", a, b), [base] * int(power))
    raise FormulaError("a power of a weight must be one of the numbers 0.5, 1, 2, 3, 4")
