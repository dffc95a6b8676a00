"""How a search's trials rank, which of them are trained again, and which number a run counts with."""

from collections.abc import Iterable, Sequence
from math import inf

from thalweg.stats.pool import largest_budget
from thalweg.study.ask.designs import largest
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
    """The sizes of the searches that a rule's trials are judged as: as planned where there are enough for it.

    Where minutes count, a third of what they held.
    """
    if minutes is None:
        return tuple(n for n in plan_budgets if n <= largest(size))
    third = largest_budget(size)
    return (third,) if third > 1 else ()


class Scores:
    """The number that each run counts with, in one metric.

    A run that ended well counts with its last evaluation. One that failed is never dropped: it counts with the value
    before its training, if it reported one, else with the worst value that any run of the study reported. Failed: it
    diverged, ended without a result, or is no better than before its training.
    """

    def __init__(self, reported: str, higher_is_better: bool, runs: Iterable[Run]) -> None:
        self._reported, self._higher = reported, higher_is_better
        every = [v for run in runs if reported in run.curves for v in run.curves[reported].values]
        self._worst = (min(every) if higher_is_better else max(every)) if every else None

    def score(self, run: Run) -> float | None:
        """The run's number; None when no run of the study reports the metric."""
        curve = run.curves.get(self._reported)
        if curve and not self.failed(run):
            return curve.values[-1]
        if curve and curve.epochs[0] == 0:
            return curve.values[0]
        return self._worst

    def failed(self, run: Run) -> bool:
        """Whether a run failed. What it was before training is known where it was reported then."""
        curve = run.curves.get(self._reported)
        if run.status != "done" or curve is None:
            return True
        before, after = curve.values[0], curve.values[-1]
        begun = curve.epochs[0] == 0 and len(curve.values) > 1
        return begun and (after <= before if self._higher else after >= before)
