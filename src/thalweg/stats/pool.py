"""What the PROCEDURE "tune with n trials, then train" gives, from one larger pool of trials.

A pool is one rule's search of N trials: the default first, then N - 1 points of a sequence that lies evenly in the
search box, each trained with a tuning seed of its own; those that can win a search of n trials were trained again with
fresh seeds. A *random search* of size n is the default and n - 1 points of the box at random; its result is the value,
with a fresh seed, of its best on validation. The pool's points stand for the box, so the mean over all choices of n - 1
of them, with replacement (Dodge et al. 2019, arXiv:1909.03004), estimates the mean over new random searches and new
seeds.

Its interval answers for the places of the points in the box, for their luck, and for the seeds:

- **places and luck**: what each trial contributes is its term of a jackknife over the trials (Efron & Stein 1981,
  Annals of Statistics 9, 586). Points that lie evenly share their trend with their neighbours, so only what a term
  differs from the line between its neighbours counts: successive second differences along the first axis of the search,
  (a - 2 b + c)^2 / 6 (von Neumann et al. 1941, Ann. Math. Statist. 12, 153, of first differences; Gasser, Sroka &
  Jennen-Steinmetz 1986, Biometrika 73, 625, of second). Independent points, as in comparisons of before, have no
  neighbours: there the sum of squares itself;
- **the default**, which is never left out: the noise of its re-runs, and what its luck on validation decides, by the
  spread that its validation value has from seed to seed;
- **the seeds**: what they have in common across configurations, as in two-way clustering (Cameron, Gelbach & Miller
  2011, JBES 29, 238): variance over seeds, less what the configurations have for themselves.

Its quantile is Student's t with degrees of freedom after Satterthwaite 1946. What of this was chosen by simulation, how
well it covers, and where it does not: docs/calibration.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, ndtr, stdtrit

from .simultaneous import kept, share_of_each

Array = NDArray[np.float64]

# The share of searches whose winner is trained again: of an even pool, and of independent trials, as of old.
COVERED, COVERED_INDEPENDENT = 0.85, 0.95
# Squares of an even pool have at least so many degrees of freedom: chosen by simulation.
LEAST_FREEDOM = 3.0
# Of what second differences see beyond the noise of the re-runs, so much counts. A trend moves the mean by as much as
# they see, a jump between two trials by half of it (J^2 / 6 on average, where they see J^2 / 3): chosen by simulation.
BEYOND_NOISE = 0.7
# A study of independent trials is judged at a third of them at most: larger ones leave too few disjoint ones.
PART = 3


@dataclass(frozen=True)
class Pool:
    """One rule's trials. All values are on one scale (`thalweg.stats.scale`).

    ``ranking``  trial numbers from the best on validation to the worst, shape (N,); number 0 is the default.
    ``tuning``   test value of each trial with its tuning seed, by number, shape (N,).
    ``fresh``    test values with the fresh seeds, by trial number, shape (seeds,) each and the same seeds in all; of
                 the default, and of those that `to_rerun` names. Any other trial counts with its tuning run.
    ``places``   where each trial lies on the first axis of the search, by number, in 0 ... 1; (): independent draws.
    ``failed``   which of the fresh runs failed, as ``fresh``; a trial that is not in it: none did.
    ``valid``    validation value of each trial, higher being better; ``luck`` the standard deviation of the default's
                 from seed to seed. Without them the default's luck on validation is not counted.
    ``rounding`` standard errors below this are the rounding of the values (`Scale.rounding`), and no spread.
    """

    ranking: tuple[int, ...]
    tuning: tuple[float, ...]
    fresh: Mapping[int, tuple[float, ...]]
    places: tuple[float, ...] = ()
    failed: Mapping[int, tuple[bool, ...]] = field(default_factory=dict)
    valid: tuple[float, ...] = ()
    luck: float = 0.0
    rounding: float = 0.0

    def __post_init__(self) -> None:
        if sorted(self.ranking) != list(range(len(self.tuning))):
            raise ValueError("a pool ranks every trial once, by its number")
        if 0 not in self.fresh or len({len(values) for values in self.fresh.values()}) > 1:
            raise ValueError("a pool has fresh values of the default, and equally many of every trial that was re-run")
        if self.seeds < 2:
            raise ValueError("a pool needs at least 2 fresh seeds: one says nothing about the noise between runs")
        if self.places and len(self.places) != len(self.tuning):
            raise ValueError(f"a pool of {len(self.tuning)} trials has {len(self.places)} places")
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

    @property
    def is_even(self) -> bool:
        """Whether its points lie evenly in the box, rather than independently."""
        return bool(self.places)

    def values(self, n: int) -> Array:
        """Each trial's test value in searches of n trials, by number: the mean over fresh seeds where there are any.

        A winner has not failed in its tuning run, but may with a fresh seed: one that was not trained again is given
        the share of failures of those that were, and the mean value of these, each weighted as it wins.
        """
        known = np.array(self.tuning, dtype=np.float64)
        wins = winning(self.ranking, n, even=self.is_even)
        lost = [(wins[k], v) for k in self.failed for v, is_lost in self._flagged(k) if is_lost]
        weight, total = sum(win for win, _ in lost), self.seeds * sum(wins[k] for k in self.fresh)
        if weight:
            known = (1 - weight / total) * known + sum(win * v for win, v in lost) / total
        for trial, fresh in self.fresh.items():
            known[trial] = np.mean(fresh)
        return known

    def runs_of_winners(self, n: int) -> tuple[list[float], list[float]]:
        """The fresh values of the trials that win searches of n: of the runs that failed, and of the others."""
        wins = winning(self.ranking, n, even=self.is_even)
        runs = [each for trial in self.fresh if wins[trial] > 0 for each in self._flagged(trial)]
        return [value for value, is_lost in runs if is_lost], [value for value, is_lost in runs if not is_lost]

    def trained(self) -> "Pool | None":
        """The same, of runs that did not fail: one that failed counts as the others of its trial, or of its pool.

        None where all of them failed.
        """
        good = [v for k in self.fresh for v, is_lost in self._flagged(k) if not is_lost]
        if not good:
            return None
        filled = {}
        for trial in self.fresh:
            mean = float(np.mean([v for v, is_lost in self._flagged(trial) if not is_lost] or good))
            filled[trial] = tuple(mean if is_lost else v for v, is_lost in self._flagged(trial))
        return replace(self, fresh=filled, failed={})

    def _flagged(self, trial: int) -> list[tuple[float, bool]]:
        """A trial's fresh values, each with whether it failed."""
        flags = self.failed.get(trial, (False,) * self.seeds)
        return list(zip(self.fresh[trial], flags, strict=True))


