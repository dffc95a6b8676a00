"""What a step computes, in words: the formulas and their numbers, the passes over memory, and who serves whom."""

import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any, Protocol, TypeVar

import torch

from thalweg.formula import Rule, Scalar, State
from thalweg.formula.chain import NO_DECAY
from thalweg.formula.compose import shapes_that_differ
from thalweg.formula.declared import LINES, OWN
from thalweg.formula.expression import Expression, constant, number
from thalweg.formula.geometry import Geometry, seen
from thalweg.formula.rule import by_lines, by_size, decay_kind, handed, hypers, of_matrices, parts, shaped
from thalweg.formula.text import Line, Norm, Story, Walk, decay_terms, schedule_story, story

from . import gpus, reading, readouts, state, surface
from .awaited import Expected, awaited
from .flat_launch import flat_kind
from .plan import names
from .scheduling import COUNT, Scheduled, Scheduling
from .settings import Group, GroupNumbers, How, Settings, first_lr
from .telemetry import Telemetry

K = TypeVar("K")

_LABEL = 15
_WIDTH = 110


class Explained(Protocol):
    """What is asked of an optimizer."""

    param_groups: list[dict[str, Any]]
    state: Any
    clip_norm: float | None
    clip_scope: str
    nonfinite: str
    clear: bool
    grad_scale: float | torch.Tensor | None
    _scheduling: Scheduling | None
    _telemetry: Telemetry | None

    @property
    def _counted(self) -> bool: ...
    def _how(self) -> How: ...
    def _rule_of(self, group: Mapping[str, Any]) -> type[Rule]: ...


