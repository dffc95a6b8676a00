"""How a formula is laid out: what goes into brackets, and what mathematics writes otherwise than Python.

How the parts are spelled is up to the notation: here is Python's, in `typeset` are those of mathematics.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby, pairwise
from math import copysign, inf, pi
from typing import Protocol

from .expression import COMPARISONS, LEAVES, NAMED, Expression, constant, leaves
from .operations import OPERATIONS
from .symbols import Symbol

WHOLE = 6  # a name, or a call: in one piece


@dataclass(frozen=True)
class Form:
    """How an operation holds together.

    ``binds``  how strongly it does, against others: a larger number is stronger.
    ``least``  how strongly each part must, to stand there without brackets; the last number holds for all that follow.
    """

    binds: int
    least: tuple[int, ...]


CALL = Form(WHOLE, (0,))


class Notation(Protocol):
    """Spells what is laid out."""

    @property
    def forms(self) -> Mapping[str, Form]:
        """By operation, and for ``call``: any other."""

    def leaf(self, e: Expression) -> str: ...

    def operation(self, e: Expression, parts: Sequence[str]) -> str: ...

    def brackets(self, inside: str) -> str: ...


def laid_out(e: Expression, notation: Notation, least: int = 0) -> str:
    """An expression, in brackets unless it binds at least so strongly."""
    if e.op in LEAVES:
        binds, spelled = WHOLE, notation.leaf(e)
        if e.op == "constant" and e.arguments[0] < 0:
            binds = notation.forms["neg"].binds
    else:
        form = notation.forms.get(e.op, notation.forms["call"])
        missing = len(e.arguments) - len(form.least)
        needed = (*form.least, *form.least[-1:] * missing)
        parts = [laid_out(a, notation, each) for a, each in zip(e.arguments, needed, strict=True)]
        binds, spelled = form.binds, notation.operation(e, parts)
    return notation.brackets(spelled) if binds < least else spelled


class Python:
    """Python that evaluates, given the language's functions, `sum` and `pi`."""

    # Of two that bind alike the left one is meant to go first; powers are the other way round.
    forms: Mapping[str, Form] = {
        **dict.fromkeys(COMPARISONS, Form(1, (1, 2))),
        **dict.fromkeys("+-", Form(2, (2, 3))),
        **dict.fromkeys("*/@", Form(3, (3, 4))),
        "neg": Form(4, (4,)),
        "**": Form(5, (6, 4)),
        "call": CALL,
    }

    def leaf(self, e: Expression) -> str:
        """The name, or the number."""
        (given,) = e.arguments
        if given == pi:
            return "pi"
        return repr(given).removesuffix(".0") if e.op == "constant" else str(given)

    def operation(self, e: Expression, parts: Sequence[str]) -> str:
        """With the operator between its parts, or as a call."""
        if e.op == "neg":
            return f"-{parts[0]}"
        return f" {e.op} ".join(parts) if e.op in self.forms else f"{e.op}({', '.join(parts)})"

    def brackets(self, inside: str) -> str:
        """In round brackets."""
        return f"({inside})"


def written(e: Expression) -> str:
    """An expression as Python."""
    return laid_out(e, Python())


# -- mathematics, as a tree


def printed(e: Expression, small: bool = False) -> Expression:
    """The tree as it is printed: equal in value, with products, cases and powers of ten in one piece each.

    A ``product`` has any number of factors, constants first; ``cases`` are a value and its condition, again and again,
    then the value otherwise. Constants that are left are neither negative nor written with an exponent.
    ``small``: it stands in a fraction or an exponent, where a fraction is written ``slashed``, in one line.
    """
    if e.op == "constant":
        return _number(e.arguments[0])
    if e.op in LEAVES:
        return e
    if e.op == "*":
        return _product([printed(factor, small) for factor in _factors(e)])
    if e.op == "/":
        return Expression("slashed" if small else "/", tuple(printed(a, small=True) for a in e.arguments))
    if e.op == "**":
        base, exponent = e.arguments
        return Expression("**", (printed(base, small), printed(exponent, small=True)))
    a = [printed(argument, small) for argument in e.arguments]
    if e.op == "where":
        condition, value, other = a
        return Expression("cases", (value, condition, *(other.arguments if other.op == "cases" else [other])))
    return Expression(e.op, tuple(a))


