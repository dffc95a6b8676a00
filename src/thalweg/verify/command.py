"""`thalweg verify`: repeat the published runs, show progress, print what came of it."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from thalweg.terminal.console import out

from .check import verify
from .wording import as_json, as_markdown, outcome_table


def run(*, json: bool, markdown: bool) -> int:
    """Repeat every published figure and print the outcome; 1 if one is not met, else 0."""
    with _progress() as on_run:
        cells = verify(on_run=on_run)
    if json:
        print(as_json(cells))
    elif markdown:
        print(as_markdown(cells))
    else:
        out().print(outcome_table(cells))
    return 1 if any(cell.problem for cell in cells) else 0


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None] | None]:
    """A bar on a terminal's standard error; elsewhere one line."""
    console = Console(file=sys.stderr, highlight=False)
    if not console.is_terminal or os.environ.get("CI"):
        console.print("repeating the published runs, less than a minute")
        yield None
        return
    columns = (TextColumn("repeating the published runs"), BarColumn(bar_width=None), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True, expand=True) as shown:
        line = shown.add_task("", total=None)
        yield lambda done, total: shown.update(line, completed=done, total=total)
