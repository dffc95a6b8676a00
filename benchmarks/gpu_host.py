"""What the host does in a step on a GPU, measured without one, into benchmarks/GPU_HOST.md.

python benchmarks/gpu_host.py                # make bench does it too; a minute
python benchmarks/gpu_host.py --only lamb
"""

import ctypes
import itertools
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from threading import Lock
from typing import Any
from unittest.mock import patch

import torch

import thalweg
from command_line import line_parser
from page import markdown
from sides import Parameters, Side
from steps import published, say
from thalweg.cpu import cpu_name
from thalweg.formula.triton_kernel import DeviceKernel
from thalweg.optim import OPTIMIZERS, Optimizer, cuda, gpus
from thalweg.optim.cuda import CudaDevice
from thalweg.optim.sending import Pinned
from thalweg.speed.cases import parameters

PAGE = Path(__file__).resolve().parent / "GPU_HOST.md"
CLIP_NORM, SIZE, CALLS = 1.0, 64, 25
_HEADINGS = ["rule", "tensors", "us", "quartiles, us", "launches"]
_HOW = f"""Microseconds of the thread's own time that `step()` takes (the clock on the wall would count what others do
on the machine; a step waits for nothing, so on one left alone both are the same): the median of the rounds, each the
median of {CALLS} calls, and the rounds' quartiles. All lines are measured in each round, in random order.
**launches**: how many kernels the step gives the GPU, whatever the number of tensors. Tensors have {SIZE} float32
weights. Before every call, outside the clock, all gradients are other tensors and the learning rate is another one, so
that addresses and numbers are worked out and sent anew each time.

No card is there: a stand-in takes the place of the calls of CUDA's driver, of its memory and events. All else is what
runs on a machine with a card. **Not in these figures**: what the driver itself takes for a launch, a copy to the card
and an event. They say nothing about how fast a GPU is, and there is nothing of torch's to put beside them: its host
time without a GPU means nothing."""


class _Past:
    """A point that the device is past at once."""

    def record(self) -> None:
        pass

    def query(self) -> bool:
        return True

    def wait(self) -> None:
        pass


