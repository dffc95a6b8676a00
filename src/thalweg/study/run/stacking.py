"""Which trainings run together, in one process at the same time."""

import json
from collections.abc import Sequence
from itertools import pairwise
from math import ceil

from thalweg.study.model.cells import Cell

# Beyond so many a stack of small models trains hardly faster, and its results come late; below, it gains little.
LARGEST, LEAST = 64, 8
# In what the trainings of a stack may differ: all that their optimizers are made of, and their seeds.
OWN = ("rule", "rule_hash", "values", "schedule", "chain", "seed", "held", "repeat")


def stacks(cells: Sequence[Cell], workers: int | None) -> list[tuple[Cell, ...]]:
    """The cells in the order given, those that train in lockstep in stacks: enough of them for every worker.

    ``workers``  None: nobody knows how many; there may be many.
    """
    size = min(max(ceil(len(cells) / workers), LEAST), LARGEST) if workers else LEAST
    alike: dict[object, list[Cell]] = {}
    for cell in cells:
        alike.setdefault(_common(cell) if cell.lockstep else cell.key, []).append(cell)
    return [part for group in alike.values() for part in _parts(group, ceil(len(group) / size))]


def _common(cell: Cell) -> str:
    """What the trainings of a stack have in common, as text."""
    return json.dumps({name: value for name, value in cell.identity().items() if name not in OWN}, sort_keys=True)


def _parts(group: Sequence[Cell], count: int) -> list[tuple[Cell, ...]]:
    """So many parts of about the same length."""
    ends = [len(group) * k // count for k in range(count + 1)]
    return [tuple(group[start:end]) for start, end in pairwise(ends)]
