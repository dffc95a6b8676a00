"""Which runs are read out of one training, and which trainings run together, in one process at the same time."""

import json
from collections.abc import Sequence
from itertools import pairwise
from math import ceil
from typing import TypeVar

from thalweg.study.model.cells import Cell
from thalweg.study.model.readouts import kept_together

T = TypeVar("T")

# Beyond so many a stack of small models trains hardly faster, and its results come late; below, it gains little.
LARGEST, LEAST = 64, 8
# In what the trainings of a stack may differ: all that their optimizers are made of, and their seeds.
OWN = ("rule", "rule_hash", "values", "schedule", "chain", "seed", "held", "repeat", "readout")


def stacks(cells: Sequence[Cell], workers: int | None) -> list[tuple[Cell, ...]]:
    """The cells in the order given, those that train in lockstep in stacks: enough of them for every worker.

    ``workers``  None: nobody knows how many; there may be many.
    """
    every = trainings(cells)
    size = min(max(ceil(len(every) / workers), LEAST), LARGEST) if workers else LEAST
    alike: dict[object, list[tuple[Cell, ...]]] = {}
    for own in every:
        alike.setdefault(_common(own[0], OWN) if own[0].lockstep else own[0].key, []).append(own)
    return [sum(part, ()) for group in alike.values() for part in _parts(group, ceil(len(group) / size))]


def trainings(cells: Sequence[Cell]) -> list[tuple[Cell, ...]]:
    """The cells by the training that they are read out of, which differ in ``readout`` alone."""
    alike: dict[str, list[Cell]] = {}
    for cell in cells:
        alike.setdefault(_common(cell, ("readout",)), []).append(cell)
    return [tuple(own) for group in alike.values() for own in kept_together(group, lambda cell: cell.readout)]


def _common(cell: Cell, own: Sequence[str]) -> str:
    """What a cell has in common with those that differ from it in their ``own`` alone, as text."""
    return json.dumps({name: value for name, value in cell.identity().items() if name not in own}, sort_keys=True)


def _parts(group: Sequence[T], count: int) -> list[Sequence[T]]:
    """So many parts of about the same length."""
    ends = [len(group) * k // count for k in range(count + 1)]
    return [group[start:end] for start, end in pairwise(ends)]
