"""Which GPU runs kernels for a tensor."""

from functools import cache
from threading import Lock

import torch

from thalweg.formula import triton_kernel

from .cuda import CudaDevice, problem
from .devices import Device

_making = Lock()


def device_of(where: torch.device) -> Device | None:
    """What runs kernels for tensors there; None if nothing does."""
    if where.type == "cpu":
        return None
    with _making:
        return _device_of(where)


@cache
def _device_of(where: torch.device) -> Device | None:
    if where.type != "cuda" or not triton_kernel.installed():
        return None
    return CudaDevice(where) if problem(where) is None else None