def _number(value: float) -> Expression:
    if copysign(1.0, value) < 0:
        return Expression("neg", (_number(-value),))
    digits, _, power = repr(value).partition("e")
    if not power:
        return constant(value)
    ten = Expression("**", (constant(10.0), _number(float(power))))
    return ten if float(digits) == 1 else Expression("product", (constant(float(digits)), ten))


def _factors(e: Expression) -> list[Expression]:
    return [*_factors(e.arguments[0]), e.arguments[1]] if e.op == "*" else [e]


def _product(factors: Sequence[Expression]) -> Expression:
    """Signs in front of it, constants first, and equal neighbours as a power."""
    negative = sum(factor.op == "neg" for factor in factors) % 2
    positive = (factor.arguments[0] if factor.op == "neg" else factor for factor in factors)
    found: list[Expression] = []
    for same in (list(group) for _, group in groupby(sorted(positive, key=lambda each: not _is_number(each)))):
        if len(same) > 1 and not _is_number(same[0]):
            found.append(Expression("**", (same[0], constant(len(same)))))
        else:
            found += [each for factor in same for each in (factor.arguments if factor.op == "product" else [factor])]
    found.sort(key=lambda each: not _is_number(each))  # what was flattened just now may have numbers too
    product = Expression("product", tuple(found)) if len(found) > 1 else found[0]
    return Expression("neg", (product,)) if negative else product


def _is_number(e: Expression) -> bool:
    return e.on_host and not leaves([e], "number")


# -- mathematics, laid out

IN_LINE = {
    "cases": Form(0, (1,)),
    **dict.fromkeys(COMPARISONS, Form(1, (2,))),
    **dict.fromkeys("+-", Form(2, (2, 3))),
    "neg": Form(2, (3,)),
    **dict.fromkeys(("sum", "sum_i", "sum_j"), Form(2, (4,))),
    "product": Form(4, (5,)),
    "@": Form(4, (4, 5)),
    "transpose": Form(5, (6,)),
    **dict.fromkeys(("row_sums", "column_sums", "total"), Form(2, (4,))),
    "identity": Form(WHOLE, (0,)),
    "norm": Form(WHOLE, (0,)),
    **dict.fromkeys(("/", "slashed"), Form(3, (3, 5))),
    "**": Form(5, (6,)),
    "sqrt": Form(5, (6,)),
    "abs": Form(WHOLE, (0,)),
    "floor": Form(WHOLE, (0,)),
    "call": Form(WHOLE, (1,)),
}
# A bar, a raised place or a root holds together whatever is in it.
IN_TWO_DIMENSIONS = {**IN_LINE, "/": Form(5, (0,)), "**": Form(5, (6, 0)), "sqrt": Form(WHOLE, (0,))}


SIGNS = {"-": "−", "<=": "≤", ">=": "≥"}
BARS = {"abs": "||", "floor": "⌊⌋", "norm": "‖‖"}
# Below the sign of a sum over part of a matrix.
OVER = {"row_sums": "j", "column_sums": "i", "total": "ij"}


