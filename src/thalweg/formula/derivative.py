"""The derivative of a formula, as a formula."""

from collections.abc import Sequence
from functools import cache
from math import inf
from types import CodeType

from . import vocabulary
from .expression import LEAVES, Expression, apply, constant, rebuilt
from .operations import OPERATIONS

_ZERO, _ONE = constant(0.0), constant(1.0)


def derivative(value: Expression, name: str) -> Expression:
    """The derivative of an expression by the ``number`` called ``name``; what else it holds is constant.

    Every operation of the language has one. Where it has none (at the kink of abs or maximum, where a condition of
    `where` turns, on a step of floor) the result is that of one of the two sides.
    """
    known: dict[Expression, Expression] = {}

    def by_name(e: Expression) -> Expression:
        if e not in known:
            if e.op in LEAVES:
                known[e] = _ONE if (e.op, e.arguments) == ("number", (name,)) else _ZERO
            else:
                known[e] = _of_operation(e, [by_name(a) for a in e.arguments])
        return known[e]

    return by_name(value)


def simple(op: str, *arguments: Expression | float) -> Expression:
    """`apply`, with the 0 and 1 that do nothing left out, and where a condition is always the same, its choice.

    The value is the same to the last bit, but for the sign of a zero and for 0 times what is not finite.
    """
    a = [x if isinstance(x, Expression) else constant(x) for x in arguments]
    first, last = a[0], a[-1]
    if op in ("*", "/") and (first == _ZERO or (op == "*" and last == _ZERO)):
        return _ZERO
    if (op in ("+", "-") and last == _ZERO) or (op in ("*", "/", "**") and last == _ONE):
        return first
    if (op == "+" and first == _ZERO) or (op == "*" and first == _ONE):
        return last
    if op == "**" and last == _ZERO:
        return _ONE
    if (op == "-" and first == _ZERO) or (op == "*" and first == constant(-1.0)):
        return simple("neg", last)
    if op == "neg" and first.op == "neg":
        return _only(first)
    if op in ("*", "/") and first.op == last.op == "neg":
        return simple(op, _only(first), _only(last))
    if (op, last) in (("<", constant(-inf)), (">", constant(inf))):
        return _ZERO
    if op == "where" and (first.op == "constant" or a[1] == last):
        return a[1] if first != _ZERO else last
    return apply(op, *a)


def _only(e: Expression) -> Expression:
    found: Expression = e.arguments[0]
    return found


def _of_operation(e: Expression, derivatives: Sequence[Expression]) -> Expression:
    """What the operation's row says, of its values and their derivatives."""
    named = {"e": e, **dict(zip("abc", e.arguments)), **dict(zip(("da", "db", "dc"), derivatives))}  # noqa: B905
    return simplified(eval(_formula(e.op), _FUNCTIONS, named), {each: each for each in named.values()})


@cache
def _formula(op: str) -> CodeType:
    return compile(OPERATIONS[op].derivative, f"<derivative of {op}>", "eval")


_FUNCTIONS = {name: getattr(vocabulary, name) for name in vocabulary.__all__}


def simplified(value: Expression | float, known: dict[Expression, Expression]) -> Expression:
    """`simple` throughout, down to what is ``known``."""
    return rebuilt(value if isinstance(value, Expression) else constant(value), known, simple)
