"""How rows and columns of many matrices are cut into work for a GPU: `formula.triton_lines`, `triton_along`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from thalweg.formula.geometry import Geometry
from thalweg.formula.triton import TILE
from thalweg.formula.triton_along import ALONG, MANY
from thalweg.formula.triton_lines import BLOCK, LINES, NARROW, SEVERAL, SHAPES, SQUARE, WIDE

from .layout import Layout

Table = NDArray[np.int64]

# A block goes down so many rows at a time so many times, and through more where a column would have more parts.
TURNS, MOST_PARTS = 16, 128
# Matrices of at most so many rows and columns, of which a tensor has many, are taken several at a time.
SMALL = (64, 128)
# The kind of a block that is there so that there are as many blocks as tiles.
NOTHING = -1
# Lines no longer than this are averaged of several matrices at once.
SHORT = 64


@dataclass(frozen=True)
class LineCut:
    """Where the lines of one kind, rows or columns, are added up.

    ``at``, ``part``  int64 (blocks,): the first line of a block, counted through all matrices, and which part it has.
    ``parts``, ``lines``, ``begins``  int64 (tensors,): how many parts each line of a tensor has, how many lines there
    are, and where the tensor's parts begin among all; ``room``: how many numbers those are.
    """

    at: Table
    part: Table
    parts: Table
    lines: Table
    begins: Table
    room: int

    def targets(self, tensors: Table, totals: Table, parts: int) -> Table:
        """Addresses, one for each block; ``totals`` are the tensors', ``parts`` is that of all parts."""
        first = self.begins[tensors] + self.part * self.lines[tensors] + self.at
        return np.where(self.parts[tensors] > 1, parts + 8 * first, totals[tensors] + 8 * self.at)

    def joins(self, totals: Table, parts: int) -> list[tuple[int, ...]]:
        """What is to be joined: a row of `triton_lines.JOIN` each."""
        return [
            (
                tensor, self.parts[tensor], self.lines[tensor], parts + 8 * (self.begins[tensor] + first),
                totals[tensor] + 8 * first, min(LINES, self.lines[tensor] - first),
            )
            for tensor in np.flatnonzero(self.parts > 1).tolist()
            for first in range(0, self.lines[tensor], LINES)
        ]  # fmt: skip


@dataclass(frozen=True)
class LineBlocks:
    """``tiles`` and ``blocks``, of `triton.walk` and `triton_lines`: each tensor has as many of one as of the other, so
    that the sums of both lie alike. ``shapes``, ``means``: tables of theirs."""

    layout: Layout
    blocks: Table
    shapes: Table
    means: Table
    by: Mapping[str, LineCut]
    spans: Callable[[tuple[str, ...]], Table]
    """Spans of lines, of rows, of columns or of both."""


def line_blocks(of: Sequence[Geometry]) -> LineBlocks:
    """Cut tensors' matrices, which lie one after the other in memory."""
    sizes = [each.count * each.rows * each.columns for each in of]
    tiles: list[tuple[int, ...]] = []
    blocks: list[tuple[int, ...]] = []
    parts: list[tuple[int, int]] = []
    for tensor, (size, each) in enumerate(zip(sizes, of, strict=True)):
        mine = [(tensor, start, min(TILE, size - start)) for start in range(0, max(size, 1), TILE)]
        own, cuts = _blocks(tensor, each) if size else ([], (1, 1))
        parts.append(cuts)
        many = max(len(mine), len(own))
        tiles += [*mine, *[(tensor, size, 0)] * (many - len(mine))]  # its first tile alone begins at 0
        blocks += [*own, *[(tensor, NOTHING, *[0] * len(BLOCK))] * (many - len(own))]
    tiled = np.array(tiles, np.int64).reshape(-1, 3)
    ends = np.arange(len(tiled))
    table = np.array(blocks, np.int64).reshape(-1, len(BLOCK) + 2)
    tensors, matrix, begin, column = (table[:, BLOCK.index(name)] for name in ("tensor", "matrix", "begin", "column"))
    high, long = (np.array([getattr(each, name) for each in of], np.int64) for name in ("rows", "columns"))
    count = np.array([each.count for each in of], np.int64)
    cut = np.array(parts, np.int64).reshape(-1, 2)
    by = {
        "row": _cut(matrix * high[tensors] + begin, table[:, -1], cut[:, 1], count * high),
        "column": _cut(matrix * long[tensors] + column, table[:, -2], cut[:, 0], count * long),
    }
    there = [(tensor, each) for tensor, each in enumerate(of) if sizes[tensor]]
    return LineBlocks(
        Layout(tiled, np.column_stack([ends, ends + 1]), sum(sizes)),
        np.ascontiguousarray(table[:, : len(BLOCK)]),
        np.maximum(np.column_stack([high, long]), 1),
        _means(there),
        by,
        cache(lambda along: _spans(there, along)),
    )


def _cut(at: Table, part: Table, parts: Table, lines: Table) -> LineCut:
    ends = np.cumsum(np.where(parts > 1, parts * lines, 0))
    return LineCut(at, part, parts, lines, np.concatenate([[0], ends[:-1]]).astype(np.int64)[: len(parts)], _last(ends))


def _last(ends: Table) -> int:
    return int(ends[-1]) if len(ends) else 0


def _blocks(tensor: int, of: Geometry) -> tuple[list[tuple[int, ...]], tuple[int, int]]:
    """A tensor's blocks, each with its part of the columns, and of the rows; and how many parts there are of each."""
    if of.count > 1 and of.rows <= SMALL[0] and of.columns <= SMALL[1]:
        many = SHAPES[WIDE][1] // of.columns
        starts = range(0, of.count, many)
        return [(tensor, SEVERAL, i, min(many, of.count - i), 0, 0, 0, 0, 0) for i in starts], (1, 1)
    kind = WIDE if of.columns >= SMALL[1] else NARROW if of.columns <= SHAPES[NARROW][1] else SQUARE
    down, across = SHAPES[kind]
    rows = down * max(TURNS, -(-of.rows // (MOST_PARTS * down)))
    found: list[tuple[int, ...]] = [
        (tensor, kind, i, 1, begin, min(rows, of.rows - begin), column, begin // rows, column // across)
        for i in range(of.count)
        for begin in range(0, of.rows, rows)
        for column in range(0, of.columns, across)
    ]
    return found, (-(-of.rows // rows), -(-of.columns // across))


def _means(there: Sequence[tuple[int, Geometry]]) -> Table:
    found: list[tuple[int, ...]] = []
    for tensor, of in there:
        many = of.count > 1 and max(of.rows, of.columns) <= SHORT
        each = MANY[0] if many else 1
        found += [(tensor, int(many), i, min(each, of.count - i)) for i in range(0, of.count, each)]
    return np.array(found, np.int64).reshape(-1, 4)


def _spans(there: Sequence[tuple[int, Geometry]], along: tuple[str, ...]) -> Table:
    found = []
    for tensor, of in there:
        for kind, lines in enumerate((of.count * of.rows, of.count * of.columns)):
            if ("row", "column")[kind] in along:
                found += [(tensor, kind, i, min(ALONG, lines - i)) for i in range(0, lines, ALONG)]
    return np.array(found, np.int64).reshape(-1, 4)
