"""What a step computes, in words: the formulas with their numbers, the passes over memory, and who serves whom."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from thalweg.formula.rule import decay_kind
from thalweg.formula.text import story

from . import reading, state, surface
from .plan import names
from .settings import Settings

if TYPE_CHECKING:
    from .optimizer import Optimizer

_INDENT, _LABEL, _WIDTH = "  ", 13, 100


class Explanation(str):
    """Text that shows itself, in a console as with `print`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True, eq=False)
class Served:
    """A parameter and what serves it: a compiled kernel, or for the reason ``why`` the `torch` reader.

    ``refused``  why nothing does, in words; "" if something does.
    ``types``    the element type of w, g and each state.
    ``kept``     its state, with what a first step would create: tensors of weights on the meta device.
    ``waits``    whether it has had no gradient so far.
    ``turn``     more than 0 if it shares memory with a parameter before it, and is updated after that.
    """

    name: str
    group: int
    weights: int
    why: str
    refused: str
    types: Mapping[str, str]
    kept: Mapping[str, Any]
    waits: bool
    turn: int


def explain(optimizer: "Optimizer") -> Explanation:
    """See `Optimizer.explain`."""
    groups, rule = optimizer.param_groups, optimizer.whole
    everyone = served(optimizer)
    common = (("clear", optimizer.clear),)
    numbers, switches = Settings(rule).read(groups, float(optimizer.grad_scale), common)
    sections: dict[tuple[Any, ...], list[int]] = {}
    for i, group in enumerate(groups):
        # Numbers that do nothing everywhere are left out, so decay and its absence may stand together.
        alike = (switches[i], group.get("decay", decay_kind(rule)), numbers[i]["unscale"])
        sections.setdefault(alike, []).append(i)
    wrapped = f" with {', '.join(w.__name__ for w in optimizer.rule.wrappers)}" if optimizer.rule.wrappers else ""
    lines = [f"{_class(optimizer)}{wrapped}: {_size(everyone)} in {_many(len(groups), 'group')}"]
    norms = _norms(optimizer, numbers)
    for (chosen, _, _), places in sections.items():
        here = [numbers[i] for i in places]
        told = story(
            rule, dict(chosen), _given(here), norms, None if optimizer.clip_norm is None else optimizer.clip_scope
        )
        members = [p for p in everyone if p.group in places]
        lines += ["", _title(groups, places) + (f": {_size(members)}" if len(sections) > 1 else "")]
        lines += _numbers(optimizer, told, groups, {i: numbers[i] for i in places}, members)
        lines += _states(rule, dict(chosen))
        lines += _readers(told, members)
        lines += _passes(told, optimizer.nonfinite)
    return Explanation("\n".join(lines))


@torch.no_grad()
def served(optimizer: "Optimizer") -> list[Served]:
    """Every parameter in its order, with what would serve it in a step taken now. Nothing is created or changed."""
    groups, rule = optimizer.param_groups, optimizer.whole
    everyone = [(i, param) for i, group in enumerate(groups) for param in group["params"]]
    settings = [{**surface.numbers(rule, group), **surface.switches(rule, group)} for group in groups]
    found = []
    turns = reading.turns([param for _, param in everyone])
    for (i, param), name, turn in zip(everyone, names(groups), turns, strict=True):
        # Not through the optimizer's own mapping, which would notice.
        kept = dict(dict.get(optimizer.state, param, {}))
        waits = param.grad is None and not kept
        operands: dict[str, torch.Tensor] = {}
        why = refused = ""
        try:
            reading.refuse(param, name)
            operands = state.prepare(
                rule, settings[i], torch.empty(param.shape, dtype=param.dtype, device="meta"), kept
            )
        except (TypeError, ValueError) as error:
            refused = str(error)
        else:
            types = reading.kernel_types(param, operands)
            why = types if isinstance(types, str) else ""
        tensors = {"w": param, "g": param if param.grad is None else param.grad, **operands}
        kinds = {key: str(tensor.dtype).removeprefix("torch.") for key, tensor in tensors.items()}
        found.append(Served(name, i, param.numel(), why, refused, kinds, kept, waits, turn))
    return found


