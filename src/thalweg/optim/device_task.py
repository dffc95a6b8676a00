"""A pass and the memory it is pointed at, on a GPU: what `formula.kernel.Task` is on the processor."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from thalweg.formula.kernel import CompiledPass, Task
from thalweg.formula.numbers import Numbers
from thalweg.formula.triton_kernel import walk_kernel

from .devices import Device

Table = NDArray[Any]


class Tables:
    """What a launch's tasks share on the device: tiles, and the addresses of all operands, sent when they have changed."""

    def __init__(self, device: Device, tiles: Table, columns: Mapping[str, Table]) -> None:
        """``columns`` are kept up to date from outside, in place."""
        self.device, self.names = device, tuple(columns)
        self._columns = columns
        count = len(next(iter(columns.values())))
        self.tiles = device.empty((max(len(tiles), 1), 3), torch.int64)
        if len(tiles):
            device.send(tiles, self.tiles)
        self.programs, self.tensors = len(tiles), count
        self.columns = device.empty((len(columns), count), torch.int64)
        self._sent = np.full((len(columns), count), -1, np.int64)
        self.go = device.empty((1,), torch.float32)
        """0: what is told so does not stop."""

    def fit(self) -> None:
        """Send the addresses, if any is another one."""
        now = np.stack([self._columns[name] for name in self.names])
        if not np.array_equal(now, self._sent):
            self._sent = now
            self.device.send(now, self.columns)


class DeviceTask(Task):
    """The host makes the rows of coefficients, as it does for its own kernels, and the device walks over memory.

    ``sums`` are the host's, as a `Task`'s: a pass that adds up is waited for.
    """

    def __init__(self, walk: CompiledPass, tiles: Table, claims: Table, tables: Tables, numbers: Numbers) -> None:
        none = np.zeros(tables.tensors, np.int64)
        super().__init__(walk, tiles, claims, dict.fromkeys(walk.operands, none), numbers)
        self._tables = tables
        device, real = tables.device, getattr(torch, walk.real)
        self._rows = device.empty((max(numbers.capacity, 1), max(walk.width, 1)), real)
        self._row_of = device.empty((tables.tensors,), torch.int64)
        self._row_of_sent = np.zeros(tables.tensors, np.int64)
        self._sums = device.empty((max(len(tiles), 1), max(len(walk.totals), 1)), torch.float64)

    def parts(self, threads: int) -> tuple[Any, ...]:
        from .launch import Call

        made = super().parts(1)[:-1]  # the rows
        return *made, Call(self._walk)

    def _walk(self) -> None:
        tables, width = self._tables, self.walk.width
        if not tables.programs:
            return
        tables.fit()
        uniform = len(self.numbers.values) == 1
        kernel = walk_kernel(self.walk, tables.names, uniform, counts=False)
        given: list[Any] = []
        if uniform:
            given = self.rows[0].tolist()
        else:
            if len(self._rows) < len(self.rows):
                self._rows = tables.device.empty(self.rows.shape, self._rows.dtype)
            if width:
                tables.device.send(self.rows, self._rows)
            if not np.array_equal(self.numbers.row_of, self._row_of_sent):
                self._row_of_sent = self.numbers.row_of.copy()
                tables.device.send(self._row_of_sent, self._row_of)
            given = [self._row_of, self._rows]
        arguments = [tables.tiles, tables.columns, tables.tensors, self._sums, tables.go, *given]
        tables.device.launch(kernel, tables.programs, arguments)
        if self.walk.totals:
            self.sums[:] = tables.device.read(self._sums)[: len(self.sums)]


