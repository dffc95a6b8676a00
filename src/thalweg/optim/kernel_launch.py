"""Parameters that are updated together by kernels, on the processor or on a GPU."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from thalweg.formula import Rule, between
from thalweg.formula.expression import Expression
from thalweg.formula.kernel import CompiledPass, Passes, Task, next_scalars
from thalweg.formula.team import SERIAL_BELOW, usable
from thalweg.formula.triton import TILE

from .device_task import DeviceTask, Tables
from .devices import Device
from .driver import ABSENT
from .launch import Call, Launch, Measured, Members, Runs
from .layout import even_layout, layout
from .reading import plain, within_storage
from .settings import Switches
from .settled import Known, Settled, differs

Values = NDArray[np.float64]


class KernelLaunch(Launch):
    """Parameters in one place, in memory without gaps, that share element types and switches."""

    def __init__(
        self, rule: type[Rule], switches: Switches, members: Members, walks: Callable[[Switches], Any],
        grads_at: NDArray[np.int64], found: NDArray[np.int64], device: Device | None = None,
    ) -> None:  # fmt: skip
        """``walks`` makes the rule's `Passes` over the members' element types, under given switches.

        ``grads_at``: the addresses of this step's gradients, kept up to date from outside; 0 where there is none.
        ``found``: what is found of each parameter, likewise. ``device`` runs the passes; None: the processor does.
        """
        super().__init__(rule, switches, members)
        self.passes: Passes = walks(switches)
        self._found = found
        self._measuring: Callable[[], CompiledPass] = cache(lambda: walks((*switches, ("measured", True))).update)
        params = members.params
        self._states_kept = {name: [s[key] for s in members.states] for name, key in members.keys.items()}
        self.columns = {"w": column(params), "g": grads_at}
        self.columns |= {name: column(kept) for name, kept in self._states_kept.items()}
        self._strides = {name: [t.stride() for t in kept] for name, kept in self._states_kept.items()}
        sizes = [p.numel() for p in params]
        self._empty = [i for i, size in enumerate(sizes) if not size]
        self._cut = layout(sizes) if device is None else even_layout(sizes, TILE)
        self.device = device
        if device is not None:
            self.settled = Settled.of(device, len(params), len(self._scalars))
        self.fetched: dict[str, Callable[[], NDArray[Any]]] = {}
        """Of the last step, what is on its way from the device: the sums of a measured update, the clip's scales."""
        self._tasks: dict[str, Task] = {}

    @property
    def kept(self) -> list[torch.Tensor]:
        states = (t for kept in self._states_kept.values() for t in kept)
        return [*(t for kept in self.numbers_kept.values() for t in kept.tensors), *states]

    def take(self) -> None:
        self.counts.take(self._found != ABSENT)

    def point_at_weights(self) -> None:
        self.columns["w"][:] = column(self.members.params)

    def adopt(self, states: Callable[[torch.Tensor], dict[str, Any]]) -> bool:
        for i, param in enumerate(self.members.params):
            state = states(param)
            self.members.states[i] = state
            for name, key in self.members.keys.items():
                now, planned, strides = state.get(key), self._states_kept[name][i], self._strides[name][i]
                if now is planned and now.stride() == strides:
                    continue
                # Of a recorded step a graph writes to the old one, which is kept for it.
                if now is None or self._replayed or not _alike(now, planned, strides):
                    return False
                self._states_kept[name][i] = now
                self.columns[name][i] = now.data_ptr()
                self._adopted = True
        return self._adopt_numbers()

    def norm(self, limited: bool) -> Sequence[Runs]:
        walk = self.passes.limited_norm if limited else self.passes.norm
        return self._added("limited norm" if limited else "norm", walk, raw=not limited)

    def total(self, stage: int) -> Sequence[Runs]:
        walk = self.passes.sums[stage]
        return self._added(f"sums {stage}", walk, raw=False) if walk.totals else ()

    def _added(self, name: str, walk: CompiledPass, raw: bool) -> Sequence[Runs]:
        task, totals = self._task(name, walk), self.totals_of(name, len(walk.totals))
        return *self.walked(task), between.gather(task.sums, task.tiles, totals, self.numbers, raw)

    def update(self, again: bool, measured: bool) -> Sequence[Runs]:
        if measured:
            return self.walked(self._measuring_task)
        return self.walked(self._task(f"update {again}", self.passes.update, backwards=again))

    def walked(self, task: Task) -> Sequence[Runs]:
        """What takes a pass: rows are made, and its kernel walks over memory."""
        made = task.parts(self.threads)
        return (*made[:-1], Call(task.walk_over)) if isinstance(task, DeviceTask) else made

    @property
    def _measuring_task(self) -> Task:
        return self._task("measured update", self._measuring())

    def advance(self) -> Runs:
        memory = self.counts.kept.memory
        return super().advance() if memory is None else between.advance(memory, self._found, ABSENT, self.numbers)

    def measured(self) -> Measured:
        fetched = self.fetched.pop("measured", None)
        if fetched is None:
            sums = self._measuring_task.sums.copy()
            fetched = lambda: sums  # noqa: E731
        return Measured(self._measuring().totals, fetched, self.tiles[:, 0], len(self.members.params))

    @property
    def measuring(self) -> CompiledPass:
        """The update that adds up norms on its way."""
        return self._measuring()

    def clip_scales(self) -> Callable[[], NDArray[np.float64]]:
        fetched = self.fetched.pop("clip_scale", None)
        if fetched is None:
            return super().clip_scales()
        row_of = self.numbers.row_of.copy()
        return lambda: fetched()[row_of]

    @property
    def threads(self) -> int:
        if self.device is not None:
            return 1
        return usable(torch.get_num_threads()) if self._cut.weights >= SERIAL_BELOW else 1

    @property
    def weights(self) -> int:
        return self._cut.weights

    def _make_room(self) -> None:
        for task in self._tasks.values():
            task.fit()

    def _task(self, name: str, walk: CompiledPass, backwards: bool = False) -> Task:
        if name not in self._tasks:
            claims = self._cut.backwards if backwards else self._cut.claims
            if self.device is None:
                self._tasks[name] = Task(walk, self._cut.tiles, claims, self.columns, self.numbers)
            else:
                self._tasks[name] = DeviceTask(walk, self._cut.tiles, claims, self._tables, self.numbers)
        return self._tasks[name]

    @property
    def tiles(self) -> NDArray[np.int64]:
        """See `formula.kernel.Task`."""
        return self._cut.tiles

    @property
    def claims(self) -> NDArray[np.int64]:
        return self._cut.claims

    def summing(self, stage: int) -> Sequence[CompiledPass]:
        """The passes of a layer's totals; the one that adds up is the last."""
        walk = self.passes.sums[stage]
        return [walk] if walk.totals else []

    def moving(self, measured: bool) -> Sequence[CompiledPass]:
        """The passes of an update; ``measured``: the one that moves the weights adds up norms on its way."""
        return [self.measuring if measured else self.passes.update]

    def tables(self, measured: bool, recordable: bool) -> Tables:
        """What its walks read on the device, from now on.

        ``measured``: also those of a measured update; ``recordable``: see `Device.table`.
        """
        assert self.device is not None
        return Tables(self.device, self._cut.tiles, self.columns, self.numbers, recordable)

    def entering(self) -> tuple[Sequence[Runs], CompiledPass | None, Sequence[Runs]]:
        """What `enter` is made of: what comes before its pass, the pass, and what comes after; of other rules none."""
        return (), None, ()

    @property
    def behind(self) -> bool:
        return self._replayed or (self.device is not None and self.settled.due)

    @property
    def _replayed(self) -> bool:
        return self.device is not None and self.settled.replayed

    @property
    def rewritten(self) -> bool:
        return self.device is not None and self.settled.rewritten(self._known)

    def settle(self) -> int:
        if not self.behind:
            return 0
        before = self._known
        known, left_out = self.settled.take(before)
        self.counts.kept.write(known.steps, None)
        for k, (name, scalar) in enumerate(self._scalars.items()):
            if scalar.scope == "tensor":
                self.scalars[name].write(known.scalars[k], None)
            else:
                self._give(name, known.scalars[k], before.scalars[k], known.steps)
        self.separate, self._filled = False, (None, None)
        return left_out

    @property
    def updated(self) -> list[tuple[object, ...]]:
        """What says, while this is there, which tensors are updated with which states, in their order."""
        names, states = (*self._states_kept, *self._scalars), zip(*self._states_kept.values(), strict=True)
        kept = [tuple(map(id, of)) for of in states] if self._states_kept else [()] * len(self.members.params)
        return [(names, id(p), *of) for p, of in zip(self.members.params, kept, strict=True)]

    @property
    def _known(self) -> Known:
        """Step counts and scalars as the host has them."""
        if not self._scalars:
            return Known(self.counts.steps, self._none)
        return Known(self.counts.steps, np.stack([*map(self._host_scalar, self._scalars)]))

    @cached_property
    def _none(self) -> NDArray[np.float64]:
        return np.zeros((1, len(self.members.params)))

    def _host_scalar(self, name: str) -> NDArray[np.float64]:
        """One for each tensor, also of those that groups have in common."""
        members = self.members
        if name in self.scalars:
            return self.scalars[name].read()
        all_groups = self._scalars[name].scope == "all"
        owners = [self.owners[members.alike[0] if all_groups else i] for i in members.groups]
        return np.array([float(owner[name]) for owner in owners])[members.group_of]

    @property
    def next_scalars(self) -> Mapping[str, Expression]:
        """The rule's scalars, by name, and what makes the next ones."""
        return dict(zip(self._scalars, next_scalars(self.rule, self.switches), strict=True))

    @property
    def common_scalars(self) -> frozenset[str]:
        """Those of them that are one for all."""
        return frozenset(name for name, scalar in self._scalars.items() if scalar.scope == "all")

    def _give(self, name: str, values: Values, before: Values, steps: NDArray[np.float32]) -> None:
        """Have groups keep a scalar, of which every tensor has a copy: of those that changed, the furthest one's."""
        changed = differs(values, before)
        for place, i in enumerate(self.members.groups):
            own = changed & ((name in self.common_scalars) | (self.members.group_of == place))
            if own.any():
                value, self.moved = float(values[np.argmax(np.where(own, steps, -1.0))]), True
                for k in self.members.alike if name in self.common_scalars else [i]:
                    self.owners[k][name] = value

    def leave_counting(self) -> None:
        """From this step on the device counts, and keeps the scalars."""
        self.settled.begin(self._known)
        if self._empty:  # which have no address, and are counted all the same
            self.columns["g"][self._empty] = np.where(self._found[self._empty] == ABSENT, 0, 16)

    @cached_property
    def _tables(self) -> Tables:
        return self.tables(measured=False, recordable=False)


def column(tensors: Sequence[torch.Tensor]) -> NDArray[np.int64]:
    """Where tensors' memory starts, as a kernel reads it: int64 (tensors,)."""
    # A map over the method is the fastest way Python has.
    return np.array(list(map(torch.Tensor.data_ptr, tensors)), np.int64)


def _alike(now: Any, planned: torch.Tensor, stride: tuple[int, ...]) -> bool:
    """Whether a tensor can take the place of another one in a kernel's tables."""
    same = isinstance(now, torch.Tensor) and plain(now) and within_storage(now)
    return same and now.dtype == planned.dtype and now.shape == planned.shape and now.stride() == stride
