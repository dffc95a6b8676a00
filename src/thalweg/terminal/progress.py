"""A comparison while it runs: a live display on a terminal, an occasional line elsewhere. All on standard error."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from thalweg.stats.wording import listed
from thalweg.study.model.cells import WITHOUT_RESULT, Cell, Run, which
from thalweg.study.model.errors import StudyError
from thalweg.study.model.events import Event, Finished, Phase, Started
from thalweg.study.model.metric import Metric, choose_metric, reported_by
from thalweg.view.words import duration

EVERY = 10.0  # seconds between two plain lines
FAILURES_SHOWN = 5


@contextmanager
def progress(metric: str | None) -> Iterator[Callable[[Event], None]]:
    """Give ``compare`` its ``on_event``: live on a terminal, plain lines when there is none, or on a build server."""
    console = Console(file=sys.stderr, highlight=False)
    if not console.is_terminal or os.environ.get("CI"):
        yield Plain(Tally(metric), Console(file=sys.stderr, highlight=False, soft_wrap=True)).on_event
        return
    shown = Shown(Tally(metric))
    with Live(shown, console=console, refresh_per_second=5, transient=True) as live:
        yield lambda event: shown.on_event(event, live.console)


@dataclass
class Tally:
    """What has happened so far on the task at hand; ``task`` says which of several: "2 of 3: spiral"."""

    wanted: str | None
    task: str = ""
    total: int = 0
    done: int = 0
    stored: int = 0
    ended: int = 0
    phase: str = "starting"
    diverged: int = 0
    failed: int = 0
    best: dict[str, float] = field(default_factory=dict)
    metric: Metric | None = None
    started: float = field(default_factory=monotonic)

    def take(self, event: Event) -> None:
        """Count one event."""
        if isinstance(event, Started):
            self._begin(event)
        elif isinstance(event, Phase):
            self.phase = event.name
            for cell, run in event.stored:
                self._count(cell, run)
        else:
            self.done, self.total = event.done, event.total
            self.ended += 1
            self._count(event.cell, event.run)

    def _begin(self, event: Started) -> None:
        """A task begins: what was counted on an earlier one says nothing of it."""
        if event.of[0] > 1:
            self.ended, self.phase, self.diverged, self.failed = 0, "starting", 0, 0
            self.best, self.metric, self.started = {}, None, monotonic()
        self.total, self.done, self.stored = event.total, event.done, event.done
        number, of = event.of
        self.task = f"{number} of {of}: {event.task}" if of > 1 else ""

    def about(self, text: str) -> str:
        """A text that says on which task it is, where there are several."""
        return f"{self.task}, {text}" if self.task else text

    def _count(self, cell: Cell, run: Run) -> None:
        self.diverged += run.status == "diverged"
        self.failed += run.status in WITHOUT_RESULT
        if run.status != "done":
            return
        if self.metric is None:
            try:
                self.metric = choose_metric(self.wanted, reported_by([run.curves]))
            except StudyError:
                return  # compare itself will say so
        curve = run.curves.get(self.metric.selection)
        if curve and self.phase == "search":
            best = max if self.metric.higher_is_better else min
            self.best[cell.called] = best(curve.end(), self.best.get(cell.called, curve.end()))

    def pace(self) -> str:
        """Speed since the start, and the time that the rest will take at it; "" before the first run has ended."""
        if not self.ended:
            return ""
        rate = self.ended / max(monotonic() - self.started, 1e-9)
        left = (self.total - self.done) / rate
        return f"{rate:.2g} runs/s" + (f", about {duration(left)} left" if left >= 1 else "")

    def lost(self) -> str:
        """Runs that did not end well; "" if there are none."""
        counts = [f"{self.diverged} diverged"] if self.diverged else []
        return ", ".join(counts + ([f"{self.failed} failed"] if self.failed else []))

    def bests(self) -> str:
        """The best validation value of each rule so far."""
        if self.metric is None or not self.best:
            return ""
        unit = self.metric.unit
        shown = (f"{rule} {unit.value(value)}" for rule, value in self.best.items())
        return f"best {self.metric.selection.replace('_', ' ')}: " + ", ".join(shown)

    def resumed(self) -> str:
        """How much an earlier run of the command has left."""
        if self.stored == self.total:
            return f"all {self.total} runs were already stored"
        return f"{self.stored} of {self.total} runs were already stored"


def changed_words(event: Started) -> str:
    """What of a script is another text than the last time; "" if nothing is."""
    if not event.changed:
        return ""
    verb = "is" if len(event.changed) == 1 else "are"
    return f"{listed(event.changed)} {verb} not as the last time: what was computed with the former text is not used"


def rounded_words(event: Started) -> str:
    """That each rule has more trials than were asked for; "" where it has as many. Said once, of the first task."""
    if event.rounded is None or event.of[0] > 1:
        return ""
    asked, trials = event.rounded
    return f"{trials} trials of each instead of {asked}: the default, and a power of two of others, which lie evenly"


def run_words(cell: Cell, run: Run) -> str:
    """A run that did not end well, in one line."""
    return f"{cell.called}, {which(cell.trial)}, {run.status}: {run.message}"


def matters_words(event: Started) -> str:
    """What was said to matter, before anything is trained."""
    if event.matters is None:
        return ""
    return f"What matters, said beforehand: {event.matters:g}, a ratio where ratios are compared, else a difference"


def notes(event: Started) -> list[str]:
    """What there is to say before anything is trained."""
    return [line for line in (rounded_words(event), matters_words(event), changed_words(event)) if line]


def event_lines(event: Event, tally: Tally) -> list[str]:
    """What an event leaves to be read beside the counts: what had changed, what was stored, the first failures."""
    if isinstance(event, Started):
        lines = [*notes(event), *([tally.resumed() + "."] if event.done else [])]
        return [tally.about(line) for line in lines]
    if isinstance(event, Finished) and event.run.status in WITHOUT_RESULT and tally.failed <= FAILURES_SHOWN:
        return [run_words(event.cell, event.run)]
    return []


class Shown:
    """The live display: bar and counts, then the best values so far."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self.bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[pace]}"),
            expand=True,
        )
        self.line = self.bar.add_task("starting", total=None, pace="")

    def on_event(self, event: Event, console: Console) -> None:
        """Show one event."""
        self.tally.take(event)
        tally = self.tally
        for line in event_lines(event, tally):
            console.print(Text(line, "red" if isinstance(event, Finished) else ""))
        self.bar.update(
            self.line, description=tally.about(tally.phase), total=tally.total, completed=tally.done, pace=tally.pace()
        )

    def __rich__(self) -> Group:
        lost = self.tally.lost()
        lines = [Text(self.tally.bests(), "dim"), Text(lost, "yellow")]
        return Group(self.bar, *(line for line in lines if line.plain))


