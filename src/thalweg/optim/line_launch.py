"""Parameters that are updated together by kernels, of a rule that keeps something by row or by column."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from thalweg.formula import between
from thalweg.formula.geometry import geometry
from thalweg.formula.kernel import CompiledPass, Task
from thalweg.formula.line_code import TARGETS
from thalweg.formula.line_kernel import CompiledStage, LinePasses
from thalweg.formula.rule import Rule, layers
from thalweg.formula.team import SERIAL_BELOW

from .devices import Device
from .kernel_launch import KernelLaunch
from .launch import Measured, Members, Runs
from .layout import LineLayout, line_layout
from .settings import Switches

Table = NDArray[np.int64]


class LineLaunch(KernelLaunch):
    """Parameters whose rows lie one after the other; see `formula.lines` for what a step is made of.

    What is kept aside for a step is in memory of its own, in which every tensor has its part.
    """

    def __init__(
        self, rule: type[Rule], switches: Switches, members: Members, walks: Callable[[Switches], LinePasses],
        grads_at: NDArray[np.int64], found: NDArray[np.int64], device: Device | None = None,
    ) -> None:  # fmt: skip
        """The arguments are those of `KernelLaunch`."""
        super().__init__(rule, switches, members, walks, grads_at, found, device)
        self._walks = walks(switches)
        self._measured_walks = cache(lambda: walks((*switches, ("measured", True))))
        self._shapes = [geometry(p.shape) for p in members.params]
        self.aside: dict[str, object] = {}
        self._parts: dict[str, NDArray[np.float64]] = {}
        self._keep_aside(self._walks)
        self._sums: dict[str, NDArray[np.float64]] = {}
        for stage, walk in enumerate(self._walks.sums):
            if walk.weights is not None:
                totals = self.totals_of(f"sums {stage}", len(walk.weights.totals))
                self._sums |= dict(zip(walk.weights.totals, totals, strict=True))

    def _keep_aside(self, walks: LinePasses) -> None:
        """Make room for what a program keeps aside."""
        for name, (extent, dtype) in walks.kept.items():
            if name in self.aside:
                continue
            each = {"row": lambda of: of.count * of.rows, "column": lambda of: of.count * of.columns}
            sizes = [each.get(extent, lambda of: of.count)(of) for of in self._shapes]
            self.aside[name], at = self._made(sum(sizes), dtype)
            starts = np.cumsum([0, *sizes])[: len(sizes)]
            self.columns[name] = at + np.dtype(dtype).itemsize * starts.astype(np.int64)

    def _made(self, count: int, dtype: str) -> tuple[object, int]:
        """Memory for so many numbers, and its address."""
        memory = np.zeros(count, dtype)
        return memory, memory.ctypes.data

    @cached_property
    def _lines(self) -> LineLayout:
        return line_layout(self._shapes)

    def sums(self, stage: int) -> Mapping[str, NDArray[np.float64]]:
        names = layers(self.rule)[self.stages[stage]]["sums"].returned
        return {name: self._sums[name] for name in names if name not in self.line_sums}

    def total(self, stage: int) -> Sequence[Runs]:
        walk = self._walks.sums[stage]
        parts = self._stage(f"sums {stage}", walk, backwards=bool(stage % 2))
        if walk.weights is None:
            return parts
        task = self._tasks[f"sums {stage}"]
        totals = self.totals_of(f"sums {stage}", len(walk.weights.totals))
        return *parts, between.gather(task.sums, self._tensors, totals, self.numbers, raw=False)

    def update(self, again: bool, measured: bool) -> Sequence[Runs]:
        walks = self._moving(measured)
        kind = "measured " if measured else ""
        first = self._stage(f"{kind}update", walks.update, backwards=again)
        return *first, *self._stage(f"{kind}last", walks.last, backwards=False)

    def _moving(self, measured: bool) -> LinePasses:
        """The passes that an update is of, with room for what they keep aside."""
        walks = self._measured_walks() if measured else self._walks
        self._keep_aside(walks)
        return walks

    @property
    def _tensors(self) -> Table:
        """The tensor of each tile, in the first of three columns."""
        return self._lines.by_tensor

    def measured(self) -> Measured:
        task = self._tasks["measured update"]
        sums = task.sums.copy()
        return Measured(task.walk.totals, lambda: sums, self._tensors[:, 0], len(self.members.params))

    def _stage(self, name: str, walk: CompiledStage, backwards: bool) -> tuple[Runs, ...]:
        found: list[Runs] = []
        if walk.lines is not None:
            # A line's few operations are soon done; waiting for a second thread takes as long as 100,000 of them.
            threads = self.threads if self._lines.lines >= 16 * SERIAL_BELOW else 1
            found += self._along(f"{name}, along lines", walk.lines, walk.joined).parts(threads)
        if walk.weights is not None:
            found += self._over(name, walk.weights, walk.by_column, backwards).parts(self.threads)
        return tuple(found)

    def _along(self, name: str, walk: CompiledPass, joined: Sequence[str]) -> Task:
        if name not in self._tasks:
            sources = [self._part(each).ctypes.data + 8 * self._lines.joined_at for each in joined]
            groups = np.ascontiguousarray(np.column_stack([self._lines.groups, *sources]))
            self._tasks[name] = Task(walk, groups, groups, self.columns, self.numbers)
        return self._tasks[name]

    def _over(self, name: str, walk: CompiledPass, by_column: Sequence[str], backwards: bool) -> Task:
        if name not in self._tasks:
            claims = self._lines.backwards if backwards else self._lines.claims
            task = Task(walk, self._lines.tiles, claims, self.columns, self.numbers)
            task.point(TARGETS, self._targets(by_column))
            self._tasks[name] = task
        return self._tasks[name]

    def _part(self, name: str) -> NDArray[np.float64]:
        """The parts of a total by column."""
        return self._parts.setdefault(name, np.zeros(self._lines.parts))

    def _targets(self, by_column: Sequence[str]) -> Table:
        """Where each tile adds up its totals by column: in a part, or of whole matrices in the total itself."""
        tiles, cut = self._lines.tiles, self._lines.parts_at
        found = np.zeros((len(tiles), len(by_column)), np.int64)
        for k, name in enumerate(by_column):
            whole = self.columns[name][tiles[:, 0]] + 8 * tiles[:, 1] * tiles[:, 6]
            found[:, k] = np.where(cut < 0, whole, self._part(name).ctypes.data + 8 * cut)
        return found
