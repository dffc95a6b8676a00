"""Steps that were left out on a device without the host's knowing: what its step counts are short of."""

from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray

from .devices import Device


@dataclass(eq=False)
class Settled:
    """What a launch's step counts on the host are short of, kept on the device.

    ``extra`` float64 (tensors,), ``left_out`` float64 (1,): steps that were.
    """

    device: Device
    extra: torch.Tensor
    left_out: torch.Tensor
    due: bool = False
    """Whether there may be anything to settle."""

    @classmethod
    def of(cls, device: Device, tensors: int) -> "Settled":
        """Nothing so far."""
        return cls(device, device.zeros((tensors,), torch.float64), device.zeros((1,), torch.float64))

    def take(self) -> tuple[NDArray[Any], int]:
        """What the counts are short of, and how many steps were left out, since this was last asked: waits."""
        extra = self.device.read(self.extra).copy()
        left_out = int(self.device.read(self.left_out)[0])
        self.extra.zero_()
        self.left_out.zero_()
        self.due = False
        return extra, left_out
