"""A step on a GPU that waits for nothing: what follows from sums is worked out there, between the passes.

    AdamW               update
    clipped by norm     norm, between (the clip's scale, rows of coefficients), update
    LAMB, guarded       norm, between, total (of its layer), between, update

The host makes the rows of a pass where it knows all that they depend on when the step begins. It does not where there
have been sums; and nowhere where a step may be left out without its knowing, since then it does not know the step's
number either: it counts on, and ``extra``, on the device, is what its counts are short of (`settled`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, Protocol

import numpy as np
import torch

from thalweg.formula import Due, Rule, Scalar, State, Sum
from thalweg.formula.kernel import CompiledPass
from thalweg.formula.rule import by_lines, inner, of_matrices, parts
from thalweg.formula.triton_between import ROWS, Between, Total
from thalweg.formula.triton_kernel import DeviceKernel, between_kernel

from .device_task import HostRows
from .devices import Device
from .kernel_launch import KernelLaunch
from .launch import Call, Launch, Runs
from .settings import How
from .signals import Signals


@dataclass(frozen=True, eq=False)
class Ahead:
    """How a step is taken without waiting.

    ``signals``    of the step at hand, the same object in all steps; ``signalled``, whether there are any.
    ``behind``     whether the host's step counts may be short of what the device has done.
    ``fresh``      whether states have been made for this step, which are dropped if it is left out.
    ``counted``    whether the host has to know how many steps have been taken; ``watched``, what each was like.
    """

    signals: Signals
    signalled: bool = False
    counted: bool = False
    watched: bool = False
    behind: bool = False
    fresh: bool = False

    @cached_property
    def key(self) -> tuple[bool, ...]:
        """What decides which parts the step has."""
        return self.signalled, self.counted, self.watched, self.behind, self.fresh

    def unknown(self, how: How) -> bool:
        """Whether the host does not know the step's numbers."""
        return how.guarded or self.signalled or self.behind


class Launched(Protocol):
    """What is asked of a launch to know whether a step waits."""

    @property
    def rule(self) -> type[Rule]: ...
    @property
    def device(self) -> Device | None: ...
    @property
    def stages(self) -> Sequence[int]: ...


def waits(launches: Sequence[Launched], how: How, ahead: Ahead) -> str | None:
    """Why a step has to wait for the device, in words; None if it need not."""
    if not launches:
        return "there is nothing to do"
    first = launches[0].device
    if any(x.device is None for x in launches):
        return "not all parameters are updated by kernels of a GPU"
    if any(x.device is not first for x in launches):
        return "not all parameters are on one GPU"
    if how.nonfinite == "raise":
        return "nonfinite='raise' has to know of nan and infinity before it goes on"
    unknown = ahead.unknown(how)
    if unknown and ahead.fresh:
        return "its states are made now, and dropped if it is left out"
    if unknown and how.clear:
        return "gradients are cleared, also in a step that is left out"
    if unknown and ahead.counted:
        return "a schedule, or a window of weights, has to know which steps are taken"
    for x in launches:
        if parts(x.rule, Scalar) and (unknown or x.stages):
            return f"{inner(x.rule).__name__} keeps numbers that follow from sums, or from steps that may be left out"
        if by_lines(x.rule) and any(total.scope == "all" for total in parts(x.rule, Sum).values()):
            return f"what {inner(x.rule).__name__} adds up over all parameters is put together by the host"
        if unknown and of_matrices(x.rule) and (parts(x.rule, Due) or _keeps(x.rule)):
            return f"{inner(x.rule).__name__} keeps what products of matrices make, by steps that may be left out"
    return None


