"""Step counts where a step may be left out without the host's knowing: the device counts, the host asks for them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .devices import Device, Table


@dataclass(eq=False)
class Settled:
    """What a device has counted of a launch's steps. It is never set back, whoever asks for it.

    ``counts`` float64 (tensors,): steps taken; ``left_out`` float64 (1,): steps that were not.
    ``due``    whether the device may have counted on since it was last asked; ``replayed``, whether it may do so at any
               time, since a step that counts has been recorded.
    """

    device: Device
    counts: Table
    left_out: torch.Tensor
    due: bool = False
    replayed: bool = False
    _known: bytes = b""
    _seen: int = 0

    @classmethod
    def of(cls, device: Device, tensors: int) -> "Settled":
        """Nothing so far."""
        none = np.zeros(tensors, np.float32).tobytes()
        counts, left_out = device.table((tensors,), torch.float64), device.zeros((1,), torch.float64)
        return cls(device, counts, left_out, _known=none)

    def rewritten(self, steps: NDArray[np.float32]) -> bool:
        """Whether the host's counts are others than when both last agreed."""
        # Comparing bytes is the quickest way to know.
        return steps.tobytes() != self._known

    def begin(self, steps: NDArray[np.float32]) -> None:
        """The device counts from here on: from the host's counts, or on from its own where nobody has changed those."""
        if self.rewritten(steps):
            self.counts.put(steps)
            self._known = steps.tobytes()
        self.due = True

    def take(self, steps: NDArray[np.float32]) -> tuple[NDArray[Any], int]:
        """What the host's counts ought to be, and how many steps were left out since this was last asked: waits.

        Counts that somebody has written to meanwhile stay as they are, and `begin` then has the device take them.
        """
        there = self.device.read(self.counts.there).astype(np.float32)
        found = np.where(steps != np.frombuffer(self._known, np.float32), steps, there)
        left_out = int(self.device.read(self.left_out)[0])
        since, self._seen = left_out - self._seen, left_out
        self._known, self.due = there.tobytes(), False
        return found, since

    def counted_on(self) -> bool:
        """Whether the device has counted since this was last asked: waits."""
        known = self._known
        self.take(np.frombuffer(known, np.float32))
        return self._known != known
