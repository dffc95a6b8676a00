"""Which reader serves a parameter, and why: a compiled kernel, the `torch` reader, or none."""

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

import torch
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

from thalweg.formula.kernel import available, readable

from . import gpus
from .modes import ordinary

_NAMES = {torch.float32: "float32", torch.float64: "float64", torch.bfloat16: "bfloat16", torch.float16: "float16"}

_ORDINARY = (torch.nn.Parameter, torch.Tensor)

# The kinds of devices whose tensors may be computed with as views of one.
FLAT = ("cpu", "cuda", "mps", "xpu")

Types = tuple[tuple[str, str], ...]


def plain(param: torch.Tensor) -> bool:
    """Whether a parameter is an ordinary tensor on the CPU, or on a device that runs kernels: `memory` can ask."""
    ordinary = type(param) in _ORDINARY and param.layout == torch.strided
    if not ordinary or not reached(param.device):
        return False
    # The keys by which torch chooses what to call: those of negative views or functorch's wrappers differ.
    return bool(torch._C._dispatch_keys(param) == _ordinary_keys(param.device))


def reached(where: torch.device) -> bool:
    """Whether kernels run for tensors there."""
    return where.type == "cpu" or gpus.device_of(where) is not None


def plain_on(param: torch.Tensor, device: torch.device) -> bool:
    """Whether a parameter is an ordinary tensor on a device, which may be another than the CPU."""
    ordinary = type(param) in _ORDINARY and param.layout == torch.strided and param.device == device
    return ordinary and bool(torch._C._dispatch_keys(param) == _ordinary_keys(device))


def where(param: torch.Tensor) -> tuple[bool, int] | None:
    """Whether an ordinary tensor's numbers are those in its memory, or their negatives, and where that is."""
    known = type(param) in _ORDINARY and param.device.type in FLAT
    return (param.is_neg(), param.data_ptr()) if known else None


def refuse_pretence(groups: Sequence[Mapping[str, Any]]) -> None:
    """Raise for real weights while torch only pretends to compute: what machine code does to them would be real."""
    from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

    pretended = any(isinstance(mode, FakeTensorMode) for mode in _get_current_dispatch_mode_stack())
    if pretended and not all(isinstance(p, FakeTensor) for group in groups for p in group["params"]):
        raise RuntimeError(
            "under FakeTensorMode nothing is computed, but these weights are real: step outside of it, or make model "
            "and optimizer within"
        )


@cache
def _ordinary_keys(device: torch.device = torch.device("cpu")) -> object:  # noqa: B008
    with ordinary():
        return torch._C._dispatch_keys(torch.empty(0, dtype=torch.float32, device=device))


def within_storage(tensor: torch.Tensor) -> bool:
    """Whether all elements of an ordinary strided tensor lie in its storage, which can be made smaller under it."""
    if type(tensor) not in _ORDINARY or tensor.device.type == "meta":
        return True
    elements = _elements(tensor.shape, tensor.stride())
    end = (tensor.storage_offset() + elements) * tensor.itemsize
    return not elements or end <= tensor.untyped_storage().nbytes()


def extent(tensor: torch.Tensor) -> int:
    """The bytes from a strided tensor's first element to past its last."""
    return _elements(tensor.shape, tensor.stride()) * tensor.itemsize


@lru_cache(maxsize=4096)  # asked of every tensor in every step where there is no fast way
def _elements(shape: Sequence[int], strides: Sequence[int]) -> int:
    if 0 in shape:
        return 0
    return sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True)) + 1


