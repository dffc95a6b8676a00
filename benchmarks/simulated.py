"""Studies in worlds where the truth is known, and the answers that the comparison's own code gives of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from shared import Again, Rule, Shared, shared
from thalweg.stats.intervals import t_quantile
from thalweg.stats.pool import Pool, to_rerun
from thalweg.study.judge.family import Configured, Family, Judged, differences_from, family_of_searches
from thalweg.study.judge.searches import failures_of


@dataclass(frozen=True)
class Size:
    """Of a study: its trials, the searches of ``n`` trials that are judged, and its fresh seeds."""

    trials: int
    n: int
    seeds: int = 5

    @property
    def name(self) -> str:
        """As in the tables."""
        return f"({self.trials}, {self.n})" + (f", {self.seeds} seeds" if self.seeds != 5 else "")


def study(rules: Sequence[Rule], rng: np.random.Generator, size: Size, *, even: bool = True) -> tuple[Pool, ...]:
    """The pool of each rule in one study: they share draws, the seed of each trial, and the fresh seeds.

    A rule that stands there twice is the same rule with luck of its own, but for what its seeds share.

    ``even``  draws that lie evenly, re-run and judged as such; else as studies were before, independent.
    """
    common = shared(rng, size.trials, size.seeds, even=even)
    first = [rules.index(rule) == place for place, rule in enumerate(rules)]
    each = [common if is_first else common.with_other_seeds(rng) for is_first in first]
    return tuple(pool(rule, mine, rng, size.n, even=even) for rule, mine in zip(rules, each, strict=True))


def pool(rule: Rule, shared: Shared, rng: np.random.Generator, n: int, *, even: bool = True) -> Pool:
    """Of one search, with fresh seeds of those that can win searches of n trials."""
    search = rule.search(shared, rng)
    # Failed trials rank last; of equals the earlier is first.
    ranking = tuple(np.lexsort((-search.valid, search.lost)).tolist())
    chosen = to_rerun(ranking, (n,), even=even)
    again = search.again(np.array(chosen))
    return Pool(
        ranking,
        tuple(search.tuning.tolist()),
        dict(zip(chosen, map(tuple, again.test.tolist()), strict=True)),
        tuple(search.places.tolist()) if even else (),
        {trial: tuple(lost) for trial, lost in zip(chosen, again.lost.tolist(), strict=True) if any(lost)},
        tuple(search.valid.tolist()) if even else (),
        luck(again, chosen, ranking) if even else 0.0,
    )


def luck(again: Again, chosen: Sequence[int], ranking: Sequence[int]) -> float:
    """The standard deviation of the default's validation value from seed to seed, less what all trials share.

    From its difference to the best other trial that was trained again, seed by seed.
    """
    others = [trial for trial in ranking if trial in chosen and trial]
    default = chosen.index(0)
    kept = ~again.lost[default]
    apart = again.valid[default]
    if others:
        best = chosen.index(others[0])
        kept &= ~again.lost[best]
        apart = (apart - again.valid[best]) / np.sqrt(2)
    return float(apart[kept].std(ddof=1)) if kept.sum() > 1 else 0.0


def answer(pools: Mapping[str, Pool], n: int, reference: str, rule: Rule) -> Family:
    """All that a comparison of these would say."""
    return family_of_searches(
        pools,
        dict.fromkeys(pools, n),
        {label: failures_of(each, n) for label, each in pools.items()},
        {label: default_of(each) for label, each in pools.items()},
        reference,
        Judged(rule.scale, True, rule.matters),
        differences_from(reference, pools, dict.fromkeys(pools, n)),
    )


def default_of(each: Pool) -> Configured:
    """The runs of the untuned setting."""
    return Configured(each.fresh[0], each.failed.get(0, (False,) * each.seeds))


def independent_width(rule: Rule, n: int, trainings: float) -> float:
    """Half the width of the t interval of as many independent studies as so many trainings buy.

    A study is n trials and one training with a fresh seed.
    """
    bought = max(int(trainings / (n + 1)), 2)
    return t_quantile(bought, 0.95) * rule.truth(n).spread / float(np.sqrt(bought))


def trainings(each: Pool) -> int:
    """That a study of this rule needs."""
    return each.size + each.seeds * len(each.fresh)
