"""NVIDIA GPUs, by way of CUDA's driver: Triton compiles, and what it has compiled is loaded and launched here.

Triton's own launcher is C that it has a compiler build on the user's machine; the driver's functions are the same on
all of them, and calling one takes a microsecond or two.
"""

import ctypes
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import Any
from weakref import WeakSet

import torch
from numpy.typing import NDArray

from thalweg.formula import triton_kernel
from thalweg.formula.triton_kernel import DeviceKernel

from .devices import Argument, Device, Table
from .modes import ordinary
from .sending import Pinned, SentTable

LEAST_CAPABILITY = 80
"""Of the GPUs that are served; on older ones updates are torch's operations."""

# How an argument lies in its 8 bytes.
_FORMATS = {"i64": "q", "fp32": "f4x", "fp64": "d"}


def problem(where: torch.device) -> str | None:
    """Why a GPU's kernels cannot be run, in words; None if they can.

    The first time that it is asked for GPUs of a compute capability, a kernel is compiled.
    """
    if not triton_kernel.installed():
        return "Triton, which compiles them, is not installed"
    if torch.version.hip is not None:
        return "it is no NVIDIA GPU"
    if not torch.cuda.is_available():
        return "torch finds no GPU"
    major, minor = torch.cuda.get_device_capability(where)
    if 10 * major + minor < LEAST_CAPABILITY:
        return f"its compute capability is {major}.{minor}, and kernels are for 8.0 and later"
    return driver_problem() or _compilers().submit(triton_kernel.problem, 10 * major + minor).result()


def driver_problem() -> str | None:
    """Why CUDA's driver cannot be called, in words; None if it can."""
    try:
        _driver()
    except OSError as error:
        return f"CUDA's driver cannot be loaded ({error})"
    return None


@cache
def _driver() -> ctypes.CDLL:
    return ctypes.CDLL("libcuda.so.1")


@cache
def _compilers() -> ThreadPoolExecutor:
    # One at a time: Python's own parser, which Triton calls, has had releases that fail in several threads at once.
    return ThreadPoolExecutor(1, thread_name_prefix="thalweg compiles")


def _checked(name: str, *arguments: Any) -> None:
    """Call one of the driver's functions; RuntimeError if it says that something is wrong."""
    code = getattr(_driver(), name)(*arguments)
    if code:
        text = ctypes.c_char_p()
        _driver().cuGetErrorString(code, ctypes.byref(text))
        raise RuntimeError(f"CUDA's {name} failed: {(text.value or b'error ' + str(code).encode()).decode()}")


# CU_STREAM_CAPTURE_MODE_RELAXED, of the driver's interface.
_RELAXED = 2


@contextmanager
def _besides_recordings() -> Iterator[None]:
    """Within, this thread may load code and fetch memory also while a CUDA graph is recorded somewhere: that is no part
    of it, and would else break it."""
    mode = ctypes.c_int(_RELAXED)
    _checked("cuThreadExchangeStreamCaptureMode", ctypes.byref(mode))
    try:
        yield
    finally:
        _checked("cuThreadExchangeStreamCaptureMode", ctypes.byref(mode))


@dataclass(eq=False)
class _Function:
    """A loaded kernel, and the memory that its arguments are put into."""

    handle: ctypes.c_void_p
    shared: int
    threads: int
    packed: struct.Struct
    room: ctypes.Array[ctypes.c_char]
    places: ctypes.Array[ctypes.c_void_p]
    lock: Lock


class _Event:
    """On the current stream of one GPU, whichever torch's current one is."""

    def __init__(self, index: int) -> None:
        self._index, self._event = index, torch.cuda.Event()  # type: ignore[no-untyped-call]

    def record(self) -> None:
        self._event.record(torch.cuda.current_stream(self._index))

    def query(self) -> bool:
        return bool(self._event.query())  # type: ignore[no-untyped-call]

    def wait(self) -> None:
        self._event.synchronize()