class Explanation(str):
    """Text that shows itself, in a console as with `print`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True, eq=False)
class Served:
    """A parameter and what serves it: a compiled kernel, or for the reason ``why`` the `torch` reader.

    ``together``  whether the `torch` reader's operations are on many parameters at once, and not on this one alone.
    ``refused``  why nothing does, in words; "" if something does.
    ``types``    the element type of w, g and each state, by the rule's names.
    ``kept``     its state with what a first step would create; tensors of weights are on the meta device.
    ``waits``    whether it has had no gradient so far.
    ``copied``   whether its present gradient is laid out unlike the weight, and has to be copied first.
    ``shaped``   the rule's switches that its shape decides.
    ``turn``     more than 0 if it shares memory with parameters before it, and is updated after them.
    ``gpu``      where its kernel runs, if that is not the processor.
    """

    name: str
    group: int
    weights: int
    why: str
    together: bool
    refused: str
    types: Mapping[str, str]
    shape: tuple[int, ...]
    kept: Mapping[str, Any]
    shaped: Mapping[str, bool]
    waits: bool
    copied: bool
    turn: int
    gpu: torch.device | None

    @property
    def reader(self) -> str:
        """``"compiled"``, ``"torch"`` or ``"none"``."""
        return "none" if self.refused else "torch" if self.why else "compiled"


def explain(optimizer: Explained) -> Explanation:
    """See `Optimizer.explain`."""
    following = optimizer._scheduling
    groups = optimizer.param_groups if following is None else following.ahead(optimizer.param_groups)
    everyone = served(optimizer)
    scale = 1.0 if optimizer.grad_scale is None else float(optimizer.grad_scale)
    numbers, switches = Settings().read(optimizer._rule_of, groups, scale, optimizer.clear)
    norms = _norms(optimizer, numbers)
    clip = None if optimizer.clip_norm is None else optimizer.clip_scope
    alike: dict[tuple[Any, ...], list[int]] = {}
    for i, group in enumerate(groups):
        # GroupNumbers may differ, so a group with decay and one without are alike; who does the decay may not.
        chosen = tuple((name, on) for name, on in switches[i] if name not in NO_DECAY)
        rule = optimizer._rule_of(group)
        alike.setdefault((rule, chosen, group.get("decay", decay_kind(rule)), numbers[i]["unscale"]), []).append(i)
    called = " and ".join(dict.fromkeys(group.get("rule", type(optimizer).__name__) for group in groups))
    lines = [f"{called}: {_many(len(groups), 'group')}, {_size(everyone)}"]
    lines += _awaited(optimizer, everyone)
    told_apart = [(key, places, shape) for key, places in alike.items() for shape in _shapes(key[0], everyone, places)]
    for (rule, chosen, decay, _), places, shape in told_apart:
        members = [p for p in everyone if p.group in places and (p.shaped == shape or p.refused)]
        switched, given = {**dict(chosen), **shape}, _given(decay, [numbers[i] for i in places])
        told = story(rule, switched, given, norms, clip, *_most(_sizes(rule, switched, members)))
        lines += ["", _title(groups, places, members, shape)] if len(told_apart) > 1 else []
        lines += _numbers(optimizer, rule, told, {i: numbers[i] for i in places}, members)
        lines += [] if following is None else _scheduled(following, optimizer.param_groups, places)
        lines += _states(told, parts(rule, State), [numbers[i] for i in places])
        lines += _labelled("read out", ", ".join(readouts.described([groups[i] for i in places])))
        lines += _matrices(rule, dict(chosen), members)
        lines += _readers(told, parts(rule, State) if by_lines(rule) else {}, members)
        lines += _passes(told, optimizer.nonfinite)
    return Explanation("\n".join(lines))


def _awaited(optimizer: Explained, everyone: Sequence[Served]) -> Iterator[str]:
    """Which steps wait for a GPU, if one runs kernels."""
    where = [p.gpu for p in everyone if p.gpu is not None]
    if not where:
        return
    rules = [optimizer._rule_of(group) for group in optimizer.param_groups]
    served = dict.fromkeys((rules[p.group], p.gpu) for p in everyone if not p.refused)
    launches = [Expected(rule, None if gpu is None else gpus.device_of(gpu)) for rule, gpu in served]
    for i, sentence in enumerate(awaited(launches, optimizer._how(), optimizer._counted)):
        yield from _labelled("" if i else str(where[0]), sentence)


def _shapes(rule: type[Rule], members: Sequence[Served], places: Sequence[int]) -> list[Mapping[str, bool]]:
    """What shapes decide, of the parameters of some groups: for each kind of shape there is."""
    there = [p.shaped for p in members if p.group in places and not p.refused]
    return [shape for shape in shapes_that_differ(rule) if shape in there] or [shapes_that_differ(rule)[0]]


@torch.no_grad()
def served(optimizer: Explained) -> list[Served]:
    """Every parameter, in the order of the groups, with what would serve it in a step now. Nothing is changed."""
    groups = optimizer.param_groups
    everyone = [(i, param) for i, group in enumerate(groups) for param in group["params"]]
    rules = [optimizer._rule_of(group) for group in groups]
    settings = [surface.settings(rule, group) for rule, group in zip(rules, groups, strict=True)]
    turns = reading.turns([param for _, param in everyone])
    found = []
    for (i, param), name, turn in zip(everyone, names(groups), turns, strict=True):
        # The optimizer's mapping would create what is asked for, and notice that it was.
        real = dict.get(optimizer.state, param, {})
        waits = param.grad is None and not real
        keys = {declared.key for declared in parts(rules[i], State).values()}
        kept = {**real, **{key: state.blank(real[key]) for key in real.keys() & keys}}
        why = refused = ""
        operands: dict[str, torch.Tensor] = {}
        try:
            operands, types = state.classified(rules[i], settings[i], param, name, kept, real)
            why = types if isinstance(types, str) else ""
        except (TypeError, RuntimeError) as error:
            refused = str(error)
        except ValueError as error:  # a state that does not fit
            refused = f"{name}: {error}"
        grad = param if param.grad is None else param.grad
        kinds = {key: str(x.dtype).removeprefix("torch.") for key, x in {"w": param, "g": grad, **operands}.items()}
        copied = not why and not refused and grad.stride() != param.stride()
        of_shape = {} if refused else shaped(rules[i], param)
        kinds |= _handed_on(rules[i], settings[i], kinds)
        shape = tuple(param.shape)
        together = bool(why) and flat_kind(rules[i], param, {key: real[key] for key in real.keys() & keys}) is not None
        gpu = None if why or refused or gpus.device_of(param.device) is None else param.device
        found.append(
            Served(
                name, i, param.numel(), why, together, refused, kinds, shape, kept, of_shape, waits, copied, turn, gpu
            )
        )
    return found


def _handed_on(rule: type[Rule], values: Mapping[str, Any], kinds: Mapping[str, str]) -> dict[str, str]:
    """The element types of what a rule of matrices hands on."""
    names = (*handed(rule, "enter"), *handed(rule, "matrix"))
    return dict.fromkeys(names, "float64" if kinds["w"] == "float64" else str(values.get("products")))


def _sizes(rule: type[Rule], chosen: Mapping[str, Any], members: Sequence[Served]) -> dict[Geometry, int]:
    """How many matrices there are of each size; nothing of a rule that sees none."""
    found: dict[Geometry, int] = {}
    for p in members if of_matrices(rule) else ():
        if p.refused:
            continue
        how = seen(p.shape, chosen)
        for rows in how.blocks:
            size = Geometry(1, rows.stop - rows.start, how.whole.columns)
            found[size] = found.get(size, 0) + how.whole.count
    return found


def _most(sizes: Mapping[Geometry, int]) -> list[Geometry]:
    """The size of which most weights are."""
    return sorted(sizes, key=lambda size: sizes[size] * size.rows * size.columns)[-1:]


def _matrices(rule: type[Rule], chosen: Mapping[str, Any], members: Sequence[Served]) -> Iterator[str]:
    """How many matrices of which size are multiplied, in which form and element type."""
    for size, count in _sizes(rule, chosen, members).items():
        forms = [name for name, on in by_size(rule, size.rows, size.columns, chosen).items() if on]
        said = f"{count:,} of {size.rows:,} x {size.columns:,}" + (f" ({', '.join(forms)})" if forms else "")
        yield from _labelled("matrices", said)
    if of_matrices(rule):
        yield from _labelled("products", f"in {chosen['products']}; of float64 weights in float64")


def _norms(optimizer: Explained, numbers: Sequence[GroupNumbers]) -> tuple[Norm, ...]:
    """The passes of the gradient's norm. A clip by value hides an infinity, so what is guarded is before it."""
    guarded = optimizer.nonfinite != "pass"
    if optimizer.clip_norm is None:
        return ("norm",) if guarded else ()
    limited = any(isfinite(of["clip_value"]) for of in numbers)
    return ("norm", "limited_norm") if guarded and limited else ("limited_norm",)


