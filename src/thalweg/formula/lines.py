"""A program in which something is by row or by column, as passes over weights and walks along lines between them.

A line is a row or a column of a parameter's matrices. What there is one of by line (a total of a row, a state, a
formula of them) is worked out along the lines, once, and kept aside for the weights. Of Adafactor, on a matrix:

    weights   reads w g                      adds g's squares by row and by column, and w's
    lines     rows: mean(r), then sqrt(r / mean(r)); columns: sqrt(c); both are kept aside
    weights   reads g, and what was kept     adds the update's squares
    weights   reads w g, and what was kept   writes w
    lines     writes r and c

Nothing that lasts is written before the update. A total that waits for no other is taken in the first pass, of
whichever layer it is: memory is what costs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce

from .compose import Pass, Program, line_sums, program
from .declare import State
from .expression import COMPARISONS, LEAVES, Expression, apply, constant, leaf, leaves
from .rule import Rule, once, parts


@dataclass(frozen=True)
class Stage:
    """Walks along lines, in order, and the pass over weights that they prepare. It may have nothing to do."""

    lines: tuple[Pass, ...]
    weights: Pass


@dataclass(frozen=True)
class LineProgram:
    """``sums``: a stage for each layer that takes totals; ``last``: walks that write the states kept by line.

    Totals of walks along lines are means by matrix. ``kept`` is what is kept aside, totals by line too, by name:
    whether there is one by row, column or matrix.
    """

    norm: Pass
    limited_norm: Pass
    sums: tuple[Stage, ...]
    update: Stage
    last: tuple[Pass, ...]
    kept: Mapping[str, str]


@once
def walks_lines(rule: type[Rule], switches: tuple[tuple[str, bool], ...]) -> bool:
    """Whether a rule with its switches resolved has anything by row or column; ``switches`` as for `program`."""
    return program(rule, dict(switches)).by_lines


def placed(rule: type[Rule], traced: Program) -> LineProgram:
    """Where everything in a program is worked out."""
    aside = _Aside(frozenset(line_sums(rule)))
    totals = earliest(traced)
    sums = tuple(aside.stage(Pass(of, {})) for of in totals)
    along = {name: state.shape for name, state in parts(rule, State).items() if state.shape != "weight"}
    writes = traced.update.writes
    update = aside.stage(replace(traced.update, writes={n: e for n, e in writes.items() if n not in along}))
    last = aside.walks({name: (along[name], e) for name, e in writes.items() if name in along})
    by_line = {name: scope for name, scope in line_sums(rule).items() if any(name in of for of in totals)}
    return LineProgram(traced.norm, traced.limited_norm, sums, update, last, {**by_line, **aside.kept})


def earliest(traced: Program) -> list[dict[str, Expression]]:
    """The totals of each stage: each is taken as soon as those that it is made of are known."""
    found: list[dict[str, Expression]] = [{} for _ in traced.sums]
    known_after = {name: i for i, walk in enumerate(traced.sums) for name in walk.totals}
    for walk in traced.sums:
        for name, e in walk.totals.items():
            below = {each for extent in ("number", "row", "column") for each in leaves([e], extent)}
            found[max((known_after[each] + 1 for each in below & known_after.keys()), default=0)][name] = e
    return found


@dataclass
class _Aside:
    """What is kept aside so far; expressions by line become leaves, which stand for it."""

    totals: frozenset[str]
    """Totals by line: in float64, so weights do not read them themselves."""
    kept: dict[str, str] = field(default_factory=dict)
    leaf_of: dict[Expression, Expression] = field(default_factory=dict)
    pending: dict[str, tuple[str, Expression]] = field(default_factory=dict)
    """What the next walks have to work out, by name: along what, and what."""

    def stage(self, walk: Pass) -> Stage:
        """A pass over weights, in leaves; before it, walks for what is not yet there."""
        totals = {name: self.square(e) for name, e in walk.totals.items()}
        writes = {name: self.over_weights(e) for name, e in walk.writes.items()}
        lines = self.walks(self.pending)
        self.pending = {}
        return Stage(lines, Pass(totals, writes))

    def walks(self, wanted: Mapping[str, tuple[str, Expression]]) -> tuple[Pass, ...]:
        """Walks that write what is wanted: those that take the means it needs come first."""
        found: list[Pass] = []
        lowered = {name: (along, self.along(e, found)) for name, (along, e) in wanted.items()}
        for domain in ("row", "column"):
            writes = {name: e for name, (along, e) in lowered.items() if along == domain}
            found += [Pass({}, writes, domain)] if writes else []
        return tuple(found)

    def along(self, e: Expression, before: list[Pass]) -> Expression:
        """An expression by line, whose means are leaves; what takes those that are new is added to ``before``."""
        if e.op in LEAVES:
            return e
        known = self.leaf_of.get(e)
        if known is not None and known.arguments[0] not in self.pending:
            return known
        inner = Expression(e.op, tuple(self.along(a, before) for a in e.arguments))
        if e.op != "mean":
            return inner
        before.append(Pass({(name := self.fresh("mean", "matrix")): inner.arguments[0]}, {}, e.arguments[0].extent))
        self.leaf_of[e] = leaf("matrix", name)
        return self.leaf_of[e]

    def fresh(self, called: str, extent: str) -> str:
        """A name that no formula can have."""
        name = f"{called} {1 + sum(each.startswith(called) for each in self.kept)}"
        self.kept[name] = extent
        return name

    def over_weights(self, e: Expression) -> Expression:
        """An expression of weights, in which what there is one of by line is a leaf."""
        if e in self.leaf_of:
            return self.leaf_of[e]
        if e.extent != "weight":
            read = e.op in ("row", "column") and e.arguments[0] not in self.totals
            return e if e.on_host or read else self.put_aside(e)
        if e.op in LEAVES:
            return e
        if e.op in COMPARISONS:
            made = Expression(e.op, tuple(self.compared(a) for a in e.arguments))
        elif e.op in ("*", "/"):
            made = self.product(e)
        else:
            made = Expression(e.op, tuple(self.over_weights(a) for a in e.arguments))
        self.leaf_of[e] = made
        return made

    def square(self, e: Expression) -> Expression:
        """A total; one that is a square remains a square, which a reader can take in float64."""
        if e.op != "*" or e.arguments[0] != e.arguments[1] or e.extent != "weight":
            return self.over_weights(e)
        factor = self.over_weights(e.arguments[0])
        return apply("*", factor, factor)

    def compared(self, e: Expression) -> Expression:
        """What is compared: of a product of two weights the signs count, so it stays as it is written."""
        if e.op == "*" and e.extent == "weight" and all(a.extent == "weight" for a in e.arguments):
            return apply("*", *(self.over_weights(a) for a in e.arguments))
        return self.over_weights(e)

    def put_aside(self, e: Expression) -> Expression:
        """What there is one of by line, or by matrix (then as if by row), as a leaf."""
        along = "column" if e.extent == "column" else "row"
        name = self.fresh(along, along)
        self.pending[name] = (along, e)
        self.leaf_of[e] = leaf(along, name)
        return self.leaf_of[e]

    def product(self, e: Expression) -> Expression:
        """A product, in which the factors by row are one number, and those by column; numbers go with them."""
        above, below = _factors(e)
        lines: dict[str, Expression] = {}
        for along in ("row", "column"):
            mine = ("row", "matrix") if along == "row" else ("column",)
            of = [a for a in above if a.extent in mine]
            under = [a for a in below if a.extent in mine]
            if of or under:
                lines[along] = reduce(lambda a, b: apply("/", a, b), under, _multiplied(of))
        numbers = [[a for a in side if a.on_host] for side in (above, below)]
        if lines and any(numbers):
            first = next(iter(lines))
            lines[first] = reduce(lambda a, b: apply("/", a, b), numbers[1], _multiplied([lines[first], *numbers[0]]))
            above, below = ([a for a in side if not a.on_host] for side in (above, below))
        rest = [
            *(self.over_weights(e) for e in lines.values()),
            *(self.over_weights(a) for a in above if a.extent in ("number", "weight")),
        ]
        divisors = [self.over_weights(a) for a in below if a.extent in ("number", "weight")]
        return reduce(lambda a, b: apply("/", a, b), divisors, _multiplied(rest))


def _multiplied(factors: Sequence[Expression]) -> Expression:
    return reduce(lambda a, b: apply("*", a, b), factors) if factors else constant(1.0)


def _factors(e: Expression) -> tuple[list[Expression], list[Expression]]:
    """A product of weights as what stands above its line, and below."""
    if e.extent != "weight" or e.op not in ("*", "/"):
        return [e], []
    (above, below), (more, less) = map(_factors, e.arguments)
    return (above + less, below + more) if e.op == "/" else (above + more, below + less)
