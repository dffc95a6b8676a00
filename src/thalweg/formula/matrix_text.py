"""A stage of matrices as lines to read: a repeat once, beside its list of coefficients.

x = transpose(u) / (safety * norm(transpose(u)) + eps)
for a, b, c in coefficients:  # 5 times (3.4445, -4.775, 2.0315)
    y = x @ transpose(x)
    x = a * x + (b * y + c * (y @ y)) @ x
o = scale * x
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from .compose import live_states, multiplied, symbols
from .declare import Coefficients, Due
from .expression import LEAVES, Expression, leaves, number, weight
from .geometry import Geometry
from .matrices import Named
from .rule import Rule, by_size, entries, handed, parts

# A part of so many operations that is needed twice gets a name, if its author gave it none.
_WORTH_A_NAME = 2


class Written(NamedTuple):
    """One line: ``name = value``, or the head of a repeat, whose value is an ``each``."""

    name: str
    value: Expression
    indent: int
    stored: bool = False
    note: str = ""


def traced(rule: type[Rule], switches: Mapping[str, Any], of: Geometry) -> dict[str, Expression]:
    """What ``matrix`` returns, as expressions in which sizes and lists stand for themselves.

    ``of`` decides the form that depends on the size, ``switches`` what is due; what they do not say is not due.
    """
    values = symbols(rule, switches) | {name: weight(name) for name in handed(rule, "enter")}
    values |= {"rows": number("rows"), "columns": number("columns")}
    values |= {name: name in switches and bool(switches[name]) for name in parts(rule, Due)}
    for name in parts(rule, Coefficients):
        values[name] = Named(name, len(entries(rule, name, switches[name])[0]))
    live = live_states(rule, switches)
    found = multiplied(rule, {**values, **by_size(rule, of.rows, of.columns, switches)}, of)
    return {name: e for name, e in found.items() if name not in live or e != weight(name)}


def described(rule: type[Rule], listed: str, value: Any) -> str:
    """A list of coefficients, or a part of one (``coefficients[2:]``), in words."""
    name, _, part = listed.partition("[")
    start, _, stop = part.removesuffix("]").partition(":")
    chosen = entries(rule, name, value)[int(start) if start else None : int(stop) if stop else None]
    runs = [(len([*some]), entry) for entry, some in groupby(tuple(each) for each in chosen)]
    said = [
        f"({', '.join(f'{x:.5g}' for x in entry)})" + (f" {many} times" if many > 1 else "") for many, entry in runs
    ]
    return ", ".join(said)


def lines(
    outputs: Mapping[str, Expression],
    named: Sequence[tuple[str, Expression]],
    taken: Collection[str],
    states: Collection[str],
    simple: Callable[[Expression], Expression],
    told: Callable[[str], str],
) -> list[Written]:
    """The lines that lead to some outputs.

    ``named``   what the author's variables held; ``taken``: names that mean something else.
    ``states``  which outputs are stored.
    ``simple``  leaves out what does nothing; ``told``: a list of coefficients in words.
    """
    writer = _Writer([(name, simple(e)) for name, e in named], taken, told)
    wanted = {name: simple(e) for name, e in outputs.items()}
    writer.count(wanted.values())
    # What is stored may be asked for, as it was, by all else, so it is stored last.
    for name, e in sorted(wanted.items(), key=lambda each: each[0] in states):
        writer.need(e, but=e if writer.uses[e] == 1 or name not in states else None)
        if name not in states:
            writer.write(name, e)
    pending = {name: e for name, e in wanted.items() if name in states}
    while pending:
        asked = {name: leaves([writer.value(e)], "weight") for name, e in pending.items()}
        free = (n for n in pending if not any(n in of for other, of in asked.items() if other != n))
        name = next(free, "")
        if not name:  # as in a swap: it is kept under another name
            name = next(iter(pending))
            writer.keep(name)
        writer.write(name, pending.pop(name), stored=True)
    return writer.made


class _Writer:
    def __init__(
        self, named: Sequence[tuple[str, Expression]], taken: Collection[str], told: Callable[[str], str]
    ) -> None:
        self.own = {e: name for name, e in named if e.op not in LEAVES and e.op != "repeat"}
        self.taken, self.told = {*taken}, told
        self.names: dict[Expression, Expression] = {}
        self.uses: Counter[Expression] = Counter()
        self.made: list[Written] = []
        self.indent = 0

    def count(self, roots: Collection[Expression]) -> None:
        seen: set[Expression] = set()
        pending = [*roots]
        while pending:
            e = pending.pop()
            self.uses[e] += 1
            if e.op not in LEAVES and e not in seen:
                seen.add(e)
                pending += e.arguments

    def fresh(self, name: str) -> str:
        found, i = name, 1
        while found in self.taken:
            i += 1
            found = f"{name}_{i}"
        self.taken.add(found)
        return found

    def need(self, e: Expression, but: Expression | None = None) -> None:
        """Write what an expression is made of, down to what has a name; ``but`` is written by who asks."""
        if e.op in LEAVES or e in self.names or e.on_host:
            return
        if e.op == "repeat":
            self.repeat(e)
            return
        for argument in e.arguments:
            self.need(argument)
        large = _size(e, self.names) >= _WORTH_A_NAME and self.uses[e] > 1
        if e is not but and (e in self.own or large):
            name = self.fresh(self.own.get(e, "x"))
            self.write(name, e)
            self.names[e] = weight(name)

    def repeat(self, e: Expression) -> None:
        listed, _, count, *rest = e.arguments
        many = int(count.arguments[0])
        entry, values = rest[: -3 * many], rest[-3 * many :]
        carried, start, after = values[:many], values[many : 2 * many], values[2 * many :]
        names = [self.fresh(str(each.arguments[0]).split()[-1]) for each in carried]
        for name, each, leaf in zip(names, start, carried, strict=True):
            self.need(each, but=each)
            self.write(name, each)
            self.names[leaf] = weight(name)
        self.made.append(
            Written("", Expression("each", (*entry, listed)), self.indent, note=self.told(str(listed.arguments[0])))
        )
        self.indent += 1
        for each in after:
            self.need(each, but=each)
        for name, each in zip(names, after, strict=True):
            self.write(name, each)
        self.indent -= 1
        for i, name in enumerate(names):
            self.names[Expression("repeat", (listed, number(str(i)), count, *rest))] = weight(name)

    def value(self, e: Expression) -> Expression:
        """It in the names of its parts, or its own."""
        return self.names[e] if e in self.names else self.of_names(e, top=True)

    def keep(self, name: str) -> None:
        """Write what a state was under another name, by which it is called from then on."""
        old = self.fresh(f"old_{name}")
        self.write(old, weight(name))
        self.names[weight(name)] = weight(old)

    def write(self, name: str, e: Expression, stored: bool = False) -> None:
        value = self.value(e)
        if value != weight(name):
            self.made.append(Written(name, value, self.indent, stored))

    def of_names(self, e: Expression, top: bool = False) -> Expression:
        if e in self.names and not top:
            return self.names[e]
        if e.op in LEAVES:
            return e
        return Expression(e.op, tuple(self.of_names(a) for a in e.arguments))


def _size(e: Expression, names: Mapping[Expression, Expression]) -> int:
    """How many operations are written for it."""
    if e.op in LEAVES or e in names:
        return 0
    return 1 + sum(_size(a, names) for a in e.arguments)
