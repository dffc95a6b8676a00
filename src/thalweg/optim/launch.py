"""Parameters that one kernel call updates together, and the others, which the `torch` reader updates one by one."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from thalweg.formula import Rule, Sum, compose
from thalweg.formula.kernel import CompiledPass, Passes, Task
from thalweg.formula.rule import parts
from thalweg.formula.team import SERIAL_BELOW

from .layout import layout
from .numbers import Rows


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
    """What a step asks of a set of parameters, pass by pass. Nothing is written before `update`."""

    def gather(self, grads: list[torch.Tensor], seen: bool) -> bool:
        """Take this step's gradients; False if parameters or states are no longer where they were planned.

        ``seen`` says that somebody had access to the states, so they have to be asked too.
        """

    def squares(self, rows: Rows, limited: bool) -> NDArray[np.float64]:
        """The sum of the squares of each parameter's gradient, after the clip by value if ``limited``."""

    def totals(self, rows: Rows) -> dict[str, NDArray[np.float64]]:
        """The rule's own totals, by parameter."""

    def update(self, rows: Rows, again: bool) -> None:
        """Move the weights. ``again`` says that the gradients have just been read."""


class KernelLaunch:
    """Dense parameters on the CPU that share element types and switches."""

    def __init__(self, passes: Passes, members: Members) -> None:
        params, states, keys = members.params, members.states, members.keys
        self.passes, self.params, self.states, self._keys = passes, params, states, keys
        self._bytes = [p.nbytes for p in params]
        self._plain = all(p.is_contiguous() for p in params)
        self._strides = [p.stride() for p in params]
        self._weights_at = addresses(params)
        self._states_at = {name: addresses([s[key] for s in states]) for name, key in keys.items()}
        # Memory that is held cannot be freed and handed out again, so an address that has not changed is still ours.
        self._held = [t.untyped_storage() for t in (*params, *(s[key] for s in states for key in keys.values()))]
        self._grads: list[torch.Tensor] = []
        self._cut = layout([p.numel() for p in params])
        self._tasks: dict[str, Task] = {}
        self._ready: set[str] = set()

    def gather(self, grads: list[torch.Tensor], seen: bool) -> bool:
        self._ready.clear()
        if addresses(self.params) != self._weights_at:
            return False
        try:
            for name, key in self._keys.items() if seen else ():
                if addresses([s[key] for s in self.states]) != self._states_at[name]:
                    return False
            sizes = [g.nbytes for g in grads]
        except (AttributeError, KeyError, RuntimeError, TypeError):
            # A gradient is None or sparse that was not before, a state is gone.
            return False
        if sizes != self._bytes:
            return False
        if not self._plain or not all(map(torch.Tensor.is_contiguous, grads)):
            if [p.stride() for p in self.params] != self._strides:  # transposed in place
                return False
            # The kernel walks weight and gradient side by side: one in another layout is copied into the weight's.
            grads = [
                g if g.stride() == p.stride() else torch.empty_like(p).copy_(g.detach())
                for g, p in zip(grads, self.params, strict=True)
            ]
        self._grads = grads  # keeps the copies alive until the next step
        self._grads_at = addresses(grads)
        return True

    def squares(self, rows: Rows, limited: bool) -> NDArray[np.float64]:
        if limited:
            return self._summed("limited norm", self.passes.limited_norm, rows)["squares"]
        squares: NDArray[np.float64] = self._summed("norm", self.passes.norm, rows)["squares"]
        scale = np.asarray(rows.by_tensor("unscale"), np.float64)
        return np.asarray(squares * scale**2, np.float64)

    def totals(self, rows: Rows) -> dict[str, NDArray[np.float64]]:
        assert self.passes.sums is not None
        return self._summed("sums", self.passes.sums, rows)

    def update(self, rows: Rows, again: bool) -> None:
        task = self._task("update again" if again else "update", self.passes.update, again)
        rows.put(task)
        task.run(self._threads())

    def _summed(self, name: str, walk: CompiledPass, rows: Rows) -> dict[str, NDArray[np.float64]]:
        task = self._task(name, walk)
        rows.put(task)
        task.run(self._threads())
        found = {}
        for i, total in enumerate(walk.totals):
            by_tensor = np.zeros(len(self.params))
            # Pieces are added in their order, whichever thread computed them.
            np.add.at(by_tensor, task.pieces[:, 0], task.sums[:, i])
            found[total] = by_tensor
        return found

    def _threads(self) -> int:
        return torch.get_num_threads() if self._cut.weights >= SERIAL_BELOW else 1

    def _task(self, name: str, walk: CompiledPass, backwards: bool = False) -> Task:
        """The pass's task block with this step's addresses."""
        if name not in self._tasks:
            claims = self._cut.backwards if backwards else self._cut.claims
            task = Task(walk, self._cut.pieces, claims, len(self.params))
            for row, operand in enumerate(walk.operands):
                if operand != "g":
                    task.addresses[row] = self._weights_at if operand == "w" else self._states_at[operand]
            self._tasks[name] = task
        task = self._tasks[name]
        if name not in self._ready:
            if "g" in walk.operands:
                task.addresses[walk.operands.index("g")] = self._grads_at
            self._ready.add(name)
        return task


