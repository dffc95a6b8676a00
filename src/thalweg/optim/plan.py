"""Which parameters are updated together, and by what: made once, used until something moves."""

import operator
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from torch._C import _len_torch_dispatch_stack
from torch.autograd.graph import increment_version
from torch.nn.parameter import is_lazy

from thalweg.formula import Rule
from thalweg.formula.compose import live_states
from thalweg.formula.kernel import available, passes
from thalweg.formula.line_kernel import line_passes
from thalweg.formula.lines import walks_lines
from thalweg.formula.rule import by_lines, of_matrices, shaped

from . import gpus, reading, state, surface
from .ahead import Ahead, keeps, waits
from .devices import Device
from .driver import FINE, ODD, PLAN
from .flat_launch import FlatLaunch, flat_kind
from .kernel_launch import KernelLaunch
from .launch import Launch, Members
from .line_device import DeviceLineLaunch
from .line_launch import LineLaunch
from .matrix_launch import MatrixLaunch
from .memory import Memory
from .sequence import Steps, steps
from .settings import Group, GroupNumbers, How, Switches
from .torch_launch import TorchLaunch
from .watched import WatchedState

Held = list[torch.Tensor | None]


class PlainOperationsWarning(RuntimeWarning):
    """Most weights are not updated by kernels; the message says why."""


@dataclass(frozen=True, eq=False)
class Grads:
    """One step's gradients, alive as long as this is."""

    held: Held
    copies: Sequence[tuple[torch.Tensor, torch.Tensor]]
    """Gradients that kernels cannot read or clear in place, each with the copy that they do."""
    present: Sequence[torch.Tensor]
    """The parameters that have one."""

    def refuse_to_clear(self) -> None:
        """Raise for gradients that torch will not have written, before anything has moved."""
        if not torch.is_inference_mode_enabled() and any(g.is_inference() for g in self.held if g is not None):
            raise RuntimeError(
                "a gradient was made under torch.inference_mode(), so clear=True cannot set it to 0: make it outside, "
                "or step with clear=False"
            )

    @torch.no_grad()
    def cleared(self) -> None:
        """Complete what the kernels have done: the gradients are 0, and no longer part of a graph."""
        for grad, _ in self.copies:
            grad.zero_()
        there = [g for g in self.held if g is not None]
        increment_version(there)
        for grad in there:
            if grad.requires_grad:
                grad.detach_() if grad.grad_fn is not None else grad.requires_grad_(False)


