"""Where a step may be left out without the host's knowing the device counts, and keeps scalars; the host asks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .devices import Device, Table


@dataclass(frozen=True, eq=False)
class Known:
    """What may be kept on either side: step counts, float32 (tensors,), and scalars, float64 (scalars, tensors)."""

    steps: NDArray[np.float32]
    scalars: NDArray[np.float64]

    @property
    def bits(self) -> tuple[bytes, bytes]:
        """To be compared: the quickest way to know."""
        return self.steps.tobytes(), self.scalars.tobytes()


@dataclass(eq=False)
class LeftOut:
    """``there`` float64 (1,): how many steps were left out; ``seen``, when this was last asked."""

    there: torch.Tensor
    seen: int = 0


@dataclass(frozen=True, eq=False)
class Shared:
    """Tensors that another counts too: ``mine``, their places; ``its``, their places there.

    ``places``  both on the device, int64 (2, some).
    """

    other: "Settled"
    mine: Sequence[int]
    its: Sequence[int]
    places: Table


@dataclass(eq=False)
class Settled:
    """What a device has counted of a launch's steps, and its scalars. Neither is ever set back, whoever asks for it.

    ``counts``  float64 (tensors,): steps taken; ``left_out``: steps that were not.
    ``scalars``  float64 (scalars, tensors).
    ``due``     whether the device may have gone on since it was last asked; ``replayed``, whether it may do so at any
                time, since a step has been recorded.
    ``shared``  what others have as well, of which a step has been recorded: they have the last word. Each step begins
                by `fetch` and ends by `give`, also a replayed one.
    """

    device: Device
    counts: Table
    scalars: Table
    left_out: LeftOut
    due: bool = False
    replayed: bool = False
    shared: list[Shared] = field(default_factory=list)
    borrowed: set[int] = field(default_factory=set)
    """The places of the tensors that are in `shared`."""

    def __post_init__(self) -> None:
        steps = np.zeros(self.counts.there.shape, np.float32)
        self._known = Known(steps, np.zeros(self.scalars.there.shape)).bits

    @classmethod
    def of(cls, device: Device, tensors: int, scalars: int) -> "Settled":
        """Nothing so far."""
        counts = device.table((tensors,), torch.float64)
        kept = device.table((max(scalars, 1), tensors), torch.float64)
        return cls(device, counts, kept, LeftOut(device.zeros((1,), torch.float64)))

    def share(self, other: "Settled", mine: Sequence[int], its: Sequence[int]) -> None:
        """See `shared`."""
        places = self.device.table((2, len(mine)), torch.int64)
        places.put(np.array([mine, its]))
        self.shared.append(Shared(other, mine, its, places))
        self.borrowed.update(mine)
        self.replayed = True

    def fetch(self) -> None:
        """Go on from what others have counted."""
        for each in self.shared:
            each.other._copy(each.places.there[1], self, each.places.there[0])

    def give(self) -> None:
        """Have others go on from what is counted here."""
        for each in self.shared:
            self._copy(each.places.there[0], each.other, each.places.there[1])

    @torch.no_grad()
    def _copy(self, mine: torch.Tensor, other: "Settled", its: torch.Tensor) -> None:
        for here, there in ((self.counts, other.counts), (self.scalars, other.scalars)):
            there.there.index_copy_(-1, its, here.there.index_select(-1, mine))

    def rewritten(self, host: Known) -> bool:
        """Whether the host has others than when both last agreed."""
        return host.bits != self._known

    def begin(self, host: Known) -> None:
        """The device goes on from here: from what the host has, or from its own where nobody has changed that."""
        steps, scalars = now = host.bits
        if steps != self._known[0]:
            self.counts.put(host.steps)
        if scalars != self._known[1]:
            self.scalars.put(host.scalars)
        if now == self._known:
            self.fetch()
        else:
            self.give()
        self._known, self.due = now, True

    def take(self, host: Known) -> tuple[Known, int]:
        """What the host ought to have, and how many steps were left out since this was last asked: waits.

        What somebody has written to meanwhile stays as it is, and `begin` then has the device take it.
        """
        self.fetch()
        known, (there, since) = self._known, self._asked()
        for each in self.shared:
            each.other._told(each.its, there.steps[each.mine])
        return Known(_merged(host.steps, known[0], there.steps), _merged(host.scalars, known[1], there.scalars)), since

    def went_on(self) -> bool:
        """Whether the device has counted since this was last asked: waits."""
        before = self._known[0]
        return self._asked()[0].bits[0] != before

    def _asked(self) -> tuple[Known, int]:
        """What is there, and how many steps were left out since this was last asked: waits."""
        steps, scalars = self.device.read(self.counts.there), self.device.read(self.scalars.there)
        there = Known(steps.astype(np.float32), scalars.copy())
        left_out = int(self.device.read(self.left_out.there)[0])
        since, self.left_out.seen = left_out - self.left_out.seen, left_out
        self._known, self.due = there.bits, False
        return there, since

    def _told(self, places: Sequence[int], steps: NDArray[np.float32]) -> None:
        """Somebody who shares these has asked; whether steps of ours were replayed, the other tensors tell."""
        before = np.frombuffer(self._known[0], np.float32).copy()
        before[places] = steps
        self._known = before.tobytes(), self._known[1]


def _merged(host: NDArray[Any], known: bytes, there: NDArray[Any]) -> NDArray[Any]:
    """What is there, but for what the host has changed since it was ``known``."""
    before = np.frombuffer(known, host.dtype).reshape(host.shape)
    return np.where(differs(host, before), host, there)


def differs(now: NDArray[Any], before: NDArray[Any]) -> NDArray[np.bool_]:
    """Where numbers are other ones; nan is nan."""
    found: NDArray[np.bool_] = (now != before) & ~(np.isnan(now) & np.isnan(before))
    return found
