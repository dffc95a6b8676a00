"""Which GPU runs kernels for a tensor."""

from functools import cache
from threading import Lock

import torch

from .cuda import CudaDevice, problem
from .devices import Device

_making = Lock()


def device_of(where: torch.device) -> Device | None:
    """What runs kernels for tensors there; None if nothing does."""
    if where.type == "cpu":
        return None
    with _making:
        return _device_of(where)


def why_not(where: torch.device) -> str | None:
    """Why a GPU of a kind that kernels are for runs none, in words; None of another device, and of one that does."""
    return problem(where) if where.type == "cuda" else None


@cache
def _device_of(where: torch.device) -> Device | None:
    return CudaDevice(where) if where.type == "cuda" and problem(where) is None else None
