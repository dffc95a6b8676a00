"""A formula as a tree: what remains of a rule once it has been called with symbols instead of numbers."""

import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

# The leaves, and what each is one of: a number of the host, or one by matrix of a parameter, row, column or weight.
_LEAVES = {
    "constant": "number", "number": "number", "matrix": "matrix", "row": "row", "column": "column", "weight": "weight",
    "coefficient": "weight",
}  # fmt: skip
LEAVES = tuple(_LEAVES)
# Those that have a name.
NAMED = tuple(op for op in LEAVES if op not in ("constant", "coefficient"))
COMPARISONS = ("<", "<=", ">", ">=")


@dataclass(frozen=True, eq=False)
class Expression:
    """An operation on expressions, or a leaf.

    Leaves are ``constant`` (a float), ``number`` (the name of something known on the host before the pass:
    a hyperparameter, the step count, a total), ``weight`` (the name of an operand: w, g, a state), ``row``,
    ``column`` and ``matrix`` (the name of what there is one of by these: a state, a total) and ``coefficient`` (the
    place of a host value in the row that a kernel reads). ``mean`` is the one operation that is not of numbers one by
    one: over a matrix, of what there is by row or by column.
    Two expressions built alike are equal, so a dictionary keyed by them computes each only once.
    """

    op: str
    arguments: tuple[Any, ...]
    extent: str = field(init=False)
    """What it is one of: a ``number``, or one by ``matrix``, ``row``, ``column`` or ``weight``."""
    on_host: bool = field(init=False)
    _hash: int = field(init=False)

    def __post_init__(self) -> None:
        extent = _LEAVES.get(self.op) or ("matrix" if self.op == "mean" else met(a.extent for a in self.arguments))
        object.__setattr__(self, "extent", extent)
        object.__setattr__(self, "on_host", extent == "number")
        object.__setattr__(self, "_hash", hash((self.op, self.arguments)))

    def same(self, other: "Expression") -> bool:
        """Built alike."""
        if self is other:
            return True
        if self._hash != other._hash or self.op != other.op or len(self.arguments) != len(other.arguments):
            return False
        if self.op in LEAVES:
            return repr(self.arguments) == repr(other.arguments)  # 0.0 and -0.0 are two numbers
        return all(a.same(b) for a, b in zip(self.arguments, other.arguments, strict=True))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and self.same(other)

    def __bool__(self) -> bool:
        raise TypeError("an `if` needs a switch; on a weight or a number write where(condition, x, y)")

    def __add__(self, other: Any) -> "Expression":
        return apply("+", self, other)

    def __radd__(self, other: Any) -> "Expression":
        return apply("+", other, self)

    def __sub__(self, other: Any) -> "Expression":
        return apply("-", self, other)

    def __rsub__(self, other: Any) -> "Expression":
        return apply("-", other, self)

    def __mul__(self, other: Any) -> "Expression":
        return apply("*", self, other)

    def __rmul__(self, other: Any) -> "Expression":
        return apply("*", other, self)

    def __truediv__(self, other: Any) -> "Expression":
        return apply("/", self, other)

    def __rtruediv__(self, other: Any) -> "Expression":
        return apply("/", other, self)

    def __matmul__(self, other: Any) -> "Expression":
        return apply("@", self, other)

    def __pow__(self, other: Any) -> "Expression":
        return apply("**", self, other)

    def __rpow__(self, other: Any) -> "Expression":
        return apply("**", other, self)

    def __neg__(self) -> "Expression":
        return apply("neg", self)

    def __lt__(self, other: Any) -> "Expression":
        return apply("<", self, other)

    def __le__(self, other: Any) -> "Expression":
        return apply("<=", self, other)

    def __gt__(self, other: Any) -> "Expression":
        return apply(">", self, other)

    def __ge__(self, other: Any) -> "Expression":
        return apply(">=", self, other)

    def __abs__(self) -> "Expression":
        return apply("abs", self)


def met(extents: Iterable[str]) -> str:
    """What a value is one of that is made of values of these extents: one by row and one by column meet at a weight."""
    found = {*extents}
    if "weight" in found or {"row", "column"} <= found:
        return "weight"
    return next((each for each in ("row", "column", "matrix") if each in found), "number")


def averaged(e: Expression) -> Expression:
    """The mean over each matrix of what there is by row or by column; TypeError for anything else."""
    if e.extent not in ("row", "column"):
        raise TypeError(f"mean is over one matrix, of a value by row or by column; this is one by {e.extent}")
    return Expression("mean", (e,))


def constant(value: float) -> Expression:
    """A literal number."""
    return Expression("constant", (float(value),))


def number(name: str) -> Expression:
    """A number known on the host before the pass."""
    return Expression("number", (name,))


def weight(name: str) -> Expression:
    """An operand: one value per weight."""
    return Expression("weight", (name,))


def leaf(extent: str, name: str) -> Expression:
    """What there is one of by ``extent``, by its name: a state, or a total."""
    return Expression(extent, (name,))


def coefficient(index: int) -> Expression:
    """A host value that a kernel reads from its row of coefficients."""
    return Expression("coefficient", (index,))


def apply(op: str, *arguments: Any) -> Expression:
    """An operation on expressions and plain numbers; two constants are folded."""
    operands = tuple(a if isinstance(a, Expression) else constant(a) for a in arguments)
    condition, values = (operands[:1], operands[1:]) if op == "where" else ((), operands)
    if any(a.op in COMPARISONS for a in values) or any(a.op not in (*COMPARISONS, "constant") for a in condition):
        raise TypeError("a comparison is the condition of a where(condition, x, y), and nothing else is or has one")
    if all(a.op == "constant" for a in operands) and op in FOLDED:
        with np.errstate(all="ignore"):
            return constant(FOLDED[op](*(np.float64(a.arguments[0]) for a in operands)))
    return Expression(op, operands)


# Python's own operators on two constants; the language's functions fold theirs.
FOLDED: dict[str, Callable[..., Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "**": operator.pow,
    "neg": operator.neg,
}  # fmt: skip


def rebuilt(e: Expression, known: dict[Expression, Expression], make: Callable[..., Expression]) -> Expression:
    """An expression made anew by ``make(op, *arguments)``, down to what is ``known``, which gets all that is made."""
    if e not in known:
        known[e] = e if e.op in LEAVES else make(e.op, *(rebuilt(a, known, make) for a in e.arguments))
    return known[e]


def leaves(expressions: Iterable[Expression], op: str) -> set[str]:
    """The names of all leaves of one kind below some expressions."""
    found: set[str] = set()
    seen: set[Expression] = set()
    stack = list(expressions)
    while stack:
        expression = stack.pop()
        if expression in seen:
            continue
        seen.add(expression)
        if expression.op == op:
            found.add(expression.arguments[0])
        elif expression.op not in LEAVES:
            stack.extend(expression.arguments)
    return found
