"""What makes a comparison no answer, or not yet one, with the remedy: said before anything else."""

from collections.abc import Mapping, Sequence
from math import isfinite
from statistics import median

from thalweg.stats.intervals import Interval
from thalweg.stats.wording import DRAWN, listed, value_text
from thalweg.study.model.metric import Metric
from thalweg.study.model.plan import Plan, first_axis

from .findings import ContenderRow

# A best trial stands alone where it is ahead of its neighbours by this share of what it is ahead of the middle one, and
# by so many times what luck does.
AHEAD, BEYOND_LUCK = 0.5, 4.0


def stands_alone(places: Sequence[float], values: Sequence[float], best: int, luck: float) -> bool:
    """Whether the best trial of a search is far ahead of both its neighbours on the first axis.

    ``places``, ``values``  of each trial, by number, 0 being the default; higher values are better, -inf: without one.
    ``best``  the number of the best; ``luck`` the standard deviation of a value from seed to seed.
    """
    others = sorted((place, trial) for trial, place in enumerate(places) if trial)
    at = next((index for index, (_, trial) in enumerate(others) if trial == best), None)
    if at is None or len(others) < 3:
        return False
    beside = [values[others[index][1]] for index in (at - 1, at + 1) if 0 <= index < len(others)]
    known = sorted(value for value in values if isfinite(value))
    middle = median([max(value, known[0]) for value in values])
    ahead = values[best] - max(max(beside), known[0])
    return ahead > BEYOND_LUCK * luck and ahead > AHEAD * (values[best] - middle)


def notices(
    plan: Plan,
    metric: Metric,
    rows: Sequence[ContenderRow],
    levels: Mapping[str, Interval],
    missed: Mapping[str, float],
) -> list[str]:
    """The sentences; ``levels`` of what is judged, ``missed`` the share of searches that miss the target, by label."""
    return [*_saturated(metric, rows, levels), *_target(plan, metric, missed), *_alone(rows), *_edges(plan, rows)]


def _saturated(metric: Metric, rows: Sequence[ContenderRow], levels: Mapping[str, Interval]) -> list[str]:
    best = metric.possible[1] if metric.higher_is_better else metric.possible[0]
    if not isfinite(best) or len(rows) < 2 or not levels:
        return []
    step = 1.0 / metric.scale.tests if metric.scale.tests else 1e-6
    if not all(abs(level.mean - best) < step for level in levels.values()):
        return []
    reached = metric.unit.value(best)
    return [
        f"This is no answer: {metric.judged} is saturated, all reach {reached} or less than one example below. "
        "Judge by another metric (--metric loss), or make the task harder (fewer epochs, less data)."
    ]


def _target(plan: Plan, metric: Metric, missed: Mapping[str, float]) -> list[str]:
    if plan.target is None or not missed or min(missed.values()) < 1:
        return []
    return [
        f"This is no answer: no search reaches the target of {metric.unit.value(plan.target)}. Train longer, search "
        "elsewhere (-r adamw:lr=1e-4..1e-2), or lower the target."
    ]


def _alone(rows: Sequence[ContenderRow]) -> list[str]:
    return [
        f"Not yet an answer: the best trial of {row.name} stands alone, {row.alone}. A narrower range around "
        f"{', '.join(_numbers(row, [first_axis(row.searched_names)]))} would find it more often, as would more trials."
        for row in rows
        if row.alone
    ]


def _edges(plan: Plan, rows: Sequence[ContenderRow]) -> list[str]:
    said = []
    for row, rule in zip(rows, plan.rules, strict=True):
        at_lr = "lr" in row.near_edge
        lr = row.winner_values.get("lr")
        wider = (
            f"{rule.single}:lr={value_text(lr / 30, 2)}..{value_text(lr * 30, 2)}"
            if at_lr and isinstance(lr, float)
            else ""
        )
        if row.near_edge:
            said.append(f"{row.name} ({', '.join(_numbers(row, row.near_edge))}{f'; -r {wider}' if wider else ''})")
    return [f"At an edge of its search, where a wider one may find better: {listed(said)}."] if said else []


def _numbers(row: ContenderRow, names: Sequence[str]) -> list[str]:
    return [f"{name}={value_text(row.winner_values[name], DRAWN)}" for name in names]
