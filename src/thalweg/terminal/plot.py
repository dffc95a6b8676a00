"""Curves drawn with the dots of Braille characters, for a terminal."""

from collections.abc import Sequence
from math import inf, isfinite

# Which bit of a character is which of its 2 x 4 dots, by column and row.
DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
BLANK = 0x2800


def limits(curves: Sequence[Sequence[float]]) -> tuple[float, float]:
    """The lowest and highest finite value of all curves; (0, 1) without any."""
    values = [value for curve in curves for value in curve if isfinite(value)]
    low, high = min(values, default=inf), max(values, default=-inf)
    if not values:
        return 0.0, 1.0
    return (low, high) if low < high else (low - 0.5, high + 0.5)


def braille(curve: Sequence[float], last: int, width: int, height: int, low: float, high: float) -> list[str]:
    """A curve as ``height`` lines of ``width`` characters, the highest first.

    ``curve[i]`` stands at i of 0 ... ``last`` from left to right; values between two are drawn on the line between
    them. ``low`` and ``high`` are the edges.
    """
    columns, rows = 2 * width, 4 * height
    cells = [[0] * width for _ in range(height)]
    before: int | None = None
    for column in range(columns):
        value = _between(curve, column * last / (columns - 1) if columns > 1 else 0.0)
        if value is None:
            before = None
            continue
        share = min(max((value - low) / (high - low), 0.0), 1.0)
        row = rows - 1 - round(share * (rows - 1))
        # A steep piece is drawn down, or up, to the row before.
        reached = row if before is None else before + (row > before) - (row < before)
        for dot in range(min(row, reached), max(row, reached) + 1):
            cells[dot // 4][column // 2] |= DOTS[column % 2][dot % 4]
        before = row
    return ["".join(chr(BLANK + cell) for cell in line) for line in cells]


def wants_logarithm(curves: Sequence[Sequence[float]]) -> bool:
    """Whether logarithms are better drawn: the values are all above 0, and more than threefold apart."""
    low, high = limits(curves)
    return low > 0 and high / low > 3


def _between(curve: Sequence[float], place: float) -> float | None:
    before = int(place)
    if before >= len(curve) or (place > before and before + 1 >= len(curve)):
        return None
    left = curve[before]
    found = left if place == before else left + (place - before) * (curve[before + 1] - left)
    return found if isfinite(found) else None
