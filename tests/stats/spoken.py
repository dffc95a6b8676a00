"""Contenders, families and searches that nobody trained, for verdicts."""

from dataclasses import dataclass, field

from thalweg.stats.difference import answered
from thalweg.stats.intervals import Interval
from thalweg.stats.proportion import Rate
from thalweg.stats.verdict import Setting, verdict
from thalweg.stats.wording import Unit

NAMES = {"adamw": "AdamW", "sgd": "SGD", "lion": "Lion"}
RATIOS = Unit(share=True, ratio="errors", falls=True)
POINTS = Unit(share=True)
LOSS = Unit()
NONE, SOME = Rate(0, 20), Rate(3, 20)


@dataclass(frozen=True)
class Row:
    """One of those compared, without its runs."""

    contender: str
    searched: bool = True
    default_won: bool = False
    near_edge: tuple = ()
    alone: str = ""
    unlike: tuple = ()
    alike: str = ""

    @property
    def name(self):
        return NAMES.get(self.contender, self.contender)

    @property
    def as_set(self):
        return f"{self.name} (lr=0.001)"

    @property
    def as_found(self):
        return f"{self.name} (lr=0.02)"


@dataclass(frozen=True)
class Family:
    reference: str
    contrasts: list = field(default_factory=list)
    settings: list = field(default_factory=list)
    miss: float = 0.05
    settings_miss: float = 0.0


@dataclass(frozen=True)
class Searches:
    """Without their pools."""

    intervals: dict = field(default_factory=dict)
    failures: dict = field(default_factory=dict)
    gains: dict = field(default_factory=dict)
    missed: dict = field(default_factory=dict)


def between(low, high, n=0, sd=1.0):
    return Interval((low + high) / 2, low, high, sd, 0.96, (0.0,) * n)


def contrast(first, low, high, second="adamw", *, n=0, up=True, **others):
    """Of searches, or of so many seeds."""
    interval = others.pop("interval", None) or between(low, high, n)
    return answered(first, second, interval, higher_is_better=up, searches=not n, **others)


def setting(unit=RATIOS, **others):
    known = {"trials": 33, "seeds": 5, "budget": 5, "task": "digits-mlp", "metric": "test accuracy"}
    return Setting(unit=unit, **(known | others))


def say(*contrasts, unit=RATIOS, labels=(), rows=(), settings=(), searches=Searches(), said=None, **others):
    """The verdict on these contrasts; ``searches`` None: of configurations."""
    labels = labels or ("adamw", *(each.first for each in contrasts))
    changed = {row.contender: row for row in rows}
    family = Family("adamw", list(contrasts), list(settings), 0.04 if settings else 0.05, 0.01 if settings else 0.0)
    of = said or setting(unit, budget=None if searches is None else 5)
    return verdict(of, [changed.get(each, Row(each)) for each in labels], family, searches, **others)