@dataclass(frozen=True, eq=False)
class Plan:
    """What one step does, while groups, switches and the weights' memory stay the same.

    What may have moved since the last step, who notices, and what it costs (of n parameters):

        a gradient is a new tensor        the driver, or `Memory`, asks for every address   nothing more
        a gradient is laid out otherwise  the same                                          a copy of it
        a gradient comes or goes          the same                                          numbers by step count
        a weight has other memory         the same                                          its address is corrected
        a state is replaced               `WatchedState.seen`: somebody could               a look at n states
        a state's memory moves            `WatchedState.exposed`: then the driver asks      a new plan
        groups have other lists           `fits`, by identity                               a comparison of n parameters
        lists hold other parameters       the driver, or `Memory`                           a new plan
        a group names another rule        `Settings.rules`, by identity                     a new plan
        a group's numbers                 `Settings`, by comparison                         its own row
        switches, or all states           `fits`                                            a new plan
        a step count is written to        `Counts`, by comparing bytes                      numbers by step count

    Of parameters that torch operations update, `gather` looks at device, element type, shape and address.
    Whatever a correction does not fit (another element type, memory shared with another parameter) is a new plan too.
    """

    launches: tuple[Launch, ...]
    rules: Sequence[type[Rule]]
    """The rule of each group."""
    memory: Memory
    """The parameters of kernel launches, in their order, then those without a gradient so far."""
    others: list[torch.Tensor]
    """The parameters of flat and torch launches, in their order."""
    told: list[tuple[object, ...]]
    """What was asked of each of these; see `_told`."""
    waiting: list[torch.Tensor]
    """Parameters without a gradient that no kernel could serve, or whose memory has been taken away."""
    switches: tuple[Switches, ...]
    mapping: WatchedState
    """The optimizer's states, to notice when all are replaced."""
    created: list[torch.Tensor]
    """The parameters whose state was created for a step that has not been taken yet."""
    count: int
    """How many states there are."""
    direct: bool
    """Whether a step can be one call of machine code."""
    devices: tuple[Device, ...]
    """The GPUs that run kernels for any of them."""
    recorders: tuple[Callable[[], bool], ...]
    """Of all GPUs that parameters are on: whether what they are given to do is recorded."""
    keeps: bool
    """See `ahead.keeps`."""
    _waits: dict[tuple[object, ...], str | None] = field(default_factory=dict)
    _steps: dict[tuple[object, ...], Steps] = field(default_factory=dict)

    def fits(self, groups: Sequence[Group], switches: tuple[Switches, ...], states: WatchedState) -> bool:
        """Whether groups, switches and states are as planned, or can be adopted.

        Memory is asked about when gradients are gathered.
        """
        lists = self.memory.lists
        if states is not self.mapping or switches != self.switches or len(groups) != len(lists):
            return False
        given = [group["params"] for group in groups]
        if not all(map(operator.is_, given, lists)) and not self.memory.adopt(given):
            return False
        if not states.seen:
            return True
        if len(states) != self.count:
            return False
        if not all(x.adopt(states.own) for x in self.launches):
            return False
        if [x for x in self.launches if x.adopted()]:
            self.memory.serve(self._kept())
        return True

    def _kept(self) -> list[torch.Tensor]:
        return [tensor for x in self.launches for tensor in x.kept]

    def mend(self) -> bool:
        """Correct the plan where weights have other memory; whether that may have been all."""
        moved = [] if self.others else self.memory.mend()
        for x in self.launches if moved else ():
            x.point_at_weights()
        return bool(moved)

    @property
    def recording(self) -> bool:
        """Whether what a GPU is given to do is recorded."""
        return any(asked() for asked in self.recorders)

    def waits(self, how: How, ahead: Ahead) -> str | None:
        """Why a step has to wait for a device; see `ahead.waits`."""
        key = (how, ahead.key)
        if key not in self._waits:
            if len(self._waits) > 8:
                self._waits.clear()
            self._waits[key] = waits(self.launches, how, ahead)
        return self._waits[key]

    def steps(
        self, numbers: Sequence[GroupNumbers], how: How, measured: bool, ahead: Ahead, recording: bool = False
    ) -> Steps | None:
        """The parts of the step that is about to be taken, with its numbers.

        ``recording``: those that a step just like it was taken by, and no other will be; None if there was none.
        """
        unknown = False
        if self.devices:
            unknown = ahead.unknown(how) and self.waits(how, ahead) is None
            for device in () if recording else self.devices:
                device.begin()
        for x in self.launches:
            x.fill(numbers, how, unknown)
        key = (how, measured, ahead.key, *((x.limited, x.threads) for x in self.launches))
        if recording:
            return self._steps.pop(key, None)
        if key not in self._steps:
            if len(self._steps) > 8:  # options that change all the time
                self._steps.clear()
            self._steps[key] = steps(self.launches, how, measured, ahead)
        return self._steps[key]

    def gather(self) -> Grads | None:
        """Find this step's gradients; None if the plan does not hold any more. Nothing is written."""
        held = self.memory.held()
        cost = self.memory.look(held)
        if cost == PLAN and self.mend():
            cost = self.memory.look(held)
        if cost == PLAN or any(p.grad is not None for p in self.waiting):
            return None
        shared = self._shared() if self.clears else []
        if cost == FINE and not self.others and not self.memory.absent and not shared:
            return Grads(held, (), self.memory.params)
        copies = []
        for i in [*np.flatnonzero(self.memory.found == ODD).tolist(), *shared]:
            param, grad = self.memory.params[i], held[i]
            assert grad is not None
            if not _fits(grad, param) or grad.dtype != self.memory.types[i]:
                return None
            # The kernel walks weight and gradient side by side: one in another layout is copied into the weight's.
            copies.append((grad, torch.empty_like(param, dtype=grad.dtype).copy_(grad.detach())))
            self.memory.grads_at[i] = copies[-1][1].data_ptr()
        others: Held = [p.grad for p in self.others]
        if not all(map(_fits, others, self.others)) or not all(map(_as_told, self.others, self.told)):
            return None
        self.memory.agree()
        for x in self.launches:
            x.take()
        everyone = zip([*self.memory.params, *self.others], [*held, *others], strict=True)
        return Grads([*held, *others], copies, [p for p, g in everyone if g is not None])

    def _shared(self) -> list[int]:
        """The parameters whose gradient is also that of a parameter before them: cleared with it, they would see 0."""
        at = self.memory.grads_at.tolist()
        if len({*at}) == len(at):  # nearly always
            return []
        seen = {0}
        again = []
        for i, where in enumerate(at):
            if where and where in seen:
                again.append(i)
            seen.add(where)
        return again

    @property
    def clears(self) -> bool:
        """Whether a step sets the gradients to 0."""
        return any(dict(switches)["clear"] for switches in self.switches)