@dataclass(frozen=True)
class Estimate:
    """A mean over new searches and new seeds, or a difference of two, with its parts.

    ``se``, ``df``  standard error, 0 where nothing varies so that it is not known, and degrees of freedom.
    ``trials_part``  the part of the variance that more trials shrink; ``seeds_part`` that more fresh seeds do.
    ``noise``        standard deviation of one training from seed to seed, root mean square over what was re-run,
                     weighted as in the mean.
    ``covered``      the share of searches whose winner was re-run (of two pools: the smaller).
    ``terms``        numbers whose squares add up to ``trials_part``, and ``by_seed`` the mean with each fresh seed: for
                     the correlation of two estimates.
    """

    mean: float
    se: float
    df: float
    trials_part: float
    seeds_part: float
    noise: float
    covered: float
    terms: Array = field(repr=False, compare=False)
    by_seed: Array = field(repr=False, compare=False)

    def half(self, level: float = 0.95) -> float:
        """Half-width of the interval."""
        return float(stdtrit(self.df, (1 + level) / 2)) * self.se


def largest_budget(trials: int) -> int:
    """The largest n for which a pool of so many independent trials says something of the procedure; below 2: none."""
    return trials // PART


def winning(ranking: Sequence[int], n: int, *, even: bool) -> Array:
    """P(trial wins a search of size n), by trial number, shape (N,).

    The trial of rank k among the M = N - 1 others (1: the best) wins if it is drawn, none of the k - 1 better ones is,
    and the default is worse. The n - 1 others are drawn with replacement where the pool is ``even``, as its points
    stand for the box: ((M - k + 1) / M)^(n-1) - ((M - k) / M)^(n-1); else without: C(M-k, n-2) / C(M, n-1). The default
    wins when no better trial is drawn.
    """
    _check_size(len(ranking), n)
    share = np.zeros(len(ranking))
    better = ranking.index(0)
    drawn, none = _by_rank(len(ranking) - 1, n - 1, even)
    share[list(ranking[:better])] = drawn[:better]
    share[0] = none[better]
    return share


