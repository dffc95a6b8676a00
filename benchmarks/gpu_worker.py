"""Checks, or times, cases on a GPU in a process of its own, since a GPU's fault ends it: one line of JSON for each.

python benchmarks/gpu_worker.py KIND SECONDS CASE...       # KIND: checks or cells; after so many seconds none is begun
"""

import gc
import json
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from around import moved_by
from gpu_cells import GPU_CELLS, GPU_MODELS, THALWEG, WAYS, fitting, gpu_sides
from gpu_checks import CHECKS, compared
from gpu_clock import Card, clocked, copying, cuda_card
from thalweg.optim.explain import served
from thalweg.speed.cases import weights

COPY = "copy"
"""The case of a copy within the device's memory."""
FAULT = 3
"""The exit code where the last case has found what it could, and the GPU can do no more in this process."""
ROUNDS, SECONDS_A_CELL = 11, 4.0

Found = Mapping[str, Any]


def main(kind: str, seconds: float, names: Sequence[str], card: Card) -> int:
    """Print a line for each case that is begun within so many seconds; returns the exit code."""
    began = time.monotonic()
    case = checked if kind == "checks" else timed
    for name in names:
        if time.monotonic() - began > seconds:
            break
        print(json.dumps({"case": name, **tried(case, name, card)}), flush=True)
        gc.collect()  # the case's tensors, before the next one's are made
        try:
            card.wait()
        except RuntimeError:  # a fault stays with the process
            return FAULT
    return 0


def tried(case: Callable[[str, Card], Found], name: str, card: Card) -> Found:
    """What a case finds, or why it does not."""
    try:
        return case(name, card)
    except Exception as error:
        words = (str(error).strip() or "no words").splitlines()[0]
        return {"error": f"{type(error).__name__}: {words}"[:200]}


def checked(name: str, card: Card) -> Found:
    """See `gpu_checks.Alike`."""
    return compared(CHECKS[name], card)


def timed(name: str, card: Card) -> Found:
    """Seconds of host and device by side, a number each round, and what thalweg's step moves; or a copy's speed."""
    if name == COPY:
        return {"bytes_a_second": copying(card)}
    way, model = GPU_CELLS[name]
    shapes = fitting(GPU_MODELS[model].shapes, card.free())
    sides, failed, optimizer = gpu_sides(WAYS[way], shapes, card)
    if why := next((p.why or p.refused for p in served(optimizer) if p.reader != "compiled"), None):
        raise RuntimeError(f"it is not served by a kernel: {why}")
    times = clocked(card, sides, ROUNDS, SECONDS_A_CELL)
    moved = moved_by(optimizer) * weights(shapes)
    return {
        "host": times.host.seconds, "device": times.device.seconds, "failed": failed, "bytes": moved,
        "weights": weights(shapes), "sides": [name for name in sides if name != THALWEG],
    }  # fmt: skip


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.cuda.set_device(0)
    sys.exit(main(sys.argv[1], float(sys.argv[2]), sys.argv[3:], cuda_card()))
