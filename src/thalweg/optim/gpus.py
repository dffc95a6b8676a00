"""Which GPU runs kernels for a tensor."""

from collections.abc import Callable, Iterable
from functools import cache, partial
from threading import Lock

import torch

from .cuda import CudaDevice, capturing, problem
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


def recorder_of(where: torch.device) -> Callable[[], bool] | None:
    """What says whether work for tensors there is recorded (a CUDA graph), whoever runs it; None where it cannot be."""
    return partial(capturing, where.index) if where.type == "cuda" else None


def recorders(params: Iterable[torch.Tensor]) -> tuple[Callable[[], bool], ...]:
    """`recorder_of` all places where tensors are that have one."""
    places = dict.fromkeys(param.device for param in params)
    return tuple(asked for asked in map(recorder_of, places) if asked is not None)


@cache
def _device_of(where: torch.device) -> Device | None:
    return CudaDevice(where) if where.type == "cuda" and problem(where) is None else None
