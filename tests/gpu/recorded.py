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
from interpreted import Interpreted, InterpretedTable, interpreting
from numpy.typing import NDArray
from torch.utils._python_dispatch import TorchDispatchMode

from thalweg.formula.triton_kernel import DeviceKernel
from thalweg.optim import Optimizer, modes
from thalweg.optim.devices import Argument

Noted = list[Callable[[], object]]
Weights = list[torch.nn.Parameter]
Make = Callable[[Weights], Optimizer]
SIZES = ((3, 5), (1000,), (), (0,))


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
    """``waits``: how often the host has asked for something and waited; ``waited``: until somebody took note of it;
    ``steps_waited``: steps of a `Loop` that did."""

    recording = False

    def __init__(self) -> None:
        super().__init__()
        self.waits = self.waited = self.steps_waited = 0
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


class Loop:
    """A training loop, eager on the CPU or with graphs on a device."""

    def __init__(self, make: Make, device: Recording | None, sizes: Sequence[Sequence[int]] = SIZES) -> None:
        chance = torch.Generator().manual_seed(0)
        self.of = [torch.nn.Parameter(torch.randn(size, generator=chance)) for size in sizes]
        self.device, self.made, self._at = device, make(self.of), 0

    def backward(self, absent: Sequence[int] = (), factor: float = 1.0) -> None:
        """New gradients in the memory that there is, as graphs need them."""
        chance = torch.Generator().manual_seed(self._at)
        self._at += 1
        for i, p in enumerate(self.of):
            drawn = (factor * torch.randn(p.shape, generator=chance)).to(p.dtype)
            if i in absent:
                p.grad = None
            elif p.grad is None:
                p.grad = drawn
            else:
                p.grad.copy_(drawn)

    def eager(self, steps: int = 3, **how: Any) -> None:
        for _ in range(steps):
            self.backward(**how)
            self.step()

    def step(self) -> None:
        before = 0 if self.device is None else self.device.waits
        self.made.step()
        if self.device is not None:
            self.device.steps_waited += self.device.waits > before

    def record(self) -> Callable[[], object]:
        """What takes a step again and again; nothing is done here."""
        if self.device is None:
            return self.made.step
        with self.device.recorded() as replay:
            self.made.step()
        return replay

    def replayed(self, replay: Callable[[], object], steps: int = 3, **how: Any) -> None:
        for _ in range(steps):
            self.backward(**how)
            replay()

    def spoiled(self, take: Callable[[], object]) -> None:
        """A step with a gradient that is not finite."""
        self.backward()
        grad = next(p.grad for p in self.of if p.grad is not None)
        grad.view(-1)[0] = torch.nan
        take()


def judge(
    make: Make, script: Callable[[Loop], object], near: float = 0.0, exactly: float = 0.0, **options: Any
) -> Recording:
    """Weights, states, counts and skipped steps are those of the CPU: numbers of a tensor within ``exactly``."""
    device = Recording()
    expected = Loop(make, None, **options)
    script(expected)
    with interpreting(device):
        found = Loop(make, device, **options)
        script(found)
        device.waited = device.waits
        mine, theirs = found.made.state_dict()["state"], expected.made.state_dict()["state"]
        assert found.made.skipped_steps == expected.made.skipped_steps
    for a, b in zip(found.of, expected.of, strict=True):
        torch.testing.assert_close(a, b, rtol=near, atol=near, equal_nan=True)
    assert mine.keys() == theirs.keys()
    for place, kept in theirs.items():
        for key, value in kept.items():
            within = exactly if value.dim() == 0 and value.dtype == torch.float64 else near
            torch.testing.assert_close(
                mine[place][key], value, rtol=within, atol=within / 10, msg=lambda m, k=key: f"{k}: {m}"
            )
    return device
