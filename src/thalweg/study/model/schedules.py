"""Learning-rate schedules by the epoch: the formulas of `thalweg.schedules`, with an epoch for a step.

A schedule is a pure function of the epoch (0, 1, ...) and how many there are. None of them wastes an epoch at the rate
0: a warm-up begins at the first step above it, and a decay ends at the last. The factors are part of what results
stand for, so they stay what they are to the bit.
"""

from collections.abc import Callable
from dataclasses import dataclass

from thalweg import formula, schedules
from thalweg.closest import ending
from thalweg.stats.wording import value_text

from .errors import StudyError

Schedule = Callable[[int, int], float]


def constant(_epoch: int, _epochs: int) -> float:
    """1: the learning rate as it is given."""
    return 1.0


def cosine(epoch: int, epochs: int) -> float:
    """Half a cosine from 1 towards 0: (1 + cos(pi e / n)) / 2.

    Source:  Loshchilov & Hutter 2017, "SGDR" (arXiv:1608.03983), one cycle; torch's CosineAnnealingLR with T_max=n.
    """
    return schedules.Cosine(epochs).at(epoch + 1)


def warm_restarts(epoch: int, _epochs: int) -> float:
    """`cosine` anew in cycles of 10, 20, 40, 80, ... epochs, however many there are: it may end inside a cycle.

    Source:  Loshchilov & Hutter 2017; cycles as in Crowded Valley (arXiv:2007.01547), whose 100 epochs end at 0.69;
             torch's CosineAnnealingWarmRestarts with T_0=10, T_mult=2.
    """
    return schedules.WarmRestarts(epoch + 1, cycle=10, multiplier=2).at(epoch + 1)


def trapezoidal(epoch: int, epochs: int) -> float:
    """A tenth of the epochs w up, (e + 1) / w; then 1; a tenth down, (n - e) / (w + 1).

    Source:  Xing et al. 2018 (arXiv:1802.08770); with these figures, Crowded Valley (arXiv:2007.01547). Its runs are
             one epoch late: they take the first epoch at the full rate, then these factors but for the last.
    """
    return schedules.Trapezoid(epochs, warmup=0.1, cooldown=0.1).at(epoch + 1)


def warm_up(epoch: int, epochs: int) -> float:
    """A tenth of the epochs w up, (e + 1) / w; then 1.

    Source:  Goyal et al. 2017 (arXiv:1706.02677); torch's LinearLR with start_factor=1/w, total_iters=w-1.
    """
    return schedules.WarmUp(epochs, warmup=0.1).at(epoch + 1)


def linear(epoch: int, epochs: int) -> float:
    """A straight line from 1 towards 0: 1 - e / n.

    Source:  as PolynomialLR and LinearLR of torch (end_factor=0, total_iters=n).
    """
    return schedules.Linear(epochs).at(epoch + 1)


def wsd(epoch: int, epochs: int) -> float:
    """Warm-up, stable, decay: a twentieth w up, (e + 1) / w; then 1; the last fifth d down, 1 - sqrt(k / (d + 1)).

    k = 1 in the first epoch of the decay. Source:  Hu et al. 2024, "MiniCPM" (arXiv:2404.06395); the fifth and the
    square root, Haegele et al. 2024 (arXiv:2405.18392).
    """
    return schedules.WSD(epochs, warmup=0.05, cooldown=0.2, shape="sqrt").at(epoch + 1)


SCHEDULES: dict[str, Schedule] = {
    "none": constant,
    "cosine": cosine,
    "warm-restarts": warm_restarts,
    "trapezoidal": trapezoidal,
    "warm-up": warm_up,
    "linear": linear,
    "wsd": wsd,
}


SUFFIX = "-by-step"
BY_STEP = {name + SUFFIX: kind for name, kind in schedules.CATALOGUE.items() if kind is not schedules.Constant}


@dataclass(frozen=True)
class ByStep:
    """A schedule by the step, of which only a training can say how many steps there are."""

    kind: type[formula.Schedule]
    numbers: tuple[tuple[str, float | str], ...]

    def of(self, steps: int, setting: str = "schedule") -> formula.Schedule:
        """The schedule of so many steps; `StudyError` where it is none. ``setting``: as which it was given."""
        try:
            return self.kind(steps, **dict(self.numbers))
        except (TypeError, ValueError) as problem:
            raise StudyError(f"{setting} {self.written}: {problem}") from problem

    @property
    def written(self) -> str:
        """As a comparison names it: wsd-by-step:warmup=50."""
        name = next(name for name, kind in BY_STEP.items() if kind is self.kind)
        return ":".join([name, *(f"{key}={value_text(value)}" for key, value in self.numbers)])


def by_step(given: object, setting: str = "schedule") -> ByStep:
    """A schedule by the step as it is written, ``wsd-by-step:warmup=50``; `StudyError` says what exists.

    ``setting``  as which it was given.
    """
    name, *parts = str(given).split(":")
    if name not in BY_STEP:
        raise StudyError(
            f"there is no schedule {given!r} by the step{ending(name, list(BY_STEP))} There are: {', '.join(BY_STEP)}."
        )
    kind = BY_STEP[name]
    said: dict[str, float | str] = {}
    for part in parts:
        key, sign, value = part.partition("=")
        if not sign or key in said:
            raise StudyError(f"{setting} {given}: write each number once, as in {name}:warmup=50; got {part!r}")
        if key == "steps":
            raise StudyError(f"{setting} {given}: how many steps there are, the training says: leave steps= out")
        if key not in kind.declared:
            raise StudyError(
                f"{setting} {given}: {name} takes no {key!r}{ending(key, kind.declared)} It takes "
                f"{', '.join(kind.declared)}."
            )
        said[key] = _number(value)
    order = [*kind.declared]
    chosen = {key: value for key, value in said.items() if value != kind.declared[key].default}
    found = ByStep(kind, tuple(sorted(chosen.items(), key=lambda each: order.index(each[0]))))
    found.of(10**9, setting)  # whether the numbers are right, as far as the number of steps does not matter
    return found


def _number(written: str) -> float | str:
    try:
        value = float(written)
    except ValueError:
        return written
    return int(value) if value.is_integer() else value


def find_schedule(name: object) -> Schedule | ByStep:
    """A schedule by its name; `StudyError` says what exists."""
    if isinstance(name, str) and name in SCHEDULES:
        return SCHEDULES[name]
    if isinstance(name, str) and name.partition(":")[0].endswith(SUFFIX):
        return by_step(name)
    names = [*SCHEDULES, *BY_STEP]
    raise StudyError(f"there is no schedule {name!r}{ending(str(name), names)} Schedules: {', '.join(names)}.")
