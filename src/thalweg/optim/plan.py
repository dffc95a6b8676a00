"""Which parameters are updated together, and by what: made once, used until something moves."""

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from thalweg.formula import Rule, Scalar
from thalweg.formula.compose import live_states, tested
from thalweg.formula.host import HostFunction
from thalweg.formula.kernel import available, passes, scalars_of
from thalweg.formula.rule import parts

from . import state, surface
from .launch import KernelLaunch, Launch, Members, TorchLaunch, addresses
from .watched import WatchedState

Group = dict[str, Any]
Switches = tuple[tuple[str, bool], ...]

_KERNEL_TYPES = {torch.float32: "float32", torch.float64: "float64"}


@dataclass(frozen=True, eq=False)
class Planned:
    """A launch with its numbers' memory: step counts and tensors' scalars."""

    launch: Launch
    members: Members
    steps: NDArray[np.float32]
    uniform: bool
    """Whether all members have taken as many steps; they stay so, since they step together."""
    counted: bool
    """Whether the rule asks which step it is; every state holds the count all the same."""
    scalars: Mapping[str, NDArray[np.float64]]
    next_scalars: HostFunction
    """From a step's numbers to the next values of the rule's scalars."""
    views: Mapping[str, list[torch.Tensor]]
    """The views of `steps` and `scalars` that the states hold, by key, to notice when one is replaced or moved."""
    views_at: Mapping[str, list[int]]

    def gather(self, grads: list[torch.Tensor], seen: bool) -> bool:
        """Take this step's gradients; False if the memory is not where it was. ``seen``: see `WatchedState`."""
        for key, views in self.views.items() if seen else ():
            kept = [state.get(key) for state in self.members.states]
            if not all(map(operator.is_, kept, views)) or addresses(views) != self.views_at[key]:
                return False
        return self.launch.gather(grads, seen)


@dataclass(frozen=True, eq=False)
class Plan:
    """What one step does, while groups, gradients present and switches stay the same."""

    launches: tuple[Planned, ...]
    absent: tuple[int, ...]
    """The parameters without a gradient."""
    switches: tuple[Switches, ...]
    known: list[dict[str, Any]]
    """Every parameter's state, to notice when one is replaced."""
    parameters: list[torch.Tensor]
    created: list[torch.Tensor]
    """The parameters whose state was created for a step that has not been taken yet."""

    def gather(
        self,
        params: list[torch.Tensor],
        grads: list[torch.Tensor | None],
        switches: tuple[Switches, ...],
        states: WatchedState,
    ) -> bool:
        """Take this step's gradients; False if anything is not as planned. Nothing is written."""
        if len(params) != len(self.parameters) or not all(map(operator.is_, params, self.parameters)):
            return False
        if switches != self.switches or any(grads[k] is not None for k in self.absent):
            return False
        if states.seen:
            kept = states.own_list()
            if len(kept) != len(self.known) or not all(map(operator.is_, kept, self.known)):
                return False
        if len(self.launches) == 1 and not self.absent:
            return self.launches[0].gather(grads, states.seen)  # type: ignore[arg-type]  # a None is noticed there
        return all(x.gather([grads[k] for k in x.members.places], states.seen) for x in self.launches)  # type: ignore[misc]


def group_switches(rule: type[Rule], group: Group, numbers: Mapping[str, float]) -> Switches:
    """The group's switches, and which hyperparameters that an `if` tests are other than 0."""
    return (*surface.switches(rule, group).items(), *((name, numbers[name] != 0) for name in tested(rule)))


@torch.no_grad()
def make(
    rule: type[Rule],
    groups: Sequence[Group],
    states: WatchedState,
    switches: tuple[Switches, ...],
) -> Plan:
    """Sort the parameters that have gradients into launches, creating the state that is missing."""
    everyone = [(p, i) for i, group in enumerate(groups) for p in group["params"]]
    called = names(groups)
    sets: dict[tuple[Any, ...], list[int]] = {}
    settings = [{**surface.numbers(rule, group), **surface.switches(rule, group)} for group in groups]
    created: list[torch.Tensor] = []
    for k, (param, i) in enumerate(everyone):
        if param.grad is None:
            continue
        _refuse_unsupported(param, called[k])
        if not states.own(param):
            created.append(param)
        types = _kernel_types(param, state.prepare(rule, settings[i], param, states.own(param)))
        sets.setdefault((switches[i], types), []).append(k)
    planned = tuple(
        _planned(rule, everyone, settings, states, chosen, types, places) for (chosen, types), places in sets.items()
    )
    absent = tuple(k for k, (param, _) in enumerate(everyone) if param.grad is None)
    return Plan(planned, absent, switches, states.own_list(), [param for param, _ in everyone], created)


