"""The `text` reader: a rule inside its chain as formulas to read, in the names its author gave.

It tells what the compiled readers compute: the same passes, the switches resolved. Left out is only what does nothing
(no clipping, no decay). A formula is a tree; its text is Python that evaluates, given the language's functions, `sum`
and `pi`, and `typeset` prints it as mathematics.
"""

import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain as chained
from itertools import count
from math import inf
from types import CodeType, FrameType, MappingProxyType
from typing import Any, Literal, TypeVar

from . import chain, matrix_text
from .compose import Pass, Program, number_names, program, usual_switches
from .declare import Due, Scalar, State, Sum
from .derivative import simple
from .expression import LEAVES, NAMED, Expression, apply, constant, leaf, leaves, number, rebuilt
from .geometry import Geometry
from .layout import written
from .lines import earliest
from .rule import Rule, by_lines, decay_kind, handed, layers, of_matrices, parts
from .schedule import Schedule, simplified, traced

T = TypeVar("T")
Norm = Literal["norm", "limited_norm"]
SCOPES = {
    "tensor": "of each parameter", "group": "of each group", "all": "of all parameters",
    "row": "of each row", "column": "of each column", "matrix": "of each matrix",
}  # fmt: skip

# A size of matrices for those who ask for none: somewhat wider than tall.
_WIDE = Geometry(1, 4, 5)

# A part of so many operations that is needed twice gets a name, if its author gave it none.
_WORTH_A_NAME = 3


@dataclass(frozen=True)
class Line:
    """One formula: ``name = text`` is a value on the way, ``name <- text`` is ``stored``; ``note`` stands after it.

    In ``value`` parts that have a name are leaves of that name; `sum`, of a total, is an operation of its own.
    """

    name: str
    value: Expression
    stored: bool = False
    note: str = ""
    indent: int = 0
    """How many repeats it stands in; the head of one has no name, and as its value ``each(a, b, c, list)``."""

    @property
    def text(self) -> str:
        """The value as Python."""
        return written(self.value)

    def __str__(self) -> str:
        if self.value.op == "each":
            *entry, listed = (str(a.arguments[0]) for a in self.value.arguments)
            return f"{'    ' * self.indent}for {', '.join(entry)} in {listed}:  # {self.note}"
        return (
            "    " * self.indent
            + f"{self.name} {'<-' if self.stored else '='} {self.text}"
            + (f"  # {self.note}" if self.note else "")
        )


@dataclass(frozen=True)
class Walk:
    """A pass over memory, to be followed line by line; what it leaves to the next is what is stored, and totals."""

    before: tuple[Line, ...]
    """What is worked out beforehand, once, from numbers and the totals of earlier passes."""
    lines: tuple[Line, ...]
    """What is done for every weight."""
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    of: Literal["weight", "matrix"] = "weight"
    """What it is done for; a stage of matrices is no pass."""
    due: tuple[tuple[str, tuple[Line, ...]], ...] = ()
    """What is done instead in steps in which something is due: when, in words, and its lines."""


@dataclass(frozen=True)
class Story:
    """A whole step: its passes, then the next values of the rule's scalars."""

    walks: tuple[Walk, ...]
    after: tuple[Line, ...]
    numbers: tuple[str, ...]
    """The numbers that are asked for: hyperparameters, scalars, t."""