def addresses(tensors: list[torch.Tensor]) -> list[int]:
    # On 500 parameters this line is a tenth of a step: a map over the method is the fastest way Python has.
    return list(map(torch.Tensor.data_ptr, tensors))


class TorchLaunch:
    """Parameters no kernel serves: other devices, half precision, memory with gaps. Same formulas, one at a time."""

    def __init__(self, rule: type[Rule], switches: Mapping[str, bool], members: Members) -> None:
        self.rule, self.switches = rule, switches
        self.params, self.states, self._keys = members.params, members.states, members.keys
        self._grads: list[torch.Tensor] = []

    def gather(self, grads: list[torch.Tensor], seen: bool) -> bool:
        if any(g is None or g.layout != torch.strided for g in grads):
            return False
        self._grads = grads
        return not seen or all(
            key in s and s[key].shape == p.shape
            for s, p in zip(self.states, self.params, strict=True)
            for key in self._keys.values()
        )

    @torch.no_grad()
    def squares(self, rows: Rows, limited: bool) -> NDArray[np.float64]:
        # In float64, as in the kernels: no gradient is so large or small that its square is lost.
        found = []
        for i, grad in enumerate(self._grads):
            values = {**rows.of(i), "g": grad.double(), **({} if limited else {"clip_value": math.inf})}
            found.append(float(compose.limited_norm_totals(values)["squares"].sum()))
        return np.array(found)

    @torch.no_grad()
    def totals(self, rows: Rows) -> dict[str, NDArray[np.float64]]:
        with np.errstate(all="ignore"):
            found = [compose.rule_totals(self.rule, self._values(i, rows)) for i in range(len(self.params))]
        return {name: np.array([float(f[name].double().sum()) for f in found]) for name in parts(self.rule, Sum)}

    @torch.no_grad()
    def update(self, rows: Rows, again: bool) -> None:
        for i, (param, state) in enumerate(zip(self.params, self.states, strict=True)):
            values = self._values(i, rows)
            read = {id(value) for value in values.values() if isinstance(value, torch.Tensor)}
            with np.errstate(all="ignore"):
                found = compose.updated(self.rule, values)
            # A formula may hand on what it was given (previous = w): copied before anything is written.
            found = {n: value.clone() if id(value) in read else value for n, value in found.items()}
            for name, value in found.items():
                (param if name == "w" else state[self._keys[name]]).copy_(torch.as_tensor(value))

    def _values(self, i: int, rows: Rows) -> dict[str, Any]:
        param = self.params[i]
        # Half precision is computed in float32 and rounded once, when it is stored.
        dtype = torch.float32 if param.dtype in (torch.float16, torch.bfloat16) else param.dtype
        tensors = {"w": param, "g": self._grads[i], **{n: self.states[i][key] for n, key in self._keys.items()}}
        # NumPy's floats follow IEEE 754 where Python's raise.
        numbers = {name: np.float64(number) for name, number in rows.of(i).items()}
        return {**numbers, **self.switches, **{name: tensor.to(dtype) for name, tensor in tensors.items()}}
