"""What the statistics of a comparison say in worlds where the truth is known: counted, not assumed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import sqrt
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, nct
from scipy.stats import t as student

from thalweg.stats.holm import holm, holm_together
from thalweg.stats.intervals import t_interval, t_quantile
from thalweg.stats.paired import Answer, difference, p_value, procedure_difference
from thalweg.stats.pool import Estimate, Pool, gain, procedure
from worlds import World, fresh_studies, pool, winners

Array = NDArray[np.float64]
LEVEL = 0.95
NORMAL = 1.959964
# As many searches tell the truth: its own error is a hundredth of an interval's width.
TRUTH = 100_000


@dataclass(frozen=True)
class Share:
    """``count`` of ``total``."""

    count: int
    total: int

    @property
    def value(self) -> float:
        """As a fraction."""
        return self.count / self.total

    @property
    def error(self) -> float:
        """Its Monte Carlo standard error."""
        return sqrt(self.value * (1 - self.value) / self.total)

    @property
    def upper(self) -> float:
        """The upper 95% bound: Clopper & Pearson 1934, one-sided."""
        return float(beta.ppf(LEVEL, self.count + 1, self.total - self.count)) if self.count < self.total else 1.0

    def __add__(self, other: "Share") -> "Share":
        return Share(self.count + other.count, self.total + other.total)


def summed(shares: Sequence[Share]) -> Share:
    """All together."""
    return Share(sum(s.count for s in shares), sum(s.total for s in shares))


def generator(*what: object) -> np.random.Generator:
    """The random numbers of one experiment, the same in every run and on every machine."""
    return np.random.default_rng(crc32("/".join(map(str, what)).encode()))


@dataclass(frozen=True)
class Coverage:
    """Of the interval for a procedure's mean.

    ``inside``      how often it holds the truth; ``below``, ``above``: how often it lies wholly on that side of it.
    ``bias``        of the estimate, in its own standard deviations.
    ``width``       the mean half-width; ``fresh`` that of the t interval from as many new studies as the same number of
                    trainings buys, simulated; ``ideal`` if, moreover, their standard deviation were known.
    ``studies``     how many new studies that is; ``rerun`` trials with fresh seeds, on average.
    ``seeds_only``  how often the usual interval, of the winner's fresh seeds, holds the truth.
    """

    world: World
    n: int
    inside: Share
    below: float
    above: float
    bias: float
    width: float
    fresh: float
    ideal: float
    studies: int
    rerun: float
    seeds_only: Share


def coverage(world: World, n: int, studies: int, *, size: int = 75, seeds: int = 5) -> Coverage:
    """Pools of one world, one after the other, each asked for the mean of a study of n trials."""
    rng = generator("coverage", world.name, world.correlation, world.common, n, size, seeds)
    chosen = winners(world, rng, n, TRUTH)
    truth, spread = float(chosen.mean()), float(np.hypot(chosen.std(), world.sd))
    found: list[Estimate] = []
    rerun, inside = 0, 0
    for _ in range(studies):
        each = pool(world, rng, budgets=(n,), size=size, seeds=seeds)
        found.append(procedure(each, n))
        rerun += len(each.fresh)
        usual = t_interval(each.fresh[each.ranking[0]])
        inside += usual.low <= truth <= usual.high
    mean, half = np.array([e.mean for e in found]), np.array([e.half() for e in found])
    bought = max(int((size + seeds * rerun / studies) / (n + 1)), 2)
    rounds = fresh_studies(world, rng, n, bought * 2000).reshape(-1, bought)
    return Coverage(
        world,
        n,
        Share(int((abs(mean - truth) <= half).sum()), studies),
        float((mean + half < truth).mean()),
        float((mean - half > truth).mean()),
        float((mean.mean() - truth) / mean.std()),
        float(half.mean()),
        t_quantile(bought, LEVEL) * float(rounds.std(axis=1, ddof=1).mean()) / sqrt(bought),
        NORMAL * spread / sqrt(bought),
        bought,
        rerun / studies,
        Share(inside, studies),
    )


def tuning_covered(world: World, n: int, studies: int, *, size: int = 75, seeds: int = 5) -> Share:
    """How often the interval of what n trials gain over the default alone holds the truth."""
    rng = generator("tuning", world.name, n, size, seeds)
    truth = float(winners(world, rng, n, TRUTH).mean() - world.at(np.array([world.default]))[0])
    inside = 0
    for _ in range(studies):
        each = pool(world, rng, budgets=(n,), size=size, seeds=seeds)
        found = gain(each, n, each, 1)
        inside += abs(found.mean - truth) <= found.half()
    return Share(inside, studies)


@dataclass(frozen=True)
class Gains:
    """What `gain` finds between two rules that are the same thing.

    A difference that is planted moves every estimate by as much and changes nothing else, so the same simulations show
    what is said of it.
    """

    world: World
    n: int
    seeds: int
    found: tuple[Estimate, ...]

    def said(self, planted: float, *answers: Answer) -> Share:
        """How often one of these is said of the first, when it is better by ``planted`` seed standard deviations."""
        told = [
            procedure_difference(
                "a",
                "b",
                replace(each, mean=each.mean + planted * self.world.sd),
                trials=75,
                seeds=self.seeds,
                higher_is_better=True,
            ).answer
            for each in self.found
        ]
        return Share(sum(answer in answers for answer in told), len(told))

    def power(self, planted: float) -> float:
        """Of "better" by theory: noncentral t, with the true deviation of the estimates and their mean df."""
        true = float(np.std([each.mean for each in self.found]))
        return noncentral(planted * self.world.sd / true, float(np.mean([each.df for each in self.found])))


def gains(world: World, n: int, studies: int, *, size: int = 75, seeds: int = 5, share: bool = False) -> Gains:
    """``share``: both have the same draws and seeds, as rules of one comparison do; else nothing in common."""
    rng = generator("gains", world.name, world.correlation, world.common, n, size, seeds, share)

    def once() -> Estimate:
        first, second = pools(world, rng, 2, n, size=size, seeds=seeds, share=share)
        return gain(first, n, second, n)

    return Gains(world, n, seeds, tuple(once() for _ in range(studies)))


def pools(
    world: World, rng: np.random.Generator, rules: int, n: int, *, size: int, seeds: int, share: bool
) -> list[Pool]:
    """So many rules that are the same thing, in one comparison."""
    draws, seeds_part = world.draw(rng, (size,)), rng.standard_normal(1 + seeds)
    return [
        pool(
            world,
            rng,
            budgets=(n,),
            size=size,
            seeds=seeds,
            log_lr=draws if share else None,
            together=seeds_part if share else None,
        )
        for _ in range(rules)
    ]


def any_claim(world: World, n: int, rules: int, studies: int, *, size: int = 75, seeds: int = 5) -> Share:
    """How often some pair of procedures that are the same is told apart, with Holm's correction for all pairs."""
    rng = generator("any", world.name, n, rules, size, seeds)
    count = 0
    for _ in range(studies):
        each = pools(world, rng, rules, n, size=size, seeds=seeds, share=True)
        count += min(holm([gain(a, n, b, n).p for a, b in combinations(each, 2)])) <= 1 - LEVEL
    return Share(count, studies)