def _planned(
    rule: type[Rule],
    everyone: Sequence[tuple[torch.Tensor, int]],
    settings: Sequence[Mapping[str, Any]],
    states: WatchedState,
    switches: Switches,
    types: tuple[tuple[str, str], ...] | None,
    places: list[int],
) -> Planned:
    params = [everyone[k][0] for k in places]
    mine = [states.own(p) for p in params]
    used = sorted({everyone[k][1] for k in places})
    group_of = np.array([used.index(everyone[k][1]) for k in places], np.int64)
    values = settings[used[0]]
    keys = {name: declared.key for name, declared in live_states(rule, values).items()}
    code = passes(rule, switches, types) if types else None
    plain = surface.switches(rule, values)
    members = Members(places, params, mine, keys, used, group_of)
    launch: Launch = KernelLaunch(code, members) if code else TorchLaunch(rule, plain, members)
    steps = state.gathered(mine, "step", torch.float32)
    scalars = {
        name: state.gathered(mine, name, torch.float64)
        for name, scalar in parts(rule, Scalar).items()
        if scalar.scope == "tensor"
    }
    views = {key: [s[key] for s in mine] for key in ("step", *scalars)}
    views_at = {key: addresses(tensors) for key, tensors in views.items()}
    counted = state.counts_steps(rule)
    return Planned(
        launch,
        members,
        steps,
        bool((steps == steps[0]).all()),
        counted,
        scalars,
        scalars_of(rule, switches),
        views,
        views_at,
    )


def names(groups: Sequence[Group]) -> list[str]:
    """What to call each parameter in a message: its own name where the optimizer was given names."""
    found = []
    for i, group in enumerate(groups):
        given = group.get("param_names") or []
        for k, param in enumerate(group["params"]):
            shape = "x".join(map(str, param.shape)) or "a single number"
            found.append(repr(given[k]) if k < len(given) else f"parameter {k} of group {i} ({shape})")
    return found


def misfit(groups: Sequence[Group]) -> str:
    """Which gradient does not fit its parameter."""
    everyone = [p for group in groups for p in group["params"]]
    for name, param in zip(names(groups), everyone, strict=True):
        grad = param.grad
        if grad is not None and (grad.shape != param.shape or grad.dtype != param.dtype):
            return f"{name} is {tuple(param.shape)} {param.dtype}, its gradient {tuple(grad.shape)} {grad.dtype}"
    return "it changed while the step was being prepared"


def _kernel_types(param: torch.Tensor, operands: Mapping[str, torch.Tensor]) -> tuple[tuple[str, str], ...] | None:
    """The element types that a kernel would read, or None if the `torch` reader has to do it."""
    plain = type(param) in (torch.nn.Parameter, torch.Tensor) and param.device.type == "cpu"
    tensors = {"w": param, "g": param, **operands}
    if not plain or any(t.dtype not in _KERNEL_TYPES for t in tensors.values()) or not available():
        return None
    # empty_like keeps the strides of memory without gaps or overlaps, and of no other.
    if param.stride() != torch.empty_like(param).stride():
        return None
    return tuple((name, _KERNEL_TYPES[t.dtype]) for name, t in tensors.items())


def _refuse_unsupported(param: torch.Tensor, name: str) -> None:
    grad = param.grad
    assert grad is not None
    if param.is_complex():
        raise TypeError(f"{name} is complex; use torch.view_as_real to optimise its real and imaginary parts")
    if grad.layout != torch.strided:
        raise TypeError(
            f"the gradient of {name} is sparse; make it dense (nn.Embedding(sparse=False)) "
            "or give this parameter to torch.optim.SparseAdam"
        )
