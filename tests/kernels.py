"""Compiled passes run on arrays, as an optimizer runs them on tensors."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.formula.compose import Pass
from thalweg.formula.expression import Expression, leaves
from thalweg.formula.kernel import CompiledPass, Task, compiled
from thalweg.formula.numbers import Numbers

Array = NDArray[Any]


def names_of(walk: Pass) -> tuple[str, ...]:
    """The numbers that a pass asks for."""
    return tuple(sorted(leaves([*walk.totals.values(), *walk.writes.values()], "number")))


def made(walk: Pass, dtypes: Mapping[str, str], real: str) -> CompiledPass:
    """A pass over numbers of its own."""
    return compiled(walk, dtypes, real, names_of(walk))


def task_of(
    walk: CompiledPass, columns: Mapping[str, Sequence[Array]], numbers: Mapping[str, Any] | None = None,
    row_of: Sequence[int] = (), claims: Sequence[tuple[int, int]] = (),
) -> Task:  # fmt: skip
    """A pass pointed at arrays, of each operand one a tensor: a tile a tensor; see `Task` for the others."""
    sizes = [len(array) for array in columns["g"]]
    kept = Numbers(walk.names, len(sizes))
    kept.lay(max(row_of, default=0) + 1, np.array(row_of or [0] * len(sizes)))
    kept.put(numbers or {})
    tiles = np.array([(tensor, 0, size) for tensor, size in enumerate(sizes)], np.int64)
    addresses = {name: np.array([a.ctypes.data for a in arrays], np.int64) for name, arrays in columns.items()}
    return Task(walk, tiles, np.array(claims or [(0, len(sizes))], np.int64), addresses, kept)


def coefficients(expressions: Sequence[Expression], numbers: Mapping[str, Any]) -> list[Array]:
    """What machine code makes of expressions of numbers, each an array of one value a row."""
    found = []
    for expression in expressions:
        names = sorted(leaves([expression], "number"))
        rows = max([1, *(len(np.atleast_1d(numbers[name])) for name in names)])
        columns = {name: [np.zeros(1) for _ in range(rows)] for name in ("g", "out")}
        walk = made(Pass({}, {"out": expression}), dict.fromkeys(columns, "float64"), "float64")
        task = task_of(walk, columns, {name: numbers[name] for name in names}, range(rows))
        task.run(1)
        found.append(np.array([out[0] for out in columns["out"]]))
    return found
