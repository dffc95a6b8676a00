"""A single training while it runs: its curves on a terminal, a line every few epochs elsewhere. On standard error."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import log10

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from thalweg.stats.wording import value_text
from thalweg.study.model.metric import unit_of
from thalweg.study.run.train import Training
from thalweg.view.machine_readable import json_text

from .plot import braille, limits, wants_logarithm

HEIGHT = 10
LABELS = 12  # columns left of the curves
SPLITS = ("train", "valid", "test")
STYLES = {"train": "cyan", "valid": "yellow", "test": "magenta"}
EVERY = 10  # epochs between two plain lines


@dataclass
class Progress:
    """What has been reported so far."""

    title: str
    epochs: int | None = None
    curves: dict[str, list[float]] = field(default_factory=dict)
    epoch: int = 0

    def take(self, epoch: int, values: Mapping[str, float]) -> None:
        """Keep one report."""
        self.epoch = epoch
        for name, value in values.items():
            self.curves.setdefault(name, []).append(value)

    def drawn(self) -> list[str]:
        """The metrics that are drawn: train and validation, else test, of the loss or whatever is reported."""
        names = list(self.curves)
        kind = "loss" if any(name.endswith("_loss") for name in names) else names[0].partition("_")[2] if names else ""
        found = [f"{split}_{kind}" for split in SPLITS if f"{split}_{kind}" in self.curves]
        return found[:2]

    def line(self) -> str:
        """Epoch and latest values."""
        where = f"epoch {self.epoch}" + (f" of {self.epochs}" if self.epochs else "")
        return "  ".join(
            (where, *(f"{name} {unit_of(name).value(values[-1])}" for name, values in self.curves.items()))
        )


def figure(progress: Progress, width: int) -> Group:
    """Title, curves and latest values, at most ``width`` columns wide."""
    names = progress.drawn()
    title = Text(progress.title, "bold")
    title.truncate(width, overflow="ellipsis")
    if not names:
        return Group(title, Text("before the first report", "dim"))
    curves = [progress.curves[name] for name in names]
    scaled = wants_logarithm(curves)
    shown = [[log10(value) for value in curve] for curve in curves] if scaled else curves
    low, high = limits(shown)
    last = max(progress.epochs or 0, max(map(len, curves)) - 1, 1)
    columns = max(width - LABELS, 10)
    drawn = [braille(curve, last, columns, HEIGHT, low, high) for curve in shown]
    marks = {0: high, HEIGHT - 1: low}
    lines = []
    for row in range(HEIGHT):
        mark = f"{10 ** marks[row] if scaled else marks[row]:.5g}" if row in marks else ""
        line = Text(f"{mark:>{LABELS - 2}} ", "dim").append("│", "dim")
        for column in range(columns):
            # Where curves cross, the dots of both are shown in the colour of the first.
            cells = [ord(rows[row][column]) - 0x2800 for rows in drawn]
            first = next((i for i, cell in enumerate(cells) if cell), 0)
            dots = cells[0] | (cells[1] if len(cells) > 1 else 0)
            line.append(chr(0x2800 + dots), STYLES[names[first].partition("_")[0]])
        lines.append(line)
    axis = f"{0:>{LABELS}}{last:>{columns - 1}}"
    legend = Text(" " * LABELS)
    for name in names:
        legend.append(f"── {name}  ", STYLES[name.partition("_")[0]])
    legend.append("logarithmic" if scaled else "", "dim")
    legend.truncate(width)
    latest = Text(progress.line())
    latest.truncate(width, overflow="ellipsis")
    return Group(title, *lines, Text(axis, "dim"), legend, latest)


@contextmanager
def watching(title: str, epochs: int | None) -> Iterator[Callable[[int, Mapping[str, float]], None]]:
    """Give `thalweg.train` its ``on_report``: curves on a terminal, else a line now and then."""
    console = Console(file=sys.stderr, highlight=False)
    progress = Progress(title, epochs)
    if not console.is_terminal or os.environ.get("CI"):
        plain = Console(file=sys.stderr, highlight=False, soft_wrap=True)

        def say(epoch: int, values: Mapping[str, float]) -> None:
            progress.take(epoch, values)
            if epoch % EVERY == 0:
                plain.print(progress.line(), markup=False)

        yield say
        return
    with Live(Figure(progress), console=console, refresh_per_second=8):
        yield progress.take


class Figure:
    """The `figure` of a progress, drawn whenever it is looked at."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def __rich_console__(self, console: Console, _options: object) -> Iterator[Group]:
        yield figure(self.progress, console.width)


def outcome(found: Training) -> str:
    """What came of a training, for a terminal."""
    ended = f"{found.status} after {found.steps} steps in {found.seconds:.2g} s" + (
        f": {found.message}" if found.message else ""
    )
    values = " ".join(f"{name}={value_text(value)}" for name, value in found.values.items())
    moved = [f"  {name:16} {moved}" for name, moved in found.moved.items()]
    return "\n".join([f"{found.task}, {found.rule}, seed {found.seed}: {ended}", f"  {values}", *moved])


def as_json(found: Training) -> str:
    """Everything that came of a training, for machines."""
    return json_text({**vars(found), "final": found.final})