def _norms(optimizer: "Optimizer", numbers: Sequence[Numbers]) -> tuple[Norm, ...]:
    """The passes of the gradient's norm. A clip by value hides an infinity, so what is guarded is before it."""
    guarded = optimizer.nonfinite != "pass"
    if optimizer.clip_norm is None:
        return ("norm",) if guarded else ()
    limited = any(isfinite(n["clip_value"]) for n in numbers)
    return ("norm", "limited_norm") if guarded and limited else ("limited_norm",)


def _given(numbers: Sequence[Numbers]) -> dict[str, Expression]:
    """What to write for the chain's numbers: a user's own, and constants for those that do nothing in any group."""
    unscale = numbers[0]["unscale"]
    return {
        "unscale": constant(unscale) if abs(unscale) == 1 else number("unscale"),
        "clip_value": number("clip_value") if any(n["clip_value"] < inf for n in numbers) else constant(inf),
        "clip_scale": constant(1.0),
        "l2": number("weight_decay") if any(n["l2"] for n in numbers) else constant(0.0),
        "shrink": number("lr") * number("weight_decay") if any(n["shrink"] for n in numbers) else constant(0.0),
    }


def _numbers(
    optimizer: "Optimizer", told: Story, groups: Sequence[Group], numbers: Mapping[int, Numbers], members: list[Served]
) -> Iterator[str]:
    """The numbers that the formulas ask for: those of all groups, then those that differ, by group."""
    order = [*hypers(optimizer.whole), "clip_value", "clip_norm", "clip_eps", "unscale", *parts(optimizer.whole, Scalar)]
    common: dict[str, str] = {}
    own: dict[int, dict[str, str]] = {i: {} for i in numbers}
    for name in sorted(told.numbers, key=[*order, "t"].index):
        by_group = {i: _value(optimizer, name, of, [p for p in members if p.group == i]) for i, of in numbers.items()}
        if len({*by_group.values()}) == 1:
            common[name] = next(iter(by_group.values()))
        else:
            for i, value in by_group.items():
                own[i][name] = value
    yield from _labelled("numbers", _equations(common))
    for i, values in own.items():
        if values:
            yield from _labelled("", f"{_called(groups, i)}: {_equations(values)}")


def _value(optimizer: "Optimizer", name: str, numbers: Numbers, members: Iterable[Served]) -> str:
    if name in ("clip_norm", "clip_eps"):
        return f"{getattr(optimizer, name):.10g}"
    if name in numbers:
        return f"{numbers[name]:.10g}"
    # By parameter: the count of steps, of which the next is shown, and scalars.
    found = {float(p.kept["step"]) + 1 if name == "t" else float(p.kept[name]) for p in members if not p.refused}
    low, high = min(found, default=1.0), max(found, default=1.0)
    return f"{low:.10g}" if low == high else f"{low:.10g} to {high:.10g}"


def _equations(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in values.items())


def _states(rule: type[Rule], switches: Mapping[str, bool]) -> Iterator[str]:
    """Where the rule's states are found."""
    live = {name: s for name, s in parts(rule, State).items() if s.when is None or switches[s.when]}
    if live:
        yield from _labelled("state", ", ".join(f"{name} is {declared.key!r}" for name, declared in live.items()))


def _readers(told: Story, members: Sequence[Served]) -> Iterator[str]:
    """Who serves which parameters, and at what cost."""
    for kinds, some in _by(members, lambda p: None if p.why or p.refused else tuple(p.types.items())):
        cost = [_bytes(walk, dict(kinds)) for walk in told.walks]
        types = _types(dict(kinds))
        moved = sum(cost) * sum(p.weights for p in some)
        each = " + ".join(map(str, cost)) + (f" = {sum(cost)}" if len(cost) > 1 else "")
        yield from _labelled("compiled", f"{_size(some)}, {types}: {each} bytes a weight, {_memory(moved)} a step")