def capturing(index: int) -> bool:
    """Whether what that GPU's current stream is given is recorded; asks for nothing that a recording would refuse."""
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return False
    with torch.cuda.device(index):
        return torch.cuda.is_current_stream_capturing()


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
        self._compiling: dict[DeviceKernel, Future[Any]] = {}
        self._loading = Lock()
        self._stream = torch.cuda.current_stream(self.index)
        self._made: WeakSet[torch.Tensor] = WeakSet()
        """The memory on the device that is ours."""

    def zeros(self, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
        with ordinary():
            made = torch.zeros(*shape, dtype=dtype, device=self._where)
        with self._loading:
            self._made.add(made)
        return made

    def table(self, shape: Sequence[int], dtype: torch.dtype, recordable: bool = False) -> Table:
        return SentTable(self.zeros(shape, dtype), self._pinned, (lambda: self.recording) if recordable else None)

    def begin(self) -> None:
        if torch._C._cuda_getCurrentRawStream(self.index) == self._stream.cuda_stream:
            return
        # What the last step has been given to do reads tables that this one writes.
        with self._loading:
            before, self._stream = self._stream, torch.cuda.current_stream(self.index)
            self._stream.wait_stream(before)
            for made in self._made:
                made.record_stream(self._stream)

    def _pinned(self, like: torch.Tensor) -> Pinned:
        with ordinary(), _besides_recordings():
            memory = torch.empty(like.shape, dtype=like.dtype, device="cpu", pin_memory=True)
        return Pinned(memory, memory.numpy(), _Event(self.index))

    def read(self, tensor: torch.Tensor) -> NDArray[Any]:
        found: NDArray[Any] = tensor.cpu().numpy()
        return found

    def fetch(self, tensor: torch.Tensor) -> Callable[[], NDArray[Any]]:
        held = self._pinned(tensor)
        held.memory.copy_(tensor, non_blocking=True)
        held.copied.record()

        def now() -> NDArray[Any]:
            held.copied.wait()
            return held.view

        return now

    @property
    def recording(self) -> bool:
        return capturing(self.index)

    def expect(self, kernel: DeviceKernel) -> None:
        with self._loading:
            self._begin(kernel)

    def launch(self, kernel: DeviceKernel, programs: int, arguments: Sequence[Argument]) -> None:
        function = self._functions.get(kernel) or self._loaded(kernel)
        values = [x.data_ptr() if isinstance(x, torch.Tensor) else x for x in arguments]
        with function.lock:
            function.packed.pack_into(function.room, 0, *values)
            self._call(function, programs)

    def _call(self, function: _Function, programs: int) -> None:
        stream = ctypes.c_void_p(torch._C._cuda_getCurrentRawStream(self.index))
        with torch.cuda.device(self.index):
            _checked("cuCtxSetCurrent", self._context)  # a thread of its own may have none
            _checked(
                "cuLaunchKernel", function.handle, programs, 1, 1, function.threads, 1, 1, function.shared, stream,
                function.places, None,
            )  # fmt: skip

    def _loaded(self, kernel: DeviceKernel) -> _Function:
        with self._loading:
            if kernel not in self._functions:
                self._functions[kernel] = self._load(kernel)
            return self._functions[kernel]

    def _begin(self, kernel: DeviceKernel) -> None:
        if kernel not in self._functions and kernel not in self._compiling:
            self._compiling[kernel] = _compilers().submit(kernel.compiled, self._capability)

    def _load(self, kernel: DeviceKernel) -> _Function:
        self._begin(kernel)
        compiled = self._compiling.pop(kernel).result()
        module, handle = ctypes.c_void_p(), ctypes.c_void_p()
        with torch.cuda.device(self.index), _besides_recordings():
            _checked("cuCtxSetCurrent", self._context)
            _checked("cuModuleLoadData", ctypes.byref(module), ctypes.c_char_p(compiled.asm["cubin"]))
            _checked("cuModuleGetFunction", ctypes.byref(handle), module, compiled.metadata.name.encode())
        # Behind our arguments Triton has some of its own, of which these kernels use none.
        more = parameters(compiled.asm["ptx"]) - len(kernel.signature)
        return packed(kernel, handle, more, compiled.metadata.shared, 32 * compiled.metadata.num_warps)


def packed(kernel: DeviceKernel, handle: ctypes.c_void_p, more: int, shared: int, threads: int) -> _Function:
    """A loaded kernel with memory for its arguments, and for ``more`` of 8 bytes behind them that are 0."""
    kinds = [*kernel.signature.values()]
    formats = "".join("Q" if kind.startswith("*") else _FORMATS[kind] for kind in kinds)
    layout = struct.Struct(f"<{formats}{8 * more}x")
    room = ctypes.create_string_buffer(layout.size)
    count, at = len(kinds) + more, ctypes.addressof(room)
    places = (ctypes.c_void_p * count)(*(at + 8 * i for i in range(count)))
    return _Function(handle, shared, threads, layout, room, places, Lock())


def parameters(ptx: str) -> int:
    """How many parameters the kernel of a PTX text takes."""
    head = ptx[ptx.index(".entry") :]
    return len(re.findall(r"\.param\b", head[: head.index("{")]))
