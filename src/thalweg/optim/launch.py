"""Parameters that one kernel call updates together, and the others, which the `torch` reader updates one by one."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch._C import _len_torch_dispatch_stack

from thalweg.formula import Rule, compose
from thalweg.formula.kernel import CompiledPass, Passes, Task
from thalweg.formula.rule import layers
from thalweg.formula.team import SERIAL_BELOW, usable

from .layout import layout
from .numbers import Rows

MEASURED = ("gradient", "weight", "step")

Sums = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class Members:
    """The parameters of a launch.

    ``places``    their places among all parameters, in the order of the groups.
    ``keys``      the state's key for each of the rule's states that exists.
    ``groups``    the parameter groups they come from; ``group_of`` says for each which of these.
    """

    places: list[int]
    params: list[torch.Tensor]
    states: list[dict[str, Any]]
    keys: Mapping[str, str]
    groups: list[int]
    group_of: NDArray[np.int64]


class Launch(Protocol):
    """What a step asks of a set of parameters, pass by pass. Nothing is written before `update`.

    Sums come as one number for each parameter, 0 for one without a gradient.
    """

    def squares(self, rows: Rows, limited: bool) -> NDArray[np.float64]:
        """The sum of the squares of each parameter's gradient, after the clip by value if ``limited``."""

    def totals(self, rows: Rows, stage: int) -> Sums:
        """A layer's own totals; ``stage`` counts the layers that have any."""

    def update(self, rows: Rows, again: bool, measured: bool) -> None:
        """Move the weights. ``again``: the gradients have just been read; ``measured``: add up norms on the way."""

    def measured(self) -> "Measured":
        """What the last update, a measured one, added up on its way."""


@dataclass(frozen=True, eq=False)
class Measured:
    """Squared norms by piece of memory: put together by tensor only if somebody asks."""

    totals: tuple[str, ...]
    sums: NDArray[np.float64]
    """One row a piece, one column a total."""
    tensors: NDArray[np.int64]
    """The tensor of each piece."""
    count: int

    @property
    def finite(self) -> bool:
        """Whether no norm is nan or infinite."""
        return bool(np.isfinite(self.sums).all())

    def by_tensor(self) -> Sums:
        """The totals of each tensor."""
        found = {}
        for i, total in enumerate(self.totals):
            found[total] = np.zeros(self.count)
            # Pieces are added in their order, whichever thread computed them.
            np.add.at(found[total], self.tensors, self.sums[:, i])
        return found


class KernelLaunch:
    """Parameters on the CPU, in memory without gaps, that share element types and switches."""

    def __init__(
        self, passes: Passes, measuring: Callable[[], CompiledPass], members: Members, grads_at: NDArray[np.int64]
    ) -> None:
        """``measuring`` makes the update pass that adds up norms.

        ``grads_at``: the addresses of this step's gradients, kept up to date from outside; 0 where there is none.
        """
        self._measuring = measuring
        params, states = members.params, members.states
        self.passes, self._keys = passes, members.keys
        self._states_kept = [[s[key] for s in states] for key in members.keys.values()]
        self._columns = {"w": column(params), "g": grads_at}
        self._columns |= {name: column(kept) for name, kept in zip(members.keys, self._states_kept, strict=True)}
        self._strides = [p.stride() for p in params]
        self._cut = layout([p.numel() for p in params])
        self._tasks: dict[str, Task] = {}

    @property
    def kept(self) -> list[torch.Tensor]:
        """The states' tensors, whose addresses the kernels use."""
        return [t for kept in self._states_kept for t in kept]

    def in_place(self, states: Sequence[dict[str, Any]]) -> bool:
        """Whether the states are still the tensors that were planned, laid out as they were."""
        return all(
            tensor.stride() == stride and state.get(key) is tensor
            for key, kept in zip(self._keys.values(), self._states_kept, strict=True)
            for state, tensor, stride in zip(states, kept, self._strides, strict=True)
        )

    def squares(self, rows: Rows, limited: bool) -> NDArray[np.float64]:
        if limited:
            return self._summed("limited norm", self.passes.limited_norm, rows)["squares"]
        squares = self._summed("norm", self.passes.norm, rows)["squares"]
        scale = np.asarray(rows.by_tensor("unscale"), np.float64)
        return np.asarray(squares * scale**2, np.float64)

    def totals(self, rows: Rows, stage: int) -> Sums:
        return self._summed(f"sums {stage}", self.passes.sums[stage], rows)

    def update(self, rows: Rows, again: bool, measured: bool) -> None:
        self.ready(rows, measured, again).run(self.threads)

    def ready(self, rows: Rows, measured: bool, again: bool = False) -> Task:
        """The task of an update, with its numbers, for `Memory.run`."""
        name = f"update {again} {measured}"
        if name in self._tasks:
            task = self._tasks[name]
        else:
            task = self._task(name, self._measuring() if measured else self.passes.update, again)
        rows.put(task)
        self._last = task
        return task

    def measured(self) -> Measured:
        return self._measured(self._last)

    @property
    def threads(self) -> int:
        """How many threads a pass is worth."""
        return usable(torch.get_num_threads()) if self._cut.weights >= SERIAL_BELOW else 1

    @property
    def weights(self) -> int:
        """How many weights it updates."""
        return self._cut.weights

    def _summed(self, name: str, walk: CompiledPass, rows: Rows) -> Sums:
        task = self._task(name, walk)
        rows.put(task)
        task.run(self.threads)
        return self._measured(task).by_tensor()

    def _measured(self, task: Task) -> Measured:
        return Measured(task.walk.totals, task.sums.copy(), task.pieces[:, 0], len(self._columns["w"]))

    def _task(self, name: str, walk: CompiledPass, backwards: bool = False) -> Task:
        if name not in self._tasks:
            claims = self._cut.backwards if backwards else self._cut.claims
            self._tasks[name] = Task(walk, self._cut.pieces, claims, self._columns)
        return self._tasks[name]


