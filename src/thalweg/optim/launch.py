"""Parameters that are updated together: by kernels, or by torch operations, all at once or one by one."""

import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch._C import _len_torch_dispatch_stack

from thalweg.formula import Rule, Scalar, Sum, compose
from thalweg.formula.kernel import counts_steps, scalars_of
from thalweg.formula.numbers import Numbers
from thalweg.formula.rule import layers, parts

from .counts import Counts
from .devices import Device
from .kept import Kept
from .settings import Group, GroupNumbers, How, Switches

MEASURED = ("gradient", "weight", "step")

Totals = Any
"""Shape (totals, tensors): what a pass added up, by tensor; 0 for one without a gradient. An array, float64; of a
launch that computes on a device of its own a tensor there."""


@dataclass(frozen=True, eq=False)
class Members:
    """The parameters of a launch.

    ``places``    their places among all parameters, in the order of the groups.
    ``keys``      the state's key for each of the rule's states that exists.
    ``groups``    the parameter groups they come from; ``group_of``, int64 (parameters,): which of these, for each.
    ``alike``     all parameter groups of the same rule, which keep in common what the rule keeps for all.
    """

    places: list[int]
    params: list[torch.Tensor]
    states: list[dict[str, Any]]
    keys: Mapping[str, str]
    groups: list[int]
    group_of: NDArray[np.int64]
    alike: list[int]


class Runs(Protocol):
    """A part of a step, in machine code (`Part`) or not."""

    def run(self) -> None: ...


@dataclass(frozen=True, eq=False)
class Call:
    """A part of a step in Python."""

    function: Callable[[], None]

    def run(self) -> None:
        self.function()


@dataclass(frozen=True, eq=False)
class Measured:
    """Squared norms by tile of memory: put together by tensor only if somebody asks."""

    totals: tuple[str, ...]
    fetched: Callable[[], NDArray[np.float64]]
    """One row a tile, one column a total; of a GPU whoever calls this waits for it."""
    tensors: NDArray[np.int64]
    """The tensor of each tile."""
    count: int

    @property
    def finite(self) -> bool:
        """Whether no norm is nan or infinite."""
        return bool(np.isfinite(self.fetched()).all())

    def by_tensor(self) -> Mapping[str, NDArray[np.float64]]:
        """The totals of each tensor."""
        found, sums = {}, self.fetched()
        for i, total in enumerate(self.totals):
            found[total] = np.zeros(self.count)
            # Tiles are added in their order, whichever thread computed them.
            np.add.at(found[total], self.tensors, sums[:, i])
        return found


