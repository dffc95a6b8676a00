"""How often the procedure of one rule beats that of another, from their pools."""

from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from .pool import Pool, deletions, winning
from .proportion import score_interval
from .superiority import Superiority, probability_of_superiority

Array = NDArray[np.float64]


def superiority(
    first: Pool, n: int, second: Pool, m: int, *, higher_is_better: bool, level: float = 0.95
) -> Superiority:
    """P(a new study of the first, n trials, gives a better training than one of the second, m trials).

    The variance: a jackknife over the trials, taken to be drawn together, and one over the seeds. As in
    `thalweg.stats.superiority.brunner_munzel_interval` it is turned into a number of win-or-loss trials, from k to 2 k,
    for Wilson's interval with Student's t of 2 (k - 1) degrees; k: the disjoint studies that the smaller pool holds, or
    the seeds, whichever are more.
    """

    if first.seeds != second.seeds:
        raise ValueError("pools that are compared have the same fresh seeds")

    def beats(a: Array, wins_a: Array, b: Array, wins_b: Array) -> float:
        return probability_of_superiority(
            a.ravel().tolist(),
            b.ravel().tolist(),
            _spread(wins_a, a),
            _spread(wins_b, b),
            higher_is_better=higher_is_better,
        )

    a, b = _samples(first), _samples(second)
    wins_a, wins_b = winning(first.ranking, n), winning(second.ranking, m)
    estimate = beats(a, wins_a, b, wins_b)
    each_a = np.array([beats(row[None], np.ones(1), b, wins_b) for row in a])
    each_b = np.array([beats(a, wins_a, row[None], np.ones(1)) for row in b])
    parts = np.zeros(max(first.size, second.size))
    parts[: first.size] += deletions(first, n, each_a)
    parts[: second.size] += deletions(second, m, each_b)
    seeds = first.seeds
    left = np.array([beats(np.delete(a, j, 1), wins_a, np.delete(b, j, 1), wins_b) for j in range(seeds)])
    variance = float((parts**2).sum()) + (seeds - 1) * float(left.var())
    k = max(min(first.size / n, second.size / m), seeds)
    trials = min(max(estimate * (1 - estimate) / variance, k), 2 * k) if variance else k
    freedom = 2 * (k - 1)
    low, high = score_interval(estimate, trials, float(stdtrit(freedom, (1 + level) / 2)))
    p_value = 2 * float(stdtr(freedom, -abs(estimate - 0.5) * 2 * sqrt(trials)))
    return Superiority(estimate, low, high, level, p_value, variance, (first.seeds, second.seeds))


def _samples(pool: Pool) -> Array:
    """What a training of each trial gave, shape (N, seeds); that of its tuning run where it was not re-run."""
    found = np.repeat(np.array(pool.tuning, dtype=np.float64)[:, None], pool.seeds, 1)
    for trial, values in pool.fresh.items():
        found[trial] = values
    return found


def _spread(wins: Array, samples: Array) -> list[float]:
    """The weight of each training, from that of its trial."""
    weights = np.repeat(wins / samples.shape[1], samples.shape[1])
    shares: list[float] = (weights / weights.sum()).tolist()
    return shares
