"""How the weights of many tensors are cut into work: tiles, and the claims that threads take."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thalweg.formula.geometry import Geometry

# A tile is long enough for the processor's prefetchers (5% of a large step against 16,384 weights: measured), and
# there are enough of them that threads finish together (a fifth of a step on 110,000 weights, against 16,384).
SHORTEST, LONGEST, TILES = 4_096, 262_144, 128

Table = NDArray[np.int64]


@dataclass(frozen=True)
class Layout:
    """``tiles``: a row (tensor, first weight, count) each. ``claims``: a row (first tile, end) each."""

    tiles: Table
    claims: Table
    weights: int

    @property
    def backwards(self) -> Table:
        """The claims from last to first: a second pass finds the end of the first still in the cache."""
        return np.ascontiguousarray(self.claims[::-1])


def layout(sizes: Sequence[int]) -> Layout:
    """Cut tensors of the given sizes into tiles, and group small tiles into claims.

    The cut depends on the sizes alone, so that sums are added in the same order for any number of threads.
    """
    tile = _tile(sum(sizes))
    tiles = [
        (tensor, start, min(tile, size - start)) for tensor, size in enumerate(sizes) for start in range(0, size, tile)
    ]
    return Layout(
        np.array(tiles, np.int64).reshape(-1, 3),
        _claims([count for _, _, count in tiles], tile),
        sum(sizes),
    )


def even_layout(sizes: Sequence[int], tile: int) -> Layout:
    """Cut tensors of the given sizes into tiles of one length, each a claim of its own; an empty one has one too."""
    tiles = [
        (tensor, start, min(tile, size - start))
        for tensor, size in enumerate(sizes)
        for start in range(0, max(size, 1), tile)
    ]
    ends = np.arange(len(tiles))
    return Layout(np.array(tiles, np.int64).reshape(-1, 3), np.column_stack([ends, ends + 1]), sum(sizes))


def _tile(weights: int) -> int:
    """How long a tile is, of so many weights in all."""
    return min(max(weights // TILES, SHORTEST), LONGEST)


def _claims(counts: Sequence[int], tile: int) -> Table:
    """Tiles of so many weights each, together until they are as many as a tile may have."""
    claims: list[tuple[int, int]] = []
    first = held = 0
    for i, count in enumerate(counts):
        held += count
        if held >= tile or i == len(counts) - 1:
            claims.append((first, i + 1))
            first, held = i + 1, 0
    return np.array(claims, np.int64).reshape(-1, 2)


# Fewer rows in a tile would have its totals by column weigh as much as its weights; and so many lines are walked along
# by one thread at a time.
LEAST_ROWS, LINES_AT_ONCE = 16, 16_384


@dataclass(frozen=True)
class LineLayout:
    """How the rows of many tensors' matrices are cut into work.

    ``tiles``     a row of `line_code.TILE` each; ``claims`` as of `Layout`.
    ``groups``    a row of `line_code.GROUP` each: matrices whose lines are walked along together.
    ``parts_at``  int64 (tiles,): where, of all parts of totals by column, a tile's begin; -1 for whole matrices.
    ``joined_at``  int64 (groups,): where the parts begin that are a group's.
    ``parts``     how many numbers all parts are; ``lines`` how many lines there are.
    """

    tiles: Table
    claims: Table
    groups: Table
    parts_at: Table
    joined_at: Table
    parts: int
    lines: int

    @property
    def backwards(self) -> Table:
        """As of `Layout`."""
        return np.ascontiguousarray(self.claims[::-1])

    @property
    def by_tensor(self) -> Table:
        """The tiles as `between.gather` has them: shape (tiles, 3), the tensor first."""
        return np.ascontiguousarray(self.tiles[:, :3])


def line_layout(shapes: Sequence[Geometry]) -> LineLayout:
    """Cut tensors by the rows of their matrices: into blocks of whole rows of one, or into several whole ones."""
    tile = _tile(sum(of.count * of.rows * of.columns for of in shapes))
    tiles: list[tuple[int, ...]] = []
    groups: list[tuple[int, ...]] = []
    parts_at: list[int] = []
    joined_at: list[int] = []
    parts = 0
    for tensor, of in enumerate(shapes):
        size = of.rows * of.columns
        if not of.count * size:
            continue
        rows = max(tile // of.columns, LEAST_ROWS)
        cuts = -(-of.rows // rows) if size > tile else 1
        if cuts == 1:
            each, together = max(tile // size, 1), max(LINES_AT_ONCE // (of.rows + of.columns), 1)
            firsts = range(0, of.count, each)
            tiles += [(tensor, i, min(each, of.count - i), 0, of.rows, of.rows, of.columns) for i in firsts]
            parts_at += [-1] * len(firsts)
            firsts = range(0, of.count, together)
            groups += [(tensor, i, min(together, of.count - i), of.rows, of.columns, 0) for i in firsts]
            joined_at += [0] * len(firsts)
            continue
        rows = -(-of.rows // cuts)
        starts = range(0, of.rows, rows)
        for i in range(of.count):
            groups.append((tensor, i, 1, of.rows, of.columns, len(starts)))
            joined_at.append(parts)
            for row in starts:
                tiles.append((tensor, i, 1, row, min(rows, of.rows - row), of.rows, of.columns))
                parts_at.append(parts)
                parts += of.columns
    table = np.array(tiles, np.int64).reshape(-1, 7)
    return LineLayout(
        table,
        _claims((table[:, 2] * table[:, 4] * table[:, 6]).tolist(), tile),
        np.array(groups, np.int64).reshape(-1, 6),
        np.array(parts_at, np.int64),
        np.array(joined_at, np.int64),
        parts,
        sum(of.count * (of.rows + of.columns) for of in shapes),
    )
