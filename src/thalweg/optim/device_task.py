"""A pass and the memory it is pointed at, on a GPU: what `formula.kernel.Task` is on the processor."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from thalweg.formula.kernel import CompiledPass, Task
from thalweg.formula.numbers import Numbers
from thalweg.formula.triton_kernel import by_line, walk_kernel

from .devices import Argument, Device

Array = NDArray[Any]


class Tables:
    """What a launch's walks read on the device: tiles, addresses, which row is whose; sent when they have changed."""

    def __init__(
        self, device: Device, tiles: Array, columns: Mapping[str, Array], numbers: Numbers, recordable: bool = False
    ) -> None:
        """``columns`` and ``numbers`` are kept up to date from outside, in place.

        ``recordable``  see `Device.table`.
        """
        self.device, self.names, self.programs = device, tuple(columns), len(tiles)
        self._columns, self._numbers = columns, numbers
        self.tensors = len(numbers.row_of)
        first = device.table((max(len(tiles), 1), 3), torch.int64)
        if len(tiles):
            first.put(tiles)
        self.tiles = first.there
        self._addresses = device.table((len(columns), self.tensors), torch.int64, recordable)
        self._row_of = device.table((self.tensors,), torch.int64, recordable)
        self._sent = np.zeros((len(columns), self.tensors), np.int64)
        self._row_of_sent = np.zeros(self.tensors, np.int64)

    @property
    def columns(self) -> torch.Tensor:
        """The addresses, int64 (operands, tensors)."""
        now = np.stack([self._columns[name] for name in self.names])
        if not np.array_equal(now, self._sent):
            self._addresses.put(now)
            self._sent = now
        return self._addresses.there

    @property
    def grads(self) -> torch.Tensor:
        """Those of the gradients, int64 (tensors,); 0 where there is none."""
        return self.columns[self.names.index("g")]

    @property
    def row_of(self) -> torch.Tensor:
        """The row that each tensor reads, int64 (tensors,)."""
        now = self._numbers.row_of
        if not np.array_equal(now, self._row_of_sent):
            self._row_of.put(now)
            self._row_of_sent = now.copy()
        return self._row_of.there

    def expect(self, of: CompiledPass, uniform: bool, counts: bool = False) -> None:
        """A walk is going to be taken; see `Device.expect`."""
        self.device.expect(walk_kernel(of, self.names, uniform, counts))

    def walk(
        self, of: CompiledPass, sums: torch.Tensor, stop: torch.Tensor, rows: Sequence[Argument],
        counted: Sequence[Argument] = (),
    ) -> None:  # fmt: skip
        """Have the device walk over memory. ``rows``: coefficients, or the table of their rows; ``counted``: see
        `triton.walk`."""
        if not self.programs:
            return
        uniform, own = self.given(rows)
        kernel = walk_kernel(of, self.names, uniform, bool(counted))
        shapes = (self.shapes,) if by_line(of) else ()
        given = (self.tiles, self.columns, self.tensors, sums, stop, *shapes, *counted, *own)
        self.device.launch(kernel, self.programs, given)

    @property
    def shapes(self) -> torch.Tensor:
        """The rows and columns of the tensors' matrices, int64 (tensors, 2), for passes that ask for them."""
        raise NotImplementedError

    def given(self, rows: Sequence[Argument]) -> tuple[bool, Sequence[Argument]]:
        """Whether a kernel gets numbers that are the same for all tensors, not a table of rows; and what it gets."""
        uniform = not (len(rows) == 1 and isinstance(rows[0], torch.Tensor))
        return uniform, rows if uniform else (self.row_of, *rows)


class HostRows(Task):
    """The host makes rows of coefficients, as it does for its own kernels: the same function, the same bits."""

    def __init__(self, walk: CompiledPass, tiles: Array, claims: Array, numbers: Numbers, device: Device) -> None:
        none = np.zeros(len(numbers.row_of), np.int64)
        super().__init__(walk, tiles, claims, dict.fromkeys(walk.operands, none), numbers)
        self._device = device
        self._table = device.table(self.rows.shape, getattr(torch, walk.real)) if walk.width else None

    @property
    def given(self) -> Sequence[Argument]:
        """The rows as a walk wants them: numbers where all tensors have the same, else a table."""
        if self._table is None or len(self.numbers.values) == 1:
            found: list[float] = self.rows[0].tolist()
            return found
        if self._table.there.shape != self.rows.shape:
            self._table = self._device.table(self.rows.shape, self._table.there.dtype)
        self._table.put(self.rows)
        return (self._table.there,)


class DeviceTask(HostRows):
    """A pass of which the host knows all that it needs when it begins, and for whose sums it waits."""

    def __init__(self, walk: CompiledPass, tiles: Array, claims: Array, tables: Tables, numbers: Numbers) -> None:
        super().__init__(walk, tiles, claims, numbers, tables.device)
        self._tables = tables
        self._sums = tables.device.zeros((max(len(tiles), 1), max(len(walk.totals), 1)), torch.float64)
        self._go = tables.device.zeros((1,), torch.float32)
        tables.expect(walk, uniform=len(numbers.values) == 1)

    def walk_over(self) -> None:
        """Take the pass; the rows are made."""
        self._tables.walk(self.walk, self._sums, self._go, self.given)
        if self.walk.totals:
            self.sums[:] = self._tables.device.read(self._sums)[: len(self.sums)]
