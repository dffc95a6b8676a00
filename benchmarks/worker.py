"""Times cells in a process of its own, whose allocator the environment sets up: one line of JSON for each.

python benchmarks/worker.py ROUNDS ATTEMPTS THREADS CELL...
"""

import gc
import json
import sys
from collections.abc import Mapping

import torch

from cells import CATALOGUE, CELLS, Cell
from sides import check, sides
from thalweg.speed.measure import Call, Timing, measure, wait_for_quiet
from thalweg.speed.plain import PlainPass, plain_passes


def main(rounds: int, attempts: int, threads: int, names: list[str]) -> None:
    """Print a line for each cell; ``attempts`` is how often it is measured at most, until nobody disturbs it."""
    torch.set_num_threads(threads)
    plain: dict[str, PlainPass] = {}
    for name in names:
        cell = {**CELLS, **CATALOGUE}[name]
        if cell.floor_bytes and not plain:
            plain.update(plain_passes())
        beside = plain if cell.floor_bytes else {}
        timing = timed(cell, beside, rounds, attempts)
        moved = {passed: p.bytes for passed, p in beside.items()}
        gc.collect()  # the cell's tensors, before the next one's are made
        print(
            json.dumps({"cell": name, "seconds": timing.seconds, "others": timing.others, "plain": moved}), flush=True
        )


def timed(cell: Cell, plain: dict[str, PlainPass], rounds: int, attempts: int) -> Timing:
    """The cell's sides and, in the same rounds, the plain passes; again while others use the machine."""
    found = sides(cell)
    check(found, cleared=cell.chain == "full")
    calls = {name: side.call for name, side in found.items()} | {name: p.call for name, p in plain.items()}
    return undisturbed(cell.name, calls, rounds, attempts, before={name: side.refill for name, side in found.items()})


def undisturbed(
    name: str, calls: Mapping[str, Call], rounds: int, attempts: int, before: Mapping[str, Call] | None = None
) -> Timing:
    """A timing, taken again while others use the machine, ``attempts`` times at most."""
    for _ in range(attempts - 1):
        timing = measure(calls, rounds, before=before)
        if not timing.disturbed:
            return timing
        print(f"{name}: others took {timing.others:.0%} of the machine; again", file=sys.stderr, flush=True)
        wait_for_quiet(seconds=10)
    return measure(calls, rounds, before=before)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