class StandIn(CudaDevice):
    """A GPU of which only the host's side is there.

    ``launches`` counts what it is given to run, ``waits`` how often the host has waited for it.
    """

    def __init__(self) -> None:
        self._functions: dict[DeviceKernel, Any] = {}
        self._loading = Lock()
        self._called = ctypes.CDLL(None).abs
        self.launches = self.waits = 0

    def zeros(self, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
        return torch.zeros(*shape, dtype=dtype)

    def expect(self, kernel: DeviceKernel) -> None:
        pass

    def begin(self) -> None:
        pass

    @property
    def recording(self) -> bool:
        return False

    def read(self, tensor: torch.Tensor) -> Any:
        self.waits += 1
        return tensor.numpy()

    def _pinned(self, like: torch.Tensor) -> Pinned:
        memory = torch.empty(like.shape, dtype=like.dtype)
        return Pinned(memory, memory.numpy(), _Past())

    def _load(self, kernel: DeviceKernel) -> Any:
        return cuda.packed(kernel, ctypes.c_void_p(), more=2, shared=0, threads=128)

    def _call(self, function: Any, programs: int) -> None:
        self.launches += 1
        self._called(1)


@dataclass(frozen=True)
class Line:
    """A line of the table. ``scaled``: a GradScaler's numbers are on the device."""

    title: str
    rule: str
    tensors: int
    options: Mapping[str, Any] = field(default_factory=dict)
    scaled: bool = False


def _lines() -> Iterator[tuple[str, Line]]:
    for count in (10, 500):
        yield f"adamw/{count}", Line("AdamW", "adamw", count)
        yield f"clip/{count}", Line("AdamW, clip by norm", "adamw", count, {"clip_norm": CLIP_NORM})
        yield f"skip/{count}", Line("AdamW, nonfinite='skip'", "adamw", count, {"nonfinite": "skip"})
        yield f"scaler/{count}", Line("AdamW, GradScaler", "adamw", count, {"amp_fused": True}, scaled=True)
        yield f"lamb/{count}", Line("LAMB", "lamb", count)


LINES = dict(_lines())


@dataclass(frozen=True)
class Result:
    """A line; seconds a step, one number a round; and how many kernels its step launches."""

    line: Line
    seconds: Sequence[float]
    launches: int

    @property
    def row(self) -> list[str]:
        """Its line of the table."""
        low, middle, high = (f"{of * 1e6:,.0f}" for of in statistics.quantiles(self.seconds, n=4))
        return [self.line.title, str(self.line.tensors), middle, f"{low} to {high}", str(self.launches)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write the page, and return the exit code."""
    chosen = line_parser(__doc__, 41).parse_args(arguments)
    names = [name for name in LINES if not chosen.only or any(part in name for part in chosen.only)]
    if not names:
        say(f"gpu_host.py: no line's name has {' or '.join(chosen.only)} in it; there are {', '.join(LINES)}")
        return 2
    torch.set_num_threads(1)
    found = timed([LINES[name] for name in names], chosen.rounds)
    published(page(found, chosen.rounds), PAGE, part=bool(chosen.only))
    return 0


def timed(lines: Sequence[Line], rounds: int) -> list[Result]:
    """The lines, side by side."""
    device, shuffled = StandIn(), random.Random(0)
    seconds: list[list[float]] = [[] for _ in lines]
    launches = [0] * len(lines)
    recorder = lambda _: lambda: device.recording  # noqa: E731
    with patch.object(gpus, "device_of", lambda _: device), patch.object(gpus, "recorder_of", recorder):
        sides = [side_of(line) for line in lines]
        for i, side in enumerate(sides):
            for _ in range(3):  # the first step makes the plan, and then pieces of memory to send from
                before = device.launches
                _own(side)
                launches[i] = device.launches - before
        waited = device.waits  # where a step may be left out, the one that makes states waits
        for _ in range(rounds):
            for i in shuffled.sample(range(len(lines)), len(lines)):
                seconds[i].append(statistics.median(_own(sides[i]) for _ in range(CALLS)))
    if device.waits != waited:
        raise RuntimeError("a step has waited for the device, so its time without one says nothing")
    return [Result(*of) for of in zip(lines, seconds, launches, strict=True)]


def _own(side: Side) -> float:
    """Seconds of this thread's own time."""
    side.refill()
    began = time.thread_time()
    side.call()
    return time.thread_time() - began


def side_of(line: Line) -> Side:
    """The step, and what gives it other gradients and another rate."""
    torch.manual_seed(0)
    params = parameters(line.tensors * [(SIZE,)])
    optimizer = OPTIMIZERS[line.rule](params, lr=1e-3, **line.options)
    if line.scaled:
        optimizer.found_inf, optimizer.grad_scale = torch.zeros(1), torch.full((1,), 1024.0)
    return Side(params, _renewing(optimizer, params), optimizer.step)


def _renewing(optimizer: Optimizer, params: Parameters) -> Callable[[], None]:
    rates = itertools.cycle((1e-3, 9e-4))
    sets = itertools.cycle([[torch.randn_like(p) for p in params] for _ in range(2)])

    def renew() -> None:
        optimizer.param_groups[0]["lr"] = next(rates)
        for p, grad in zip(params, next(sets), strict=True):
            p.grad = grad

    return renew


def page(found: Sequence[Result], rounds: int) -> str:
    """The whole page."""
    parts = [
        "# What the host does in a step on a GPU",
        f"{cpu_name()}, 1 thread, thalweg {thalweg.__version__}, torch {torch.__version__}. "
        f"{date.today().isoformat()}, {rounds} rounds a line. Made by `python benchmarks/gpu_host.py`.",
        _HOW,
        markdown(_HEADINGS, [result.row for result in found]),
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.exit(main())
