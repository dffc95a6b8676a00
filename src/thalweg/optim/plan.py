"""Which parameters are updated together, and by what: made once, used until something moves."""

import operator
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch._C import _len_torch_dispatch_stack
from torch.autograd.graph import increment_version
from torch.nn.parameter import is_lazy

from thalweg.formula import Rule, Scalar
from thalweg.formula.compose import live_states
from thalweg.formula.host import HostFunction
from thalweg.formula.kernel import available, counts_steps, passes, scalars_of
from thalweg.formula.rule import parts

from . import reading, state, surface
from .counts import Counts
from .kept import Kept
from .launch import KernelLaunch, Members, TorchLaunch
from .memory import ABSENT, FINE, ODD, PLAN, Memory
from .settings import Group, Switches
from .watched import WatchedState

Held = list[torch.Tensor | None]


class PlainOperationsWarning(RuntimeWarning):
    """Most weights are not updated by kernels; the message says why."""


# Up to this many weights a step in one pass is taken in one call that keeps the interpreter's lock, so that nothing
# can move while it runs: half a millisecond. Longer steps let other threads run, and hold the gradients meanwhile.
LOCKED_UP_TO = 1_000_000


@dataclass(frozen=True, eq=False)
class Planned:
    """A launch with its numbers' memory: step counts and tensors' scalars."""

    launch: KernelLaunch | TorchLaunch
    members: Members
    counts: Counts
    scalars: Mapping[str, Kept]
    next_scalars: HostFunction
    """From a step's numbers to the next values of the rule's scalars."""

    @property
    def kept(self) -> list[torch.Tensor]:
        """The tensors whose addresses a step uses."""
        states = self.launch.kept if isinstance(self.launch, KernelLaunch) else []
        return [*(tensor for kept in self._numbers.values() for tensor in kept.tensors), *states]

    @property
    def _numbers(self) -> Mapping[str, Kept]:
        return {"step": self.counts.kept, **self.scalars}

    def in_place(self) -> bool:
        """Whether the states are those that were planned."""
        for key, numbers in self._numbers.items():
            kept = [state.get(key) for state in self.members.states]
            if not all(map(operator.is_, kept, numbers.tensors)):
                return False
        return self.launch.in_place(self.members.states)


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
    """What one step does, while groups, switches and the weights' memory stay the same."""

    launches: tuple[Planned, ...]
    memory: Memory
    """The parameters of kernel launches, in their order, then those without a gradient so far."""
    others: list[torch.Tensor]
    """The parameters of torch launches, in their order."""
    waiting: list[torch.Tensor]
    """Parameters without a gradient that no kernel could serve, or whose memory has been taken away."""
    switches: tuple[Switches, ...]
    mapping: WatchedState
    """The optimizer's states, to notice when all are replaced."""
    states: list[dict[str, Any]]
    """Every parameter's state, to notice when one is."""
    created: list[torch.Tensor]
    """The parameters whose state was created for a step that has not been taken yet."""
    direct: bool
    """Whether a step that takes one pass can be one call of machine code."""

    def fits(self, groups: Sequence[Group], switches: tuple[Switches, ...], states: WatchedState) -> bool:
        """Whether groups, switches and states are as planned. Memory is asked about when gradients are gathered."""
        lists = self.memory.lists
        if states is not self.mapping or switches != self.switches or len(groups) != len(lists):
            return False
        if any(group["params"] is not members for group, members in zip(groups, lists, strict=True)):
            return False
        if not states.seen:
            return True
        kept = states.own_list()
        same = len(kept) == len(self.states) and all(map(operator.is_, kept, self.states))
        return same and all(planned.in_place() for planned in self.launches)

    def gather(self) -> Grads | None:
        """Find this step's gradients; None if the plan does not hold any more. Nothing is written."""
        held = self.memory.held()
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
        if not all(map(_fits, others, self.others)):
            return None
        self.memory.agree()
        self._take_part(others)
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

    def _take_part(self, others: Held) -> None:
        """Tell the launches which of their parameters have a gradient."""
        present = self.memory.found != ABSENT
        kernel_at = other_at = 0
        for planned in self.launches:
            count = len(planned.members.params)
            if isinstance(planned.launch, TorchLaunch):
                planned.launch.grads = others[other_at : other_at + count]
                planned.counts.take(np.array([g is not None for g in planned.launch.grads]))
                other_at += count
            else:
                planned.counts.take(present[kernel_at : kernel_at + count])
                kernel_at += count


def _fits(grad: torch.Tensor | None, param: torch.Tensor) -> bool:
    return grad is None or (grad.layout == torch.strided and grad.shape == param.shape and reading.within_storage(grad))