def _given(decay: str, numbers: Sequence[GroupNumbers]) -> dict[str, Expression]:
    """What to write for the chain's numbers: what the user gave, and constants where they do nothing in any group."""
    unscale = numbers[0]["unscale"]
    terms = decay_terms(decay)
    return {
        "unscale": constant(unscale) if abs(unscale) == 1 else number("unscale"),
        "clip_value": number("clip_value") if any(isfinite(of["clip_value"]) for of in numbers) else constant(inf),
        "clip_scale": constant(1.0),
        **{name: term if any(of[name] for of in numbers) else constant(0.0) for name, term in terms.items()},
    }


def _numbers(
    optimizer: Explained,
    rule: type[Rule],
    told: Story,
    numbers: Mapping[int, GroupNumbers],
    members: Sequence[Served],
) -> Iterator[str]:
    """The numbers that the formulas ask for: those that are the same in all groups, then each group's own."""
    # Of a parameter itself formulas ask what its shape and type say.
    asked = [name for name in told.numbers if name not in OWN]
    order = [*hypers(rule), "first_lr", "clip_value", "clip_norm", "clip_eps", "unscale", *parts(rule, Scalar), "t"]
    common: list[str] = []
    own: dict[int, list[str]] = {i: [] for i in numbers}
    for name in sorted(asked, key=order.index):
        said = {i: _value(optimizer, name, i, numbers[i], [p for p in members if p.group == i]) for i in numbers}
        if len({*said.values()}) == 1:
            common.append(f"{name}={said.popitem()[1]}")
        else:
            for i, value in said.items():
                own[i].append(f"{name}={value}")
    yield from _labelled("numbers", ", ".join(common) or "by group")
    for i, values in own.items():
        if values:
            yield from _labelled("", f"{_called(optimizer.param_groups, i)}: {', '.join(values)}")


def _value(optimizer: Explained, name: str, group: int, numbers: GroupNumbers, members: Iterable[Served]) -> str:
    """A number in force; of those that parameters have for themselves, the smallest and the largest."""
    if name in ("clip_norm", "clip_eps"):
        return f"{getattr(optimizer, name):.10g}"
    if name == "first_lr":
        of = optimizer.param_groups[group]
        return f"{of['lr_scale'] * first_lr(of, of['lr']):.10g}"
    if name in numbers:
        scale = next((scale for scale, of in surface.SCALES.items() if of == name), "")
        by = float(optimizer.param_groups[group].get(scale, 1.0))
        return f"{numbers[name]:.10g}" + (f" ({numbers[name] / by:.10g} * {scale})" if by not in (0.0, 1.0) else "")
    # The next step is the one after those that are counted.
    found = [float(p.kept["step"]) + 1 if name == "t" else float(p.kept[name]) for p in members if not p.refused]
    low, high = f"{min(found, default=1.0):.10g}", f"{max(found, default=1.0):.10g}"
    return low if low == high else f"{low} to {high}"


