"""The benchmark made anew: other searches and other seeds, drawn from the pools of trials that were run.

A benchmark is what the paper was: one search a rule, its winner trained with some fresh seeds, the mean of these. The
pool stands for the box that was searched, so what is drawn from it says how such a benchmark comes out, not how sure
one is of the pool itself: for that there are the comparison's intervals.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from thalweg.stats.pool import Pool

Array = NDArray[np.float64]

DRAWS = 10_000


def benchmarks(pools: Mapping[str, Pool], n: int, draws: int = DRAWS, *, together: bool = True) -> dict[str, Array]:
    """What each rule reaches in benchmarks with searches of n trials, on the pools' scale: (draws,) of each, by label.

    ``together``  rules have the same draws of trials and of seeds, as in one benchmark; else each has its own.

    A search is the default and n - 1 of the other trials, with replacement; its winner is the best of them on
    validation, and its result the mean of as many fresh runs of it as there are, drawn with replacement. A winner that
    was not trained again counts as in `Pool.values`. The draws are the same at every call.
    """
    chance = np.random.default_rng(2021)
    found: dict[str, Array] = {}
    for label, pool in pools.items():
        if not found or not together:
            trials = chance.integers(1, pool.size, (draws, n - 1))
            seeds = chance.integers(0, pool.seeds, (draws, pool.seeds))
        found[label] = results(pool, n, trials, seeds)
    return found


def results(pool: Pool, n: int, trials: NDArray[np.int64], seeds: NDArray[np.int64]) -> Array:
    """Of searches of the default and these ``trials``, (draws, n - 1), the winner's mean over these ``seeds``, (draws,
    seeds): (draws,)."""
    place = np.empty(pool.size, dtype=np.int64)
    place[list(pool.ranking)] = np.arange(pool.size)
    drawn = np.concatenate([np.zeros((len(trials), 1), dtype=np.int64), trials], axis=1)
    winners = np.array(pool.ranking)[place[drawn].min(1)]
    runs = np.repeat(pool.values(n)[:, None], pool.seeds, axis=1)
    for trial, fresh in pool.fresh.items():
        runs[trial] = fresh
    found: Array = runs[winners[:, None], seeds].mean(1)
    return found


def chance_of_first(reached: Mapping[str, Array], label: str, *, higher_is_better: bool) -> float:
    """In what share of the benchmarks a rule is the best; of those that it ties, its part."""
    sign = 1.0 if higher_is_better else -1.0
    table = sign * np.stack(list(reached.values()))
    best = table == table.max(0)
    return float((best[list(reached).index(label)] / best.sum(0)).mean())


def count_of(chances: Sequence[float]) -> Array:
    """P(so many of independent events happen), none to all: (len(chances) + 1,)."""
    found = np.ones(1)
    for each in chances:
        found = np.convolve(found, [1 - each, each])
    return found


def range_of(counts: Array, level: float = 0.95) -> tuple[int, int]:
    """The least and the largest count of the central part of this probability."""
    below = np.cumsum(counts)
    low, high = (1 - level) / 2, (1 + level) / 2
    return int(np.searchsorted(below, low)), int(np.searchsorted(below, high - 1e-12))
