"""The derivative of a formula, as a formula."""

from collections.abc import Callable
from math import inf

from .expression import LEAVES, Expression, apply, constant

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
                known[e] = _DERIVATIVES[e.op](e, *e.arguments, by_name)
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


_By = Callable[[Expression], Expression]


def _only(e: Expression) -> Expression:
    found: Expression = e.arguments[0]
    return found


def _product(_: Expression, a: Expression, b: Expression, by: _By) -> Expression:
    return simple("+", simple("*", by(a), b), simple("*", a, by(b)))


def _quotient(e: Expression, a: Expression, b: Expression, by: _By) -> Expression:
    return simple("-", simple("/", by(a), b), simple("/", simple("*", e, by(b)), b))


def _power(e: Expression, a: Expression, b: Expression, by: _By) -> Expression:
    outer = simple("*", b, simple("**", a, simple("-", b, 1.0)))
    # Only an exponent that changes asks for the logarithm, which a negative base does not have.
    inner = _ZERO if by(b) == _ZERO else simple("*", simple("*", e, apply("log", a)), by(b))
    return simple("+", simple("*", outer, by(a)), inner)


def _root(e: Expression, a: Expression, by: _By) -> Expression:
    return simple("/", by(a), simple("*", 2.0, e))


def _size(_: Expression, a: Expression, by: _By) -> Expression:
    other = simple("where", apply("<", a, 0.0), simple("neg", by(a)), 0.0)
    return simple("where", apply(">", a, 0.0), by(a), other)


_DERIVATIVES: dict[str, Callable[..., Expression]] = {
    "+": lambda _, a, b, by: simple("+", by(a), by(b)),
    "-": lambda _, a, b, by: simple("-", by(a), by(b)),
    "*": _product,
    "/": _quotient,
    "**": _power,
    "neg": lambda _, a, by: simple("neg", by(a)),
    "sqrt": _root,
    "abs": _size,
    "exp": lambda e, a, by: simple("*", e, by(a)),
    "log": lambda _, a, by: simple("/", by(a), a),
    "floor": lambda *_: _ZERO,
    "maximum": lambda _, a, b, by: simple("where", apply(">", a, b), by(a), by(b)),
    "minimum": lambda _, a, b, by: simple("where", apply("<", a, b), by(a), by(b)),
    "where": lambda _, c, a, b, by: simple("where", c, by(a), by(b)),
}