class Plain:
    """Lines for logs: at the start of each phase, then at most one every ten seconds."""

    def __init__(self, tally: Tally, console: Console) -> None:
        self.tally, self.console = tally, console
        self.last = monotonic()

    def on_event(self, event: Event) -> None:
        """Tell one event, if it is time."""
        self.tally.take(event)
        tally = self.tally
        if isinstance(event, Started):
            for note in notes(event):
                self._say(tally.about(note))
            start = tally.resumed() if event.done else f"{event.total} runs"
            self._say(tally.about(start))
        elif isinstance(event, Phase):
            if event.done == event.total:
                return
            stored = f", {event.done} stored" if event.done else ""
            self._say(tally.about(f"{event.name}: {event.total} runs{stored}"))
        else:
            if event.run.status != "done" and tally.diverged + tally.failed <= FAILURES_SHOWN:
                self._say(run_words(event.cell, event.run))
            if monotonic() - self.last >= EVERY or event.done == event.total:
                self._say(self._state())

    def _state(self) -> str:
        tally = self.tally
        parts = (tally.about(f"{tally.done} of {tally.total} runs"), tally.pace(), tally.lost(), tally.bests())
        return "; ".join(text for text in parts if text)

    def _say(self, text: str) -> None:
        self.last = monotonic()
        self.console.print(text, markup=False)
