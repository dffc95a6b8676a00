"""Which average of the weights is tested, in place of those that are trained: a setting, as it is written.

    none                                   the weights that are trained, or what a rule tests itself
    averaged:horizon=100:blend=0.5         as `thalweg.averaged` takes it
    averaged:start=0.8                     a start below 1 is a share of all steps
    window:count=5:every=10                as `thalweg.window` takes it

What is kept changes nothing in the training, so trainings that differ in it alone are one.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import inf
from typing import TypeVar

from thalweg.closest import ending
from thalweg.stats.wording import listed, value_text

from .errors import StudyError

T = TypeVar("T")

NONE = "none"
# How many different averages one training keeps (`thalweg.wrappers.readouts`).
AVERAGES = 4


@dataclass(frozen=True)
class Readout:
    """An average, or a window, as numbers; see `thalweg.averaged` and `thalweg.window`.

    ``start``  a step, or below 1 the share of all steps before it.
    """

    kind: str
    horizon: float | None = None
    blend: float = 1.0
    start: float = 0.0
    count: int = 0
    every: int = 0

    @property
    def average(self) -> tuple[float | None, float] | None:
        """What of it is kept: one average for all readouts that differ in nothing else; None of a window."""
        return (self.horizon, self.start) if self.kind == "averaged" else None

    def starts_at(self, steps: int) -> int:
        """The step after which it begins, of a training of so many."""
        return round(self.start * steps) if self.start < 1 else int(self.start)


# What may be given of each kind: from where to where, and whether it is a whole number.
_NUMBERS: Mapping[str, Mapping[str, tuple[str, Callable[[float], bool]]]] = {
    "averaged": {
        "horizon": ("a number of steps, at least 1", lambda x: x >= 1),
        "blend": ("above 0, the weights, and at most 1, the average", lambda x: 0 < x <= 1),
        "start": (
            "a whole number of steps, or below 1 a share of all",
            lambda x: 0 <= x < 1 or (x >= 1 and x.is_integer()),
        ),
    },
    "window": {
        "count": ("a whole number of weights, at least 1", lambda x: x >= 1 and x.is_integer()),
        "every": ("a whole number of steps, at least 1", lambda x: x >= 1 and x.is_integer()),
    },
}


def readout_of(text: str) -> Readout | None:
    """A setting that is checked, as what it says; None for `NONE`."""
    kind, *given = text.split(":")
    if kind == NONE:
        return None
    numbers = {name: float(value) for name, _, value in (each.partition("=") for each in given)}
    whole = {name: int(numbers.pop(name)) for name in ("count", "every") if name in numbers}
    return Readout(kind, numbers.get("horizon"), numbers.get("blend", 1.0), numbers.get("start", 0.0), **whole)


def written(given: object) -> str:
    """A readout in its one spelling; `StudyError` says what may stand there."""
    kind, *parts = str(given).split(":")
    if kind == NONE and not parts:
        return NONE
    if kind not in _NUMBERS:
        known = [NONE, *_NUMBERS]
        raise StudyError(
            f"readout is none, averaged or window; got {given!r}{ending(kind, known)} Write averaged:horizon=100, "
            "averaged:start=0.8 or window:count=5:every=10"
        )
    values = {name: _number(kind, name, value) for name, _, value in (each.partition("=") for each in parts)}
    if len(values) < len(parts):
        raise StudyError(f"readout: a number is given twice in {given}")
    if kind == "window" and (missing := [name for name in _NUMBERS[kind] if name not in values]):
        raise StudyError(f"readout: window needs {listed(missing)} too: window:count=5:every=10; got {given}")
    usual = {"blend": 1.0, "start": 0.0}
    kept = [name for name in _NUMBERS[kind] if name in values and values[name] != usual.get(name)]
    return ":".join([kind, *(f"{name}={_text(values[name])}" for name in kept)])


def _text(value: float) -> str:
    return str(int(value)) if value.is_integer() else value_text(value)  # of a step all digits count


def _number(kind: str, name: str, given: str) -> float:
    known = _NUMBERS[kind]
    if name not in known:
        raise StudyError(
            f"readout: {kind} has no {name!r}{ending(name, list(known))} It takes {', '.join(known)}: {kind}:"
            + ("horizon=100:blend=0.5" if kind == "averaged" else "count=5:every=10")
        )
    says, allows = known[name]
    try:
        value = float(given)
    except ValueError:
        value = inf
    if not value < inf or not allows(value):
        raise StudyError(f"readout: {name} of {kind} is {says}; got {given!r}")
    return value


def kept_together(items: Iterable[T], readout: Callable[[T], str]) -> list[list[T]]:
    """What is to be read out of one training each: as many as it can keep the averages of, in their order."""
    found: list[list[T]] = []
    averages: set[object] = set()
    for item in items:
        asked = readout_of(readout(item))
        own = asked.average if asked else None
        if not found or (own is not None and own not in averages and len(averages) == AVERAGES):
            found.append([])
            averages = set()
        found[-1].append(item)
        averages |= set() if own is None else {own}
    return found
