"""The answer as a picture of letters: each difference from the reference, with its interval."""

from collections.abc import Callable
from math import isfinite

from rich.table import Table
from rich.text import Text

from thalweg.view.pairs import span
from thalweg.view.values import Pair, View

# Columns of the picture, at most and at least.
WIDEST, LEAST = 48, 11
GAP = 2


def forest(view: View, width: int) -> Table:
    """One line a contender: better to the right of the line that marks no difference; dots: what does not matter."""
    unit = view.metric.unit
    words = [(pair.first, unit.difference(pair.difference), pair.answer) for pair in view.answer]
    beside = sum(max(map(len, column)) for column in zip(*words, strict=True)) + 3 * GAP
    columns = max(min(WIDEST, width - beside), LEAST)
    sign = 1 if view.metric.higher_is_better else -1
    low, high = span(view)

    def column(value: float) -> int:
        return round((min(max(value, low), high) - low) / ((high - low) or 1.0) * (columns - 1))

    grid = Table.grid(padding=(0, GAP))
    for pair, (name, size, said) in zip(view.answer, words, strict=True):
        grid.add_row(Text(name, "bold"), _line(view, pair, columns, column, sign), Text(size), Text(said, "dim"))
    grid.add_row(Text(""), _foot(columns, column(0.0), view.reference), Text(""), Text(""))
    return grid


def _line(view: View, pair: Pair, columns: int, column: Callable[[float], int], sign: int) -> Text:
    cells = [" "] * columns
    if view.matters is not None:
        for at in range(column(-view.matters), column(view.matters) + 1):
            cells[at] = "\u00b7"
    cells[column(0.0)] = "\u2502"
    found = pair.difference
    if isfinite(found.low):
        low, high = sorted((column(sign * found.low), column(sign * found.high)))
        for at in range(low, high + 1):
            cells[at] = "\u2501" if pair.answer.startswith(("better", "worse", "equal")) else "\u2500"
    cells[column(sign * found.mean)] = "\u25cf"
    return Text("".join(cells))


def _foot(columns: int, zero: int, reference: str) -> Text:
    """The reference's name under its line."""
    start = min(max(zero - len(reference) // 2, 0), max(columns - len(reference), 0))
    return Text(" " * start + reference, "dim")
