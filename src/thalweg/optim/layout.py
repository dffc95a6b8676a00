"""How the weights of many tensors are cut into work: tiles, and the claims that threads take."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
    tile = min(max(sum(sizes) // TILES, SHORTEST), LONGEST)
    tiles = [
        (tensor, start, min(tile, size - start)) for tensor, size in enumerate(sizes) for start in range(0, size, tile)
    ]
    claims: list[tuple[int, int]] = []
    first = held = 0
    for i, (_, _, count) in enumerate(tiles):
        held += count
        if held >= tile or i == len(tiles) - 1:
            claims.append((first, i + 1))
            first, held = i + 1, 0
    return Layout(
        np.array(tiles, np.int64).reshape(-1, 3),
        np.array(claims, np.int64).reshape(-1, 2),
        sum(sizes),
    )