def addresses(tensors: Sequence[torch.Tensor]) -> list[int]:
    """Where tensors' memory starts."""
    # A map over the method is the fastest way Python has.
    return list(map(torch.Tensor.data_ptr, tensors))


def column(tensors: Sequence[torch.Tensor]) -> NDArray[np.int64]:
    """The addresses as a kernel reads them."""
    return np.array(addresses(tensors), np.int64)


class TorchLaunch:
    """Parameters no kernel serves: other devices, memory with gaps, subclasses. Same formulas, one at a time."""

    def __init__(self, rule: type[Rule], switches: Mapping[str, bool], members: Members) -> None:
        self.rule, self.switches = rule, switches
        self.params, self.states, self._keys = members.params, members.states, members.keys
        self._stages = compose.summing(rule)
        self.grads: list[torch.Tensor | None] = []
        """This step's gradients, set from outside."""
        self._measured = Measured((), np.zeros((0, 0)), np.zeros(0, np.int64), len(self.params))

    def in_place(self, states: Sequence[Mapping[str, Any]]) -> bool:
        """Whether the states are there and fit."""
        pairs = zip(states, self.params, strict=True)
        return all(key in s and s[key].shape == p.shape for s, p in pairs for key in self._keys.values())

    @torch.no_grad()
    def squares(self, rows: Rows, limited: bool) -> NDArray[np.float64]:
        # In float64, as in the kernels: no gradient is so large or small that its square is lost.
        found = np.zeros(len(self.params))
        for i, grad in self._present():
            values = {**rows.of(i), "g": grad.double(), **({} if limited else {"clip_value": math.inf})}
            found[i] = added(compose.limited_norm_totals(values)["squares"])
        return found

    @torch.no_grad()
    def totals(self, rows: Rows, stage: int) -> Sums:
        found: dict[str, NDArray[np.float64]] = {}
        for i, grad in self._present():
            with np.errstate(all="ignore"):
                added = compose.layer_totals(self.rule, self._values(i, grad, rows), self._stages[stage])
            for name, each in added.items():
                found.setdefault(name, np.zeros(len(self.params)))[i] = _total(each, grad)
        names = layers(self.rule)[self._stages[stage]]["sums"].returned
        return {name: found.get(name, np.zeros(len(self.params))) for name in names}

    @torch.no_grad()
    def update(self, rows: Rows, again: bool, measured: bool) -> None:
        norms = np.zeros((len(self.params), len(MEASURED)))
        for i, grad in self._present():
            values = self._values(i, grad, rows)
            read = {id(value) for value in values.values() if isinstance(value, torch.Tensor)}
            with np.errstate(all="ignore"):
                found = compose.updated(self.rule, values)
                if measured:
                    squares = compose.measured(self.rule, values)
                    norms[i] = [_total(squares[name], grad) for name in MEASURED]
            # A formula may hand on what it was given (previous = w): copied before anything is written.
            found = {n: value.clone() if id(value) in read else value for n, value in found.items()}
            if found.pop("g", None) is not None:
                grad.zero_()  # also where one number stands for all, which nothing could be copied into
            targets = {"w": self.params[i], **{name: self.states[i][key] for name, key in self._keys.items()}}
            for name, value in found.items():
                targets[name].copy_(torch.as_tensor(value))
        self._measured = Measured(MEASURED, norms, np.arange(len(self.params)), len(self.params))

    def measured(self) -> Measured:
        return self._measured

    def _present(self) -> list[tuple[int, torch.Tensor]]:
        return [(i, grad) for i, grad in enumerate(self.grads) if grad is not None]

    def _values(self, i: int, grad: torch.Tensor, rows: Rows) -> dict[str, Any]:
        param = self.params[i]
        tensors = {"w": param, "g": grad, **{n: self.states[i][key] for n, key in self._keys.items()}}
        # As in the kernels: half precision is computed in float32 and rounded once, when it is stored.
        exact = any(t.dtype == torch.float64 for t in tensors.values())
        dtype = torch.float64 if exact else torch.float32
        # NumPy's floats follow IEEE 754 where Python's raise.
        numbers = {name: np.float64(number) for name, number in rows.of(i).items()}
        return {**numbers, **self.switches, **{name: tensor.to(dtype) for name, tensor in tensors.items()}}


def _total(each: Any, like: torch.Tensor) -> float:
    """The sum over all weights of what each adds; a plain number is what every weight adds."""
    return added(each) if isinstance(each, torch.Tensor) else float(each) * like.numel()


def added(tensor: torch.Tensor) -> float:
    """The sum of all elements, in float64; of a sharded tensor (DTensor), over all ranks; nan where it is pretended."""
    total = tensor.double().sum()
    if _len_torch_dispatch_stack():
        from torch._subclasses.fake_tensor import FakeTensor

        if isinstance(total, FakeTensor):
            return math.nan
    return float(total.full_tensor() if hasattr(total, "full_tensor") else total)
