"""What the measuring scripts ask of a CUDA GPU: to be idle, to note the time, to be busy, to record a call."""

import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from sides import Side
from thalweg.speed.cases import Step
from thalweg.speed.measure import Timing

REPEATS = 5
"""Calls of a side in a round, whose median is the round's."""
LEAST_ROUNDS = 3
# The device is given this much to do before a call whose device time is taken, so that the host is ahead of it: the
# host's own time of the call, so many times, and so many seconds.
_AHEAD = (2.0, 1e-3)
# Of today's GPUs; what is asked for is how long the device is busy, roughly.
_CYCLES_A_SECOND = 2e9


class Mark(Protocol):
    """A point in what a device has been given to do; `torch.cuda.Event` is one."""

    def record(self) -> None:
        """It is now."""

    def elapsed_time(self, end: Any, /) -> float:
        """Milliseconds from this one to a later one, both past."""


@dataclass(frozen=True)
class Card:
    """A GPU.

    ``wait``      returns once it has nothing to do.
    ``mark``      makes a `Mark`.
    ``occupy``    keeps it busy for so many seconds, roughly.
    ``recorded``  a call that does again all that the given call gives it to do (a CUDA graph); that is noted, not done.
    ``warmed``    the call, after some that a recording needs before it.
    ``free``      the bytes of its memory that nobody uses.
    """

    device: torch.device
    wait: Step
    mark: Callable[[], Mark]
    occupy: Callable[[float], object]
    recorded: Callable[[Step], Step]
    warmed: Callable[[Step], Step]
    free: Callable[[], int]


def cuda_card() -> Card:
    """The first CUDA GPU."""

    def occupy(seconds: float) -> None:
        torch.cuda._sleep(int(seconds * _CYCLES_A_SECOND))  # type: ignore[no-untyped-call]

    def mark() -> Mark:
        made: Mark = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        return made

    def free() -> int:
        torch.cuda.empty_cache()
        return int(torch.cuda.mem_get_info(0)[0])

    return Card(
        torch.device("cuda", 0), torch.cuda.synchronize, mark, occupy, _recorded, _warmed, free
    )  # fmt: skip


def _warmed(call: Step) -> Step:
    """As torch's notes on CUDA graphs have it: a few calls on a stream of their own."""
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(stream)
    return call


def _recorded(call: Step) -> Step:
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    return graph.replay


@dataclass(frozen=True)
class Clocked:
    """Two times of the same sides: of the host, and of the device."""

    host: Timing
    device: Timing


def clocked(card: Card, sides: Mapping[str, Side], rounds: int, seconds: float, seed: int = 0) -> Clocked:
    """Time each side once a round, in random order; after so many seconds no further round begins.

    Of the host: how long the call takes while the device is idle. Of the device: from the call's first kernel to its
    last, while the host is ahead.
    """
    began, shuffled, order = time.monotonic(), random.Random(seed), [*sides]
    host: dict[str, list[float]] = {name: [] for name in order}
    device: dict[str, list[float]] = {name: [] for name in order}
    for name in order:  # the first calls compile, and fetch memory
        taken = 1e-2
        for _ in range(3):
            taken = _host(card, sides[name])
            _device(card, sides[name], min(taken, 1e-2))
    for done in range(rounds):
        if done >= LEAST_ROUNDS and time.monotonic() - began > seconds:
            break
        for name in shuffled.sample(order, len(order)):
            host[name].append(statistics.median(_host(card, sides[name]) for _ in range(REPEATS)))
            last = host[name][-1]
            device[name].append(statistics.median(_device(card, sides[name], last) for _ in range(REPEATS)))
    return Clocked(*(Timing({name: tuple(of) for name, of in times.items()}, None) for times in (host, device)))


def _host(card: Card, side: Side) -> float:
    """Seconds until the call returns."""
    side.refill()
    card.wait()
    began = time.perf_counter()
    side.call()
    return time.perf_counter() - began


def _device(card: Card, side: Side, taken: float) -> float:
    """Seconds that the device needs for what the call gives it to do; ``taken``: what the host needs."""
    side.refill()
    card.wait()
    first, last = card.mark(), card.mark()
    times, more = _AHEAD
    card.occupy(times * taken + more)
    first.record()
    side.call()
    last.record()
    card.wait()
    return first.elapsed_time(last) / 1e3


def copying(card: Card, most: int = 1 << 30) -> float:
    """Bytes a second that a copy within the device's memory reads and writes: the best of ten of 1 GB at most."""
    size = min(most, card.free() // 4)
    source = torch.ones(size // 4, device=card.device)
    target = torch.empty_like(source)
    side = Side([], lambda: None, lambda: target.copy_(source))
    seconds = min(_device(card, side, 1e-3) for _ in range(12))
    return 2 * source.numel() * source.itemsize / seconds
