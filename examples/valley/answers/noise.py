"""Do the rules differ by more than one of them differs from itself, tuned anew, or trained with other seeds?

What is spread is what a benchmark reports: the mean over its fresh seeds of the winner of a search of n trials. Of all
rules, each has a search and seeds of its own; of one rule, tuned anew, there are other searches and other seeds, or, of
the same winners, other seeds alone. Were all rules one, the first two were the same.
"""

from dataclasses import dataclass
from math import exp, inf, isnan, log, nan, sqrt

import numpy as np
from numpy.typing import NDArray

from thalweg.stats.pool import Pool, winning

from .left_out import Pools, half_width, jackknifed

Array = NDArray[np.float64]

LEAST = 1e-300  # so that a variance of 0 has a logarithm


@dataclass(frozen=True)
class Ratio:
    """Of two spreads, with its interval; not a number, and without bounds, where one of them is 0."""

    value: float
    low: float
    high: float

    @property
    def text(self) -> str:
        """1.9 (0.65 to 5.5)."""
        if isnan(self.value):
            return "not known"
        high = _digits(self.high) if self.high < 100 else "100 or more"
        return f"{_digits(self.value)} ({_digits(self.low)} to {high})"


def _digits(value: float) -> str:
    """Two of them, and near 1 one more, so that one sees on which side of it a bound lies."""
    return f"{value:.2f}" if abs(value - 1) < 0.05 else f"{value:.2g}"


UNKNOWN = Ratio(nan, 0.0, inf)


@dataclass(frozen=True)
class Noise:
    """Standard deviations, on the scale of the differences, and their ratios.

    ``rules``  of the results of all rules; ``anew`` of one rule that is tuned anew; ``seeds`` of one trained with other
    seeds.
    """

    rules: float
    anew: float
    seeds: float
    rules_to_anew: Ratio
    anew_to_seeds: Ratio


def noise(pools: Pools, reference: str, n: int, level: float) -> Noise:
    """Of the pools of a task, at searches of n trials; ``reference``: the one that is compared with itself.

    ``level``  of the intervals of the ratios, by leaving out seeds and trials, on a scale of logarithms.
    """
    found = variances(pools, reference, n)
    rules, anew, seeds = map(sqrt, found)
    if min(found) <= 0:
        return Noise(rules, anew, seeds, UNKNOWN, UNKNOWN)

    def steps(of: Pools) -> Array:
        return -np.diff(np.log(np.maximum(variances(of, reference, n), LEAST)) / 2)

    freedom = pools[reference].seeds - 1
    halves = [half_width(float(each), freedom, level) for each in jackknifed(steps, pools)]
    middles = (log(rules / anew), log(anew / seeds))
    ratios = [Ratio(exp(m), exp(m - half), exp(min(m + half, 700))) for m, half in zip(middles, halves, strict=True)]
    return Noise(rules, anew, seeds, *ratios)


def variances(pools: Pools, reference: str, n: int) -> tuple[float, float, float]:
    """Of a result: of all rules, of the one tuned anew, of the one with other seeds."""
    each = {label: of_one(pool, n) for label, pool in pools.items()}
    means = [mean for mean, _, _ in each.values()]
    between = float(np.var(means, ddof=1)) if len(means) > 1 else 0.0
    _, anew, seeds = each[reference]
    return float(np.mean([within for _, within, _ in each.values()])) + between, anew, seeds


def of_one(pool: Pool, n: int) -> tuple[float, float, float]:
    """The mean result, its variance over searches and seeds, and over seeds alone.

    Of those searches whose winner was trained again. Winners' means differ by noise too, of which they share a part (a
    seed divides the data for all): what is their own is taken off, as far as it goes.
    """
    wins, runs = _winners(pool, n)
    values, mean = runs.mean(1), float(wins @ runs.mean(1))
    own = float(wins @ (runs - wins @ runs).var(1, ddof=1)) / pool.seeds
    seeds = float(wins @ runs.var(1, ddof=1)) / pool.seeds
    return mean, max(float(wins @ (values - mean) ** 2) - own, 0.0) + seeds, seeds


def other_seeds(pool: Pool, n: int, draws: int) -> Array:
    """Results that differ by their seeds alone: (draws,), on the pool's scale.

    Each is of a winner of a search of n trials, as `of_one` weights them: the mean of as many of its fresh runs as
    there are, drawn with replacement, and set where the mean of all winners is. The draws are the same at every call.
    """
    chance = np.random.default_rng(1957)
    wins, runs = _winners(pool, n)
    chosen = chance.choice(len(wins), draws, p=wins)
    seeds = chance.integers(0, pool.seeds, (draws, pool.seeds))
    apart = runs - runs.mean(1, keepdims=True)
    found: Array = wins @ runs.mean(1) + apart[chosen[:, None], seeds].mean(1)
    return found


def _winners(pool: Pool, n: int) -> tuple[Array, Array]:
    """Of the trials that were trained again: P(it wins a search of n, if one of them does), (k,); runs, (k, seeds)."""
    again = list(pool.fresh)
    wins = winning(pool.ranking, n, even=pool.is_even)[again]
    return wins / wins.sum(), np.array([pool.fresh[k] for k in again])
