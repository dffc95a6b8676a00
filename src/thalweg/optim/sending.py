"""What the host sends a GPU without waiting: from memory that it leaves alone until the GPU has copied it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from .devices import Table


class Event(Protocol):
    """A point in what a device has been given to do; `torch.cuda.Event` is one."""

    def record(self) -> None:
        """It is now."""

    def query(self) -> bool:
        """Whether the device is past it."""

    def wait(self) -> None:
        """Until the device is past it."""


@dataclass(eq=False)
class Pinned:
    """Memory of the host that a device copies from by itself, as a tensor and as an array; and when it has."""

    memory: torch.Tensor
    view: NDArray[Any]
    copied: Event


class SentTable(Table):
    """The host writes to one piece of memory after the other, each free once the device has copied it.

    Were there one piece, the host would have to wait, or would change what the device has yet to copy. A recording has
    a piece of its own, made before: whatever is replayed copies from there again.
    """

    def __init__(
        self, there: torch.Tensor, pinned: Callable[[torch.Tensor], Pinned],
        recording: Callable[[], bool] | None = None,
    ) -> None:  # fmt: skip
        """``pinned`` makes one more piece, for a tensor like the given one; ``recording`` says whether that is under
        way, of a table that may then be put once."""
        self.there, self._pinned, self._recording = there, pinned, recording
        self.pieces: list[Pinned] = []
        self._spare = pinned(there) if recording is not None else None

    def put(self, array: NDArray[Any]) -> None:
        if self._recording is not None and self._recording():
            assert self._spare is not None, "a table is recorded twice"
            # The others stay as well: torch records an event where pinned memory is let go.
            own, self._spare = self._spare, None
            self.pieces.append(own)
            np.copyto(own.view, array)
            self.there.copy_(own.memory, non_blocking=True)
            return
        free = next((each for each in self.pieces if each.copied.query()), None)
        if free is None:
            free = self._pinned(self.there)
            self.pieces.append(free)
        np.copyto(free.view, array)
        self.there.copy_(free.memory, non_blocking=True)
        free.copied.record()
