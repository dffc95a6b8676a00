"""Timing two ways of doing one thing, side by side, on a machine whose speed drifts."""

import os
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# A block of repetitions lasts at least this long: far above the clock's and the scheduler's grain.
BLOCK_SECONDS = 0.02
# More of the machine than this taken by others, and the run is void.
DISTURBED = 0.10


@dataclass(frozen=True)
class Timing:
    """Seconds per call, one entry a round, and the share of the machine that other processes took meanwhile."""

    seconds: Mapping[str, tuple[float, ...]]
    others: float | None
    """None where the system does not say (/proc/stat is Linux's)."""

    @property
    def disturbed(self) -> bool:
        """Whether another process used the machine so much that the figures say nothing."""
        return self.others is not None and self.others > DISTURBED

    def median(self, name: str) -> float:
        """The median time of a call, in seconds."""
        return statistics.median(self.seconds[name])

    def ratio(self, slow: str, fast: str) -> tuple[float, float, float]:
        """How many times longer ``slow`` takes: the quartiles and median of the rounds' ratios (q1, median, q3)."""
        ratios = [a / b for a, b in zip(self.seconds[slow], self.seconds[fast], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        return low, middle, high


def measure(calls: Mapping[str, Callable[[], object]], rounds: int, seed: int = 0) -> Timing:
    """Time each call once a round, in random order, as blocks of repetitions; at least 2 rounds."""
    order: Sequence[str] = list(calls)
    shuffled = random.Random(seed)
    repetitions = {name: _repetitions(call) for name, call in calls.items()}
    found: dict[str, list[float]] = {name: [] for name in order}
    busy, own, began = _busy_seconds(), time.process_time(), time.perf_counter()
    for _ in range(rounds):
        for name in shuffled.sample(order, len(order)):
            found[name].append(_block(calls[name], repetitions[name]))
    wall = time.perf_counter() - began
    after = _busy_seconds()
    others = None
    if busy is not None and after is not None:
        others = max(0.0, (after - busy) - (time.process_time() - own)) / (wall * (os.cpu_count() or 1))
    return Timing({name: tuple(times) for name, times in found.items()}, others)


def _repetitions(call: Callable[[], object]) -> int:
    call()  # the first call may compile
    call()
    return max(1, round(BLOCK_SECONDS / max(_block(call, 1), 1e-9)))


def _block(call: Callable[[], object], repetitions: int) -> float:
    began = time.perf_counter()
    for _ in range(repetitions):
        call()
    return (time.perf_counter() - began) / repetitions


def _busy_seconds() -> float | None:
    """CPU time that all processes, and other machines on this host, have taken since boot."""
    try:
        fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    except OSError:
        return None
    user, nice, system, _idle, _wait, irq, softirq, steal = (int(f) for f in fields[:8])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
