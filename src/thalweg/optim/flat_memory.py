"""Many tensors as one: memory of their own, in which each begins a row, and sums and numbers by tensor there.

All operations are on tensors of shape (rows, BLOCK): as many, however many tensors there are, and in an order of
additions that depends on sizes alone. Nothing waits for the device.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from .modes import ordinary

# Rows that are computed with at a time: values needed meanwhile stay in a processor's cache, or take 64 MB each.
AT_A_TIME = {"cpu": 512}
AT_MOST = 131_072

BLOCK = 128
"""Weights in a row. A tensor's last row is filled up, by 64 on average; a sum is one operation more by each power."""


class FlatMemory:
    """Where some tensors lie in flat memory.

    ``parts``    the rows that are computed with at a time.
    ``left``     int64 (rows, 1): how many weights of its tensor there are from the beginning of a row on.
    ``tensor``   int64 (rows,): the tensor that each row belongs to.
    """

    def __init__(self, tensors: Sequence[torch.Tensor], device: torch.device) -> None:
        self.device = device
        sizes = np.array([t.numel() for t in tensors], np.int64)
        self._rows = -(-sizes // BLOCK)
        first = np.cumsum(self._rows) - self._rows
        tensor = np.repeat(np.arange(len(sizes)), self._rows)
        self.count = len(tensor)
        at_a_time = AT_A_TIME.get(device.type, AT_MOST)
        self.parts = [slice(i, min(i + at_a_time, self.count)) for i in range(0, self.count, at_a_time)]
        shapes = [t.shape for t in tensors]
        # As tensors are made like it: its own layout, or the usual one where its memory has gaps.
        strides = [torch.empty_like(t, device="meta").stride() for t in tensors]
        self._places = list(zip(shapes, strides, (first * BLOCK).tolist(), strict=True))
        self.tensor = uploaded(tensor, device)
        self.left = uploaded((sizes[tensor] - BLOCK * (np.arange(self.count) - first[tensor]))[:, None], device)

    def made(self, kind: torch.dtype) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Memory of shape (rows, BLOCK), all 0, and the tensors in it, each in its own shape."""
        with ordinary():  # a tensor made under a mode might be no memory
            whole = torch.zeros(self.count, BLOCK, dtype=kind, device=self.device)
            return whole, [whole.as_strided(*place) for place in self._places]

    def by_row(self, values: torch.Tensor) -> torch.Tensor:
        """What there is one of by tensor, as shape (rows, 1)."""
        return values.index_select(0, self.tensor).view(-1, 1)

    def lanes(self) -> torch.Tensor:
        """The places in a row, int64 (BLOCK,): those below what is ``left`` are weights."""
        return torch.arange(BLOCK, device=self.device)

    def sums(self, rows: torch.Tensor) -> torch.Tensor:
        """The sums of each tensor's rows, of shape (rows,): shape (tensors,)."""
        for places in self._levels:
            rows = torch.cat([rows, rows.new_zeros(1)]).index_select(0, places.view(-1)).view(places.shape).sum(1)
        return rows

    @cached_property
    def _levels(self) -> list[torch.Tensor]:
        """Which sums are added up to one, by level, each of shape (sums, how many): the last has one sum a tensor.

        The place after all sums is that of a 0.
        """
        levels = []
        counts = self._rows
        while True:
            end = counts.max(initial=0) <= BLOCK
            width = int(counts.max(initial=1)) if end else BLOCK
            rows = np.ones_like(counts) if end else -(-counts // BLOCK)
            own = np.repeat(np.arange(len(counts)), rows)
            within = width * (np.arange(len(own)) - (np.cumsum(rows) - rows)[own])[:, None] + np.arange(width)
            places = (np.cumsum(counts) - counts)[own][:, None] + within
            places[within >= counts[own][:, None]] = counts.sum()
            levels.append(uploaded(places, self.device))
            if end:
                return levels
            counts = rows


def uploaded(values: NDArray[np.generic], device: torch.device) -> torch.Tensor:
    """A tensor of these values, which nobody waits for: of memory that is not written to again."""
    with ordinary():
        made = torch.from_numpy(values)
        return made.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else made.to(device)
