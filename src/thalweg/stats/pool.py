"""What the PROCEDURE "tune with n trials, then train" gives, from one larger pool of trials.

A pool is one rule's search of N trials, the default first and N - 1 independent draws, of which those that can win a
search of n trials were trained again with fresh seeds. A *virtual study* of size n is the default and n - 1 of the
other trials, drawn without replacement; its result is the test value, with a fresh seed, of its best trial on
validation. The mean over all virtual studies estimates the mean over new studies, and is a U-statistic: unbiased, with
nothing of the winner's good luck in it.

Its interval answers for new draws and new seeds. It is a jackknife over the trials (which does not understate the
variance on average: Efron & Stein 1981, Annals of Statistics 9:586), plus what that cannot see: the noise of the
default, which is never left out, and what the seeds have in common across configurations, as in two-way clustering
(Cameron, Gelbach & Miller 2011, JBES 29:238): variance over seeds, less what the configurations have for themselves.
Its quantile is Student's t with degrees of freedom after Satterthwaite 1946, of three parts: how configurations differ,
at most N / n for each pool, as so many disjoint studies are in it; the noise of the drawn; the default and the seeds.
How well it covers, and where it does not: docs/calibration.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, inf, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, stdtr, stdtrit

Array = NDArray[np.float64]

COVERED = 0.95
# A virtual study may be a third of the pool: with larger ones too few disjoint ones are left to tell how they differ.
PART = 3


@dataclass(frozen=True)
class Pool:
    """One rule's trials.

    ``ranking``  trial numbers from the best on validation to the worst, shape (N,); number 0 is the default.
    ``tuning``   test value of each trial with the tuning seed, by number, shape (N,).
    ``fresh``    test values with the fresh seeds, by trial number, shape (seeds,) each and the same seeds in all; of
                 the default, and of those that `to_rerun` names. Any other trial counts with its tuning run.
    """

    ranking: tuple[int, ...]
    tuning: tuple[float, ...]
    fresh: Mapping[int, tuple[float, ...]]

    def __post_init__(self) -> None:
        if sorted(self.ranking) != list(range(len(self.tuning))):
            raise ValueError("a pool ranks every trial once, by its number")
        if 0 not in self.fresh or len({len(values) for values in self.fresh.values()}) > 1:
            raise ValueError("a pool has fresh values of the default, and equally many of every trial that was re-run")
        if not np.isfinite([*self.tuning, *(v for values in self.fresh.values() for v in values)]).all():
            raise ValueError("a pool needs finite numbers; give diverged runs a value first")

    @property
    def size(self) -> int:
        """N, the default included."""
        return len(self.tuning)

    @property
    def seeds(self) -> int:
        """Fresh seeds of each configuration."""
        return len(self.fresh[0])

    def values(self) -> Array:
        """Each trial's test value, by number: the mean over the fresh seeds where there are any."""
        found = np.array(self.tuning, dtype=np.float64)
        for trial, fresh in self.fresh.items():
            found[trial] = np.mean(fresh)
        return found


@dataclass(frozen=True)
class Estimate:
    """A mean over new studies and new seeds, or a difference of two, with its parts.

    ``se``, ``df``  standard error, 0 where nothing varies so that it is not known, and degrees of freedom.
    ``trials_part``  the part of the variance that more trials shrink; ``seeds_part`` that more fresh seeds do.
    ``noise``        standard deviation of one training from seed to seed, root mean square over what was re-run,
                     weighted as in the mean.
    ``covered``      the share of virtual studies whose winner was re-run (of two pools: the smaller).
    """

    mean: float
    se: float
    df: float
    trials_part: float
    seeds_part: float
    noise: float
    covered: float

    @property
    def p(self) -> float:
        """Two-sided p-value of "it is 0"; 1 where the spread is not known."""
        return 2.0 * float(stdtr(self.df, -abs(self.mean) / self.se)) if self.se > 0 else 1.0

    def half(self, level: float = 0.95, together: float = 1) -> float:
        """Half-width of the interval; ``together``: Bonferroni's number of intervals that shall hold at once."""
        return float(stdtrit(self.df, 1 - (1 - level) / (2 * together))) * self.se

    def more(self, trials: int, seeds: int, level: float = 0.95, together: float = 1) -> tuple[int | None, int | None]:
        """About how many more trials, or more seeds, would bring the half-width below the mean; None: not with those.

        A guide for planning, not a promise: mean and spread are estimates themselves.
        """
        quantile = self.half(level, together) / self.se if self.se > 0 else inf
        wanted = (abs(self.mean) / quantile) ** 2

        def of(shrinks: float, stays: float, have: int) -> int | None:
            return ceil(have * (shrinks / (wanted - stays) - 1)) if wanted > stays else None

        return of(self.trials_part, self.seeds_part, trials), of(self.seeds_part, self.trials_part, seeds)


