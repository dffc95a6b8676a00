"""NVIDIA GPUs, by way of CUDA's driver: Triton compiles, and what it has compiled is loaded and launched here.

Triton's own launcher is C that it has a compiler build on the user's machine; the driver's functions are the same on all
of them, and calling one takes a microsecond or two.
"""

import ctypes
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from thalweg.formula.triton_kernel import DeviceKernel

from .devices import Argument, Device, Table
from .reading import ordinary

LEAST_CAPABILITY = 80
"""Of the GPUs that are served; on older ones updates are torch's operations."""

# How an argument lies in its 8 bytes.
_FORMATS = {"i64": "q", "fp32": "f4x", "fp64": "d"}


def problem(where: torch.device) -> str | None:
    """Why a GPU's kernels cannot be run, in words; None if they can."""
    if torch.version.hip is not None:
        return "it is no NVIDIA GPU"
    if not torch.cuda.is_available():
        return "torch finds no GPU"
    major, minor = torch.cuda.get_device_capability(where)
    if 10 * major + minor < LEAST_CAPABILITY:
        return f"its compute capability is {major}.{minor}, and kernels are for 8.0 and later"
    try:
        _driver()
    except OSError as error:
        return f"CUDA's driver cannot be loaded ({error})"
    return None


@cache
def _driver() -> ctypes.CDLL:
    return ctypes.CDLL("libcuda.so.1")


def _checked(name: str, *arguments: Any) -> None:
    """Call one of the driver's functions; RuntimeError if it says that something is wrong."""
    code = getattr(_driver(), name)(*arguments)
    if code:
        text = ctypes.c_char_p()
        _driver().cuGetErrorString(code, ctypes.byref(text))
        raise RuntimeError(f"CUDA's {name} failed: {(text.value or b'error ' + str(code).encode()).decode()}")


@dataclass(eq=False)
class _Function:
    """A loaded kernel, and the memory that its arguments are put into."""

    handle: ctypes.c_void_p
    shared: int
    threads: int
    packed: struct.Struct
    room: ctypes.Array[ctypes.c_char]
    places: ctypes.Array[ctypes.c_void_p]
    pointers: tuple[bool, ...]
    lock: Lock


class CudaDevice(Device):
    """One GPU, and whatever stream is torch's current one."""

    def __init__(self, where: torch.device) -> None:
        with torch.cuda.device(where):
            self.index = torch.cuda.current_device()
            torch.cuda.synchronize()  # now the context is there
            context = ctypes.c_void_p()
            _checked("cuCtxGetCurrent", ctypes.byref(context))
        self._context = context
        self._where = torch.device("cuda", self.index)
        major, minor = torch.cuda.get_device_capability(self.index)
        self._capability = 10 * major + minor
        self._functions: dict[DeviceKernel, _Function] = {}
        self._loading = Lock()

    def zeros(self, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
        with ordinary():
            return torch.zeros(*shape, dtype=dtype, device=self._where)

    def table(self, shape: Sequence[int], dtype: torch.dtype) -> Table:
        return _CudaTable(self, self.zeros(shape, dtype))

    def read(self, tensor: torch.Tensor) -> NDArray[Any]:
        found: NDArray[Any] = tensor.cpu().numpy()
        return found

    @property
    def recording(self) -> bool:
        return torch.cuda.is_current_stream_capturing()

    def launch(self, kernel: DeviceKernel, programs: int, arguments: Sequence[Argument]) -> None:
        function = self._functions.get(kernel) or self._loaded(kernel)
        values = [
            x.data_ptr() if pointer else x for x, pointer in zip(arguments, function.pointers, strict=True)  # type: ignore[union-attr]
        ]
        stream = torch._C._cuda_getCurrentRawStream(self.index)
        with function.lock, torch.cuda.device(self.index):
            _checked("cuCtxSetCurrent", self._context)  # a thread of its own may have none
            function.packed.pack_into(function.room, 0, *values)
            _checked(
                "cuLaunchKernel", function.handle, programs, 1, 1, function.threads, 1, 1, function.shared,
                ctypes.c_void_p(stream), function.places, None,
            )  # fmt: skip

    def _loaded(self, kernel: DeviceKernel) -> _Function:
        with self._loading:
            if kernel not in self._functions:
                self._functions[kernel] = self._load(kernel)
            return self._functions[kernel]

    def _load(self, kernel: DeviceKernel) -> _Function:
        compiled = kernel.compiled(self._capability)
        module, handle = ctypes.c_void_p(), ctypes.c_void_p()
        with torch.cuda.device(self.index):
            _checked("cuCtxSetCurrent", self._context)
            _checked("cuModuleLoadData", ctypes.byref(module), ctypes.c_char_p(compiled.asm["cubin"]))
            _checked("cuModuleGetFunction", ctypes.byref(handle), module, compiled.metadata.name.encode())
        kinds = [*kernel.signature.values()]
        # Behind our arguments Triton has some of its own, of which these kernels use none.
        more = parameters(compiled.asm["ptx"]) - len(kinds)
        packed = struct.Struct("<" + "".join("Q" if kind.startswith("*") else _FORMATS[kind] for kind in kinds) + f"{8 * more}x")
        room = ctypes.create_string_buffer(packed.size)
        at = ctypes.addressof(room)
        places = (ctypes.c_void_p * (len(kinds) + more))(*(at + 8 * i for i in range(len(kinds) + more)))
        pointers = tuple(kind.startswith("*") for kind in kinds)
        threads = 32 * compiled.metadata.num_warps
        return _Function(handle, compiled.metadata.shared, threads, packed, room, places, pointers, Lock())


def parameters(ptx: str) -> int:
    """How many parameters the kernel of a PTX text takes."""
    head = ptx[ptx.index(".entry") :]
    return len(re.findall(r"\.param\b", head[: head.index("{")]))


@dataclass(eq=False)
class _Pinned:
    """Memory of the host that a GPU copies from, and when it has."""

    memory: torch.Tensor
    view: NDArray[Any]
    copied: torch.cuda.Event


class _CudaTable(Table):
    """The host writes to one piece of memory after the other, each free once the GPU has copied it.

    Were there one, the host would have to wait, or change what the GPU has yet to copy.
    """

    def __init__(self, device: CudaDevice, there: torch.Tensor) -> None:
        self.there = there
        self._device = device
        self._ring: list[_Pinned] = []
        self._recorded: list[_Pinned] = []
        """What belongs to graphs, which copy it again whenever they run."""

    def put(self, array: NDArray[Any]) -> None:
        recording = self._device.recording
        free = next((each for each in self._ring if recording or each.copied.query()), None) or self._another()
        np.copyto(free.view, array)
        self.there.copy_(free.memory, non_blocking=True)
        if recording:
            self._ring.remove(free)
            self._recorded.append(free)
        else:
            free.copied.record()

    def _another(self) -> _Pinned:
        with ordinary():
            memory = torch.empty(self.there.shape, dtype=self.there.dtype, pin_memory=True)
        self._ring.append(_Pinned(memory, memory.numpy(), torch.cuda.Event()))
        return self._ring[-1]


