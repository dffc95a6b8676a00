"""From measured values to "holds", "does not hold" or "cannot tell"."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log
from typing import Literal

from thalweg.stats.intervals import Interval, t_interval

from .claim import Bound, Claim, Measurement

Verdict = Literal["holds", "does not hold", "cannot tell"]
VERDICTS: tuple[Verdict, ...] = ("holds", "does not hold", "cannot tell")

# In how many of repeated measurements any interval of a claim may miss what it is of.
ERROR = 0.01


@dataclass(frozen=True)
class Decided:
    """A bound, the interval of its quantity, and what follows. Of a ratio, mean and interval are geometric."""

    bound: Bound
    interval: Interval
    verdict: Verdict


@dataclass(frozen=True)
class Judged:
    """The verdict of one measurement of a claim."""

    verdict: Verdict
    bounds: tuple[Decided, ...]


def intervals(claim: Claim, measurement: Measurement) -> dict[str, Interval]:
    """Of each bound's quantity, over the seeds: in at most `ERROR` of measurements any of them misses.

    Raises `KeyError` where a quantity is missing, `ValueError` for values that are not finite, or not above 0.
    """
    level = 1 - ERROR / len(claim.bounds)
    return {bound.quantity: _interval(bound, measurement.values[bound.quantity], level) for bound in claim.bounds}


def judged(claim: Claim, intervals: Mapping[str, Interval]) -> Judged:
    """A claim holds where every bound does, and does not where one does not."""
    each = []
    for bound in claim.bounds:
        interval = intervals[bound.quantity]
        each.append(Decided(bound, interval, _decided(bound, interval)))
    verdicts = {one.verdict for one in each}
    if "does not hold" in verdicts:
        return Judged("does not hold", tuple(each))
    return Judged("cannot tell" if "cannot tell" in verdicts else "holds", tuple(each))


def _interval(bound: Bound, values: Sequence[float], level: float) -> Interval:
    if not bound.ratio:
        return t_interval(values, level=level)
    if min(values) <= 0:
        raise ValueError(f"{bound.quantity} is a ratio, and above 0; got {min(values)}")
    logs = t_interval([log(value) for value in values], level=level)
    return Interval(exp(logs.mean), exp(logs.low), exp(logs.high), logs.sd, level, tuple(values))


def _decided(bound: Bound, interval: Interval) -> Verdict:
    if bound.at_least <= interval.low and interval.high <= bound.at_most:
        return "holds"
    if interval.high < bound.at_least or bound.at_most < interval.low:
        return "does not hold"
    return "cannot tell"


def agreement(verdicts: Sequence[Verdict]) -> float:
    """The share of repeats with the most frequent verdict."""
    return max(verdicts.count(verdict) for verdict in VERDICTS) / len(verdicts)