class Mathematics(ABC):
    """What notations of mathematics have in common: which operation is what on paper. It takes `printed` trees.

    ``symbols``  what each name is printed as.
    ``words``    what to say instead of the English ones.
    """

    forms: Mapping[str, Form] = IN_TWO_DIMENSIONS

    def __init__(self, symbols: Mapping[str, Symbol], words: Mapping[str, str]) -> None:
        self.symbols, self.words = symbols, words

    def say(self, word: str) -> str:
        """A word, translated."""
        return self.words.get(word, word)

    def leaf(self, e: Expression) -> str:
        """A number, or a symbol."""
        (given,) = e.arguments
        if e.op == "constant":
            return self.number({inf: "∞", pi: "π"}.get(given) or repr(given).removesuffix(".0"))
        return self.symbol(self.symbols[given])

    def operation(self, e: Expression, parts: Sequence[str]) -> str:
        """An operation on parts that are spelled."""
        if e.op in SIGNS or e.op in COMPARISONS or e.op == "+":
            return self.infix(SIGNS.get(e.op, e.op), *parts)
        if e.op == "product":
            return self.product(parts, [self._between(a, b) for a, b in pairwise(e.arguments)])
        if e.op == "cases":
            return self.cases(list(zip(parts[0:-1:2], parts[1::2], strict=True)), parts[-1])
        if e.op == "**":
            return self.power(e.arguments[0], *parts)
        if e.op in BARS:
            return self.fenced(*BARS[e.op], *parts)
        if e.op == "@":
            return self.product(parts, [self._between(*e.arguments)])
        if e.op == "transpose":
            return self.power(e.arguments[0], parts[0], self.number("⊤"))
        if e.op == "identity":
            return self.symbol(Symbol("I"))
        if e.op in OVER:
            return self.total(parts[0], OVER[e.op])
        own: dict[str, Callable[..., str]] = {
            "neg": self.minus, "sum": self.total, "sum_i": partial(self.total, over="i"),
            "sum_j": partial(self.total, over="j"), "/": self.fraction, "slashed": self.slashed, "sqrt": self.root,
        }  # fmt: skip
        return own[e.op](*parts) if e.op in own else self.call(_on_paper(e.op), parts)

    def brackets(self, inside: str) -> str:
        """In round brackets."""
        return self.fenced("(", ")", inside)

    def _between(self, a: Expression, b: Expression) -> str:
        """What stands between two factors: ``""``, a ``dot`` where they would read as one, or a ``space``."""
        while a.op == "@":
            a = a.arguments[1]
        while b.op == "@":
            b = b.arguments[0]
        left, right = self._kind(a), self._kind(b)
        if "word" in (left, right) or right == "number" or (left == "number" and b.op == "/"):
            return "dot"
        return "space" if "call" in (left, right) else ""

    def _kind(self, factor: Expression) -> str:
        e = factor.arguments[0] if factor.op in ("**", "transpose") else factor
        if e.op in NAMED:
            return "word" if self.symbols[e.arguments[0]].word else "letter"
        return "number" if e.op == "constant" else "" if e.op in self.forms else "call"

    @abstractmethod
    def number(self, digits: str) -> str: ...

    @abstractmethod
    def symbol(self, symbol: Symbol) -> str: ...

    @abstractmethod
    def fenced(self, left: str, right: str, inside: str) -> str: ...

    @abstractmethod
    def infix(self, sign: str, a: str, b: str) -> str: ...

    @abstractmethod
    def minus(self, a: str) -> str: ...

    @abstractmethod
    def product(self, factors: Sequence[str], between: Sequence[str]) -> str: ...

    def slashed(self, a: str, b: str) -> str:
        """A fraction in one line."""
        return self.infix("/", a, b)

    @abstractmethod
    def fraction(self, a: str, b: str) -> str: ...

    @abstractmethod
    def power(self, of: Expression, base: str, exponent: str) -> str:
        """``of``: the base as an expression; a symbol may take what it is raised to over its subscript."""

    @abstractmethod
    def root(self, a: str) -> str: ...

    @abstractmethod
    def total(self, a: str, over: str = "") -> str:
        """A sum; ``over``: the indices that it runs over."""

    @abstractmethod
    def call(self, function: str, parts: Sequence[str]) -> str: ...

    @abstractmethod
    def cases(self, chosen: Sequence[tuple[str, str]], other: str) -> str:
        """``chosen``: values with their conditions; ``other``: the value otherwise."""

    @abstractmethod
    def inside(self, name: str, repeats: int) -> str:
        """The name of a line that stands in so many repeats."""

    @abstractmethod
    def head(self, entry: Sequence[str], listed: str, note: str) -> tuple[str, str]:
        """The head of a repeat, in two parts as a `line`: each entry of a list, which the note has in words."""

    @abstractmethod
    def line(self, name: str, stored: bool, value: str, note: str) -> tuple[str, str]:
        """A name, and what follows it: the sign, the value, the note (``""`` for none)."""


def _on_paper(function: str) -> str:
    row = OPERATIONS.get(function)
    return function if row is None else row.paper or function


def alternate(parts: Sequence[str], between: Sequence[str]) -> str:
    """Parts with what stands between them."""
    return parts[0] + "".join(sign + part for sign, part in zip(between, parts[1:], strict=True))
