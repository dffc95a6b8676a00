"""Differences paired over shared seeds, and what may be said about them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Literal

from .intervals import Interval, t_interval, t_quantile

Answer = Literal["better", "worse", "cannot tell"]

# Beyond this many further seeds, a number would suggest a plan where there is none.
MANY = 200


@dataclass(frozen=True)
class Difference:
    """Two configurations over the same seeds.

    ``first``, ``second``  their labels.
    ``interval``           of first minus second, in the metric's own unit, over new seeds of these configurations.
    ``together``           how many intervals of this family hold at once with the interval's level.
    ``answer``             about the first: ``better`` or ``worse`` when the interval excludes 0.
    ``more_seeds``         with ``cannot tell``: about how many more seeds would exclude 0 if difference and spread
                           stayed as they are; None when that is more than 200, or cannot be estimated.
    ``why``                with ``cannot tell``: ``noise`` (the usual case), ``equal`` (no difference in any seed),
                           ``constant`` (the same difference in every seed, so that the spread is unknown).
    """

    first: str
    second: str
    interval: Interval
    together: int
    answer: Answer
    more_seeds: int | None = None
    why: Literal["", "noise", "equal", "constant"] = ""


def difference(
    first: str,
    second: str,
    a: Sequence[float],
    b: Sequence[float],
    *,
    higher_is_better: bool,
    level: float = 0.95,
    together: int = 1,
) -> Difference:
    """Compare two rules' values, a[i] and b[i] from the same seed, shape (seeds,) each.

    The t interval of the paired differences, made simultaneous over ``together`` comparisons by Bonferroni.
    Differences that are the same in every seed leave the spread unknown, and are never called better or worse.
    """
    if len(a) != len(b) or len(a) < 2:
        raise ValueError(f"paired differences need two lists of the same length, at least 2; got {len(a)} and {len(b)}")
    interval = t_interval([x - y for x, y in zip(a, b, strict=True)], level=level, together=together)
    rounding = 1e-12 * max(abs(v) for v in (*a, *b))
    if interval.sd <= rounding:
        why: Literal["equal", "constant"] = "equal" if abs(interval.mean) <= rounding else "constant"
        return Difference(first, second, interval, together, "cannot tell", None, why)
    if interval.low <= 0 <= interval.high:
        more = seeds_needed(interval.mean, interval.sd, interval.n, level=level, together=together)
        return Difference(first, second, interval, together, "cannot tell", more, "noise")
    wins = (interval.mean > 0) == higher_is_better
    return Difference(first, second, interval, together, "better" if wins else "worse")


def seeds_needed(mean: float, sd: float, n: int, *, level: float = 0.95, together: int = 1) -> int | None:
    """How many seeds beyond n bring the half-width of the interval below the observed difference.

    A guide for planning, not a promise: difference and spread are estimates themselves. None: more than 200.
    """
    for total in range(n + 1, n + MANY + 1):
        if t_quantile(total, level, together) * sd / sqrt(total) < abs(mean):
            return total - n
    return None
