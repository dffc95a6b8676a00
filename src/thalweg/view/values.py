"""What the page shows: small frozen values, computed once from comparisons, read by figures, tables and text."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from thalweg.stats.intervals import Interval
from thalweg.stats.superiority import Superiority
from thalweg.study.judge.findings import ContenderRow
from thalweg.study.model.cells import Value
from thalweg.study.model.metric import Metric

from .palette import Look

if TYPE_CHECKING:
    from thalweg.study.judge.across import Across

Outcome = Literal["done", "diverged", "failed", "died", "stopped"]
# How a hyperparameter's values were drawn: evenly by their logarithm, or by that of their distance to 1; a few choices.
SearchKind = Literal["log", "one minus log", "choice"]


@dataclass(frozen=True)
class Training:
    """One run of a configuration.

    ``valid``   the validation metric, the mean of its last 3 evaluations, by which trials rank; ``judged`` the metric
                that re-runs are judged by, at the end. None of a run that did not end well.
    ``key``     its row's first digits, by which it can be trained again.
    """

    seed: int
    outcome: Outcome
    valid: float | None
    judged: float | None
    seconds: float
    key: str


@dataclass(frozen=True)
class Configuration:
    """One configuration of the search. Number 0 is the rule's default.

    ``values``   of what was searched, by name; ``setting`` the same in words.
    ``tuning``   its run in the search; ``again`` those afterwards.
    """

    number: int
    values: Mapping[str, Value]
    setting: str
    tuning: Training
    again: tuple[Training, ...] = ()

    @property
    def value(self) -> float | None:
        """What it is ranked by; None if it did not end well."""
        return self.tuning.valid


@dataclass(frozen=True)
class Curve:
    """One re-run of the tuned rule: the validation metric after each report."""

    seed: str
    at: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class ContenderView:
    """All that is shown of one of those compared: its row, and what is made of it to be drawn.

    ``winner``      the configuration found, in words; None: not known yet.
    ``searched``    which hyperparameters were searched, each with its scale.
    ``repeats``     whether its default, trained twice with one seed, gave the same, in words.
    """

    row: ContenderRow
    look: Look
    winner: str | None
    searched: Mapping[str, SearchKind]
    trials: tuple[Configuration, ...]
    expected_best: tuple[tuple[int, float], ...]
    curves: tuple[Curve, ...]
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
    """A difference (``title`` says of what), and what may be said of the first; "" where nothing is.

    ``quality``  the same of the runs that did not fail, where some failed; ``failures`` in words.
    ``chance``   P(the first is better than the second), for one training of each.
    """

    title: str
    difference: Interval
    answer: str
    first: str
    second: str
    quality: Interval | None = None
    failures: str = ""
    chance: Superiority | None = None


@dataclass(frozen=True)
class SearchView:
    """Of the searches that are judged: ``words``, how long each is; ``trials`` and ``means`` by label."""

    words: str
    trials: Mapping[str, int]
    means: Mapping[str, Interval]


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
    ``notices``  what makes the answer none, or not yet one; ``verdicts`` the answer, then the other sentences;
    ``details``  what stands behind the verdict, folded.
    ``reference``  the label of the one that the others are compared with.
    ``answer``   each of the others against it: one family of intervals; ``settings`` every two untuned ones.
    ``described``  differences of which nothing is said: gains of tuning, other tuned pairs.
    ``matters``  the smallest difference that matters, on the scale of the differences; None: not said.
    ``standing`` of each against the reference: reference, better, worse, equal, cannot be told.
    ``design``   of the search, by number (`thalweg.study.ask.designs`).
    """

    task: str
    heading: str
    kind: str
    summary: str
    metric: Metric
    notices: tuple[str, ...]
    verdicts: tuple[str, ...]
    missing: int
    rules: tuple[ContenderView, ...]
    details: tuple[str, ...]
    judged: SearchView | None
    reference: str
    answer: tuple[Pair, ...]
    settings: tuple[Pair, ...]
    described: tuple[Pair, ...]
    matters: float | None
    standing: Mapping[str, str]
    problems: tuple[Problem, ...]
    provenance: tuple[tuple[str, str], ...]
    search: str
    seeds: int
    mark: str = ""
    design: int = 1

    @property
    def searched(self) -> Mapping[str, SearchKind]:
        """Every hyperparameter that one of them searched, the learning rate first, each with its scale.

        Where one searches choices and another a range, it is the range's.
        """
        names = dict.fromkeys(name for rule in self.rules for name in rule.searched)
        kinds = {name: [rule.searched[name] for rule in self.rules if name in rule.searched] for name in names}
        ordered = sorted(names, key=lambda name: name != "lr")
        return {name: next((kind for kind in kinds[name] if kind != "choice"), "choice") for name in ordered}

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