def _told(param: torch.Tensor) -> tuple[object, ...]:
    """What a launch of torch operations believes of a parameter; the last, of its gradient."""
    grad = param if param.grad is None else param.grad
    return param.device, param.dtype, param.shape, reading.where(param), grad.dtype


def _as_told(param: torch.Tensor, told: tuple[object, ...]) -> bool:
    now = _told(param)
    return now == told or (param.grad is None and now[:-1] == told[:-1])


def _fits(grad: torch.Tensor | None, param: torch.Tensor) -> bool:
    return grad is None or (grad.layout == torch.strided and grad.shape == param.shape and reading.within_storage(grad))


@torch.no_grad()
def make(
    rules: Sequence[type[Rule]],
    groups: Sequence[Group],
    states: WatchedState,
    switches: tuple[Switches, ...],
) -> Plan:
    """Sort the parameters that have, or have had, gradients into launches, creating the state that is missing.

    ``rules``  the rule of each group.
    """
    everyone = [(p, i) for i, group in enumerate(groups) for p in group["params"]]
    called = names(groups)
    settings = [surface.settings(rule, group) for rule, group in zip(rules, groups, strict=True)]
    turns = reading.turns([param for param, _ in everyone])
    sets: dict[tuple[Any, ...], list[int]] = {}
    created: list[torch.Tensor] = []
    reasons: list[tuple[str, bool]] = []
    kept: set[int] = set()
    later: list[torch.Tensor] = []
    away: list[torch.Tensor] = []
    for k, (param, i) in enumerate(everyone):
        if param.grad is None and not reading.within_storage(param):
            away.append(param)  # its memory is elsewhere for the time being, and nothing is asked of it
            continue
        if param.grad is None and not states.has(param):
            later.append(param)
            continue
        fresh = not states.has(param)
        operands, types = state.classified(rules[i], settings[i], param, called[k], states.own(param))
        if fresh:
            created.append(param)
        chosen, flat = (types, None) if isinstance(types, tuple) else (None, flat_kind(rules[i], param, operands))
        if flat:  # what two parameters have one state of, they update in turn
            lying = {t.data_ptr() for t in operands.values() if t.numel()}
            flat = None if lying & kept else flat
            kept |= lying
        if isinstance(types, str):
            reasons.append((types, flat is not None))
        own = (*switches[i], *shaped(rules[i], param).items())
        where = param.device if chosen else None
        sets.setdefault((rules[i], own, chosen or flat, where, turns[k]), []).append(k)
    ordered = sorted(sets.items(), key=lambda entry: entry[0][4])
    kernels = [everyone[k][0] for (_, _, _, where, _), places in ordered for k in places if where]
    lists = [group["params"] for group in groups]
    memory = Memory(lists, kernels, [p for p in later if reading.plain(p)])
    launches: list[Launch] = []
    at = 0
    for (rule, own, types, where, turn), places in ordered:
        members = _members(rule, rules, everyone, settings, states, places)
        if where:
            here = slice(at, at + len(places))
            at += len(places)
            # What is kept by row or column needs walks of its own.
            lines = by_lines(rule) and walks_lines(rule, own)
            device = gpus.device_of(where)
            by_line = LineLaunch if device is None else DeviceLineLaunch
            kind: Any = by_line if lines else MatrixLaunch if of_matrices(rule) else KernelLaunch
            walks: Any = partial(line_passes if lines else passes, rule, dtypes=types)
            launches.append(kind(rule, own, members, walks, memory.grads_at[here], memory.found[here], device))
        elif types:
            launches.append(FlatLaunch(rule, own, members, types, later=turn > 0))
        else:
            launches.append(TorchLaunch(rule, own, members, _asked_for(rule, own, settings[members.groups[0]])))
    others = [everyone[k][0] for (_, _, _, where, _), places in ordered for k in places if not where]
    slower = sum(p.numel() for p in others) > sum(p.numel() for p in kernels)
    if slower and available() and not _len_torch_dispatch_stack():  # else it is said already, or nothing is computed
        _warn_of_plain_operations(*reasons[0])
    waiting = [*away, *(p for p in later if not reading.plain(p))]
    memory.serve([tensor for x in launches for tensor in x.kept])
    devices = tuple(dict.fromkeys(x.device for x in launches if x.device is not None))
    direct = memory.native and not others and not waiting and not devices
    told = [*map(_told, others)]
    return Plan(
        tuple(launches), rules, memory, others, told, waiting, switches, states, created, len(states), direct, devices,
        gpus.recorders([param for param, _ in everyone]), keeps(launches),
    )  # fmt: skip


