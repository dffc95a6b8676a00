"""Parameters that are updated together on a GPU, of a rule that keeps something by row or by column."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from thalweg.formula import Rule
from thalweg.formula.kernel import CompiledPass
from thalweg.formula.line_kernel import CompiledLines, CompiledStage, LinePasses

from .devices import Device
from .launch import Measured, Members, Runs
from .line_blocks import line_blocks
from .line_launch import LineLaunch
from .line_tables import LineTables
from .settings import Switches

Table = NDArray[np.int64]


class DeviceLineLaunch(LineLaunch):
    """As `LineLaunch` on the processor: the same passes, by `formula.triton_lines`. What is kept aside is there too."""

    device: Device

    def __init__(
        self, rule: type[Rule], switches: Switches, members: Members, walks: Callable[[Switches], LinePasses],
        grads_at: Table, found: Table, device: Device,
    ) -> None:  # fmt: skip
        """The arguments are those of `KernelLaunch`."""
        super().__init__(rule, switches, members, walks, grads_at, found, device)
        self._blocks = line_blocks(self._shapes)
        self._cut = self._blocks.layout
        self._parts_there: dict[str, torch.Tensor] = {}
        self._made_of: LineTables | None = None

    def summing(self, stage: int) -> Sequence[CompiledPass]:
        return _taken(self._walks.sums[stage])

    def moving(self, measured: bool) -> Sequence[CompiledPass]:
        walks = self._moving(measured)
        return *_taken(walks.update), *_taken(walks.last)

    @property
    def measuring(self) -> CompiledPass:
        weights = self._moving(measured=True).update.weights
        assert weights is not None
        return weights

    def measured(self) -> Measured:
        if "measured" not in self.fetched:
            return super().measured()
        return Measured(self.measuring.totals, self.fetched.pop("measured"), self.tiles[:, 0], len(self.members.params))

    def tables(self, measured: bool, recordable: bool) -> LineTables:
        self._moving(measured)
        return LineTables(self.device, self._blocks, self.columns, self.numbers, self._part_there, recordable)

    @property
    def _tables(self) -> LineTables:
        # A measured update may keep more aside.
        if self._made_of is None or self._made_of.names != tuple(self.columns):
            self._made_of = self.tables(measured=False, recordable=False)
        return self._made_of

    @property
    def _tensors(self) -> Table:
        return self.tiles

    def _made(self, count: int, dtype: str) -> tuple[object, int]:
        memory = self.device.zeros((count,), getattr(torch, dtype))
        return memory, memory.data_ptr()

    def _part_there(self, name: str, count: int) -> torch.Tensor:
        if name not in self._parts_there:
            self._parts_there[name] = self.device.zeros((max(count, 1),), torch.float64)
        return self._parts_there[name]

    def _stage(self, name: str, walk: CompiledStage, backwards: bool) -> tuple[Runs, ...]:
        found: list[Runs] = []
        for each in _taken(walk):
            along = ", along lines" if isinstance(each, CompiledLines) else ""
            found += self.walked(self._task(f"{name}{along}", each))
        return tuple(found)


def _taken(stage: CompiledStage) -> list[CompiledPass]:
    """The passes of a stage that have something to do; what is added up by line is joined at once."""
    lines = [] if stage.lines is None or not stage.lines.walks else [stage.lines]
    return [*lines, *([] if stage.weights is None else [stage.weights])]
