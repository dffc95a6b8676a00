"""What walks of rows and columns read on a GPU: `device_task.Tables`, and how matrices are cut."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from thalweg.formula.kernel import CompiledPass
from thalweg.formula.line_kernel import CompiledLines
from thalweg.formula.numbers import Numbers
from thalweg.formula.triton_line_kernel import Together, added_kernel, along_kernels, joining_kernel, line_totals

from .device_task import Tables
from .devices import Argument, Device
from .line_blocks import LineBlocks

Array = NDArray[Any]


class LineTables(Tables):
    """Tables of a launch by line, and the walks that read them."""

    def __init__(
        self, device: Device, cut: LineBlocks, columns: Mapping[str, Array], numbers: Numbers,
        part: Callable[[str, int], torch.Tensor], recordable: bool,
    ) -> None:  # fmt: skip
        """``part``: memory for the parts of totals by row or column, of one after the other of a pass."""
        super().__init__(device, cut.layout.tiles, columns, numbers, recordable)
        self._cut, self._part = cut, part
        self._at_g = self.names.index("g")
        self._kept: dict[object, torch.Tensor] = {}
        self._passes: dict[CompiledPass, tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = {}

    @property
    def shapes(self) -> torch.Tensor:
        return self._sent_once("shapes", self._cut.shapes)

    def expect(self, of: CompiledPass, uniform: bool, counts: bool = False) -> None:
        if isinstance(of, CompiledLines):
            for walks, kernel in along_kernels(of, self.names, uniform):
                self.device.expect(kernel)
                self._lines(walks)
        elif line_totals(of):
            self.device.expect(added_kernel(of, self.names, uniform))
            self.device.expect(joining_kernel(self._at_g))
            self._of_pass(of)
        else:
            super().expect(of, uniform, counts)

    def walk(
        self, of: CompiledPass, sums: torch.Tensor, stop: torch.Tensor, rows: Sequence[Argument],
        counted: Sequence[Argument] = (),
    ) -> None:  # fmt: skip
        if isinstance(of, CompiledLines):
            self._along(of, stop, rows)
        elif line_totals(of):
            self._added(of, sums, stop, rows)
        else:
            super().walk(of, sums, stop, rows, counted)

    def _added(self, of: CompiledPass, sums: torch.Tensor, stop: torch.Tensor, rows: Sequence[Argument]) -> None:
        """A pass that adds up by line; then what it has added up in parts is joined."""
        if not self.programs:
            return
        uniform, own = self.given(rows)
        blocks, targets, joins = self._of_pass(of)
        given = (blocks, self.columns, self.tensors, sums, stop, self.shapes, targets, *own)
        self.device.launch(added_kernel(of, self.names, uniform), self.programs, given)
        if len(joins):
            kernel = joining_kernel(self._at_g)
            self.device.launch(kernel, len(joins), (joins, self.columns, self.tensors, stop))

    def _along(self, of: CompiledLines, stop: torch.Tensor, rows: Sequence[Argument]) -> None:
        uniform, own = self.given(rows)
        for walks, kernel in along_kernels(of, self.names, uniform):
            table = self._lines(walks)
            if len(table):
                given = (table, self.columns, self.tensors, stop, self.shapes, *own)
                self.device.launch(kernel, len(table), given)

    def _lines(self, walks: Together) -> torch.Tensor:
        """Which lines the programs of some walks take: `triton_along.MEANS`, or `triton_along.SPAN`."""
        if walks[0][0].totals:
            return self._sent_once("means", self._cut.means)
        along = tuple(dict.fromkeys(walk.along for walk, _ in walks))
        return self._sent_once(along, self._cut.spans(along))

    def _of_pass(self, of: CompiledPass) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The tables of a pass that adds up by line: blocks, targets, and what is to be joined."""
        if of not in self._passes:
            self._passes[of] = self._made_of_pass(of)
        return self._passes[of]

    def _made_of_pass(self, of: CompiledPass) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        blocks = self._cut.blocks
        targets = np.zeros((len(blocks), len(line_totals(of))), np.int64)
        joins: list[tuple[int, ...]] = []
        for k, name in enumerate(line_totals(of)):
            cut, totals = self._cut.by[of.extents[name]], self._columns[name]
            parts = self._part(f"{of.extents[name]} {k}", cut.room).data_ptr()
            targets[:, k] = cut.targets(blocks[:, 0], totals, parts)
            joins += cut.joins(totals, parts)
        joined = np.array(joins, np.int64).reshape(-1, 6)
        return (
            self._sent_once("blocks", blocks),
            self._constant(targets),
            self._constant(joined),
        )

    def _sent_once(self, key: object, array: Array) -> torch.Tensor:
        if key not in self._kept:
            self._kept[key] = self._constant(array)
        return self._kept[key]

    def _constant(self, array: Array) -> torch.Tensor:
        """A table that never changes, on the device."""
        table = self.device.table(array.shape, torch.int64)
        if array.size:
            table.put(array)
        return table.there