def story(
    rule: type[Rule],
    switches: Mapping[str, Any],
    given: Mapping[str, Expression],
    norms: Sequence[Norm] = (),
    clip: str | None = None,
    size: Geometry = _WIDE,
) -> Story:
    """Write a step down.

    ``switches``  as for `compose.program`.
    ``given``     what to write for numbers of the chain: ``constant(0.0)`` for the decay of a group without.
    ``norms``     the passes of the gradient's norm that come first.
    ``clip``      the scope of the clip by that norm, ``"all"`` or ``"tensor"``; None for none.
    ``size``      of the matrices, of a rule that sees such: its form may depend on that.
    """
    traced, variables = _watched(rule, {**switches, **left_out(given)})
    squares = "squares" if "squares" not in rule.declared else "squares_of_g"
    scopes = {name: total.scope for name, total in parts(rule, Sum).items()} | {squares: clip or "all"}
    if clip is not None:
        scale = chain.norm_scale(number(squares), number("clip_norm"), number("clip_eps"))
        given = {**given, "clip_scale": scale}
        variables = [("norm", apply("sqrt", number(squares))), ("clip_scale", scale), *variables]
    known = {number(name): value for name, value in given.items()}
    passes = [Pass({squares: getattr(traced, norm).totals["squares"]}, {}) for norm in norms]
    passes += [] if traced.enter is None else [traced.enter]
    entered = len(passes)
    # What is kept by line is written after the update, as scalars are.
    lined = ("row", "column") if by_lines(rule) else ()
    by_line = {name: state.shape for name, state in parts(rule, State).items() if state.shape in lined}
    kept = {name: e for name, e in traced.update.writes.items() if name in by_line}
    update = replace(traced.update, writes={n: e for n, e in traced.update.writes.items() if n not in by_line})
    sums = [Pass(of, {}) for of in earliest(traced)] if traced.by_lines else traced.sums
    passes += [*(walk for walk in sums if walk.totals), update]
    taken = {"w", "g", "t", "unscale", "clip_value", "clip_norm", "clip_eps", *rule.declared, *scopes}
    writer = _Writer([(name, _simplified(e, known)) for name, e in variables], taken)
    operands = [name for name in ("w", "g", *parts(rule, State)) if name not in by_line]
    operands += [*handed(rule, "enter"), *handed(rule, "matrix")]
    walks = []
    for walk in passes:
        reads = leaves([*walk.totals.values(), *walk.writes.values()], "weight")
        totals, writes = ({name: _simplified(e, known) for name, e in of.items()} for of in (walk.totals, walk.writes))
        before, lines = writer.walk(totals, writes, scopes)
        walks.append(Walk(before, lines, _among(operands, reads), _among(operands, walk.writes)))
    if of_matrices(rule):
        walks.insert(entered, _of_matrices(rule, {**switches, **left_out(given)}, size, writer, known))
    scalars = {name: _simplified(e, known) for name, e in (*kept.items(), *traced.scalars.items())}
    after = writer.scalars(scalars, by_line | {name: scalar.scope for name, scalar in parts(rule, Scalar).items()})
    return Story(tuple(walks), after, tuple(sorted(writer.numbers - {*scopes})))


def usual_story(
    rule: type[Rule],
    switches: Mapping[str, Any] | None = None,
    decay: str | None = None,
    *,
    clip_value: bool = False,
    clip_norm: bool = False,
    fixed: Mapping[str, float] | None = None,
) -> Story:
    """A step under the rule's own defaults, but for what is given.

    ``switches``               of the rule, and whether its tested hyperparameters are other than 0.
    ``decay``                  its kind, as for `Decay`; ``"none"`` for none.
    ``clip_value``, ``clip_norm``  whether gradients are clipped so; by the norm of all of them together.
    ``fixed``                  hyperparameters that are written as these numbers.
    """
    given = {
        "unscale": constant(1.0),
        "clip_value": number("clip_value") if clip_value else constant(inf),
        "clip_scale": constant(1.0),
        **decay_terms(decay_kind(rule) if decay is None else decay),
        **{name: constant(value) for name, value in (fixed or {}).items()},
    }
    chosen = {**usual_switches(rule), **(switches or {})}
    return story(rule, chosen, given, *((("limited_norm",), "all") if clip_norm else ()))


def schedule_story(
    schedule: Schedule | type[Schedule], forms: Mapping[str, str] = MappingProxyType({})
) -> tuple[Line, ...]:
    """A schedule's factor, after what its author gave a name.

    Of an instance what does nothing under its numbers is left out; of a class nothing is, and ``forms`` chooses those
    that are not the usual ones.
    """
    if isinstance(schedule, Schedule):
        kind, known = type(schedule), schedule.known
    else:
        kind, known = schedule, {name: schedule.form(name, choice) for name, choice in forms.items()}
    value, variables = observed({kind.formula.function.__code__}, lambda: traced(kind, known))
    named = [(name, simplified(e)) for name, e in variables]
    writer = _Writer([(name, e) for name, e in named if e != value], {"t", "T", "factor", *kind.declared})
    return (*writer.once(writer.needed([value])), Line("factor", _named(value, writer.names, top=True)))


