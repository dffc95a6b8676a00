"""Who runs passes: the processor, or a GPU.

A launch asks its device for tables and kernels and knows nothing more of it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from numpy.typing import NDArray

from thalweg.formula.triton_kernel import DeviceKernel

Argument = torch.Tensor | int | float


class Table(ABC):
    """Numbers that the host writes and the device reads: ``there``, a tensor on the device that stays in its place."""

    there: torch.Tensor

    @abstractmethod
    def put(self, array: NDArray[Any]) -> None:
        """Have the device copy these, of the tensor's shape, after what it has been given to do so far."""


class Device(ABC):
    """A GPU. Nothing that it is asked for waits until the GPU is done, but for `read`."""

    @abstractmethod
    def zeros(self, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
        """Memory on the device."""

    @abstractmethod
    def table(self, shape: Sequence[int], dtype: torch.dtype, recordable: bool = False) -> Table:
        """Memory on the device that the host writes, of 0.

        ``recordable``  whether it may be put once while what the device is given to do is recorded, and then no more.
        """

    def expect(self, kernel: DeviceKernel) -> None:
        """Begin to make ready a kernel that is to be launched."""
        return

    def begin(self) -> None:
        """A step begins, on whatever stream is the current one now."""
        return

    @abstractmethod
    def launch(self, kernel: DeviceKernel, programs: int, arguments: Sequence[Argument]) -> None:
        """Have so many programs run, after what the device has been given to do so far."""

    @abstractmethod
    def read(self, tensor: torch.Tensor) -> NDArray[Any]:
        """What is there once all that the device has been given to do is done: this waits."""

    @abstractmethod
    def fetch(self, tensor: torch.Tensor) -> Callable[[], NDArray[Any]]:
        """Have what is there copied to the host, after what the device has been given to do so far.

        Whoever calls the result waits for that copy alone.
        """

    @property
    @abstractmethod
    def recording(self) -> bool:
        """Whether what the device is given to do is recorded (a CUDA graph), to be done later and again."""
