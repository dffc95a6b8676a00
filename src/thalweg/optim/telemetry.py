"""The norms that people log, added up by the kernels on their way and put together only when they are read."""

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from .launch import MEASURED, Launch, Measured
from .plan import names
from .settings import Group, How


@dataclass(frozen=True)
class Norms:
    """What a measured step was like for some weights.

    ``gradient``   the norm of the gradient as it was before any clipping, its scale taken out;
    ``weight``     the norm of the weights before the step;
    ``step``       the norm of the whole step, decay included, before the weights are rounded;
    ``relative``   step / weight; nan where all weights are 0;
    ``clipped``    the share of the steps so far in which the gradient was clipped by its norm;
    ``nonfinite``  in how many steps, measured or stopped by ``nonfinite=``, the gradient held nan or infinity.
    """

    gradient: float
    weight: float
    step: float
    clipped: float
    nonfinite: int

    @property
    def relative(self) -> float:
        """The step against the weight."""
        return self.step / self.weight if self.weight else math.nan

    def __repr__(self) -> str:
        said = dict(zip(_COLUMNS, self._cells(), strict=True))
        return f"Norms({', '.join(f'{name}={value}' for name, value in said.items())})"

    def _cells(self) -> list[str]:
        norms = (f"{norm:.4g}" for norm in (self.gradient, self.weight, self.step, self.relative))
        return [*norms, f"{self.clipped:.2g}", str(self.nonfinite)]


# So many steps a device may be behind before it is waited for, to know what they were like.
_UNREAD = 64
_COLUMNS = ("gradient", "weight", "step", "relative", "clipped", "nonfinite")


class Telemetry:
    """Measures every so many steps; made by `Optimizer.watch`. Shows itself as a table, a row a group."""

    def __init__(self, groups: list[Group], every: int) -> None:
        self.groups, self.every = groups, every
        self._steps = 0
        self._last: list[tuple[Sequence[torch.Tensor], Measured, list[int]]] = []
        self._clipped: dict[torch.Tensor, int] = {}
        self._clipped_all = 0
        self._nonfinite: dict[torch.Tensor, int] = {}
        self._unread: deque[Callable[[], None]] = deque()
        """What steps were like, of which a device may not have told yet."""
        self.measured_step = 0
        """The last step that was measured, counted from 1 since `Optimizer.watch` was called."""

    def __repr__(self) -> str:
        if not self.measured_step:
            return "no step has been measured yet"
        rows = dict(self.read("group")) if len(self.groups) > 1 else {}
        lines = [("", *_COLUMNS), *((name, *norms._cells()) for name, norms in {**rows, **self.read()}.items())]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        table = "\n".join(
            f"{name:{widths[0]}}" + "".join(f"  {cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True))
            for name, *cells in lines
        )
        return f"norms of step {self.measured_step} since watch(); one in {self.every} is measured\n{table}"

    @property
    def due(self) -> bool:
        """Whether the step at hand is to be measured: the first is, then every so many."""
        return self._steps % self.every == 0

    def read(self, by: Literal["all", "group", "tensor"] = "all") -> Mapping[str, Norms]:
        """The norms of the last measured step, by name: of ``"all"``, of each ``"group"``, or of each ``"tensor"``.

        Empty before the first step. Parameters that had no gradient in that step are left out.
        """
        if by not in ("all", "group", "tensor"):
            raise ValueError(f"by must be 'all', 'group' or 'tensor', got {by!r}")
        self._catch_up()
        members: dict[str, list[torch.Tensor]] = {}
        called = iter(names(self.groups, quote=str))
        for i, group in enumerate(self.groups):
            for param in group["params"]:
                name = next(called)
                key = "all" if by == "all" else name if by == "tensor" else _called(group, i, self.groups)
                members.setdefault(key, []).append(param)
        squares = self._squares()
        found = {}
        for name, params in members.items():
            present = [p for p in params if p in squares]
            if present:
                totals = np.sum([squares[p] for p in present], axis=0)
                gradient, weight, step = (math.sqrt(total) if total >= 0 else math.nan for total in totals)
                found[name] = Norms(gradient, weight, step, self._share(present), self._count(present))
        return found

    def _note_clips(self, launches: Sequence[Launch], how: How) -> None:
        """Take note of what the gradients have been multiplied by."""
        if how.clip_norm is not None and not how.apart and launches:
            self._unread.append(partial(self._note_clip, launches[0].clip_scales()))
        for x in launches if how.apart else ():
            self._unread.append(partial(self._note_clip, x.clip_scales(), x.members.params))

    def _note_clip(self, scales: Callable[[], NDArray[np.float64]], params: Sequence[torch.Tensor] = ()) -> None:
        """``params``: those that were clipped each by itself; none where all were together."""
        if not params:
            self._clipped_all += bool(scales()[0] < 1)
            return
        for i in np.flatnonzero(scales() < 1).tolist():
            self._clipped[params[i]] = self._clipped.get(params[i], 0) + 1

    def _note_nonfinite(self, params: Sequence[torch.Tensor], norms: Measured, present: Sequence[int]) -> None:
        if not norms.finite:
            gradients = norms.by_tensor()["gradient"]
            self.nonfinite([params[i] for i in present if not np.isfinite(gradients[i])])

    def _catch_up(self, all_but: int = 0) -> None:
        """Take note of what has been left unread; a device is waited for only where it has not come so far."""
        while len(self._unread) > all_but:
            self._unread.popleft()()

    def nonfinite(self, params: Sequence[torch.Tensor]) -> None:
        """Take note of parameters whose gradient is not finite."""
        for param in params:
            self._nonfinite[param] = self._nonfinite.get(param, 0) + 1

    def taken(self, launches: Sequence[Launch], how: How, measured: bool) -> None:
        """A step has been taken, and measured or not."""
        self._steps += 1
        self._note_clips(launches, how)
        self._catch_up(all_but=_UNREAD)
        if not measured:
            return
        self.measured_step = self._steps
        self._last = []
        for planned in launches:
            here = planned.counts.present
            present = list(range(len(planned.members.params))) if here is None else np.flatnonzero(here).tolist()
            norms = planned.measured()
            self._unread.append(partial(self._note_nonfinite, planned.members.params, norms, present))
            self._last.append((planned.members.params, norms, present))

    def _squares(self) -> dict[torch.Tensor, NDArray[np.float64]]:
        found: dict[torch.Tensor, NDArray[np.float64]] = {}
        for params, norms, present in self._last:
            sums = norms.by_tensor()
            found |= {params[i]: np.array([sums[name][i] for name in MEASURED]) for i in present}
        return found

    def _share(self, params: Sequence[torch.Tensor]) -> float:
        # A tensor clipped by the norm of all is clipped with all.
        own = max((self._clipped.get(p, 0) for p in params), default=0)
        return (self._clipped_all + own) / self._steps if self._steps else 0.0

    def _count(self, params: Sequence[torch.Tensor]) -> int:
        return max((self._nonfinite.get(p, 0) for p in params), default=0)


def _called(group: Group, place: int, groups: Sequence[Group]) -> str:
    """A group's own name, if it has one that no other has."""
    name = group.get("name")
    alone = name is not None and sum(other.get("name") == name for other in groups) == 1
    return str(name) if alone else f"group {place}"