def to_rerun(ranking: Sequence[int], budgets: Sequence[int], *, even: bool) -> tuple[int, ...]:
    """The trials to train again with fresh seeds, by number: the default, the best, and for each budget the best ones.

    So many that they win `COVERED` of the searches.
    """
    chosen = {0, ranking[0]}
    for n in budgets:
        wins = winning(ranking, n, even=even)[list(ranking)]
        share = COVERED if even else COVERED_INDEPENDENT
        chosen.update(ranking[: int(np.searchsorted(np.cumsum(wins), share - 1e-12)) + 1])
    return tuple(sorted(chosen))


def procedure(pool: Pool, n: int) -> Estimate:
    """The mean test value of a new search of n trials, over new draws and new seeds."""
    return _estimate([_Part(pool, n, 1.0)])


def gain(first: Pool, n: int, second: Pool, m: int) -> Estimate:
    """First minus second: a search of n trials of one pool against one of m trials of the other, or of the same.

    Trials at the same places, or of independent pools of one size, are taken to be drawn together, and fresh seeds to
    be shared, so that the difference is paired.
    """
    return _estimate([_Part(first, n, 1.0), _Part(second, m, -1.0)])


def share_of_misses(estimates: Sequence[Estimate], alpha: float) -> float:
    """With what probability each of these differences may miss, so that some does with probability ``alpha``."""
    known = [each for each in estimates if each.se > 0]
    return share_of_each(np.array([[_correlation(a, b) for b in known] for a in known] or [[1.0]]), alpha)


def _correlation(first: Estimate, second: Estimate) -> float:
    if first is second:
        return 1.0
    shared = float(first.terms @ second.terms) if first.terms.shape == second.terms.shape else 0.0
    a, b = (each.by_seed - each.by_seed.mean() for each in (first, second))
    size = sqrt(float(a @ a) * float(b @ b))
    of_seeds = kept(len(a) - 1) * float(a @ b) / size if size else 0.0
    parts = [max(each.se**2 - float(each.terms @ each.terms), 0.0) for each in (first, second)]
    return min(max((shared + of_seeds * sqrt(parts[0] * parts[1])) / (first.se * second.se), -1.0), 1.0)


@dataclass(frozen=True)
class _Part:
    """A pool's mean, with a sign."""

    pool: Pool
    n: int
    sign: float
    wins: Array = field(init=False)
    values: Array = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "wins", winning(self.pool.ranking, self.n, even=self.pool.is_even))
        object.__setattr__(self, "values", self.pool.values(self.n))


