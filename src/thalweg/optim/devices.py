"""Who runs passes: the processor, or a GPU.

A launch asks its device for tasks and knows nothing more of it; `Task` and `DeviceTask` answer the same questions.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from numpy.typing import NDArray

from thalweg.formula import triton_kernel
from thalweg.formula.triton_kernel import DeviceKernel

Argument = torch.Tensor | int | float


class Device(ABC):
    """A GPU. Nothing that it is asked for waits until the GPU is done, but for `read`."""

    @abstractmethod
    def empty(self, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
        """Zeros on the device."""

    @abstractmethod
    def send(self, array: NDArray[Any], to: torch.Tensor) -> None:
        """Copy to the device, after what it has been given to do so far."""

    @abstractmethod
    def launch(self, kernel: DeviceKernel, programs: int, arguments: Sequence[Argument]) -> None:
        """Have so many programs run, after what the device has been given to do so far."""

    @abstractmethod
    def read(self, tensor: torch.Tensor) -> NDArray[Any]:
        """What is there once all that the device has been given to do is done: this waits."""


@cache
def device_of(where: torch.device) -> Device | None:
    """What runs kernels for tensors there; None if nothing does."""
    if where.type != "cuda" or not triton_kernel.installed():
        return None
    from .cuda import CudaDevice, problem

    return CudaDevice(where) if problem() is None else None


