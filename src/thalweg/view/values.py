"""What the page shows: small frozen values, computed once from comparisons, read by figures, tables and text."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from thalweg.stats.intervals import Interval
from thalweg.stats.superiority import Superiority
from thalweg.study.judge.findings import ContenderRow
from thalweg.study.model.metric import Metric

from .palette import Look

if TYPE_CHECKING:
    from thalweg.study.judge.across import Across

Outcome = Literal["done", "diverged", "failed", "died", "stopped"]


@dataclass(frozen=True)
class Configuration:
    """One configuration of the search. Number 0 is the rule's default. ``value`` is None if it did not end well."""

    number: int
    lr: float | None
    value: float | None
    outcome: Outcome
    setting: str


@dataclass(frozen=True)
class Curve:
    """One re-run of the tuned rule: the validation metric after each report."""

    seed: str
    at: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class Kept:
    """A run in the store that one may want to train again: its key's first digits, and what it gave."""

    key: str
    run: str
    outcome: Outcome
    value: float | None


@dataclass(frozen=True)
class ContenderView:
    """All that is shown of one of those compared: its row, and what is made of it to be drawn.

    ``winner``      the configuration found, in words; None: not known yet.
    ``best_band``   intervals of the first of ``expected_best``: (n, low, high).
    ``again``       the re-runs of its default and winner.
    ``repeats``     whether its default, trained twice with one seed, gave the same, in words.
    """

    row: ContenderRow
    look: Look
    winner: str | None
    trials: tuple[Configuration, ...]
    expected_best: tuple[tuple[int, float], ...]
    best_band: tuple[tuple[int, float, float], ...]
    curves: tuple[Curve, ...]
    again: tuple[Kept, ...]
    repeats: str

    @property
    def label(self) -> str:
        """Unique and short."""
        return self.row.contender

    @property
    def without(self) -> str:
        """What stands where a value would, if there is none."""
        return "no result" if self.row.silent else "not run yet"

    @property
    def remark(self) -> str:
        """What there is to say of the winner; "" if nothing."""
        if self.row.silent:
            return "every run failed"
        won = "the default won" if self.row.default_won else ""
        return won if self.row.searched else "nothing to search"


@dataclass(frozen=True)
class Pair:
    """A difference (``title`` says of what), and what may be said of the first.

    ``chance``  P(the first is better than the second), for one training of each.
    ``quiet``   smaller than what a comparison of a rule with itself shows, and no interval that leaves out 0.
    """

    title: str
    difference: Interval
    answer: str
    chance: Superiority | None = None
    quiet: bool = False


@dataclass(frozen=True)
class Budget:
    """What is said of the procedure "tune with so many trials, then train".

    ``words``     how many, in words; ``trials`` by label.
    ``means``     and ``noise_floor`` by label.
    ``pairs``     every two; ``tuning`` of each against its default; ``switching`` from the first to the best other.
    """

    words: str
    trials: Mapping[str, int]
    means: Mapping[str, Interval]
    noise_floor: Mapping[str, float]
    pairs: tuple[Pair, ...]
    tuning: tuple[Pair, ...]
    switching: tuple[Pair, ...]


@dataclass(frozen=True)
class Problem:
    """One run that did not end well, and why; ``log``: its traceback, and the last lines that it printed."""

    rule: str
    run: str
    outcome: Outcome
    message: str
    key: str
    log: str = ""


@dataclass(frozen=True)
class View:
    """One comparison, ready to be shown.

    ``heading``  what was compared on what, short.
    ``kind``     what each of those compared is, in words: a rule, or a contender where the task's options differ.
    ``search``   what each search was given, in words: trials, or minutes.
    ``mark``     what the names of its figures end with, so that those of several tasks differ.
    ``budgets``  the smallest first; the verdict speaks of the last.
    ``standing`` of each against the best mean: best, equal to it within noise, cannot be told from it, worse.
    """

    task: str
    heading: str
    kind: str
    summary: str
    metric: Metric
    verdicts: tuple[str, ...]
    missing: int
    rules: tuple[ContenderView, ...]
    budgets: tuple[Budget, ...]
    pairs: tuple[Pair, ...]
    tuning: tuple[Pair, ...]
    standing: Mapping[str, str]
    problems: tuple[Problem, ...]
    provenance: tuple[tuple[str, str], ...]
    search: str
    seeds: int
    mark: str = ""

    @property
    def judged(self) -> Budget | None:
        """The budget that the verdict speaks of; None where it speaks of the configurations found."""
        return self.budgets[-1] if self.budgets else None

    @property
    def headline(self) -> Mapping[str, Interval | None]:
        """The means that the verdict speaks of, by label."""
        found = self.judged
        return {rule.label: found.means.get(rule.label) if found else rule.row.tuned for rule in self.rules}

    @property
    def seconds(self) -> float:
        """Of all runs together."""
        return sum(rule.row.seconds for rule in self.rules)


@dataclass(frozen=True)
class Page:
    """Everything that is shown, of one task or several.

    ``command``  makes the comparison again, or goes on with it; ``again`` trains one of its runs again.
    ``across``   what the tasks say together; None with one, or while some are not finished.
    """

    heading: str
    tasks: tuple[View, ...]
    across: "Across | None"
    command: str
    again: str

    @property
    def missing(self) -> int:
        """Runs still to do."""
        return sum(view.missing for view in self.tasks)

    @property
    def rules(self) -> tuple[ContenderView, ...]:
        """Those compared, as they look everywhere."""
        return tuple({rule.label: rule for view in self.tasks for rule in view.rules}.values())