@cache  # said once of a reason
def _warn_of_plain_operations(reason: str, together: bool) -> None:
    """``together``: whether the first parameter is updated with others."""
    so_many = "many parameters" if together else "one parameter"
    warnings.warn(
        f"most weights are updated by plain torch operations, {so_many} at a time, since of the first "
        f"{reason}: right, and many times slower than a kernel. On a GPU torch's own fused optimizer is faster; "
        "optimizer.explain() says who serves whom",
        PlainOperationsWarning,
        stacklevel=2,
    )


def _members(
    rule: type[Rule],
    rules: Sequence[type[Rule]],
    everyone: Sequence[tuple[torch.Tensor, int]],
    settings: Sequence[Mapping[str, Any]],
    states: WatchedState,
    places: list[int],
) -> Members:
    params = [everyone[k][0] for k in places]
    used = sorted({everyone[k][1] for k in places})
    where = {group: place for place, group in enumerate(used)}
    group_of = np.array([where[everyone[k][1]] for k in places], np.int64)
    live = live_states(rule, {**settings[used[0]], **shaped(rule, params[0])})
    keys = {name: declared.key for name, declared in live.items()}
    alike = [i for i, of in enumerate(rules) if of is rule]
    return Members(places, params, [states.own(p) for p in params], keys, used, group_of, alike)


def _asked_for(rule: type[Rule], switches: Switches, values: Mapping[str, Any]) -> dict[str, Any]:
    """The switches that formulas ask for; a hyperparameter is a number to them."""
    return {name: on for name, on in switches if name not in values or name in surface.switches(rule, values)}


def names(groups: Sequence[Group], quote: Callable[[str], str] = repr) -> list[str]:
    """What to call each parameter in a message: its own name, quoted, where the optimizer was given names."""
    found = []
    for i, group in enumerate(groups):
        given = group.get("param_names") or []
        for k, param in enumerate(group["params"]):
            known = not is_lazy(param)
            shape = ("x".join(map(str, param.shape)) or "a single number") if known else "its shape is not known yet"
            found.append(quote(given[k]) if k < len(given) else f"parameter {k} of group {i} ({shape})")
    return found


def misfit(groups: Sequence[Group]) -> str:
    """Which gradient does not fit its parameter."""
    everyone = [p for group in groups for p in group["params"]]
    for name, param in zip(names(groups), everyone, strict=True):
        grad = param.grad
        if not reading.within_storage(param) or (grad is not None and not reading.within_storage(grad)):
            return f"the memory of {name} or of its gradient has been taken away: its storage was resized"
        if grad is not None and (grad.shape != param.shape or grad.dtype != param.dtype):
            return f"{name} is {tuple(param.shape)} {param.dtype}, its gradient {tuple(grad.shape)} {grad.dtype}"
    return "it changed while the step was being prepared"
