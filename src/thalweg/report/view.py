"""What the page shows: small frozen values, computed once from a comparison, read by figures, tables and text."""

from dataclasses import dataclass
from typing import Literal

from .palette import Look

Outcome = Literal["done", "diverged", "failed", "died"]


@dataclass(frozen=True)
class Interval:
    """A mean with its 95% interval over ``runs`` runs; no bounds when there were too few runs for an interval."""

    mean: float
    low: float | None
    high: float | None
    runs: int


@dataclass(frozen=True)
class Trial:
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
class RuleView:
    """All that is shown of one of those compared. ``label`` is unique and short; ``name`` is for sentences.

    ``searched``  whether it has anything to search.
    """

    label: str
    name: str
    look: Look
    default: Interval | None
    tuned: Interval | None
    winner: str | None
    default_won: bool
    searched: bool
    near_edge: tuple[str, ...]
    trials: tuple[Trial, ...]
    expected_best: tuple[tuple[int, float], ...]
    curves: tuple[Curve, ...]
    diverged: int
    failed: int
    default_lost: int
    tuned_lost: int
    step_seconds: float | None
    step_ratio: float | None
    state_bytes: int
    seconds: float

    @property
    def remark(self) -> str:
        """What there is to say of the winner; "" if nothing."""
        return "nothing to search" if not self.searched else "the default won" if self.default_won else ""


@dataclass(frozen=True)
class Metric:
    """What is measured. ``valid`` and ``test`` are the reported names that choose and that judge."""

    valid: str
    test: str
    better: Literal["higher", "lower"]
    is_share: bool

    def text(self, value: float) -> str:
        """One value, as the tables print it."""
        return f"{100 * value:.2f}%" if self.is_share else f"{value:.4g}"

    def between(self, low: float, high: float) -> str:
        """An interval, its unit once."""
        return f"{self.text(low).removesuffix('%')} to {self.text(high)}"

    def change(self, value: float) -> str:
        """A difference of two values: percentage points for shares."""
        text = f"{100 * value:+.2f}" if self.is_share else f"{value:+.3g}"
        return text.replace("-", "\N{MINUS SIGN}", 1) if text.startswith("-") else text

    @property
    def unit(self) -> str:
        """What a difference is counted in."""
        return "percentage points" if self.is_share else self.name

    @property
    def name(self) -> str:
        """The metric in words, without its split."""
        return self.test.partition("_")[2].replace("_", " ")

    @property
    def split(self) -> str:
        """The split that judges."""
        return self.test.partition("_")[0]


@dataclass(frozen=True)
class Pair:
    """A difference over the shared seeds (``title`` says of what), and what may be said of the first."""

    title: str
    difference: Interval
    together: int
    answer: str


@dataclass(frozen=True)
class Problem:
    """One run that did not end well, and why."""

    rule: str
    run: str
    outcome: Outcome
    message: str


@dataclass(frozen=True)
class View:
    """One comparison, ready to be shown.

    ``heading``  what was compared on what, short.
    ``kind``     what each of those compared is, in words: a rule, or a contender where the task's options differ.
    """

    task: str
    heading: str
    kind: str
    summary: str
    metric: Metric
    verdicts: tuple[str, ...]
    missing: int
    rules: tuple[RuleView, ...]
    pairs: tuple[Pair, ...]
    problems: tuple[Problem, ...]
    provenance: tuple[tuple[str, str], ...]
    command: str
    trials: int
    seeds: int
