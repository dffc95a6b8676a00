"""How sure one is of a number that is made of several pools: by leaving out seeds, and trials, one at a time.

Delete-one jackknife (Tukey 1958; Efron & Stein 1981, Annals of Statistics 9, 586): a seed, or a trial of the search, is
left out of all pools at once, since rules share both. Trials lie evenly, which the jackknife does not know: intervals
are wider than need be.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from thalweg.stats.pool import Pool

T = TypeVar("T")
Array = NDArray[np.float64]
Pools = Mapping[str, Pool]


def without_seed(pool: Pool, seed: int) -> Pool:
    """The pool without the fresh runs of one seed, by its number."""
    return replace(
        pool,
        fresh={trial: _without(values, seed) for trial, values in pool.fresh.items()},
        failed={trial: _without(flags, seed) for trial, flags in pool.failed.items()},
    )


def without_trial(pool: Pool, trial: int) -> Pool:
    """The pool without one of its trials, by number; later ones move up. ValueError: the default, which stays."""
    if not 0 < trial < pool.size:
        raise ValueError(f"a pool of {pool.size} trials can do without number 1 to {pool.size - 1}, not {trial}")

    def moved(by_trial: Mapping[int, T]) -> dict[int, T]:
        return {k - (k > trial): value for k, value in by_trial.items() if k != trial}

    return replace(
        pool,
        ranking=tuple(k - (k > trial) for k in pool.ranking if k != trial),
        tuning=_without(pool.tuning, trial),
        fresh=moved(pool.fresh),
        places=_without(pool.places, trial),
        failed=moved(pool.failed),
        valid=_without(pool.valid, trial),
    )


def _without(values: tuple[T, ...], place: int) -> tuple[T, ...]:
    return (*values[:place], *values[place + 1 :])


def jackknifed(statistic: Callable[[Pools], Array], pools: Pools) -> Array:
    """The variance of a statistic, (k,), over new seeds and new trials: (k,)."""
    seeds = min(pool.seeds for pool in pools.values())
    size = min(pool.size for pool in pools.values())
    without = [
        [statistic({label: without_seed(pool, s) for label, pool in pools.items()}) for s in range(seeds)],
        [statistic({label: without_trial(pool, k) for label, pool in pools.items()}) for k in range(1, size)],
    ]
    return spread(without[0]) + spread(without[1])


def spread(without: Sequence[Array]) -> Array:
    """The jackknife's variance, from what a statistic is with one of n left out: (n, ...) to (...)."""
    values = np.asarray(without, dtype=np.float64)
    squares: Array = (len(values) - 1) * ((values - values.mean(0)) ** 2).mean(0)
    return squares


def half_width(variance: float, freedom: float, level: float) -> float:
    """Of Student's t interval."""
    return float(stdtrit(freedom, (1 + level) / 2) * np.sqrt(variance))
