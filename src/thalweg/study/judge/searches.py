"""What is described of the searches beside the answer: levels, failures, what tuning gains, other pairs."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

from thalweg.stats.difference import Difference
from thalweg.stats.intervals import Interval
from thalweg.stats.levels import level_of_search
from thalweg.stats.pool import Estimate, Pool, gain, winning
from thalweg.stats.proportion import Rate

from .family import Judged, described, differences_from


@dataclass(frozen=True)
class Searches:
    """Of one budget; nothing here is part of the family of intervals that hold together.

    ``trials``     of the searches of each of those compared, by label: the same number, or, where minutes count, what a
                   third of them holds.
    ``means``      over new searches and seeds, on the comparison's scale, by label; ``intervals`` the same as values of
                   the metric, each with its own 95% interval.
    ``differences``  of each of the others minus the reference, by label: what the contrasts of the answer are made of.
    ``gains``      n trials minus the default alone, by label; ``others`` every two without the reference, the better
                   mean first.
    ``failures``   of the runs of those configurations that win searches, by label.
    ``missed``     the share of searches whose winner misses the declared target, by label; empty where there is none.
    ``pools``      of trials, by label: what all of these are computed from, and what else may be.
    """

    trials: Mapping[str, int]
    means: Mapping[str, Estimate]
    intervals: Mapping[str, Interval]
    differences: Mapping[str, Estimate]
    gains: Mapping[str, Difference]
    others: tuple[Difference, ...]
    failures: Mapping[str, Rate]
    missed: Mapping[str, float]
    pools: Mapping[str, Pool]

    @property
    def together(self) -> int | None:
        """The number of trials of all; None where they differ."""
        numbers = set(self.trials.values())
        return numbers.pop() if len(numbers) == 1 else None

    def budget(self, minutes: float | None) -> str:
        """What each search was given, in words; ``minutes`` of the whole search, of which it is a third."""
        if minutes:
            return f"{minutes / 3:.3g} minutes"
        return f"{self.together} trials" if self.together else "a third of the trials"


def searches(
    pools: Mapping[str, Pool],
    trials: Mapping[str, int],
    means: Mapping[str, Estimate],
    reference: str,
    judged: Judged,
    *,
    level: float,
    possible: tuple[float, float],
    target: float | None = None,
) -> Searches:
    """From the pool of each of those compared, in their order, the size of its searches, and their `levels_of`.

    ``target``  of the metric, on the scale.
    """
    up = judged.higher_is_better
    ranked = sorted(pools, key=lambda label: means[label].mean, reverse=up)
    return Searches(
        trials=trials,
        means=means,
        intervals={
            label: level_of_search(found, scale=judged.scale, level=level, within=possible)
            for label, found in means.items()
        },
        differences=differences_from(reference, pools, trials),
        gains={
            label: described(f"tuned {label}", f"default {label}", gain(pool, trials[label], pool, 1), level, judged)
            for label, pool in pools.items()
        },
        others=tuple(
            described(a, b, gain(pools[a], trials[a], pools[b], trials[b]), level, judged)
            for a, b in combinations(ranked, 2)
            if reference not in (a, b)
        ),
        failures={label: failures_of(pool, trials[label]) for label, pool in pools.items()},
        missed={}
        if target is None
        else {label: _missed(pool, trials[label], target, up) for label, pool in pools.items()},
        pools=pools,
    )


def failures_of(pool: Pool, n: int) -> Rate:
    """How many runs failed of the configurations that win searches of n trials."""
    lost, good = pool.runs_of_winners(n)
    return Rate(len(lost), len(lost) + len(good))


def _missed(pool: Pool, n: int, target: float, higher_is_better: bool) -> float:
    wins, values = winning(pool.ranking, n, even=pool.is_even), pool.values(n)
    misses = values < target if higher_is_better else values > target
    return float(wins @ misses)
