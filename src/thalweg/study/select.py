"""Which trial wins a search, and which number a run counts with."""

from collections.abc import Iterable, Sequence
from math import inf

from .cells import Run
from .metric import Metric


def winner(trials: Sequence[Run], metric: Metric) -> int:
    """The index of the best trial on validation.

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

    return min(range(len(trials)), key=rank)


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