@torch.no_grad()
def make(
    rule: type[Rule],
    groups: Sequence[Group],
    states: WatchedState,
    switches: tuple[Switches, ...],
) -> Plan:
    """Sort the parameters that have, or have had, gradients into launches, creating the state that is missing."""
    everyone = [(p, i) for i, group in enumerate(groups) for p in group["params"]]
    called = names(groups)
    sets: dict[tuple[Any, ...], list[int]] = {}
    settings = [{**surface.numbers(rule, group), **surface.switches(rule, group)} for group in groups]
    created: list[torch.Tensor] = []
    reasons: list[str] = []
    later: list[torch.Tensor] = []
    turns = reading.turns([param for param, _ in everyone])
    away: list[torch.Tensor] = []
    for k, (param, i) in enumerate(everyone):
        if param.grad is None and not reading.within_storage(param):
            away.append(param)  # its memory is elsewhere for the time being, and nothing is asked of it
            continue
        if param.grad is None and not states.has(param):
            later.append(param)
            continue
        reading.refuse(param, called[k])
        if not states.has(param):
            created.append(param)
        operands = state.prepare(rule, settings[i], param, states.own(param))
        types = reading.kernel_types(param, operands)
        chosen = types if isinstance(types, tuple) else None
        if isinstance(types, str):
            reasons.append(types)
        sets.setdefault((switches[i], chosen, turns[k]), []).append(k)
    ordered = sorted(sets.items(), key=lambda entry: entry[0][2])
    kernels = [everyone[k][0] for (_, types, _), places in ordered for k in places if types]
    lists = [group["params"] for group in groups]
    memory = Memory(lists, kernels, [p for p in later if reading.plain(p)])
    planned, at = [], 0
    for (chosen, types, _), places in ordered:
        grads_at = memory.grads_at[at : at + len(places)]
        planned.append(_planned(rule, everyone, settings, states, chosen, types, places, grads_at))
        at += len(places) if types else 0
    others = [everyone[k][0] for (_, types, _), places in ordered for k in places if not types]
    slower = sum(p.numel() for p in others) > sum(p.numel() for p in kernels)
    if slower and available() and not _len_torch_dispatch_stack():  # else it is said already, or nothing is computed
        _warn_of_plain_operations(reasons[0])
    waiting = [*away, *(p for p in later if not reading.plain(p))]
    memory.serve([tensor for each in planned for tensor in each.kept])
    few = sum(p.numel() for p in kernels) <= LOCKED_UP_TO
    direct = memory.native and few and not others and not waiting
    return Plan(tuple(planned), memory, others, waiting, switches, states, states.own_list(), created, direct)


@cache  # said once of a reason
def _warn_of_plain_operations(reason: str) -> None:
    warnings.warn(
        "most weights are updated by plain torch operations, one parameter at a time, since of the first "
        f"{reason}: right, and many times slower than a kernel. On a GPU torch's own fused optimizer is faster; "
        "optimizer.explain() says who serves whom",
        PlainOperationsWarning,
        stacklevel=2,
    )


def _planned(
    rule: type[Rule],
    everyone: Sequence[tuple[torch.Tensor, int]],
    settings: Sequence[Mapping[str, Any]],
    states: WatchedState,
    switches: Switches,
    types: tuple[tuple[str, str], ...] | None,
    places: list[int],
    grads_at: NDArray[np.int64],
) -> Planned:
    params = [everyone[k][0] for k in places]
    mine = [states.own(p) for p in params]
    used = sorted({everyone[k][1] for k in places})
    group_of = np.array([used.index(everyone[k][1]) for k in places], np.int64)
    values = settings[used[0]]
    keys = {name: declared.key for name, declared in live_states(rule, values).items()}
    members = Members(places, params, mine, keys, used, group_of)
    launch: KernelLaunch | TorchLaunch
    if types:
        launch = KernelLaunch(
            passes(rule, switches, types),
            lambda: passes(rule, (*switches, ("measured", True)), types).update,
            members,
            grads_at,
        )
    else:
        plain = {name: on for name, on in switches if name not in values or name in surface.switches(rule, values)}
        launch = TorchLaunch(rule, plain, members)
    scalars = {
        name: Kept(mine, name, np.float64) for name, scalar in parts(rule, Scalar).items() if scalar.scope == "tensor"
    }
    counts = Counts(Kept(mine, "step", np.float32), asked=counts_steps(rule, switches))
    return Planned(launch, members, counts, scalars, scalars_of(rule, switches))


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
