"""Differences of two, over shared seeds or over new studies, and what may be said about them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np
from scipy.special import stdtr

from .intervals import Interval, t_interval, t_quantile
from .pool import Estimate
from .superiority import Superiority

Answer = Literal["better", "worse", "equal within noise", "cannot tell"]

# Beyond this many further seeds or trials, a number would suggest a plan where there is none.
MANY = 200


@dataclass(frozen=True)
class Difference:
    """Two of those compared.

    ``first``, ``second``  their labels.
    ``interval``           of first minus second, in the metric's own unit: over new seeds of these configurations,
                           paired over the seeds, or, where ``procedure``, over new studies, with draws and seeds of
                           their own. ``sd`` is that of the paired values; of a procedure ``noise``.
    ``together``           how many intervals of this family its level is shared among (Holm's step).
    ``answer``             about the first: ``better`` or ``worse`` when the interval excludes 0; ``equal within noise``
                           when it holds 0 and lies within ``noise`` on both sides.
    ``more_seeds``         with ``cannot tell``: about how many more seeds would exclude 0 if difference and spread
                           stayed as they are; None when that is more than 200, or cannot be estimated.
    ``more_trials``        likewise of trials, for a procedure.
    ``why``                with ``cannot tell``: ``noise`` (the usual case), ``equal`` (no difference in any seed),
                           ``constant`` (the same difference in every seed, so that the spread is unknown).
    ``noise``              standard deviation of one training from seed to seed.
    ``superiority``        P(the first is better than the second), for one training of each.
    """

    first: str
    second: str
    interval: Interval
    together: int
    answer: Answer
    more_seeds: int | None = None
    why: Literal["", "noise", "equal", "constant"] = ""
    noise: float = 0.0
    more_trials: int | None = None
    procedure: bool = False
    superiority: Superiority | None = None


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
    """Compare two configurations' values, a[i] and b[i] from the same seed, shape (seeds,) each.

    The t interval of the paired differences. Differences that are the same in every seed leave the spread unknown, and
    are never called better or worse.
    """
    interval = t_interval(_paired(a, b), level=level, together=together)
    noise = sqrt((float(np.var(a, ddof=1)) + float(np.var(b, ddof=1))) / 2)
    rounding = _rounding(a, b)
    if interval.sd <= rounding:
        why: Literal["equal", "constant"] = "equal" if abs(interval.mean) <= rounding else "constant"
        return Difference(first, second, interval, together, "cannot tell", None, why, noise)
    answer = answered(interval, noise, higher_is_better)
    if answer != "cannot tell":
        return Difference(first, second, interval, together, answer, noise=noise)
    more = seeds_needed(interval.mean, interval.sd, interval.n, level=level, together=together)
    return Difference(first, second, interval, together, answer, more, "noise", noise)


def p_value(a: Sequence[float], b: Sequence[float]) -> float:
    """Of the paired t test, two-sided; 1 where the spread is unknown."""
    paired = t_interval(_paired(a, b))
    if paired.sd <= _rounding(a, b):
        return 1.0
    return 2.0 * float(stdtr(paired.n - 1, -abs(paired.mean) * sqrt(paired.n) / paired.sd))


def procedure_difference(
    first: str,
    second: str,
    found: Estimate,
    *,
    trials: int,
    seeds: int,
    higher_is_better: bool,
    level: float = 0.95,
    together: int = 1,
    superiority: Superiority | None = None,
) -> Difference:
    """What a `thalweg.stats.pool.gain` says of two procedures; ``trials`` and ``seeds`` are those it came from."""
    half = found.half(level, together)
    interval = Interval(found.mean, found.mean - half, found.mean + half, found.noise, level, ())
    if found.se == 0:
        why: Literal["equal", "constant"] = "constant" if found.mean else "equal"
        return Difference(first, second, interval, together, "cannot tell", None, why, found.noise, procedure=True)
    answer = answered(interval, found.noise, higher_is_better)
    more = found.more(trials, seeds, level, together) if answer == "cannot tell" else (None, None)
    more_trials, more_seeds = (count if count is not None and count <= MANY else None for count in more)
    why_not: Literal["", "noise"] = "noise" if answer == "cannot tell" else ""
    return Difference(
        first, second, interval, together, answer, more_seeds, why_not, found.noise, more_trials, True, superiority
    )


def answered(interval: Interval, noise: float, higher_is_better: bool) -> Answer:
    """What an interval of first minus second says about the first."""
    if interval.low > 0 or interval.high < 0:
        return "better" if (interval.low > 0) == higher_is_better else "worse"
    return "equal within noise" if -noise < interval.low and interval.high < noise else "cannot tell"


def _paired(a: Sequence[float], b: Sequence[float]) -> list[float]:
    if len(a) != len(b) or len(a) < 2:
        raise ValueError(f"paired differences need two lists of the same length, at least 2; got {len(a)} and {len(b)}")
    return [x - y for x, y in zip(a, b, strict=True)]


def _rounding(a: Sequence[float], b: Sequence[float]) -> float:
    return 1e-12 * max(abs(v) for v in (*a, *b))


def seeds_needed(mean: float, sd: float, n: int, *, level: float = 0.95, together: int = 1) -> int | None:
    """How many seeds beyond n bring the half-width of the interval below the observed difference.

    A guide for planning, not a promise: difference and spread are estimates themselves. None: more than 200.
    """
    for total in range(n + 1, n + MANY + 1):
        if t_quantile(total, level, together) * sd / sqrt(total) < abs(mean):
            return total - n
    return None
