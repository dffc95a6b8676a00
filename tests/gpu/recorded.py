"""A CUDA graph that is a list: while a GPU that is interpreted records, what it is given is noted; a replay does it.

torch's own operations are noted too, so that what they compute from a learning rate, say, is computed in every replay.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from interpreted import Interpreted, InterpretedTable
from numpy.typing import NDArray
from torch.utils._python_dispatch import TorchDispatchMode

from thalweg.formula.triton_kernel import DeviceKernel
from thalweg.optim import modes
from thalweg.optim.devices import Argument

Noted = list[Callable[[], object]]


class _Noting(TorchDispatchMode):
    """Operations that write somewhere are not done; those that make a tensor will fill that very one again."""

    def __init__(self, noted: Noted) -> None:
        super().__init__()
        self._noted = noted

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func is not torch.ops.aten._local_scalar_dense.default, "the host waits while it records"
        run = partial(func, *args, **(kwargs or {}))
        if func._schema.is_mutable:
            self._noted.append(run)
            return (kwargs or {}).get("out", args[0])
        made = run()
        if not any(each.alias_info for each in func._schema.returns):  # else it is a view
            self._noted.append(lambda: made.copy_(run()))
        return made


class Recording(Interpreted):
    """``waits``: how often the host has asked for something and waited; ``waited``: until somebody took note of it."""

    recording = False

    def __init__(self) -> None:
        super().__init__()
        self.waits = self.waited = 0
        self._noted: Noted = []

    @contextmanager
    def recorded(self) -> Iterator[Callable[[], None]]:
        """Within, nothing is done; gives what does it."""
        self._noted = noted = []
        self.recording = True
        # What sets torch's modes aside would set this one aside.
        with _Noting(noted), patch.object(modes, "_disable_current_modes", nullcontext):
            yield lambda: [each() for each in noted] and None
        self.recording = False

    def zeros(self, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
        assert not self.recording, "memory is made while recording"
        return super().zeros(shape, dtype)

    def table(self, shape: Sequence[int], dtype: torch.dtype, recordable: bool = False) -> InterpretedTable:
        return _Table(self, self.zeros(shape, dtype), recordable)

    def expect(self, kernel: DeviceKernel) -> None:
        assert not self.recording, "a kernel is made while recording"

    def launch(self, kernel: DeviceKernel, programs: int, arguments: Sequence[Argument]) -> None:
        if self.recording:
            self._noted.append(partial(super().launch, kernel, programs, [*arguments]))
        else:
            super().launch(kernel, programs, arguments)

    def read(self, tensor: torch.Tensor) -> NDArray[Any]:
        assert not self.recording, "the host waits while it records"
        self.waits += 1
        return super().read(tensor)

    def fetch(self, tensor: torch.Tensor) -> Callable[[], NDArray[Any]]:
        assert not self.recording, "memory is made while recording"
        return super().fetch(tensor)


class _Table(InterpretedTable):
    def __init__(self, device: Recording, there: torch.Tensor, recordable: bool) -> None:
        super().__init__(there)
        self._device, self._left = device, recordable
        self._retired = False

    def put(self, array: NDArray[Any]) -> None:
        assert not self._retired, "a table is written to that a graph reads"
        if not self._device.recording:
            super().put(array)
            return
        assert self._left, "a table is written to while recording"
        self._left, self._retired = False, True
        self._device._noted.append(partial(super().put, np.array(array)))
