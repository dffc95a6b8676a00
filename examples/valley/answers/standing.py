"""Who comes first: where one rule stands among all, by budget, and how sure that is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from thalweg.stats.difference import Difference
from thalweg.stats.intervals import Interval
from thalweg.stats.levels import level_of_search
from thalweg.stats.pool import procedure
from thalweg.study.ask.designs import largest

from .anew import benchmarks, chance_of_first
from .task import OnTask


@dataclass(frozen=True)
class Standing:
    """Of one rule on one task, at one budget.

    ``first``   the label of the rule with the best mean over new searches and seeds; ``rank`` that of this one, from 1.
    ``of``      how many rules there are.
    ``chance``  that it is the first in a benchmark made anew (`anew.benchmarks`).
    """

    trials: int
    first: str
    rank: int
    of: int
    chance: float


def budgets(task: OnTask) -> tuple[int, ...]:
    """The searches that a pool is read as: the default alone, those that the answer is about, the largest."""
    return tuple(sorted({1, task.judged, largest(task.found.plan.trials)}))


def standing(task: OnTask, n: int) -> Standing:
    """Of the comparison's reference, at searches of n trials."""
    pools, up = task.pools, task.metric.higher_is_better
    ranked = sorted(pools, key=lambda each: procedure(pools[each], n).mean, reverse=up)
    chance = chance_of_first(benchmarks(pools, n), task.reference, higher_is_better=up)
    return Standing(n, ranked[0], 1 + ranked.index(task.reference), len(ranked), chance)


def told(task: OnTask, *answers: str) -> tuple[str, ...]:
    """The labels of the rules of which the comparison gives one of these answers: better, worse, cannot tell, equal."""
    return tuple(each.first for each in task.family.contrasts if each.answer in answers)


def against(task: OnTask, label: str) -> Difference | None:
    """The comparison's own difference of a rule from its reference; None where it was not judged."""
    return next((each for each in task.family.contrasts if each.first == label), None)


def levels(task: OnTask, sizes: Sequence[int]) -> Mapping[str, tuple[Interval, ...]]:
    """What searches of these sizes give each rule, as values of the metric, each with its own 95% interval."""
    scale, possible = task.metric.scale, task.metric.possible
    return {
        label: tuple(level_of_search(procedure(pool, n), scale=scale, level=0.95, within=possible) for n in sizes)
        for label, pool in task.pools.items()
    }
