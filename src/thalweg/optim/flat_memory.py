"""Many tensors as one: memory of their own, in which each begins a row, and sums and numbers by tensor there.

All operations are on whole tensors of shape (rows, BLOCK): so many, however many tensors there are, and in an order
of additions that depends on sizes alone. Nothing waits for the device.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from .reading import ordinary

BLOCK = 128
"""Weights in a row. A tensor's last row is filled up, by 64 on average; a sum is one operation more by each power."""


class FlatMemory:
    """Where some tensors lie in flat memory.

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

    def there(self, present: torch.Tensor | None) -> torch.Tensor:
        """Bool (rows, BLOCK): what is a weight, of tensors that are ``present``, bool (tensors,); None: of all."""
        weights = self._lanes < self.left
        return weights if present is None else weights & self.by_row(present)

    def by_row(self, values: torch.Tensor) -> torch.Tensor:
        """What there is one of by tensor, as shape (rows, 1)."""
        return values.index_select(0, self.tensor).view(-1, 1)

    def sums(self, terms: torch.Tensor) -> torch.Tensor:
        """The sum over each tensor of ``terms``, of shape (rows, BLOCK): shape (tensors,)."""
        found = terms.sum(1)
        for places in self._levels:
            found = torch.cat([found, found.new_zeros(1)]).index_select(0, places.view(-1)).view(places.shape).sum(1)
        return found

    @cached_property
    def _lanes(self) -> torch.Tensor:
        return uploaded(np.arange(BLOCK), self.device)

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
