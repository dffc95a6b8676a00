"""A step on a GPU that waits for nothing: what follows from sums is worked out there, between the passes.

    AdamW               update
    clipped by norm     norm, between (the clip's scale, rows of coefficients), update
    LAMB, guarded       norm, between, total (of its layer), between, update

The host makes the rows of a pass where it knows all that they depend on when the step begins. It does not where there
have been sums; and nowhere where a step may be left out without its knowing, since then it does not know the step's
number either: the device counts (`settled`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from thalweg.formula import Sum
from thalweg.formula.kernel import CompiledPass
from thalweg.formula.rule import by_lines, parts
from thalweg.formula.triton_between import ROWS, Between, Total
from thalweg.formula.triton_kernel import between_kernel

from .ahead import Ahead
from .device_task import HostRows
from .devices import Device
from .kernel_launch import KernelLaunch
from .launch import Call, Launch, Runs
from .settings import How


@dataclass(eq=False)
class _Sums:
    """What a pass has added up: of several launches, one after the other, float64 (tiles, totals).

    ``begins``  where each launch's tiles begin.
    """

    there: torch.Tensor
    begins: Mapping[Launch, int]
    totals: tuple[Total, ...]
    guard: bool = False

    def of(self, x: KernelLaunch) -> torch.Tensor:
        begin = self.begins[x]
        return self.there[begin : begin + max(len(x.tiles), 1)]


class DeviceStep:
    """A step of launches on one device, as parts; its tables are its own."""

    def __init__(self, launches: Sequence[KernelLaunch], how: How, measured: bool, ahead: Ahead) -> None:
        self.how, self.measured, self.ahead = how, measured, ahead
        device = launches[0].device
        assert device is not None
        self.device = device
        self.unknown = ahead.unknown(how)
        self._go = device.zeros((1,), torch.float32)
        self._one = device.zeros((1,), torch.float32).fill_(1.0)
        self._stop = device.zeros((1,), torch.float32) if self.unknown else self._go
        self._of = {x: _OnDevice(x, device, measured, how.capturable) for x in launches}
        self.parts: list[Runs] = []
        self._began: set[Launch] = set()
        self._joined: dict[Launch, _Sums] = {}
        self.clip = (np.inf, 0.0)
        """The limit of the norm that has been added up last, and what is added to it."""
        self._plan(launches)

    def _plan(self, launches: Sequence[KernelLaunch]) -> None:
        how = self.how
        if self.unknown:
            self.parts += [Call(x.leave_counting) for x in launches]
        entering = [x.entering() for x in launches]
        # What comes before a pass says where it is to look, and addresses are sent with the first of all passes.
        self.parts += [part for before, _, _ in entering for part in before]
        if how.guarded:
            self._norm(
                launches, limited=False, clips=how.clip_norm is not None and not any(x.limited for x in launches)
            )
        if how.clip_norm is not None and (not how.guarded or any(x.limited for x in launches)):
            self._norm(launches, limited=any(x.limited for x in launches), clips=True)
        for x, (_, walk, after) in zip(launches, entering, strict=True):
            if walk is not None:
                self.parts.append(self._walk(x, walk, self._of[x].nothing))
                self.parts += after
        for stage in range(max(len(x.stages) for x in launches)):
            staged = [x for x in launches if len(x.stages) > stage]
            found: dict[Launch, _Sums] = {}
            for rule in dict.fromkeys(x.rule for x in staged):
                own = [x for x in staged if x.rule is rule]
                # What is by row or column is added up earlier than its layer says, where it may be: by launch.
                for some in [[x] for x in own] if by_lines(rule) else [own]:
                    found |= self._totals(some, stage)
            self._joined |= found
        for x in launches:
            counted = (x.settled.counts.there,) if self.unknown else ()
            # The rows of all are made first: then the step is counted, on which they may depend.
            taken: list[Runs] = []
            walks = x.moving(self.measured)
            for walk in walks:
                last = walk is walks[-1]
                if walk.totals:
                    norms = self._room([x], tuple(Total(name, k, True) for k, name in enumerate(walk.totals)))
                    taken.append(self._walk(x, walk, norms.there, counted, last=last))
                    taken.append(Call(partial(self._fetch, x, "measured", norms.there)))
                else:
                    moves = walk.kernel is not None and bool(walk.kernel.writes)
                    taken.append(self._walk(x, walk, self._of[x].nothing, counted if moves else (), last=last))
            self.parts += taken
            if self.ahead.watched and how.clip_norm is not None:
                self.parts.append(Call(partial(self._fetch_scales, x)))
            self.parts.append(Call(x.settled.give) if self.unknown else x.advance())

    def _totals(self, launches: Sequence[KernelLaunch], stage: int) -> Mapping[Launch, _Sums]:
        """The passes of a layer's totals, of launches of one rule that take the same: where each finds them."""
        rule, walks = launches[0].rule, {x: x.summing(stage) for x in launches}
        last = next((own[-1] for own in walks.values() if own), None)
        names = () if last is None else last.totals
        scopes = {name: of.scope for name, of in parts(rule, Sum).items()}
        totals = tuple(
            Total(name, k, scopes[name] == "tensor")
            for k, name in enumerate(names)
            if scopes[name] in ("tensor", "all")
        )
        sums = self._room(launches, totals, len(names))
        for x in launches:
            for walk in walks[x]:
                self.parts.append(self._walk(x, walk, sums.of(x)))
        return dict.fromkeys(launches, sums) if totals else {}

    def _fetch(self, x: KernelLaunch, name: str, what: torch.Tensor) -> None:
        x.fetched[name] = self.device.fetch(what)

    def _fetch_scales(self, x: KernelLaunch) -> None:
        self._fetch(x, "clip_scale", self._of[x].numbers.there[:, x.numbers.place["clip_scale"]].contiguous())

    def _norm(self, launches: Sequence[KernelLaunch], limited: bool, clips: bool) -> None:
        total = Total("clip_scale", 0, by_tensor=self.how.apart, clip=True, raw=not limited)
        sums = self._room(launches, (total,))
        sums.guard = self.how.guarded and not limited
        self.clip = (self.how.clip_norm if clips and self.how.clip_norm else np.inf, self.how.clip_eps)
        for x in launches:
            walk = x.passes.limited_norm if limited else x.passes.norm
            self.parts.append(self._walk(x, walk, sums.of(x), go=True))
        self._joined = dict.fromkeys(launches, sums)

    def _room(
        self, launches: Sequence[KernelLaunch], totals: tuple[Total, ...], width: int | None = None
    ) -> _Sums:  # fmt: skip
        """Room for what tiles add up; ``width``: of so many totals, if not all of them are numbers."""
        counts = [max(len(x.tiles), 1) for x in launches]
        begins = np.cumsum([0, *counts]).tolist()
        there = self.device.zeros((begins[-1], max(len(totals) if width is None else width, 1)), torch.float64)
        return _Sums(there, dict(zip(launches, begins, strict=False)), totals)

    def _walk(
        self, x: KernelLaunch, walk: CompiledPass, sums: torch.Tensor, counted: tuple[Any, ...] = (),
        go: bool = False, last: bool = False,
    ) -> Call:  # fmt: skip
        """A pass, to be taken after the parts that make its rows, which are added now."""
        on = self._of[x]
        stop = self._go if go else self._stop
        joined = self._joined.pop(x, None)
        known = joined is None and x not in self._began and not self.unknown
        scalars = last and self.unknown and bool(x.next_scalars)
        bare = joined is None and not walk.width and not scalars and (go or not self.unknown or x in self._began)
        on.tables.expect(walk, bare or (known and len(x.numbers.values) == 1), bool(counted))
        if bare:  # and who sets `stop` has done so
            return Call(lambda: on.tables.walk(walk, sums, stop, (), counted))
        if known:
            rows = HostRows(walk, x.tiles, x.claims, x.numbers, self.device)
            # There may be more rows than when this was planned.
            self.parts += (Call(rows.fit), *rows.parts(1)[:-1])
            return Call(lambda: on.tables.walk(walk, sums, stop, rows.given, counted))
        made = self._between(x, walk, joined, scalars)
        self.parts.append(made)
        return Call(lambda: on.tables.walk(walk, sums, stop, (made.rows,), counted))

    def _between(self, x: KernelLaunch, walk: CompiledPass, joined: "_Sums | None", last: bool) -> "_Between":
        first = x not in self._began
        self._began.add(x)
        return _Between(self, x, walk, joined, first, last)


