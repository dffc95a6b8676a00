"""What a metric's level is: the mean of runs on a scale, as a value of the metric, with its interval."""

from collections.abc import Sequence
from dataclasses import replace
from math import inf, isfinite, sqrt

import numpy as np

from .intervals import Interval, t_interval, t_quantile
from .pool import Estimate
from .scale import PLAIN, Scale


def mean_interval(scores: Sequence[float], *, level: float, least: float, rounding: float) -> Interval:
    """Student's t interval of scores, shape (runs,), whose spread is taken to be ``least`` at least.

    Where there is no such least spread, and theirs is not above ``rounding`` (`Scale.rounding`), it is unknown: an
    interval without bounds, whose sd is 0.
    """
    found = t_interval(scores, level=level)
    if found.n == 1 or (not least and found.sd <= rounding):
        return replace(found, low=-inf, high=inf, sd=0.0)
    if not found.sd < least:  # nor where values ran away, so that their spread is no number
        return found
    half = t_quantile(found.n, level) * least / sqrt(found.n)
    return replace(found, low=found.mean - half, high=found.mean + half, sd=least)


def level_of(
    values: Sequence[float], *, scale: Scale = PLAIN, level: float = 0.95, within: tuple[float, float] = (-inf, inf)
) -> Interval:
    """Of runs that gave these values, shape (runs,): their mean on the scale, as a value."""
    scores = [scale.score(value) for value in values]
    found = mean_interval(scores, level=level, least=scale.resolution(scores), rounding=scale.rounding(scores))
    with np.errstate(over="ignore", invalid="ignore"):  # the values of a loss that ran away
        spread = float(np.std(values, ddof=1)) if found.sd else 0.0
    return replace(as_values(found, scale, within), sd=spread, values=tuple(map(float, values)))


def search_interval(found: Estimate, miss: float) -> Interval:
    """The interval of a search, or of a difference of two; without bounds where nothing varies."""
    half = found.half(1 - miss) if found.se else inf
    return Interval(found.mean, found.mean - half, found.mean + half, found.noise, 1 - miss, ())


def level_of_search(found: Estimate, *, scale: Scale, level: float, within: tuple[float, float]) -> Interval:
    """Of a search: its mean, as a value."""
    return as_values(replace(search_interval(found, 1 - level), level=level), scale, within)


def as_values(scores: Interval, scale: Scale, within: tuple[float, float]) -> Interval:
    """An interval of scores as values, within what is possible; one without bounds keeps none."""
    if not isfinite(scores.low):
        return replace(scores, mean=scale.value(scores.mean))
    low, high = max(scale.value(scores.low), within[0]), min(scale.value(scores.high), within[1])
    return replace(scores, mean=scale.value(scores.mean), low=low, high=high)