def _scheduled(following: Scheduling, all_groups: Sequence[Group], places: Sequence[int]) -> Iterator[str]:
    """What is scheduled: the factor of the next step, its formula, and the numbers in it."""
    steps: dict[int, list[int]] = {}
    for i in places:
        steps.setdefault(all_groups[i][COUNT] + 1, []).append(i)
    label = "schedule"
    for each in following.numbers[places[0]]:
        for step, own in steps.items():
            whose = f"{', '.join(_called(all_groups, i) for i in own)}: " if len(steps) > 1 else ""
            yield from _labelled(label, whose + _factor(each, [all_groups[i] for i in own], step))
            label = ""
        yield from _formulas("", schedule_story(each.schedule))
        if asked := [f"{name}={value:.10g}" for name, value in each.schedule.numbers.items() if name != "T"]:
            yield from _labelled("", ", ".join(asked))


def _factor(each: Scheduled, groups: Sequence[Group], step: int) -> str:
    """A number's factor at the groups' next step; what is wrong, where a step would be refused for it."""
    schedule, total = each.schedule, f"{each.schedule.steps:,}"
    try:
        for group in groups:
            each.at(group, step)
    except ValueError as problem:
        return f"{each.name} cannot be set, so a step would be refused: {problem}"
    firsts = " or ".join(sorted({f"{group[each.first]:.10g}" for group in groups}))
    when = f"at step {step:,} of {total}" if step <= schedule.steps else f"after the last of {total} steps"
    return f"{each.name} is {firsts} times {schedule.at(step):.10g}, {when}"


def _states(told: Story, declared: Mapping[str, State], numbers: Sequence[GroupNumbers]) -> Iterator[str]:
    """Under which keys the rule's states are kept, and what those start as that do not start at 0."""
    used = {name for walk in told.walks for name in (*walk.reads, *walk.writes)} | {line.name for line in told.after}
    live = {name: state for name, state in declared.items() if name in used}
    if live:
        starts = {name: _start(state.start, numbers) for name, state in live.items()}
        yield from _labelled("state", ", ".join(f"{name} is {live[name].key!r}{starts[name]}" for name in live))


def _start(start: str | float, numbers: Sequence[GroupNumbers]) -> str:
    """What a state starts as, if not 0 in every group."""
    if start in ("w", "g"):
        return f" (starts as {start})"
    values = {of[start] if isinstance(start, str) else start for of in numbers}
    return f" (starts at {', '.join(f'{value:g}' for value in sorted(values))})" if values != {0.0} else ""


def _readers(told: Story, lined: Mapping[str, State], members: Sequence[Served]) -> Iterator[str]:
    """Who serves which parameters and at what cost, and which are special; ``lined``: states, some of them by line."""
    compiled = _by(members, lambda p: (p.gpu, tuple(p.types.items())) if p.reader == "compiled" else None)
    for (gpu, types), some in compiled.items():
        costs = [_bytes(walk, dict(types)) for walk in told.walks if walk.of == "weight"]
        total = " + ".join(map(str, costs)) + (f" = {sum(costs)}" if len(costs) > 1 else "")
        by_line, beside = _by_line(lined, some)
        moved = _memory(sum(costs) * sum(p.weights for p in some) + by_line)
        where = "" if gpu is None else f"for {gpu} by Triton: "
        said = f"{where}{_size(some)}, {_types(dict(types))}: {total} bytes a weight{beside}, {moved} a step"
        yield from _labelled("compiled", said)
    for (why, together), some in _by(members, lambda p: (p.why, p.together) if p.why else None).items():
        how = "many at once" if together else "one by one"
        yield from _labelled("torch", f"{how}, as {why}: {_size(some)}, {_some(some)}")
    for refused in _by(members, lambda p: p.refused or None):
        yield from _labelled("refused", refused)
    if waiting := [p for p in members if p.waits and not p.refused]:
        whom = "all of them" if len(waiting) == len(members) else f"{_size(waiting)}, {_some(waiting)}"
        yield from _labelled("waiting", f"for a first gradient: {whom}")
    if copied := [p for p in members if p.copied]:
        yield from _labelled("copied", f"first, gradients laid out unlike their weights: {_some(copied)}")
    if later := [p for p in members if p.turn]:
        yield from _labelled("in turn", f"after those whose memory they share: {_some(later)}")


