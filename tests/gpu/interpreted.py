"""A GPU that is Triton's interpreter: kernels run as they are written, on the CPU's tensors, by NumPy.

Triton reads TRITON_INTERPRET when it is loaded (the whole run of tests has it: tests/conftest.py), so what it compiles
is compiled in processes of their own: compiling.py.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import triton.language as tl
from numpy.typing import NDArray
from triton.runtime import interpreter

from thalweg.formula.triton_kernel import DeviceKernel
from thalweg.optim import gpus
from thalweg.optim.devices import Argument, Device, Table

_cast = interpreter.InterpreterBuilder.cast_impl


def _cast_as_gpus_do(builder: Any, source: Any, to: Any) -> Any:
    """The interpreter cuts float32 off where it becomes bfloat16; GPUs round (cvt.rn.bf16), as torch does."""
    kinds = source.dtype.scalar, to.scalar
    if kinds == (tl.float32, tl.bfloat16):
        rounded = torch.from_numpy(np.ascontiguousarray(source.data)).bfloat16().view(torch.uint16)
        return interpreter.TensorHandle(rounded.numpy(), kinds[1])
    if kinds == (tl.bfloat16, tl.float32):
        exact = torch.from_numpy(np.ascontiguousarray(source.data)).view(torch.bfloat16).float()
        return interpreter.TensorHandle(exact.numpy(), kinds[1])
    return _cast(builder, source, to)


interpreter.InterpreterBuilder.cast_impl = _cast_as_gpus_do
for _name in ("create_fp_ext", "create_fp_trunc"):
    setattr(interpreter.InterpreterBuilder, _name, _cast_as_gpus_do)


class Interpreted(Device):
    """``launched``: the names of the kernels that have run."""

    recording = False

    def __init__(self) -> None:
        self.launched: list[str] = []

    def zeros(self, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
        return torch.zeros(*shape, dtype=dtype)

    def table(self, shape: Sequence[int], dtype: torch.dtype, recordable: bool = False) -> "InterpretedTable":
        return InterpretedTable(self.zeros(shape, dtype))

    def launch(self, kernel: DeviceKernel, programs: int, arguments: Sequence[Argument]) -> None:
        assert len(arguments) == len(kernel.signature)
        self.launched.append(kernel.name)
        # What is nan or infinite is so on a GPU without a word.
        with np.errstate(all="ignore"):
            kernel.function[(programs,)](*arguments, **kernel.constants)

    def fetch(self, tensor: torch.Tensor) -> Callable[[], NDArray[Any]]:
        copied = tensor.numpy().copy()
        return lambda: copied

    def read(self, tensor: torch.Tensor) -> NDArray[Any]:
        found: NDArray[Any] = tensor.numpy()
        return found


class InterpretedTable(Table):
    def __init__(self, there: torch.Tensor) -> None:
        self.there = there

    def put(self, array: NDArray[Any]) -> None:
        self.there.numpy()[...] = array


@contextmanager
def interpreting(device: Interpreted | None = None) -> Iterator[Interpreted]:
    """Within, optimizers of the CPU's tensors step on such a GPU."""
    device = device or Interpreted()
    with (
        patch.object(gpus, "device_of", lambda where: device),
        patch.object(gpus, "recorder_of", lambda where: lambda: device.recording),
    ):
        yield device