class Launch(ABC):
    """A rule with its switches, and the parameters it updates: their states, step counts, scalars and numbers.

    A step asks it for parts, pass by pass; `fill` first. Sums come as `Totals` in memory of its own, and nothing that
    lasts is written before the parts of `update` run; but of a rule of matrices those of `enter` write what `enter` and
    `matrix` return as next states.
    """

    def __init__(self, rule: type[Rule], switches: Switches, members: Members) -> None:
        self.rule, self.members = rule, members
        self.device: Device | None = None
        """What runs its passes, if that is not the processor."""
        self.separate = False
        """Whether every tensor needs a row of its own, since their step counts may differ as only the device knows."""
        self.by_tensor = False
        """Whether every tensor has one."""
        self._scalars = parts(rule, Scalar)
        self.shares = any(scalar.scope != "tensor" for scalar in self._scalars.values())
        """Whether scalars are kept for several parameters."""
        self.moved = False
        """Whether groups have been given other scalars, which the next step's numbers have to say."""
        self.switches = switches
        self._unknown = False
        self.owners: Sequence[Group] = ()
        """All parameter groups, which have what is kept for a group, or for all; of launches on a device."""
        scalars = {name for name, scalar in self._scalars.items() if scalar.scope == "tensor"}
        self.scalars = {name: Kept(members.states, name, np.float64) for name in scalars}
        self.counts = Counts(Kept(members.states, "step", np.float32), asked=counts_steps(rule, switches))
        self.stages = compose.summing(rule)
        """The layers of the rule that take sums, each of which is a pass."""
        self.line_sums = compose.line_sums(rule)
        """The totals by row and by column, which are no numbers of a tensor."""
        self.numbers = Numbers(compose.number_names(rule), len(members.params))
        self.limited = False
        """Whether any row clips the gradient by value."""
        self._next_scalars = scalars_of(rule, switches)
        # Whether each tensor needs a row, since what is computed between the passes, or kept, is its own.
        by_tensor = any(total.scope != "all" for total in parts(rule, Sum).values())
        self._apart = by_tensor or bool(scalars) or bool(compose.own_numbers(rule))
        asked = [compose.of_parameter(rule, p.shape, torch.finfo(p.dtype).eps) for p in members.params]
        self._own = {name: np.array([of[name] for of in asked]) for name in compose.own_numbers(rule)}
        """What formulas ask of the parameters themselves, each of shape (tensors,)."""
        given = [n for n in self.numbers.names if n not in {"t", *scalars, *parts(rule, Sum), *self._own}]
        self._given = operator.itemgetter(*given)
        self._places = [self.numbers.place[name] for name in given]
        self._totals: dict[str, Totals] = {}
        self._filled: tuple[object, object] = (None, None)
        self._adopted = False

    # What a step needs before its passes, and does after them.

    def fill(self, groups: Sequence[GroupNumbers], how: How, unknown: bool = False) -> None:
        """The numbers of the step that is about to be taken: of all ``groups``, those of its own.

        ``unknown``  whether only a device knows how many steps have been taken, and the scalars: none of the numbers.
        """
        counts = self.counts
        self._unknown = unknown
        if unknown and (counts.asked or self._scalars) and not self.separate:
            # In a replayed step whoever has a gradient counts on, whatever others do meanwhile.
            even = not how.capturable and not self._scalars and self.even
            self.separate, self._filled = not even, self._filled if even else (None, None)
        same = self._filled[0] is groups and self._filled[1] is how and (unknown or not self.scalars)
        if same and (unknown or not counts.asked or counts.unchanged()):  # `advance` has counted on
            return
        self._filled = groups, how
        capacity = self.numbers.capacity
        self.by_tensor = how.apart or self._apart or self.separate
        self._lay([groups[i] for i in self.members.groups], self.by_tensor)
        if self.numbers.capacity > capacity:
            self._make_room()
        self.limited = bool(np.isfinite(self.numbers.column("clip_value")).any())

    @property
    def even(self) -> bool:
        """Whether all have a gradient, and have had as many."""
        counts = self.counts
        return counts.present is None and (counts.unchanged() or counts.even())

    def _lay(self, groups: Sequence[GroupNumbers], apart: bool) -> None:
        numbers, group_of = self.numbers, self.members.group_of
        taken = self.counts.steps if self.counts.asked else np.zeros(1, np.float32)
        given = np.array(list(map(self._given, groups)))
        self.group = np.arange(len(groups))
        """The group, of the launch's own, that each row belongs to."""
        if apart:
            numbers.lay(len(group_of), np.arange(len(group_of)))
            self.group = group_of
        elif not self.counts.asked or self.counts.even():
            numbers.lay(len(groups), group_of)
            taken = taken[0]
        else:
            keys, row_of = np.unique(np.stack([group_of, taken.astype(np.int64)]), axis=1, return_inverse=True)
            numbers.lay(keys.shape[1], row_of.reshape(-1))
            self.group, taken = keys
        numbers.values[:, self._places] = given[self.group]
        scalars = {name: kept.read() for name, kept in self.scalars.items()}
        numbers.put({"t": np.asarray(taken, np.float64) + 1, **scalars, **self._own})

    @abstractmethod
    def _make_room(self) -> None:
        """There may be more rows than before."""

    def taken(self, groups: Sequence[Group]) -> None:
        """A step has been taken, and counted: store the scalars' next values, in tensors' memory or in the groups."""
        if not self._scalars or self._unknown:
            return
        present = self.counts.present
        values = self._next_scalars(self._before())
        for (name, scalar), value in zip(self._scalars.items(), values, strict=True):
            if scalar.scope == "tensor":
                self.scalars[name].write(np.broadcast_to(value, len(self.members.params)), present)
                continue
            for place, i in enumerate(self.members.groups):
                last = self._last(value, None if scalar.scope == "all" else place)
                for k in (self.members.alike if scalar.scope == "all" else [i]) if last is not None else ():
                    groups[k][name] = last

    def _before(self) -> dict[str, NDArray[np.float64]]:
        """The numbers of the step that has just been counted."""
        columns = self.numbers.columns()
        return {**columns, "t": columns["t"] - 1}

    def _last(self, value: Any, group: int | None) -> float | None:
        """One group's entry of a value that may differ by row, or any group's: that of the furthest step.

        Only rows of tensors with a gradient count; None if there is no such row.
        """
        present = self.counts.present
        rows = self.numbers.row_of if present is None else self.numbers.row_of[present]
        rows = rows if group is None else rows[self.group[rows] == group]
        if not len(rows):
            return None
        steps = self.numbers.column("t")
        return float(np.broadcast_to(value, len(steps))[rows[np.argmax(steps[rows])]])

    def advance(self) -> Runs:
        """One more step for those who take part."""
        return Call(self._advance)

    def _advance(self) -> None:
        self.counts.advance()
        self.numbers.column("t")[:] += 1

    def totals_of(self, walk: str, count: int = 1) -> Totals:
        """Where the sums of a pass are put."""
        return self._totals.setdefault(walk, np.zeros((count, len(self.members.params))))

    def squares(self, limited: bool) -> Totals:
        """What `norm` has added up, shape (1, tensors)."""
        return self.totals_of("limited norm" if limited else "norm")

    def sums(self, stage: int) -> Mapping[str, Totals]:
        """Where the totals of a layer are, each of shape (tensors,), but for those by row and column.

        ``stage`` counts the layers that have any.
        """
        returned = layers(self.rule)[self.stages[stage]]["sums"].returned
        names = [name for name in returned if name not in self.line_sums]
        return dict(zip(names, self.totals_of(f"sums {stage}", len(names)), strict=True))

    def clip_scales(self) -> Callable[[], NDArray[np.float64]]:
        """What the clip by norm has multiplied gradients by, shape (tensors,); calling it may wait for a device."""
        scales = self.numbers.by_tensor("clip_scale")
        return lambda: scales

    def adopted(self) -> bool:
        """Whether tensors have been adopted since this was last asked."""
        adopted, self._adopted = self._adopted, False
        return adopted

    def _adopt_numbers(self) -> bool:
        """Adopt step counts and scalars that have been replaced; False if that cannot be done one by one."""
        for key, kept in self.numbers_kept.items():
            before = [*kept.tensors]
            if not kept.adopt(self.members.states, key):
                return False
            self._adopted |= not all(map(operator.is_, before, kept.tensors))
        return True

    def enter(self) -> Sequence[Runs]:
        """Before all else that writes: what a rule of matrices computes for its step. Of other rules nothing."""
        return ()

    @property
    def numbers_kept(self) -> Mapping[str, Kept]:
        """The numbers that states keep, by their keys."""
        return {"step": self.counts.kept, **self.scalars}

    @property
    def behind(self) -> bool:
        """Whether a device may have taken steps that are not counted here."""
        return False

    @property
    def rewritten(self) -> bool:
        """Whether step counts are others than when a device and this last agreed."""
        return False

    def settle(self) -> int:
        """Count the steps that only a device knows of, and wait for that; how many more were left out."""
        return 0

    # What the two kinds do in their own ways.

    @property
    def threads(self) -> int:
        """How many threads a pass is worth."""
        return 1

    @property
    def weights(self) -> int:
        """How many weights kernels walk over in a pass."""
        return 0

    @property
    def kept(self) -> list[torch.Tensor]:
        """The tensors, other than weights and gradients, whose addresses a step uses."""
        return [t for kept in self.numbers_kept.values() for t in kept.tensors]

    @abstractmethod
    def take(self) -> None:
        """See which parameters have a gradient now."""

    @abstractmethod
    def adopt(self, states: Callable[[torch.Tensor], dict[str, Any]]) -> bool:
        """Adopt states that have been replaced; False if what is there now does not fit this launch."""

    @abstractmethod
    def point_at_weights(self) -> None:
        """Weights have other memory."""

    @abstractmethod
    def norm(self, limited: bool) -> Sequence[Runs]:
        """Add up the squares of each parameter's gradient, unscaled, after the clip by value if ``limited``."""

    @abstractmethod
    def total(self, stage: int) -> Sequence[Runs]:
        """Add up a layer's own totals; see `sums`."""

    @abstractmethod
    def update(self, again: bool, measured: bool) -> Sequence[Runs]:
        """Move the weights. ``again``: the gradients have just been read; ``measured``: add up norms on the way."""

    @abstractmethod
    def measured(self) -> Measured:
        """What the last update, a measured one, added up on its way."""


def added(tensor: torch.Tensor) -> float:
    """The sum of all elements, in float64; of a sharded tensor (DTensor), over all ranks; nan where it is pretended."""
    total = tensor.double().sum()
    if _len_torch_dispatch_stack():
        from torch._subclasses.fake_tensor import FakeTensor

        if isinstance(total, FakeTensor):
            return math.nan
    return float(total.full_tensor() if hasattr(total, "full_tensor") else total)
