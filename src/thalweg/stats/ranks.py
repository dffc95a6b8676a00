"""Average ranks over many tasks, and how far apart they must be to mean anything."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from .table import Values, table

# With fewer, hardly anything is separated: on 8 tasks the average ranks of 15 rules have to differ by 7.6.
ENOUGH_TASKS = 10


def enough_tasks(n: int) -> bool:
    """Whether average ranks over n tasks may be shown."""
    return n >= ENOUGH_TASKS


@dataclass(frozen=True)
class Ranking:
    """Rules by their average rank over the tasks, the best first.

    ``average_ranks``        in the order of ``rules``; 1 is the best on every task.
    ``friedman``             Friedman's statistic, corrected for ties.
    ``p_value``              its p-value: are there any differences at all? Where not, the groups are not to be read.
    ``critical_difference``  average ranks that differ by less are not separated, at ``level`` for all pairs at once.
    ``groups``               the largest sets of rules with no two separated, the best first; sets of one are left out.
    """

    tasks: tuple[str, ...]
    rules: tuple[str, ...]
    average_ranks: tuple[float, ...]
    friedman: float
    p_value: float
    critical_difference: float
    level: float
    groups: tuple[tuple[str, ...], ...]

    def separated(self, first: str, second: str) -> bool:
        """Whether the two's average ranks differ by the critical difference or more."""
        rank = dict(zip(self.rules, self.average_ranks, strict=True))
        return abs(rank[first] - rank[second]) >= self.critical_difference


def critical_difference(scores: Values, *, higher_is_better: bool | Mapping[str, bool], level: float = 0.05) -> Ranking:
    """Friedman's test and Nemenyi's critical difference, CD = q sqrt(k (k + 1) / (6 N)), of k rules on N tasks.

    ``scores[task][rule]``  one value for each, as the mean over seeds; infinite ones have a rank and are allowed.
    ``higher_is_better``    of all tasks, or by task.
    ``level``               the chance of any false separation: q is the (1 - level) quantile of the studentized range
                            of k normals, divided by sqrt(2). Ties share the mean of their ranks.
    Friedman: 12 / (N k (k + 1)) sum_j R_j^2 - 3 N (k + 1) with rank sums R_j, divided by
    1 - sum(t^3 - t) / (N (k^3 - k)) over tied groups of t, against chi-squared with k - 1 degrees of freedom.
    Sources: Friedman 1937; Nemenyi 1963; Demšar 2006, "Statistical comparisons of classifiers over multiple data
    sets", JMLR 7, 1, whose table 5 has q.

    Beware: what it says of two rules depends on which others take part; tasks count as a sample of all tasks; both
    are approximations for many tasks. It computes from 2 tasks on; show it only where `enough_tasks`.
    ValueError: fewer than 2 tasks or rules, NaN, names that differ between tasks (see `table`).
    """
    from scipy.stats import studentized_range  # a second to load

    if not 0 < level < 0.5:
        raise ValueError(f"level is the chance of a false separation, such as 0.05; got {level}")
    tasks, rules, values = table(scores, "scores")
    n, k = values.shape
    if n < 2 or k < 2:
        raise ValueError(f"ranks need at least 2 tasks and 2 rules, got {n} and {k}")
    ranks, ties = _ranks(_lower_is_better(values, tasks, higher_is_better))
    sums = ranks.sum(axis=0)
    free = 1 - ties / (n * (k**3 - k))
    spread = float(12 / (n * k * (k + 1)) * (sums**2).sum() - 3 * n * (k + 1))
    friedman = max(spread / free, 0.0) if free > 0 else 0.0  # below 0 by rounding alone
    cd = float(studentized_range.ppf(1 - level, k, np.inf)) / sqrt(2) * sqrt(k * (k + 1) / (6 * n))
    order = np.argsort(sums, kind="stable")
    names, means = tuple(rules[i] for i in order), tuple(float(sums[i] / n) for i in order)
    return Ranking(tasks, names, means, friedman, float(chdtrc(k - 1, friedman)), cd, level, _groups(names, means, cd))


def _lower_is_better(
    values: NDArray[np.float64], tasks: tuple[str, ...], higher_is_better: bool | Mapping[str, bool]
) -> NDArray[np.float64]:
    if isinstance(higher_is_better, bool):
        return -values if higher_is_better else values
    odd = sorted(set(tasks) ^ set(higher_is_better))
    if odd:
        raise ValueError(f"higher_is_better has to name the tasks of the scores; these differ: {', '.join(odd)}")
    signs: NDArray[np.float64] = np.array([-1.0 if higher_is_better[task] else 1.0 for task in tasks])
    return values * signs[:, None]


def _ranks(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
    """Ranks within each row, 1 the lowest, ties at the mean of theirs; and sum(t^3 - t) over the groups of t tied."""
    lower = (values[:, None, :] < values[:, :, None]).sum(axis=2)
    equal = (values[:, None, :] == values[:, :, None]).sum(axis=2)
    # A group of t is met t times, so that each of its members adds t^2 - 1.
    return lower + (equal + 1) / 2, int((equal**2 - 1).sum())


def _groups(names: tuple[str, ...], means: tuple[float, ...], cd: float) -> tuple[tuple[str, ...], ...]:
    """The longest runs of the sorted means within less than cd that are in no other."""
    groups, reached = [], 0
    for start, lowest in enumerate(means):
        end = sum(mean - lowest < cd for mean in means)
        if end > max(reached, start + 1):
            groups.append(names[start:end])
            reached = end
    return tuple(groups)
