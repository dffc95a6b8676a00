"""Learning rates in the terminal: the curve over rates, a line for each, what it says. Progress on standard error."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf, log10

from rich.console import Console, Group
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from thalweg.stats.wording import value_text
from thalweg.study.model.metric import unit_of
from thalweg.study.run.lr_range import LearningRates, Rate
from thalweg.view.machine_readable import json_text

from .console import table
from .plot import braille, limits, wants_logarithm
from .training import HEIGHT, LABELS, STYLES

COLUMNS = 6  # of the figure, for each step from rate to rate


@contextmanager
def watching(title: str) -> Iterator[Callable[[int, int], None]]:
    """Give `lr_find` its ``on_run``: a bar on a terminal, nothing elsewhere; it takes seconds."""
    console = Console(file=sys.stderr, highlight=False)
    if not console.is_terminal or os.environ.get("CI"):
        yield lambda _done, _total: None
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        line = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(line, completed=done, total=total)


def print_rates(found: LearningRates, console: Console) -> None:
    """Everything a person wants to know."""
    first, *others = found.sentences
    console.print(Text(first, "bold"))
    for sentence in others:
        console.print(Text(sentence))
    console.print()
    console.print(figure(found, console.width))
    console.print()
    console.print(rates_table(found))


def figure(found: LearningRates, width: int) -> Group:
    """The judged metric over the learning rates, and under it what is good (━), best (●) and does not train (×)."""
    last = len(found.rates) - 1
    columns = max(min(width - LABELS - 4, COLUMNS * last + 1), 10)  # the last rate's label is as wide as 4 beyond
    # What blew up would flatten all else: it is drawn at the edge of those that train.
    drawn = [rate.mean for rate in found.rates if rate.status == "done"]
    scaled = wants_logarithm([drawn])
    low, high = limits([[log10(value) for value in drawn] if scaled else drawn])
    shown = [_height(rate.mean, scaled, low, high) for rate in found.rates]
    marks = {0: high, HEIGHT - 1: low}
    lines = []
    for row, dots in enumerate(braille(shown, last, columns, HEIGHT, low, high)):
        mark = f"{10 ** marks[row] if scaled else marks[row]:.5g}" if row in marks else ""
        line = Text(f"{mark:>{LABELS - 2}} ", "dim").append("│", "dim")
        lines.append(line.append(dots, STYLES[found.metric.partition("_")[0]]))
    title = Text(f"{found.metric} of {found.task} with {found.rule}, after {_epochs(found)}", "bold")
    title.truncate(width, overflow="ellipsis")
    legend = Text(" " * LABELS + "● best  ━ as good  × does not train" + ("  logarithmic" * scaled), "dim")
    legend.truncate(width)
    return Group(title, *lines, _band(found, columns), _axis(found, columns), legend)


def rates_table(found: LearningRates) -> Table:
    """One learning rate a line."""
    train = "train_" + found.metric.partition("_")[2]
    named = [found.metric, *([train] if any(rate.train is not None for rate in found.rates) else [])]
    made = table("lr", *named, "seed by seed", "", right=("lr", *named))
    unit = unit_of(found.metric)
    for rate in found.rates:
        seeds = ", ".join("-" if value is None else unit.value(value) for value in rate.values)
        mean = "" if None in rate.values else unit.value(rate.mean)
        ends = [mean] + ([] if len(named) == 1 else ["" if rate.train is None else unit.value(rate.train)])
        style = "bold" if rate.lr == found.best else "dim" if rate.status != "done" else ""
        made.add_row(value_text(rate.lr, 3), *ends, seeds, _said(found, rate), style=style)
    return made


def as_json(found: LearningRates) -> str:
    """Everything that was found, for machines. No NaN, no infinity."""
    return json_text({**vars(found), "sentences": found.sentences})


def _said(found: LearningRates, rate: Rate) -> str:
    if rate.status == "worse":
        return "no better than at the start"
    if rate.status != "done":
        return f"{rate.status}: {rate.message}"
    good = found.good[0] <= rate.lr <= found.good[1]
    return "best" if rate.lr == found.best else "as good" if good else ""


def _height(value: float, scaled: bool, low: float, high: float) -> float:
    """Where a mean is drawn, within the figure; a rate that lost a seed has none."""
    if abs(value) == inf:
        return inf
    if scaled:
        value = log10(value) if value > 0 else low
    return min(max(value, low), high)


def _place(index: int, last: int, columns: int) -> int:
    return round(index * (columns - 1) / last)


def _band(found: LearningRates, columns: int) -> Text:
    last = len(found.rates) - 1
    cells = [" "] * columns
    places = {rate.lr: _place(i, last, columns) for i, rate in enumerate(found.rates)}
    for column in range(places[found.good[0]], places[found.good[1]] + 1):
        cells[column] = "━"
    for rate in found.rates:
        if rate.status != "done":
            cells[places[rate.lr]] = "×"
    cells[places[found.best]] = "●"
    return Text(" " * LABELS + "".join(cells), "green")


def _axis(found: LearningRates, columns: int) -> Text:
    """The rates at both ends, and those between for which there is room."""
    last = len(found.rates) - 1
    line = [" "] * (LABELS + columns + LABELS)
    free = 0
    for index in sorted({0, last, *range(0, last, 3)}):
        label = value_text(found.rates[index].lr, 2)
        begin = LABELS + _place(index, last, columns) - len(label) // 2
        if begin > free and (index == last or begin + 2 * len(label) < LABELS + columns - 4):
            line[begin : begin + len(label)] = label
            free = begin + len(label)
    return Text("".join(line).rstrip(), "dim")


def _epochs(found: LearningRates) -> str:
    return f"{found.epochs}" + (f" of {found.planned}" if found.planned else "") + " epochs"
