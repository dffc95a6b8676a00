"""t intervals for a mean: arrays in, a small frozen result out."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, sqrt

import numpy as np


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval.

    Of ``values``, it says where the mean over NEW SEEDS of these very configurations lies, not what another search
    would find; without values, it is of searches: over new searches and new seeds.

    ``low``, ``high``  the interval; with a single value, everything that is possible.
    ``sd``             the sample standard deviation (n - 1 in the denominator); of searches that of one training.
    ``level``          its confidence, for instance 0.95; several intervals that hold together share one level.
    ``values``         what it was computed from, in the order of the seeds.
    """

    mean: float
    low: float
    high: float
    sd: float
    level: float
    values: tuple[float, ...]

    @property
    def negative(self) -> "Interval":
        """Of the same with its sign turned."""
        values = tuple(-value for value in self.values)
        return Interval(-self.mean, -self.high, -self.low, self.sd, self.level, values)

    @property
    def n(self) -> int:
        """How many values."""
        return len(self.values)


def t_quantile(n: int, level: float) -> float:
    """Half-width of an interval for a mean of n values, in standard errors."""
    from scipy.special import stdtrit  # intervals are read without scipy

    return float(stdtrit(n - 1, (1 + level) / 2))


def t_interval(
    values: Sequence[float],
    *,
    level: float = 0.95,
    within: tuple[float, float] = (-np.inf, np.inf),
) -> Interval:
    """Student's t interval for the mean of ``values``, shape (n,), at a confidence ``level`` between 0.5 and 1.

    ``within``: where the mean can lie at all, (0, 1) for an accuracy. Cutting the interval there costs no coverage.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"t_interval needs a flat list of at least one number, got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError("t_interval needs finite numbers; give diverged runs a value first")
    if not 0.5 < level < 1:
        raise ValueError(f"level is a confidence, such as 0.95; got {level}")
    kept = tuple(float(v) for v in array)
    if array.size == 1:
        return Interval(kept[0], *within, 0.0, level, kept)
    with np.errstate(over="ignore"):  # the values of a loss that ran away
        mean, sd = float(array.mean()), float(array.std(ddof=1))
    # Equal values must give exactly no spread: the rounding of their mean is not noise.
    if len(set(kept)) == 1:
        mean, sd = kept[0], 0.0
    if not isfinite(mean + sd):
        return Interval(mean, *within, sd, level, kept)
    half = t_quantile(array.size, level) * sd / sqrt(array.size)
    return Interval(mean, max(mean - half, within[0]), min(mean + half, within[1]), sd, level, kept)