def largest_budget(trials: int) -> int:
    """The largest n for which a pool of so many trials says something of the procedure; below 2: none."""
    return trials // PART


def winning(ranking: Sequence[int], n: int) -> Array:
    """P(trial wins a virtual study of size n), by trial number, shape (N,).

    The trial of rank k among the N - 1 others (1: the best) wins if it is drawn, none of the k - 1 better ones is, and
    the default is worse: C(N-1-k, n-2) / C(N-1, n-1). The default wins when no better trial is drawn.
    """
    _check_size(len(ranking), n)
    share = np.zeros(len(ranking))
    better = ranking.index(0)
    drawn, none = _by_rank(len(ranking) - 1, n - 1)
    share[list(ranking[:better])] = drawn[:better]
    share[0] = none[better]
    return share


def to_rerun(ranking: Sequence[int], budgets: Sequence[int]) -> tuple[int, ...]:
    """The trials to train again with fresh seeds, by number: the default, the best, and for each budget the best ones.

    So many that their wins are 95% of the virtual studies.
    """
    chosen = {0, ranking[0]}
    for n in budgets:
        wins = winning(ranking, n)[list(ranking)]
        chosen.update(ranking[: int(np.searchsorted(np.cumsum(wins), COVERED - 1e-12)) + 1])
    return tuple(sorted(chosen))


def procedure(pool: Pool, n: int) -> Estimate:
    """The mean test value of a new study of n trials, over new draws and new seeds."""
    return _estimate([_Part(pool, n, 1.0)])


def gain(first: Pool, n: int, second: Pool, m: int) -> Estimate:
    """First minus second: a study of n trials of one pool against one of m trials of the other, or of the same.

    Trials of one number are taken to be drawn together, and fresh seeds to be shared, so that the difference is paired.
    """
    return _estimate([_Part(first, n, 1.0), _Part(second, m, -1.0)])


@dataclass(frozen=True)
class _Part:
    """A pool's mean, with a sign."""

    pool: Pool
    n: int
    sign: float
    wins: Array = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "wins", winning(self.pool.ranking, self.n))


def _estimate(parts: Sequence[_Part]) -> Estimate:
    seeds = {part.pool.seeds for part in parts}
    if len(seeds) > 1:
        raise ValueError("pools that are compared have the same fresh seeds")
    (count,) = seeds
    longest = max(part.pool.size for part in parts)
    contributions = np.zeros(longest)
    by_trial = np.zeros((longest, count))
    fixed = np.zeros(longest)
    for part in parts:
        contributions[: part.pool.size] += part.sign * deletions(part.pool, part.n, part.pool.values())
        for trial, win in enumerate(part.wins):
            if trial in part.pool.fresh:
                by_trial[trial] += part.sign * win * np.array(part.pool.fresh[trial])
            else:
                fixed[trial] += part.sign * win * part.pool.tuning[trial]
    squares = contributions[1:] ** 2
    trials = float(squares.sum())
    cells = by_trial.var(axis=1, ddof=1) / count
    together = float(by_trial.sum(axis=0).var(ddof=1)) / count
    # The jackknife over the drawn trials has their noise in it, and nothing of the default's or of what seeds share.
    drawn_cells, default = float(cells[1:].sum()), float(cells[0])
    unseen = default + max(together - drawn_cells - default, 0.0)
    variance = trials + unseen
    # The default alone (n = 1) was not drawn.
    studies = sum(part.pool.size / part.n for part in parts if part.n > 1)
    noise = min(drawn_cells, trials)
    # Of a sum of variances, each of count - 1 degrees.
    of_cells = (count - 1) / float(((cells[1:] / drawn_cells) ** 2).sum()) if drawn_cells else inf
    mean, se = float(by_trial.sum(axis=0).mean() + fixed.sum()), sqrt(variance)
    rounding = 1e-12 * max(float(abs(part.pool.values()).max()) for part in parts)
    return Estimate(
        mean=mean if abs(mean) > rounding else 0.0,
        se=se if se > rounding else 0.0,
        df=_degrees(((trials - noise, min(_freedom(squares), studies)), (noise, of_cells), (unseen, count - 1))),
        trials_part=trials - noise,
        seeds_part=noise + unseen,
        noise=sqrt(float(np.mean([_noise(part) for part in parts]))),
        covered=min(float(part.wins[list(part.pool.fresh)].sum()) for part in parts),
    )


