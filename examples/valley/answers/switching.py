"""Tuning against switching at equal cost: one rule tuned with as many trials as there are rules, or the best default.

The contrast was fixed before any run: study.toml.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thalweg.stats.difference import Difference, answered
from thalweg.stats.intervals import Interval
from thalweg.stats.pool import Estimate, Pool, procedure
from thalweg.stats.proportion import Rate
from thalweg.study.judge.searches import failures_of
from thalweg.study.judge.select import ranking

from .left_out import half_width, spread
from .task import OnTask

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Switching:
    """``trainings``  that either costs; ``difference`` the tuned rule minus the best of the defaults.

    ``tuned``, ``best``  the means on the scale of the differences.
    ``chosen``           which rule's default was the best on validation, with how many of the seeds.
    """

    trainings: int
    difference: Difference
    tuned: float
    best: float
    chosen: Mapping[str, int]


def switching(task: OnTask, level: float) -> Switching:
    """Of one task; ``level`` of the interval."""
    pools, ours = task.pools, task.pools[task.reference]
    n = len(pools)
    rows = [row for row in task.found.rows if row.contender in pools]
    labels = [row.contender for row in rows]
    # As a search chooses among its trials, so one chooses among the defaults that were trained with a seed.
    choices = [ranking(runs, task.metric)[0] for runs in zip(*(row.default_runs for row in rows), strict=True)]
    tests = np.array([pools[label].fresh[0] for label in labels])
    tuned = procedure(ours, n)
    chosen = Counter(labels[k] for k in choices)
    difference = answered(
        f"{task.reference}, {n} trials",
        f"best of {n} defaults",
        interval_of(tuned, choices, tests, level),
        higher_is_better=task.metric.higher_is_better,
        searches=True,
        failures=(failures_of(ours, n), _failed(pools, chosen)),
    )
    return Switching(n, difference, tuned.mean, float(with_each_seed(choices, tests).mean()), chosen)


def with_each_seed(choices: Sequence[int], tests: Array) -> Array:
    """The result with each seed, (seeds,), of the default that another seed chose, the mean over these.

    ``choices``  the number of the rule whose default is the best on validation, by seed; ``tests`` what the defaults
    give, (rules, seeds). So no run both chooses and is judged.
    """
    picked = tests[list(choices)]  # [who chose, with which seed it is judged]
    others: Array = (picked.sum(0) - np.diagonal(picked)) / (len(choices) - 1)
    return others


def interval_of(tuned: Estimate, choices: Sequence[int], tests: Array, level: float) -> Interval:
    """Of the difference, over new searches of the tuned rule, and new seeds both to choose a default and to judge by.

    Its variance: what the trials of the search contribute to the estimate of the tuned rule (`Estimate.terms`); what
    leaving out a seed, with which a default is chosen and both are judged, changes in the difference; and of what the
    estimate has besides, what is more than its spread over seeds. So, where the defaults' result does not vary, it is
    no narrower than the tuned rule's own. Degrees of freedom: the fewer of the estimate's and the seeds' less 1.
    Choices are few and discrete: where all seeds choose one default, that another might be chosen is not in it.

    ValueError: fewer than 3 seeds.
    """
    seeds = len(choices)
    if seeds < 3:
        raise ValueError(f"tuning and switching are compared over 3 fresh seeds or more, got {seeds}")

    def difference(kept: list[int]) -> float:
        return float((tuned.by_seed[kept] - with_each_seed([choices[s] for s in kept], tests[:, kept])).mean())

    every = list(range(seeds))
    of_seeds = float(spread([np.array(difference([s for s in every if s != out])) for out in every]))
    of_trials = float(tuned.terms @ tuned.terms)
    besides = max(tuned.se**2 - of_trials - float(tuned.by_seed.var(ddof=1)) / seeds, 0.0)
    mean = difference(every)
    half = half_width(of_trials + of_seeds + besides, min(tuned.df, seeds - 1), level)
    return Interval(mean, mean - half, mean + half, tuned.noise, level, ())


def _failed(pools: Mapping[str, Pool], chosen: Mapping[str, int]) -> Rate:
    """Of the runs of those defaults that were chosen."""
    flags = [flag for label in chosen for flag in pools[label].failed.get(0, (False,) * pools[label].seeds)]
    return Rate(sum(flags), len(flags))
