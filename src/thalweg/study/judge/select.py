"""How a search's trials rank, which of them are trained again, and which number a run counts with."""

from collections.abc import Iterable, Sequence
from math import inf

from thalweg.stats.pool import largest_budget
from thalweg.study.model.cells import Run
from thalweg.study.model.metric import Metric


def ranking(trials: Sequence[Run], metric: Metric) -> tuple[int, ...]:
    """The indices of a search's trials, from the best on validation to the worst.

    Best: by the mean of the last 3 evaluations; ties by validation loss, likewise; then the earlier trial, so the
    default wins what it ties. Diverged and failed trials rank last.
    """

    def rank(index: int) -> tuple[float, float, float, int]:
        run = trials[index]
        if run.status != "done" or metric.selection not in run.curves:
            return (1, inf, inf, index)
        value = run.curves[metric.selection].end()
        loss = run.curves["valid_loss"].end() if "valid_loss" in run.curves else inf
        return (0, -value if metric.higher_is_better else value, loss, index)

    return tuple(sorted(range(len(trials)), key=rank))


def within(runs: Sequence[Run], minutes: float | None) -> Sequence[Run]:
    """A search's trials, from the first on, as many as began within the given minutes of training; None: all."""
    if minutes is None:
        return runs
    spent, count = 0.0, 0
    for run in runs:
        if spent >= 60 * minutes:
            break
        spent, count = spent + run.seconds, count + 1
    return runs[:count]


def is_over(runs: Sequence[Run], trials: int, minutes: float | None) -> bool:
    """Whether a search of at most so many trials begins no more: all have run, or the minutes are spent."""
    return len(runs) == trials or (minutes is not None and sum(run.seconds for run in runs) >= 60 * minutes)


def budgets_of(plan_budgets: Sequence[int], minutes: float | None, size: int) -> tuple[int, ...]:
    """The sizes of a rule's virtual studies: as planned, or, where minutes count, a third of what they held."""
    if minutes is None:
        return tuple(plan_budgets)
    third = largest_budget(size)
    return (third,) if third > 1 else ()


class Scores:
    """The number that each run counts with, in one metric.

    A run that ended well counts with its last evaluation, or the mean of its ``last`` ones. A diverged or failed
    one is never dropped: it counts with the value before its training, if it reported one, else with the worst
    value that any run of the study reported.
    """

    def __init__(self, reported: str, higher_is_better: bool, runs: Iterable[Run]) -> None:
        self._reported = reported
        every = [v for run in runs if reported in run.curves for v in run.curves[reported].values]
        self._worst = (min(every) if higher_is_better else max(every)) if every else None

    def score(self, run: Run, last: int = 1) -> float | None:
        """The run's number; None when no run of the study reports the metric."""
        curve = run.curves.get(self._reported)
        if curve and run.status == "done":
            return curve.end(last)
        if curve and curve.epochs[0] == 0:
            return curve.values[0]
        return self._worst