class _OnDevice:
    """A launch's memory on the device for steps of one kind."""

    def __init__(self, x: KernelLaunch, device: Device, measured: bool, recordable: bool) -> None:
        self.tables = x.tables(measured, recordable)
        self._table = partial(device.table, dtype=torch.float64, recordable=recordable)
        self.numbers = self._table(x.numbers.values.shape)
        self._sent = np.zeros((0, 0))
        self.nothing = device.zeros((max(len(x.tiles), 1), 1), torch.float64)

    def send(self, values: NDArray[np.float64]) -> None:
        """Have the step's numbers there; what kernels have put beside them they put there anew."""
        if np.array_equal(values, self._sent):
            return
        if self.numbers.there.shape != values.shape:
            self.numbers = self._table(values.shape)
        self.numbers.put(values)
        self._sent = values.copy()


class _Between:
    """One small kernel: totals become numbers, and numbers the rows of the next pass."""

    def __init__(
        self, step: DeviceStep, x: KernelLaunch, walk: CompiledPass, joined: _Sums | None, first: bool, last: bool
    ) -> None:
        """``last``  whether the next scalars follow."""
        assert walk.kernel is not None
        self._step, self._x, self._first, self._last = step, x, first, last
        on = self._on = step._of[x]
        totals = () if joined is None else joined.totals
        self._apart = any(total.by_tensor for total in totals)
        guards = joined is not None and joined.guard
        width, unknown = 1 if joined is None else joined.there.shape[1], step.unknown
        scalars = x.next_scalars if unknown else {}
        what = Between(
            x.numbers.names, totals, width, self._apart, first and unknown, guards, unknown, (*scalars,),
            (*scalars.values(),) if last else (), x.common_scalars if unknown else frozenset(),
        )  # fmt: skip
        self._kernel = between_kernel(what, walk.kernel.coefficients, walk.real)
        self.rows = step.device.zeros((x.numbers.capacity, max(walk.width, 1)), getattr(torch, walk.real))
        self._sums = on.nothing if joined is None else joined.there
        self._tiles = 0 if joined is None else len(joined.there)
        self._first_tile = on.nothing
        if joined is not None:
            counts = np.bincount(x.tiles[:, 0], minlength=len(x.members.params))
            table = step.device.table((len(counts) + 1,), torch.int64)
            table.put(joined.begins[x] + np.cumsum([0, *counts]))
            self._first_tile = table.there
        self._limit = step.clip
        step.device.expect(self._kernel)

    @torch.no_grad()
    def _rates(self, numbers: torch.Tensor) -> None:
        """Put what follows from learning rates on the device in the rows of their groups."""
        x, rates = self._x, self._step.ahead.signals.rates
        for place, i in enumerate(x.members.groups):
            for name, value in rates.get(i, {}).items():
                if not isinstance(value, torch.Tensor):  # L2 asks for no rate
                    continue
                # Rows of a group lie side by side, since parameters do.
                rows = np.flatnonzero(x.group == place)
                for some in np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1):
                    if len(some):
                        column = x.numbers.place[name]
                        numbers[some[0] : some[-1] + 1, column].copy_(value, non_blocking=True)

    def run(self) -> None:
        step, x, on = self._step, self._x, self._on
        count = len(x.numbers.values)
        if count > len(self.rows):
            self.rows = step.device.zeros((x.numbers.capacity, self.rows.shape[1]), self.rows.dtype)
        if self._first:
            on.send(x.numbers.values)
            self._rates(on.numbers.there)
        signals = step.ahead.signals
        found = step._go if signals.found is None else signals.found
        scale = step._one if signals.scale is None else signals.scale
        kept, grads = x.settled, on.tables.grads if self._last else on.nothing
        step.device.launch(
            self._kernel, count if self._apart else -(-count // ROWS),
            (on.numbers.there, count, self.rows, self._sums, self._tiles, self._first_tile, *self._limit,
             kept.counts.there, int(x.by_tensor), kept.scalars.there, on.tables.tensors, grads, found, scale,
             step._stop, kept.left_out.there),
        )  # fmt: skip


def device_parts(launches: Sequence[Launch], how: How, measured: bool, ahead: Ahead) -> list[Runs]:
    """The parts of a step that does not wait; `waits` has said that there is one."""
    return DeviceStep([x for x in launches if isinstance(x, KernelLaunch)], how, measured, ahead).parts