def _by(members: Iterable[Served], key: Callable[[Served], K | None]) -> dict[K, list[Served]]:
    """Parameters by what they have in common; those without it are left out."""
    found: dict[K, list[Served]] = {}
    for p in members:
        if (common := key(p)) is not None:
            found.setdefault(common, []).append(p)
    return found


def _passes(told: Story, nonfinite: str) -> Iterator[str]:
    """The formulas, pass by pass."""
    passes = [walk for walk in told.walks if walk.of == "weight"]
    for i, walk in enumerate(told.walks):
        yield from _formulas("once a step", walk.before)
        if walk.of == "matrix":
            writes = f", writes {' '.join(walk.writes)}" if walk.writes else ""
            yield from _labelled("each matrix", f"reads {' '.join(walk.reads)}{writes}")
            yield from _formulas("", walk.lines)
            for when, lines in walk.due:
                yield from _labelled("", f"{when}:")
                yield from _formulas("", lines)
            continue
        writes = f", writes {' '.join(walk.writes)}" if walk.writes else ""
        yield from _labelled(f"pass {passes.index(walk) + 1} of {len(passes)}", f"reads {' '.join(walk.reads)}{writes}")
        yield from _formulas("", walk.lines)
        if i == 0 and nonfinite != "pass":
            then = "the step is skipped" if nonfinite == "skip" else "NonFiniteGradient is raised"
            yield from _labelled("", f"if a gradient holds nan or infinity, {then}")
    yield from _formulas("once a step", told.after)


def _formulas(label: str, lines: Sequence[Line]) -> Iterator[str]:
    # A formula is never wrapped: it can be copied.
    for i, line in enumerate(lines):
        yield f"  {'' if i else label:{_LABEL}}{line}"


def _labelled(label: str, said: str) -> list[str]:
    margin = " " * (_LABEL + 2)
    return textwrap.wrap(
        said, _WIDTH, initial_indent=f"  {label:{_LABEL}}", subsequent_indent=margin,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _title(groups: Sequence[Group], places: Sequence[int], members: Sequence[Served], shape: Mapping[str, bool]) -> str:
    called = [_called(groups, i) for i in places]
    shown = called if len(called) <= 4 else [*called[:2], "...", called[-1]]
    shown += [name for name, on in shape.items() if on]
    by = f", by {groups[places[0]]['rule']}" if "rule" in groups[places[0]] else ""
    return f"{', '.join(shown)}{by}: {_size(members)}"


def _called(groups: Sequence[Group], i: int) -> str:
    return f"group {i}" + (f" ({groups[i]['name']})" if "name" in groups[i] else "")


def _bytes(walk: Walk, types: Mapping[str, str]) -> int:
    """What a pass moves for each weight: every operand is read and written once."""
    return sum(getattr(torch, types[name]).itemsize for name in (*walk.reads, *walk.writes))


def _by_line(states: Mapping[str, State], members: Sequence[Served]) -> tuple[int, str]:
    """How many bytes of states by row or column a step moves, each read and written once; and that in words."""
    kept = [(s.shape, p.kept[s.key]) for s in states.values() if s.shape in LINES for p in members if s.key in p.kept]
    moved = sum(2 * x.numel() * x.element_size() for _, x in kept)
    shapes = dict.fromkeys(shape for shape, _ in kept)
    return moved, f" and {_memory(moved)} by {' and by '.join(shapes)}" if kept else ""


def _types(types: Mapping[str, str]) -> str:
    """'bfloat16', or 'bfloat16 (average float32)'."""
    others = [f"{name} {kind}" for name, kind in types.items() if kind != types["w"]]
    return types["w"] + (f" ({', '.join(others)})" if others else "")


def _size(members: Sequence[Served]) -> str:
    return f"{_many(len(members), 'parameter')}, {_many(sum(p.weights for p in members), 'weight')}"


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _memory(count: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


def _some(members: Sequence[Served]) -> str:
    more = f", and {len(members) - 3} more" if len(members) > 3 else ""
    return ", ".join(p.name for p in members[:3]) + more
