"""Which GPU runs kernels for a tensor."""

from functools import cache

import torch

from thalweg.formula import triton_kernel

from .cuda import CudaDevice, problem
from .devices import Device


@cache
def device_of(where: torch.device) -> Device | None:
    """What runs kernels for tensors there; None if nothing does."""
    if where.type != "cuda" or not triton_kernel.installed():
        return None
    return CudaDevice(where) if problem(where) is None else None