def configurations(
    studies: int, seeds: int, *, planted: float = 0.0, rules: int = 2, common: float = 0.0
) -> list[set[Answer]]:
    """What is said of the pairs of so many configurations, the first of them better by ``planted`` seed deviations."""
    rng = generator("configurations", seeds, planted, rules, common)
    told = []
    for _ in range(studies):
        values = sqrt(1 - common) * rng.standard_normal((rules, seeds)) + sqrt(common) * rng.standard_normal(seeds)
        values[0] += planted
        pairs = list(combinations(values.tolist(), 2))
        together = holm_together([p_value(a, b) for a, b in pairs], 1 - LEVEL)
        told.append(
            {
                difference("a", "b", a, b, higher_is_better=True, together=k).answer
                for (a, b), k in zip(pairs, together, strict=True)
            }
        )
    return told


def share_of(told: Sequence[set[Answer]], *answers: Answer) -> Share:
    """In how many comparisons one of these is said of some pair."""
    return Share(sum(not said.isdisjoint(answers) for said in told), len(told))


def noncentral(effect: float, freedom: float) -> float:
    """P(a t statistic of a true value of ``effect`` standard errors is significant and has the right sign)."""
    return float(nct.sf(student.ppf((1 + LEVEL) / 2, freedom), freedom, effect))
