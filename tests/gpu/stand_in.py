"""A GPU that is not there: the host's side of a step is real, but for the calls of CUDA's driver and torch's copies.

What the device is given to do is noted in order, and done when the test says so; kernels are never run.
"""

import ctypes
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from threading import Lock
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray

from thalweg.formula.triton_kernel import DeviceKernel
from thalweg.optim import cuda, gpus
from thalweg.optim.cuda import CudaDevice
from thalweg.optim.devices import Argument, Table
from thalweg.optim.sending import Pinned, SentTable


class _Event:
    def __init__(self, device: "StandIn") -> None:
        self._device, self._at = device, 0

    def record(self) -> None:
        assert not self._device.recording, "an event in a recording"
        self._at = len(self._device.given)

    def query(self) -> bool:
        assert not self._device.recording, "an event in a recording"
        return self._device.done >= self._at

    def wait(self) -> None:
        assert self.query(), "the host waits for the device"


class _Memory(torch.Tensor):
    """Of the device: what is copied there is copied when the device comes to it."""

    given: list[Callable[[], object]]

    def copy_(self, source: torch.Tensor, non_blocking: bool = False) -> "_Memory":
        assert non_blocking, "the host waits for a copy"
        there = self.as_subclass(torch.Tensor)
        self.given.append(partial(torch.Tensor.copy_, there, source))
        return self


class _Noted(SentTable):
    latest: NDArray[Any]

    def put(self, array: NDArray[Any]) -> None:
        self.latest = np.array(array)
        super().put(array)


class StandIn(CudaDevice):
    """``launched``: each kernel's name and number of programs. ``prompt``: whether the device does all at once.

    ``wrong``: how many kernels would have read another table than the host meant.
    ``may_wait``: whether it may be waited for.
    """

    def __init__(self, prompt: bool = True) -> None:
        self._functions: dict[DeviceKernel, Any] = {}
        self._loading = Lock()
        self.launched: list[tuple[str, int]] = []
        self.given: list[Callable[[], object]] = []
        self.done, self.wrong, self.prompt = 0, 0, prompt
        self.tables: list[_Noted] = []
        self.may_wait = False

    def zeros(self, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
        assert not self.recording, "memory is made in a recording"
        return torch.zeros(*shape, dtype=dtype)

    def table(self, shape: Sequence[int], dtype: torch.dtype, recordable: bool = False) -> Table:
        there = self.zeros(shape, dtype).as_subclass(_Memory)
        there.given = self.given
        self.tables.append(_Noted(there, self._pinned, (lambda: self.recording) if recordable else None))
        return self.tables[-1]

    def read(self, tensor: torch.Tensor) -> NDArray[Any]:
        assert self.may_wait, "the host waits for the device"
        return np.zeros(tensor.shape)

    recording = False

    def begin(self) -> None:
        assert not self.recording, "streams wait for each other in a recording"

    @contextmanager
    def waited_for(self) -> Iterator[None]:
        """Within, the host may wait: a first step has to where it may be left out, and its states dropped."""
        self.may_wait = True
        yield
        self.may_wait = False

    def launch(self, kernel: DeviceKernel, programs: int, arguments: Sequence[Argument]) -> None:
        super().launch(kernel, programs, arguments)
        self.launched.append((kernel.name, programs))
        meant = {
            x.there.data_ptr(): (x.there.as_subclass(torch.Tensor), x.latest.copy())
            for x in self.tables
            if hasattr(x, "latest")
        }
        read = [meant[x.data_ptr()] for x in arguments if isinstance(x, torch.Tensor) and x.data_ptr() in meant]
        self.given.append(partial(self._compare, read))
        if self.prompt:
            self.catch_up()

    def catch_up(self) -> None:
        """Do all that has been given to do."""
        for each in self.given[self.done :]:
            each()
        self.done = len(self.given)

    def _compare(self, read: Sequence[tuple[torch.Tensor, NDArray[Any]]]) -> None:
        self.wrong += sum(not np.array_equal(there.numpy(), meant) for there, meant in read)

    def _pinned(self, like: torch.Tensor) -> Pinned:
        assert not self.recording, "memory is made in a recording"
        view = np.empty(like.shape, str(like.dtype).removeprefix("torch."))
        return Pinned(torch.from_numpy(view), view, _Event(self))

    def expect(self, kernel: DeviceKernel) -> None:
        return

    def _load(self, kernel: DeviceKernel) -> Any:
        assert not self.recording, "a kernel is loaded in a recording"
        return cuda.packed(kernel, ctypes.c_void_p(), more=2, shared=0, threads=128)

    def _call(self, function: Any, programs: int) -> None:
        assert function.packed.size == 8 * len(function.places)


@contextmanager
def standing_in(device: StandIn) -> Iterator[StandIn]:
    """Within, the CPU's tensors are that device's."""
    with (
        patch.object(gpus, "device_of", lambda where: device),
        patch.object(gpus, "recorder_of", lambda where: lambda: device.recording),
    ):
        yield device