def kernel_types(param: torch.Tensor, operands: Mapping[str, torch.Tensor]) -> Types | str:
    """The element types of w, g and each state, for a kernel; or why the `torch` reader has to serve it, in words."""
    if type(param) not in _ORDINARY:
        return f"it is a {type(param).__name__}"
    if not plain(param):
        if reached(param.device):
            return "it is a view that torch computes with"
        problem = gpus.why_not(param.device)
        return f"it is on {param.device}" + (f", and {problem}" if problem else "")
    grad = param if param.grad is None else param.grad
    tensors = {"w": param, "g": grad, **operands}
    for name, tensor in tensors.items():
        if name in operands and not plain(tensor):
            return f"its state {name} is no plain memory"
        # Any other state is copied into the weight's layout; this one others write to, where it is.
        alike = tensor.stride() == param.stride() or tensor.shape != param.shape
        if name in operands and not alike and tensor.untyped_storage().is_shared():
            return f"its state {name}, which processes share, is laid out otherwise"
        if tensor.dtype not in _NAMES or not (tensor.device.type != "cpu" or readable(_NAMES[tensor.dtype])):
            return f"{name} is {str(tensor.dtype).removeprefix('torch.')}"
    # empty_like keeps the strides of memory without gaps or overlaps, and of no other.
    if param.stride() != torch.empty_like(param).stride():
        return "its memory has gaps"
    if not available():
        return "kernels cannot be compiled here"
    return tuple((name, _NAMES[tensor.dtype]) for name, tensor in tensors.items())


def refuse(param: torch.Tensor, name: str) -> None:
    """Raise for a parameter that nothing serves."""
    grad = param.grad
    if param.is_complex():
        raise TypeError(f"{name} is complex; use torch.view_as_real to optimise its real and imaginary parts")
    if not param.is_floating_point():
        raise TypeError(f"{name} holds {param.dtype}; only floating point numbers can be optimised")
    if grad is not None and grad.layout != torch.strided:
        raise TypeError(
            f"the gradient of {name} is sparse; make it dense (nn.Embedding(sparse=False)) "
            "or give this parameter to torch.optim.SparseAdam"
        )
    for tensor, called in ((param, name), (grad, f"the gradient of {name}")):
        if tensor is not None and not within_storage(tensor):
            raise RuntimeError(f"the memory of {called} has been taken away: its storage was resized")
    if param.layout == torch.strided and overlaps_itself(param):
        raise TypeError(
            f"{name} has several elements in one place of memory (strides {param.stride()} for the shape "
            f"{tuple(param.shape)}, as expand makes them); give the optimizer the tensor that was expanded"
        )


def overlaps_itself(tensor: torch.Tensor) -> bool:
    """Whether two elements of a tensor share memory."""
    axes = sorted((stride, size) for stride, size in zip(tensor.stride(), tensor.shape, strict=True) if size > 1)
    if tensor.numel() == 0:
        return False
    extent = 0  # the furthest element that the axes so far reach
    for stride, size in axes:
        if stride <= extent:  # it may; few tensors get here, and counting is certain
            places = torch.zeros(1, dtype=torch.int64)
            for step, many in zip(tensor.stride(), tensor.shape, strict=True):
                places = (places[:, None] + step * torch.arange(many)).reshape(-1)
            return len(torch.unique(places)) < tensor.numel()
        extent += stride * (size - 1)
    return False


def _span(param: torch.Tensor, bases: dict[object, int]) -> tuple[int, int]:
    """Where a parameter's memory begins and ends; nowhere, where that cannot be known.

    Elsewhere than on the CPU an address may be no number of bytes, so a storage is a range of its own; ``bases`` has
    where those begin that have been met.
    """
    if plain(param):
        start = param.data_ptr()
    elif param.device.type in FLAT and plain_on(param, param.device):
        storage = param.untyped_storage()
        # Beyond all addresses, and further apart than any storage is long.
        base = bases.setdefault((param.device, storage.data_ptr()), (len(bases) + 1) << 64)
        start = base + int(param.storage_offset()) * param.itemsize
    else:
        return 0, 0
    return start, start + extent(param)


def turns(params: Sequence[torch.Tensor]) -> list[int]:
    """For each parameter, its turn: 0, or later than every parameter before it that shares memory with it.

    Parameters of one turn are updated at the same time by several threads.
    """
    bases: dict[object, int] = {}
    spans = [_span(p, bases) for p in params]
    found = [0] * len(params)
    order = sorted((span, i) for i, span in enumerate(spans) if span[1] > span[0])
    reach = 0
    clash = False
    for (start, end), _ in order:
        clash = clash or start < reach
        reach = max(reach, end)
    if clash:
        for i, (start, end) in enumerate(spans):
            before = [found[j] for j in range(i) if spans[j][0] < end and start < spans[j][1]]
            found[i] = max(before) + 1 if before else 0
    return found