def deletions(pool: Pool, n: int, values: Array) -> Array:
    """What each trial contributes to the jackknife's standard error, by number; the default, never left out, 0.

    The weighted mean of ``values`` with one of the M = N - 1 others left out, less the mean of these, times
    sqrt((M - 1) / M): the sum of squares is the variance.
    """
    count = pool.size - 1
    found = np.zeros(pool.size)
    if n == 1 or count < 2:
        return found
    better = pool.ranking.index(0)
    ranked = values[list(pool.ranking[:better])]
    drawn, none = _by_rank(count - 1, min(n - 1, count - 1))
    drawn, none = np.append(drawn, 0.0), np.append(none, 0.0)
    # Left out at rank i: those before keep their rank, those after move up by one.
    before = np.concatenate(([0.0], np.cumsum(drawn[:better] * ranked)))
    moved = np.concatenate(([0.0, 0.0], np.cumsum(drawn[: max(better - 1, 0)] * ranked[1:])))[: better + 1]
    without = before[:-1] + (moved[-1] - moved[1:]) + none[max(better - 1, 0)] * values[0]
    found[1:] = before[-1] + none[better] * values[0]
    found[list(pool.ranking[:better])] = without
    found[1:] = sqrt((count - 1) / count) * (found[1:] - found[1:].mean())
    return found


def _by_rank(count: int, drawn: int) -> tuple[Array, Array]:
    """Of ``count`` trials, ``drawn`` are taken: P(rank k is the best taken), k = 1 ..., and P(none of the best K)."""
    if drawn == 0:
        return np.zeros(count), np.ones(count + 1)
    every = _log_choose(np.array([count]), drawn)
    ranks = np.arange(1, count + 1)
    return np.exp(_log_choose(count - ranks, drawn - 1) - every), np.exp(
        _log_choose(count - np.arange(count + 1), drawn) - every
    )


def _log_choose(total: NDArray[np.int64], taken: int) -> Array:
    inside = np.maximum(total, taken)
    found = gammaln(inside + 1) - gammaln(taken + 1) - gammaln(inside - taken + 1)
    return np.where(total < taken, -inf, found)


def _degrees(parts: Sequence[tuple[float, float]]) -> float:
    """Satterthwaite's, of a sum of independent variances, each given with its own; at least 1."""
    variance = sum(part for part, _ in parts)
    lost = sum((part / variance) ** 2 / freedom for part, freedom in parts if part)
    return max(1 / lost, 1.0) if lost else parts[-1][1]


def _freedom(squares: Array) -> float:
    """The like of a sum S of independent squares: 2 S^2 / var(S)."""
    total = float(squares.sum())
    spread = len(squares) * float((squares / total).var(ddof=1)) if total and len(squares) > 1 else 0.0
    return 2 / spread if spread else inf


def _noise(part: _Part) -> float:
    """The variance from seed to seed of a training that wins."""
    known = list(part.pool.fresh)
    weights = part.wins[known]
    variances = np.array([np.var(part.pool.fresh[trial], ddof=1) for trial in known])
    return float(weights @ variances / weights.sum()) if weights.sum() > 0 else float(variances.mean())


def _check_size(size: int, n: int) -> None:
    if not 1 <= n <= size:
        raise ValueError(f"a virtual study has 1 to {size} trials, as many as the pool; got {n}")
