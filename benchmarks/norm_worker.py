"""Times normalisation layers in a process of its own, whose allocator the environment sets up: a line of JSON each.

python benchmarks/norm_worker.py ROUNDS ATTEMPTS THREADS CELL...
"""

import gc
import json
import sys

import torch

from norm_cells import CELLS, sides
from thalweg.speed.plain import plain_passes
from worker import undisturbed


def main(rounds: int, attempts: int, threads: int, names: list[str]) -> None:
    """Print a line for each cell; ``attempts`` is how often it is measured at most, until nobody disturbs it."""
    torch.set_num_threads(threads)
    plain = plain_passes() if any(CELLS[name].floor_bytes for name in names) else {}
    for name in names:
        beside = plain if CELLS[name].floor_bytes else {}
        made = sides(CELLS[name])
        timing = undisturbed(name, {**made, **{key: p.call for key, p in beside.items()}}, rounds, attempts)
        moved = {key: p.bytes for key, p in beside.items()}
        del made
        gc.collect()
        print(
            json.dumps({"cell": name, "seconds": timing.seconds, "others": timing.others, "plain": moved}), flush=True
        )


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