def _keeps(rule: type[Rule]) -> bool:
    """Whether a rule's products make next states: torch's functions do not know that a step is left out."""
    return not parts(rule, State).keys().isdisjoint(rule.formulas["matrix"].returned)


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
        self._one = torch.ones_like(self._go)
        self._stop = device.zeros((1,), torch.float32) if self.unknown else self._go
        self._of = {x: _OnDevice(x, device, measured) for x in launches}
        self.parts: list[Runs] = []
        self._began: set[Launch] = set()
        self._joined: dict[Launch, _Sums] = {}
        self.clip = (np.inf, 0.0)
        """The limit of the norm that has been added up last, and what is added to it."""
        self._plan(launches)

    def _plan(self, launches: Sequence[KernelLaunch]) -> None:
        how = self.how
        if how.guarded:
            self._norm(
                launches, limited=False, clips=how.clip_norm is not None and not any(x.limited for x in launches)
            )
        if how.clip_norm is not None and (not how.guarded or any(x.limited for x in launches)):
            self._norm(launches, limited=any(x.limited for x in launches), clips=True)
        for x in launches:
            before, walk, after = x.entering()
            if walk is not None:
                self.parts += before
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
            counted = (self._of[x].settled.extra, 0.0) if self.unknown else ()
            # The rows of all are made first: then the step is counted, on which they may depend.
            taken: list[Runs] = []
            for walk in x.moving(self.measured):
                if walk.totals:
                    norms = self._room([x], tuple(Total(name, k, True) for k, name in enumerate(walk.totals)))
                    taken.append(self._walk(x, walk, norms.there, counted))
                    taken.append(Call(partial(self._fetch, x, "measured", norms.there)))
                else:
                    moves = walk.kernel is not None and bool(walk.kernel.writes)
                    taken.append(self._walk(x, walk, self._of[x].nothing, counted if moves else ()))
            self.parts += taken
            if self.ahead.watched and how.clip_norm is not None:
                self.parts.append(Call(partial(self._fetch_scales, x)))
            self.parts.append(x.advance())
            if self.unknown:
                self.parts.append(Call(partial(_part, x)))

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
        go: bool = False,
    ) -> Call:  # fmt: skip
        """A pass, to be taken after the parts that make its rows, which are added now."""
        on = self._of[x]
        stop = self._go if go else self._stop
        joined = self._joined.pop(x, None)
        known = joined is None and x not in self._began and not self.unknown
        bare = joined is None and not walk.width and (go or not self.unknown or x in self._began)
        on.tables.expect(walk, bare or (known and len(x.numbers.values) == 1), bool(counted))
        if bare:  # and who sets `stop` has done so
            return Call(lambda: on.tables.walk(walk, sums, stop, (), counted))
        if known:
            rows = HostRows(walk, x.tiles, x.claims, x.numbers, self.device)
            # There may be more rows than when this was planned.
            self.parts += (Call(rows.fit), *rows.parts(1)[:-1])
            return Call(lambda: on.tables.walk(walk, sums, stop, rows.given, counted))
        made = self._between(x, walk, joined)
        self.parts.append(made)
        return Call(lambda: on.tables.walk(walk, sums, stop, (made.rows,), counted))

    def _between(self, x: KernelLaunch, walk: CompiledPass, joined: "_Sums | None") -> "_Between":
        first = x not in self._began
        self._began.add(x)
        return _Between(self, x, walk, joined, first)


class _OnDevice:
    """A launch's memory on the device for steps of one kind."""

    def __init__(self, x: KernelLaunch, device: Device, measured: bool) -> None:
        self.tables = x.tables(measured)
        self.settled = x.settled
        self.numbers = device.table((x.numbers.capacity, len(x.numbers.names)), torch.float64)
        self.nothing = device.zeros((max(len(x.tiles), 1), 1), torch.float64)


class _Between:
    """One small kernel: totals become numbers, and numbers the rows of the next pass."""

    def __init__(
        self, step: DeviceStep, x: KernelLaunch, walk: CompiledPass, joined: _Sums | None, first: bool
    ) -> None:
        assert walk.kernel is not None
        self._step, self._x, self._first = step, x, first
        on = self._on = step._of[x]
        totals = () if joined is None else joined.totals
        self._apart = any(total.by_tensor for total in totals)
        guards = joined is not None and joined.guard
        width = 1 if joined is None else joined.there.shape[1]
        self._what = Between(x.numbers.names, totals, width, self._apart, first and step.unknown, guards)
        self._walk, self._coefficients = walk, walk.kernel.coefficients
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
        self._some = next((i for i, p in enumerate(x.members.params) if p.numel()), 0)
        step.device.expect(self._kernel())

    @property
    def _by_tensor(self) -> bool:
        return self._apart or self._x.separate

    def _kernel(self) -> DeviceKernel:
        return between_kernel(replace(self._what, apart=self._by_tensor), self._coefficients, self._walk.real)

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
            if on.numbers.there.shape[0] != count:
                on.numbers = step.device.table((count, len(x.numbers.names)), torch.float64)
            on.numbers.put(x.numbers.values)
            self._rates(on.numbers.there)
            on.settled.due = on.settled.due or step.unknown
        signals = step.ahead.signals
        found = step._go if signals.found is None else signals.found
        scale = step._one if signals.scale is None else signals.scale
        programs = count if self._by_tensor else -(-count // ROWS)
        # Of an empty tensor no program takes note; where one row is for all, any other's is all's.
        some = 0 if self._by_tensor else self._some
        step.device.launch(
            self._kernel(), programs,
            (on.numbers.there, count, self.rows, self._sums, self._tiles, self._first_tile, *self._limit,
             on.settled.extra[some:], found, scale, step._stop, on.settled.left_out),
        )  # fmt: skip


def _part(x: KernelLaunch) -> None:
    """Where a gradient was absent, counts may differ from now on as only the device knows."""
    if x.counts.present is not None:
        x.part()


def device_parts(launches: Sequence[Launch], how: How, measured: bool, ahead: Ahead) -> list[Runs]:
    """The parts of a step that does not wait; `waits` has said that there is one."""
    return DeviceStep([x for x in launches if isinstance(x, KernelLaunch)], how, measured, ahead).parts
