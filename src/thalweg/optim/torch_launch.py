"""Parameters that have to be updated by themselves: the same formulas, on plain torch operations."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from thalweg.formula import Rule, Sum, compose
from thalweg.formula.geometry import matrices, summed
from thalweg.formula.rule import by_lines, of_matrices, parts
from thalweg.formula.stages import staged

from .launch import MEASURED, Call, Launch, Measured, Members, Runs, added
from .products import element_type
from .settings import Switches
from .sharded import sharded_as, whole


class TorchLaunch(Launch):
    """Parameters that neither kernels serve nor a `FlatLaunch`: subclasses; by rows, columns or matrices, whatever no
    kernel serves. Same formulas, one at a time."""

    def __init__(self, rule: type[Rule], switches: Switches, members: Members, plain: Mapping[str, bool]) -> None:
        """``plain``: the switches that formulas ask for."""
        super().__init__(rule, switches, members)
        self._plain, self.params, self._keys = plain, members.params, members.keys
        self.grads: list[torch.Tensor | None] = []
        """This step's gradients."""
        self._by_lines = by_lines(rule)
        self._lines: list[dict[str, torch.Tensor]] = [{} for _ in self.params]
        """This step's totals by row and by column, and those of tensors that need not be known here, by parameter."""
        self._staged: dict[int, dict[str, torch.Tensor]] = {}
        """What matrices have become in this step, for the step to ask for."""
        shapes = [[state[key].shape for key in members.keys.values()] for state in members.states]
        self._shapes = shapes
        self._measured = Measured((), lambda: np.zeros((0, 0)), np.zeros(0, np.int64), len(self.params))

    def take(self) -> None:
        self.grads = [p.grad for p in self.params]
        self.counts.take(np.array([g is not None for g in self.grads]))

    def point_at_weights(self) -> None:
        pass  # it has no addresses

    def _make_room(self) -> None:
        pass  # it reads the numbers as they are

    def adopt(self, states: Callable[[torch.Tensor], dict[str, Any]]) -> bool:
        for i, param in enumerate(self.params):
            state = states(param)
            self.members.states[i] = state
            shapes = zip(self._keys.values(), self._shapes[i], strict=True)
            if not all(key in state and state[key].shape == shape for key, shape in shapes):
                return False
        return self._adopt_numbers()

    def norm(self, limited: bool) -> Sequence[Runs]:
        return (Call(partial(self._norm, limited)),)

    @torch.no_grad()
    def _norm(self, limited: bool) -> None:
        # In float64, as in the kernels: no gradient is so large or small that its square is lost.
        found = self.squares(limited)
        found[:] = 0
        for i, grad in self._present():
            values = {**self.numbers.of(i), "g": grad.double(), **({} if limited else {"clip_value": math.inf})}
            found[0, i] = added(compose.limited_norm_totals(values)["squares"])

    def enter(self) -> Sequence[Runs]:
        return (Call(self._enter),) if of_matrices(self.rule) else ()

    @torch.no_grad()
    def _enter(self) -> None:
        for i, grad in self._present():
            values = self._values(i, grad)
            # Under torch.autocast products would be in its element type.
            with np.errstate(all="ignore"), torch._C._DisableAutocast():
                cast = partial(_as, element_type(self.params[i], str(values["products"])))
                found = staged(self.rule, values, cast, whole)
            # A formula may hand on what it was given (older = previous): copied before anything is written.
            found = {name: x.clone() for name, x in found.items()}
            for name in found.keys() & self._keys.keys():
                kept = self._state(i, self._keys[name])
                kept.copy_(sharded_as(found[name], kept))
            handed = {name: x.to(values["w"].dtype) for name, x in found.items() if name not in self._keys}
            self._staged[i] = {name: sharded_as(x, values["w"]) for name, x in handed.items()}

    def total(self, stage: int) -> Sequence[Runs]:
        return (Call(partial(self._total, stage)),)

    @torch.no_grad()
    def _total(self, stage: int) -> None:
        totals = self.sums(stage)
        for total in totals.values():
            total[:] = 0
        for i, grad in self._present():
            with np.errstate(all="ignore"):
                terms = compose.layer_totals(self.rule, self._values(i, grad), self.stages[stage])
            for name, each in terms.items():
                if not self._by_lines:
                    totals[name][i] = _total(each, grad)
                elif name in totals and not self._stays(name, grad):
                    totals[name][i] = added(_of_weights(each, grad))
                elif name in totals:
                    self._lines[i][name] = _of_weights(each, grad).double().sum()
                else:
                    self._lines[i][name] = _by_line(_of_weights(each, grad), self.line_sums[name])

    def _stays(self, name: str, grad: torch.Tensor) -> bool:
        """Whether a total, of one tensor, is left on its device as a tensor: else the host waits for each."""
        of_tensor = parts(self.rule, Sum)[name].scope == "tensor"
        return of_tensor and not self._scalars and type(grad) in (torch.Tensor, torch.nn.Parameter)

    def update(self, again: bool, measured: bool) -> Sequence[Runs]:
        return (Call(partial(self._update, measured)),)

    @torch.no_grad()
    def _update(self, measured: bool) -> None:
        norms = np.zeros((len(self.params), len(MEASURED)))
        for i, grad in self._present():
            values = self._values(i, grad)
            read = {id(value) for value in values.values() if isinstance(value, torch.Tensor)}
            with np.errstate(all="ignore"):
                found = compose.updated(self.rule, values)
                if measured:
                    squares = compose.measured(self.rule, values)
                    if self._by_lines:  # a step may be the same in a whole row
                        squares = {name: _of_weights(each, grad) for name, each in squares.items()}
                    norms[i] = [_total(squares[name], grad) for name in MEASURED]
            # A formula may hand on what it was given (previous = w): copied before anything is written.
            found = {n: value.clone() if id(value) in read else value for n, value in found.items()}
            if found.pop("g", None) is not None:
                grad.zero_()  # also where one number stands for all, which nothing could be copied into
            targets = {"w": self.params[i], **{name: self._state(i, key) for name, key in self._keys.items()}}
            if self._by_lines:
                targets = {name: matrices(target) for name, target in targets.items()}
            for name, value in found.items():  # a default device is not the weight's
                made = isinstance(value, torch.Tensor)
                targets[name].copy_(value if made else torch.as_tensor(value, device="cpu"))
        self._measured = Measured(MEASURED, lambda: norms, np.arange(len(self.params)), len(self.params))
        self._staged.clear()

    def measured(self) -> Measured:
        return self._measured

    def _state(self, i: int, key: str) -> torch.Tensor:
        kept: torch.Tensor = self.members.states[i][key]
        return kept

    def _present(self) -> list[tuple[int, torch.Tensor]]:
        return [(i, grad) for i, grad in enumerate(self.grads) if grad is not None]

    def _values(self, i: int, grad: torch.Tensor) -> dict[str, Any]:
        param = self.params[i]
        tensors = {"w": param, "g": grad, **{n: self._state(i, key) for n, key in self._keys.items()}}
        # As in the kernels: half precision is computed in float32 and rounded once, when it is stored.
        exact = any(t.dtype == torch.float64 for t in tensors.values())
        dtype = torch.float64 if exact else torch.float32
        # NumPy's floats follow IEEE 754 where Python's raise.
        numbers = {name: np.float64(number) for name, number in self.numbers.of(i).items()}
        values = {**numbers, **self._plain, **{name: tensor.to(dtype) for name, tensor in tensors.items()}}
        if self._by_lines:
            values |= {name: matrices(values[name]) for name in tensors} | self._lines[i]
        return {**values, **self._staged.get(i, {})}


def _as(kind: torch.dtype, matrix: torch.Tensor) -> torch.Tensor:
    return matrix.to(kind)


def _total(each: Any, like: torch.Tensor) -> float:
    """The sum over all weights of what each adds; a plain number is what every weight adds."""
    return added(each) if isinstance(each, torch.Tensor) else float(each) * like.numel()


def _of_weights(each: Any, like: torch.Tensor) -> torch.Tensor:
    """What each weight adds, of matrices: it may be the same for all, or for those of a row or column."""
    shape: tuple[int, ...] = matrices(like).shape
    return torch.as_tensor(each, device=like.device).expand(shape)


def _by_line(terms: torch.Tensor, scope: str) -> torch.Tensor:
    """The sum by row or column of what each weight adds, taken in float64."""
    total: torch.Tensor = summed(terms.double(), scope)
    return total.to(torch.promote_types(terms.dtype, torch.float32))