def _estimate(parts: Sequence[_Part]) -> Estimate:
    seeds = {part.pool.seeds for part in parts}
    if len(seeds) > 1:
        raise ValueError("pools that are compared have the same fresh seeds")
    (count,) = seeds
    longest = max(part.pool.size for part in parts)
    by_trial = np.zeros((longest, count))
    fixed = np.zeros(longest)
    for part in parts:
        for trial, win in enumerate(part.wins):
            if trial in part.pool.fresh:
                by_trial[trial] += part.sign * win * np.array(part.pool.fresh[trial])
            else:
                fixed[trial] += part.sign * win * part.values[trial]
    terms = _terms(parts)
    cells = by_trial.var(axis=1, ddof=1) / count
    together = float(by_trial.sum(axis=0).var(ddof=1)) / count
    # The jackknife over the drawn trials has their noise in it, and nothing of the default's or of what seeds share.
    drawn_cells, default = float(cells[1:].sum()), float(cells[0])
    if all(part.pool.is_even for part in parts):
        terms = _beyond_noise(terms, drawn_cells)
    trials = float(terms @ terms)
    unseen = default + max(together - drawn_cells - default, 0.0) + sum(_luck(part) + _rare(part) for part in parts)
    variance = trials + unseen
    noise = min(drawn_cells, trials)
    mean, se = float(by_trial.sum(axis=0).mean() + fixed.sum()), sqrt(variance)
    rounding = max(max(1e-12 * float(abs(part.values).max()), part.pool.rounding) for part in parts)
    is_known = se > rounding
    return Estimate(
        mean=mean if is_known or abs(mean) > rounding else 0.0,
        se=se if is_known else 0.0,
        df=_freedom_of(parts, terms, trials, noise, cells, unseen),
        trials_part=trials - noise,
        seeds_part=noise + unseen,
        noise=sqrt(float(np.mean([_noise(part) for part in parts]))),
        covered=min(float(part.wins[list(part.pool.fresh)].sum()) for part in parts),
        terms=terms,
        by_seed=by_trial.sum(axis=0) + fixed.sum(),
    )


def _freedom_of(
    parts: Sequence[_Part], terms: Array, trials: float, noise: float, cells: Array, unseen: float
) -> float:
    """Satterthwaite's degrees of an estimate, from those of its parts."""
    seeds = parts[0].pool.seeds
    if all(part.pool.is_even for part in parts):
        return _degrees([(trials, max(min(_freedom(terms**2), len(terms)), LEAST_FREEDOM)), (unseen, seeds - 1)])
    # As many disjoint studies are in independent pools; the default alone (n = 1) was not drawn.
    studies = sum(part.pool.size / part.n for part in parts if part.n > 1)
    drawn = float(cells[1:].sum())
    # Of a sum of variances, each of count - 1 degrees.
    of_cells = (seeds - 1) / float(((cells[1:] / drawn) ** 2).sum()) if drawn else inf
    return _degrees([(trials - noise, min(_freedom(terms**2), studies)), (noise, of_cells), (unseen, seeds - 1)])


def _terms(parts: Sequence[_Part]) -> Array:
    """Numbers whose squares add up to the variance that comes from the trials."""
    each = [part.sign * deletions(part.pool, part.n, part.values)[1:] for part in parts]
    places = [part.pool.places for part in parts]
    # Trials that lie at the same places are drawn together: their terms are paired.
    if len({(tuple(p[1:]), len(terms)) for p, terms in zip(places, each, strict=True)}) == 1:
        each, places = [np.sum(each, axis=0)], places[:1]
    return np.concatenate(
        [_second_differences(terms, p) if p else terms for terms, p in zip(each, places, strict=True)]
    )


def _second_differences(terms: Array, places: Sequence[float]) -> Array:
    """Along the first axis, so scaled that of independent terms the squares add up to the sum of their squares."""
    count = len(terms)
    if count < 3:
        return terms
    ordered = terms[np.argsort(places[1:], kind="stable")]
    scaled: Array = (ordered[:-2] - 2 * ordered[1:-1] + ordered[2:]) * sqrt(count / (6 * (count - 2)))
    return scaled


def _beyond_noise(terms: Array, noise: float) -> Array:
    """The terms, so that what their squares are beyond the noise of the re-runs counts as `BEYOND_NOISE`."""
    seen = float(terms @ terms)
    excess = max(seen - noise, 0.0)
    scaled: Array = terms * sqrt(1 - (1 - BEYOND_NOISE) * excess / seen) if seen else terms
    return scaled


