"""Asks torch's tensors where they are, in machine code: for 500 parameters a hundredth of a millisecond.

In Python the same questions (where is the gradient, is it laid out like its weight, has the weight moved?) take longer
than updating 500 small tensors. Here they are asked through functions that torch itself exports: those of
its stable C interface (``aoti_torch_...``) and two of its C++ functions. Where a tensor keeps what no function tells is
found by comparing with what Python says. Where anything is not as expected `torch_interface` is None: Python asks.
`vetted` says with which versions this is known to be right; with others it is checked first.

All of it runs while the interpreter's lock is held, as torch's own ``p.grad`` does.
"""

import ctypes
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from thalweg.formula.kernel import available

from . import driver
from .modes import ordinary
from .vetted import pair, problem

_SHIM = {
    "DATA": "aoti_torch_get_data_ptr", "TYPE": "aoti_torch_get_dtype", "DIMENSIONS": "aoti_torch_get_dim",
    "SIZES": "aoti_torch_get_sizes", "STRIDES": "aoti_torch_get_strides", "EXTENT": "aoti_torch_get_storage_size",
    "OFFSET": "aoti_torch_get_storage_offset", "NEW": "aoti_torch_new_tensor_handle",
    "DELETE": "aoti_torch_delete_tensor_object",
}  # fmt: skip
# c10::TensorImpl::grad() const; torch::autograd::impl::bump_version(const at::Tensor&)
_GRAD, _BUMP = "_ZNK3c1010TensorImpl4gradEv", "_ZN5torch8autograd4impl12bump_versionERKN2at6TensorE"
# As far as a tensor's own words are searched; it has 200 bytes and more.
_SEARCHED = 24

Words = NDArray[np.int64]


@dataclass(frozen=True)
class TorchInterface:
    """What the driver needs to know of this torch; ``constants`` by the name of the word they go into."""

    constants: dict[str, int]
    call: Callable[[int], None]

    def handle(self, tensor: torch.Tensor) -> int:
        """Where a tensor's Python object keeps its C++ tensor."""
        return id(tensor) + self.constants["OBJECT"]

    def type_code(self, dtype: torch.dtype) -> int:
        """torch's number for an element type."""
        with ordinary():
            tensor = torch.empty(0, dtype=dtype)
        found = ctypes.c_int32()
        ask = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p)(self.constants["TYPE"])
        ask(self.handle(tensor), ctypes.addressof(found))
        return found.value


def address(array: Words) -> int:
    """Where an array's memory is."""
    return int(array.ctypes.data)


@cache
def torch_interface() -> TorchInterface | None:
    """The interface, if this torch and this Python are as expected."""
    if not available():  # which is said already
        return None
    if (why := absent()) is not None:
        torch_version, python_version = pair()
        warnings.warn(
            f"torch {torch_version} with Python {python_version}: the fast way to find tensors cannot be taken "
            f"({why}). Steps are right, and slower on many small parameters. `thalweg doctor` checks again; the pairs "
            "that were tested are in docs/versions.md",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
    found = unchecked()
    assert not isinstance(found, str)
    return found


@cache
def absent() -> str | None:
    """Why there is no interface, in words; None if there is one."""
    return problem() or (found if isinstance(found := unchecked(), str) else None)


@cache
def unchecked() -> TorchInterface | str:
    """The interface as it is found, or why there is none, in words; `vetted` is not asked."""
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        return "this Python runs without its lock"
    if sys.implementation.name != "cpython":
        return f"this Python is {sys.implementation.name}, not cpython"
    try:
        with ordinary():
            constants = {**_functions(), **_places()}
        from thalweg.formula.machine import PLAIN, machine_code

        call = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(machine_code(PLAIN + driver.assembly()).address)
    except (ImportError, OSError, AttributeError, LookupError) as error:
        return f"{type(error).__name__}: {error}"
    return TorchInterface(constants, call)


def _functions() -> dict[str, int]:
    """The addresses of torch's and Python's functions."""
    folder = Path(torch.__file__).parent / "lib"
    ending = ".dylib" if sys.platform == "darwin" else ".so"
    cpu, c10 = (ctypes.CDLL(str(folder / f"lib{name}{ending}")) for name in ("torch_cpu", "c10"))
    functions = {name: getattr(cpu, symbol) for name, symbol in _SHIM.items()}
    functions |= {"GRAD": getattr(c10, _GRAD), "BUMP": getattr(cpu, _BUMP)}
    functions |= {"LENGTH": ctypes.pythonapi.PyList_Size, "ITEM": ctypes.pythonapi.PyList_GetItem}
    return {name: int(ctypes.cast(f, ctypes.c_void_p).value or 0) for name, f in functions.items()}


def _places() -> dict[str, int]:
    """Where tensors keep their parts, each found on several tensors; raises LookupError if they disagree."""
    param = torch.nn.Parameter(torch.ones(2, 3))
    plain, negative = torch.ones(4), torch._neg_view(torch.ones(5, 1))
    tensors: Sequence[Any] = (param, plain, negative, torch.zeros(1, dtype=torch.bfloat16))
    inside = {8 * i for i in range(2, 6)}
    key_at = set(range(_SEARCHED))
    for tensor in tensors:
        inside = {i for i in inside if _read(id(tensor) + i) == tensor._cdata}
        key = torch._C._dispatch_keys(tensor).raw_repr()
        key_at = {i for i in key_at if _read(tensor._cdata + 8 * i) == key}
    if len(inside) != 1 or len(key_at) != 1:
        raise LookupError("this torch keeps its tensors otherwise")
    grad_of = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(_functions()["GRAD"])
    undefined = _read(grad_of(param._cdata))
    param.grad = torch.ones_like(param)
    if _read(grad_of(param._cdata)) != param.grad._cdata:
        raise LookupError("this torch keeps its gradients otherwise")
    return {
        "OBJECT": inside.pop(), "KEY_PLACE": key_at.pop(), "UNDEFINED": undefined, "NONE": id(None),
    }  # fmt: skip


def _read(at: int) -> int:
    return ctypes.c_int64.from_address(at).value
