"""How long calls take, side by side, where other work on the machine must not count."""

from collections.abc import Callable, Hashable, Mapping
from random import Random
from time import process_time
from typing import TypeVar

Call = Callable[[], object]
Name = TypeVar("Name", bound=Hashable)

# A block of repetitions takes at least so much: far above what reading the clock costs.
BLOCK_SECONDS = 0.003
# Once a piece of so many bytes has been freed, malloc keeps smaller ones in place of handing them to the system and
# asking anew at every call: as in a program that has run for a while.
KEPT_BYTES = 2**24


def cpu_seconds(calls: Mapping[Name, Call], rounds: int, seed: int) -> dict[Name, float]:
    """The CPU time of each call, in seconds: the least of several rounds, a block of each call in random order.

    The least, since others on the machine, who take caches and memory away, can only add to it. CPU time, which stands
    still while others have the core: so it says nothing of calls that wait. `thalweg.speed.measure` has the clock's.
    """
    bytearray(KEPT_BYTES)
    order = Random(seed)
    repetitions = {name: _repetitions(call) for name, call in calls.items()}
    blocks: dict[Name, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name in order.sample([*calls], len(calls)):
            blocks[name].append(_block(calls[name], repetitions[name]))
    return {name: min(each) for name, each in blocks.items()}


def _repetitions(call: Call) -> int:
    call()  # the first may compile
    return 1 + int(BLOCK_SECONDS / _block(call, 1))


def _block(call: Call, repetitions: int) -> float:
    """Seconds a call. The one before, which is not timed, fills the caches that others' blocks have emptied."""
    call()
    began = process_time()
    for _ in range(repetitions):
        call()
    return (process_time() - began) / repetitions