def deletions(pool: Pool, n: int, values: Array) -> Array:
    """What each trial contributes to the jackknife's standard error, by number; the default, never left out, 0.

    The weighted mean of ``values`` with one of the M = N - 1 others left out, less the mean of these, times
    sqrt((M - 1) / M): the sum of squares is the variance.
    """
    count = pool.size - 1
    contributions = np.zeros(pool.size)
    if n == 1 or count < 2:
        return contributions
    better = pool.ranking.index(0)
    ranked = values[list(pool.ranking[:better])]
    drawn, none = _by_rank(count - 1, n - 1 if pool.is_even else min(n - 1, count - 1), pool.is_even)
    drawn, none = np.append(drawn, 0.0), np.append(none, 0.0)
    # Left out at rank i: those before keep their rank, those after move up by one.
    before = np.concatenate(([0.0], np.cumsum(drawn[:better] * ranked)))
    moved = np.concatenate(([0.0, 0.0], np.cumsum(drawn[: max(better - 1, 0)] * ranked[1:])))[: better + 1]
    without = before[:-1] + (moved[-1] - moved[1:]) + none[max(better - 1, 0)] * values[0]
    contributions[1:] = before[-1] + none[better] * values[0]
    contributions[list(pool.ranking[:better])] = without
    contributions[1:] = sqrt((count - 1) / count) * (contributions[1:] - contributions[1:].mean())
    return contributions


def _luck(part: _Part) -> float:
    """The variance of the mean that comes from the default's validation value, were it drawn anew.

    It is in every search. With another value the default would stand elsewhere in the ranking: normal deviations
    around the value it has say how likely each place is, and the mean follows from the place.
    """
    pool, n = part.pool, part.n
    if not pool.luck or not pool.valid or n == 1:
        return 0.0
    others = [trial for trial in pool.ranking if trial != 0]
    drawn, none = _by_rank(len(others), n - 1, pool.is_even)
    means = np.concatenate(([0.0], np.cumsum(drawn * part.values[others]))) + none * part.values[0]
    with np.errstate(invalid="ignore"):
        ahead = ndtr((np.array([pool.valid[trial] for trial in others]) - pool.valid[0]) / pool.luck)
    if not np.isfinite(ahead).all():
        return 0.0
    # P(behind exactly k of the others).
    chance = np.maximum(-np.diff(np.concatenate(([1.0], np.minimum.accumulate(ahead), [0.0]))), 0.0)
    centre = float(chance @ means)
    return float(chance @ (means - centre) ** 2)


def _rare(part: _Part) -> float:
    """What the variance of the mean lacks where few runs failed, since few cannot say how many do.

    The variance of a share, with two failures and two successes more (Agresti & Coull 1998, Am. Statist. 52, 119), less
    that without, times the square of what a failure costs.
    """
    pool = part.pool
    lost, good = pool.runs_of_winners(part.n)
    if not lost or not good:
        return 0.0
    failed, total = len(lost), len(lost) + len(good)
    share, more = failed / total, (failed + 2) / (total + 4)
    lacking = more * (1 - more) / (total + 4) - share * (1 - share) / total
    return max(lacking, 0.0) * float(np.mean(good) - np.mean(lost)) ** 2


def _by_rank(count: int, drawn: int, replaced: bool) -> tuple[Array, Array]:
    """Of ``count`` trials, ``drawn`` are taken: P(rank k is the best taken), k = 1 ..., and P(none of the best K)."""
    if drawn == 0:
        return np.zeros(count), np.ones(count + 1)
    if replaced:
        none = ((count - np.arange(count + 1)) / count) ** drawn
        return -np.diff(none), none
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
        raise ValueError(f"a search has 1 to {size} trials, as many as the pool; got {n}")
