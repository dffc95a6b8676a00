"""Timing two ways of doing one thing, side by side, on a machine whose speed drifts."""

import math
import os
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Call = Callable[[], object]

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


def measure(
    calls: Mapping[str, Call], rounds: int, *, before: Mapping[str, Call] | None = None, seed: int = 0
) -> Timing:
    """Time each call once a round, in random order, as blocks of repetitions; at least 2 rounds.

    ``before`` has, for the calls that need it, what runs before each repetition, outside the clock.
    """
    order: Sequence[str] = list(calls)
    shuffled = random.Random(seed)
    prepare = {name: (before or {}).get(name, _nothing) for name in order}
    repetitions = {name: _repetitions(call, prepare[name]) for name, call in calls.items()}
    found: dict[str, list[float]] = {name: [] for name in order}
    others = _others()
    for _ in range(rounds):
        for name in shuffled.sample(order, len(order)):
            found[name].append(_block(calls[name], prepare[name], repetitions[name]))
    return Timing({name: tuple(times) for name, times in found.items()}, others())


def wait_for_quiet(seconds: float) -> None:
    """Return once other processes leave the machine alone, or after so many seconds."""
    last = time.monotonic() + seconds
    while time.monotonic() < last:
        others = _others()
        time.sleep(0.5)
        if (others() or 0.0) <= DISTURBED:
            return


def _nothing() -> None:
    pass


def _repetitions(call: Call, prepare: Call) -> int:
    """How many make a block that is long enough."""
    for _ in range(2):  # the first call may compile
        prepare()
        call()
    repetitions = 1
    # The faster of two, since one that something interrupted would make every block too short.
    while (took := repetitions * min(_block(call, prepare, repetitions) for _ in range(2))) < BLOCK_SECONDS:
        repetitions = math.ceil(repetitions * min(10.0, 1.1 * BLOCK_SECONDS / took))
    return repetitions


def _block(call: Call, prepare: Call, repetitions: int) -> float:
    """Seconds a call."""
    clock, total = time.perf_counter, 0.0
    if repetitions > 1:  # what ran before this block has filled the cache with its own
        prepare()
        call()
    for _ in range(repetitions):
        prepare()
        began = clock()
        call()
        total += clock() - began
    return total / repetitions


def _others() -> Callable[[], float | None]:
    """From now on: a function that says what share of the machine others have taken since."""
    busy, own, began = busy_seconds(), time.process_time(), time.perf_counter()

    def share() -> float | None:
        wall, after = time.perf_counter() - began, busy_seconds()
        if busy is None or after is None:
            return None
        return max(0.0, (after - busy) - (time.process_time() - own)) / (wall * (os.cpu_count() or 1))

    return share


def busy_seconds() -> float | None:
    """CPU time that all processes, and other machines on this host, have taken since boot."""
    try:
        fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    except OSError:
        return None
    user, nice, system, _idle, _wait, irq, softirq, steal = (int(f) for f in fields[:8])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