def sections(told: Story) -> Iterator[tuple[str, tuple[Line, ...]]]:
    """The lines of a story, each part under the heading that says when it is done."""
    for i, walk in enumerate(told.walks):
        if walk.before:
            yield "once a step" if i == 0 else "then once", walk.before
        yield f"for every {walk.of}", walk.lines
        yield from ((f"for every {walk.of}, {when}", lines) for when, lines in walk.due)
    if told.after:
        yield "kept for the next step", told.after


def decay_terms(kind: str) -> dict[str, Expression]:
    """What to write for the chain's l2 and shrink under one kind of decay; see `Decay`."""
    amounts = dict.fromkeys(chain.WITHOUT, 0.0)
    amounts |= chain.decay(kind, *(number(name) for name in ("lr", "first_lr", "weight_decay")))
    return {name: e if isinstance(e, Expression) else constant(e) for name, e in amounts.items()}


def left_out(given: Mapping[str, Expression]) -> dict[str, bool]:
    """The switches of the decays that are written as 0."""
    return {switch: True for name, switch in chain.WITHOUT.items() if given.get(name) == constant(0.0)}


def _among(names: Iterable[str], some: Collection[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name in some)


def _of_matrices(
    rule: type[Rule], switches: Mapping[str, Any], size: Geometry, writer: "_Writer",
    known: dict[Expression, Expression],
) -> Walk:  # fmt: skip
    """The stage of matrices; as it is where nothing is due, then as it is where something is."""
    dues = parts(rule, Due)
    usual, *others = (
        _form_of_matrices(rule, {**switches, **dict.fromkeys(dues, False), **on}, size, writer, known)
        for on in ({}, *({name: True} for name in dues))
    )
    writer.numbers |= {each.every for each in dues.values() if each.every is not None}
    due = tuple((each.told, other.lines) for each, other in zip(dues.values(), others, strict=True))
    return replace(usual, due=due)


def _form_of_matrices(
    rule: type[Rule], switches: Mapping[str, Any], size: Geometry, writer: "_Writer",
    known: dict[Expression, Expression],
) -> Walk:  # fmt: skip
    matrix = rule.formulas["matrix"]
    codes = {function.__code__ for function in (matrix.function, *matrix.helpers)}
    outputs, found = observed(codes, lambda: matrix_text.traced(rule, switches, size))
    states = {*parts(rule, State)}
    reads = leaves(outputs.values(), "weight")

    def told(listed: str) -> str:
        chosen = switches[listed.partition("[")[0]]
        said = matrix_text.described(rule, listed, chosen)
        return f"{chosen}: {said}" if isinstance(chosen, str) else said

    memo = {**known}
    made = matrix_text.lines(outputs, found, {*writer.taken, *reads}, states, lambda e: _simplified(e, memo), told)
    lines = tuple(Line(each.name, each.value, each.stored, each.note, each.indent) for each in made)
    writer.numbers |= {name for name in leaves(outputs.values(), "number") if name in number_names(rule)}
    kept = [*states, *handed(rule, "enter"), *handed(rule, "matrix")]
    return Walk((), lines, _among(kept, reads), _among(kept, outputs), "matrix")


# -- the author's names


def _watched(rule: type[Rule], switches: Mapping[str, Any]) -> tuple[Program, list[tuple[str, Expression]]]:
    """The traced rule, and what the variables of its formulas held.

    A formula is called with symbols and returns values; which variable held which, only the interpreter knows.
    """
    watched = {formula.function.__code__ for own in layers(rule) for formula in own.values()}
    watched |= {function.__code__ for function in (chain.regularised, chain.move)}
    traced, found = observed(watched, lambda: program(rule, switches))
    # In the chain d is the step; a rule may have a d of its own.
    called = {"d": "step"} if "d" in rule.declared else {}
    found = [(called.get(name, name), value) for name, value in found if name not in chain.NUMBERS]
    return traced, [*found, *traced.update.writes.items()]


def observed(codes: Collection[CodeType], trace: Callable[[], T]) -> tuple[T, list[tuple[str, Expression]]]:
    """What a call gives, and what the variables of some code held when it returned."""
    found: list[tuple[str, Expression]] = []

    def look(frame: FrameType, event: str, _: Any) -> None:
        if event == "return" and frame.f_code in codes:
            found.extend((name, value) for name, value in frame.f_locals.items() if isinstance(value, Expression))

    def traced() -> T:
        sys.setprofile(look)
        return trace()

    # In a thread of its own: a thread has one observer, and the user's may be profiling.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(traced).result(), found


# -- what does nothing is left out


def _simplified(e: Expression, known: dict[Expression, Expression]) -> Expression:
    """With what is ``known`` in place, where it does nothing left out, and sign and clip recognised."""
    return rebuilt(e, known, _simple)


def _simple(op: str, *a: Expression) -> Expression:
    if op == "where" and a[0].op == "<" and a[0].arguments[1] == constant(inf):
        return a[1]  # what is told is told of finite numbers
    found = simple(op, *a)
    return _function(*found.arguments) if op == found.op == "where" else found


def _function(condition: Expression, x: Expression, y: Expression) -> Expression:
    """A choice; the language's sign and clip are two, and written as what they are."""
    if y.op == "where" and (condition.op, y.arguments[0].op) == (">", "<"):
        of, limits = condition.arguments[0], (condition.arguments[1], *y.arguments[0].arguments, *y.arguments[1:])
        if x == constant(1.0) and limits == (constant(0.0), of, constant(0.0), constant(-1.0), constant(0.0)):
            return Expression("sign", (of,))
    if y.op == "where" and (condition.op, y.arguments[0].op) == ("<", ">"):
        of, high = y.arguments[0].arguments
        if condition.arguments == (of, x) and y.arguments[1:] == (high, of):
            return Expression("clip", (of, x, high))
    return apply("where", condition, x, y)


# -- writing


@dataclass(frozen=True)
class _Statement:
    """What is to be written on one line."""

    name: str
    value: Expression
    stored: bool = False
    made: bool = False
    """Whether the name stands for the value from then on."""
    of: str = ""
    """For a total or a scalar: its scope."""


class _Writer:
    """Writes pass after pass, and remembers what has a name and what has been told."""

    def __init__(self, variables: Iterable[tuple[str, Expression]], taken: Collection[str]) -> None:
        self.taken = {*taken}
        self.names: dict[Expression, str] = {}
        self.told: set[Expression] = set()
        self.numbers: set[str] = set()
        for name, value in variables:
            if value.op not in LEAVES and value not in self.names:
                # What is worked out once keeps its name for the whole step, so it must be its own.
                self.names[value] = name if value.extent == "weight" else self.fresh(name, f"next_{name}")

    def fresh(self, *names: str) -> str:
        """The first of some names, or else the last with a number, that means nothing else."""
        tries = chained(names, (f"{names[-1]}_{i}" for i in count(2)))
        found = next(each for each in tries if each not in self.taken)
        self.taken.add(found)
        return found

    def walk(
        self, totals: Mapping[str, Expression], writes: Mapping[str, Expression], scopes: Mapping[str, str]
    ) -> tuple[tuple[Line, ...], tuple[Line, ...]]:
        """The lines before a pass, and its own."""
        # The weight moves last, as far as the formulas allow it.
        order = sorted(writes, key=lambda name: name == "w")
        needed = self.needed([*totals.values(), *(writes[name] for name in order)])
        before = self.once(needed)
        made = [e for e in needed if e.extent == "weight"]
        statements = [_Statement(name := self.names[e], e, writes.get(name) == e, made=True) for e in made]
        told = {s.name for s in statements if s.stored}
        statements += [_Statement(name, writes[name], stored=True) for name in order if name not in told]
        statements += [_Statement(name, e, of=scopes[name]) for name, e in totals.items()]
        return before, self.ordered(statements)

    def scalars(self, values: Mapping[str, Expression], scopes: Mapping[str, str]) -> tuple[Line, ...]:
        """The lines after the last pass."""
        changed = {name: e for name, e in values.items() if e.op not in NAMED or e.arguments != (name,)}
        before = self.once(self.needed([*changed.values()]))
        statements = [_Statement(name, e, stored=True, of=scopes[name]) for name, e in changed.items()]
        return (*before, *self.ordered(statements))

    def once(self, needed: Iterable[Expression]) -> tuple[Line, ...]:
        """The lines of what does not depend on a weight and has not been told."""
        new = [e for e in needed if e.extent != "weight" and e not in self.told]
        self.told |= {*new}
        return tuple(Line(self.names[e], _named(e, self.names, top=True), note=SCOPES.get(e.extent, "")) for e in new)

    def ordered(self, statements: Iterable[_Statement]) -> tuple[Line, ...]:
        """The lines in an order in which every name, where it is asked for, means what it should."""
        names, pending = dict(self.names), list(statements)
        lines: list[Line] = []
        while pending:
            later = {s.value for s in pending if s.made}
            asked = {s: _asked(s.value, names, top=s.made) for s in pending}
            ready = [s for s in pending if not asked[s] & later]
            # What others still ask for under the name that a statement takes for itself.
            lost = {
                s: {e for other in pending if other != s for e in asked[other] - later if _name(e, names) == s.name}
                for s in ready
            }
            chosen = next((s for s in ready if not lost[s]), ready[0])
            for e in lost[chosen]:  # as in a swap: it is kept under another name
                old = self.fresh(f"old_{chosen.name}")
                lines.append(Line(old, _named(e, names)))
                names[e] = old
            value = _named(chosen.value, names, top=chosen.made)
            value = Expression("sum", (value,)) if chosen.of and not chosen.stored else value
            lines.append(Line(chosen.name, value, chosen.stored, SCOPES.get(chosen.of, "")))
            pending.remove(chosen)
        return tuple(lines)

    def needed(self, roots: Sequence[Expression]) -> list[Expression]:
        """What has a name below some expressions, each after all that it is made of."""
        self.numbers |= leaves(roots, "number")
        below = _below(roots)
        uses = Counter(a for e in below for a in e.arguments)
        size: dict[Expression, int] = {}
        for e in below:
            own = 1 + sum(size.get(a, 0) for a in e.arguments)
            if e not in self.names and uses[e] > 1 and own >= _WORTH_A_NAME:
                self.names[e] = self.fresh("x")
            size[e] = 0 if e in self.names else own
        return [e for e in below if e in self.names]


def _below(roots: Iterable[Expression]) -> list[Expression]:
    """All operations below some expressions, each after those that it is made of."""
    found: dict[Expression, None] = {}

    def visit(e: Expression) -> None:
        if e.op not in LEAVES and e not in found:
            for argument in e.arguments:
                visit(argument)
            found[e] = None

    for root in roots:
        visit(root)
    return list(found)


def _asked(e: Expression, names: Mapping[Expression, str], top: bool = False) -> set[Expression]:
    """Whose names stand in the text of an expression; ``top``: it is written out, although it has one."""
    if (e in names and not top) or e.op in NAMED:
        return {e}
    if e.op in LEAVES:
        return set()
    return {name for argument in e.arguments for name in _asked(argument, names)}


def _named(e: Expression, names: Mapping[Expression, str], top: bool = False) -> Expression:
    """An expression of the names of its parts; ``top``: it is written out, although it has one."""
    if e in names and not top:
        return leaf(e.extent, names[e])
    if e.op in LEAVES:
        return e
    return Expression(e.op, tuple(_named(a, names) for a in e.arguments))


def _name(e: Expression, names: Mapping[Expression, str]) -> str:
    """What an expression that has a name, or is one, is called."""
    return names[e] if e in names else str(e.arguments[0])
