"""What was reported of a training, or of one of several averages of its weights, which are read out of it."""

from collections.abc import Mapping, Sequence
from math import isfinite

from thalweg.study.model.cells import Curve
from thalweg.study.model.errors import StudyError
from thalweg.study.model.metric import is_share, without_split


class Diverged(Exception):
    """Ends a training that diverged. A result, not a mistake: leave it uncaught.

    Diverged means: a value that was reported (`Trial.report`) or checked (`Trial.check`) is not finite. A run that
    ends with a finite value, however bad, is done: any bound would be a guess about the task, since a loss may begin
    at 0, fall below it, or rise while the accuracy does. Only where it is no better than what was reported before the
    training, the comparison counts it as failed.
    """


class Reported:
    """The values of one readout.

    ``readout``   which (`thalweg.study.model.readouts`).
    ``curves``    epochs and values by metric.
    ``epoch``     of the last report.
    ``diverged``  why it has ended, "" if it has not; ``steps`` that were taken until then, None if it has not.
    ``shown``     how often it was to be tested since the first step.
    """

    def __init__(self, readout: str) -> None:
        self.readout = readout
        self.curves: dict[str, tuple[list[int], list[float]]] = {}
        self.epoch = 0
        self.diverged = ""
        self.steps: int | None = None
        self.shown = 0

    def add(self, name: str, value: float) -> None:
        """A value of this epoch. Raises `Diverged` where it is not finite, `StudyError` for one that cannot be."""
        epochs, values = self.curves.setdefault(name, ([], []))
        if epochs and epochs[-1] == self.epoch:
            raise StudyError(f"trial.report: {name} is reported twice in epoch {self.epoch}; report it once")
        if not isfinite(value):
            raise Diverged(f"{name} was {value:g} {_moment(self.epoch)}")
        if is_share(name):
            if not -1e-6 <= value <= 1 + 1e-6:
                raise StudyError(f"trial.report: {name} must be a fraction from 0 to 1, got {value:g}")
            value = min(max(value, 0.0), 1.0)  # a mean in float32 may end just outside
        epochs.append(self.epoch)
        values.append(value)

    def end(self, message: str, steps: int) -> None:
        """It has diverged, after so many steps."""
        self.diverged, self.steps = message, steps

    def last(self, names: Sequence[str]) -> dict[str, float]:
        """The last value of each of these metrics."""
        return {name: self.curves[name][1][-1] for name in names}

    def as_curves(self, higher: Mapping[str, bool], positive: set[str], tests: int | None) -> dict[str, Curve]:
        """What was reported, with what was said of it by metric: see `Curve`."""
        return {
            name: Curve(
                tuple(epochs),
                tuple(values),
                higher.get(without_split(name)),
                tests if is_share(name) and name.startswith("test_") else None,
                without_split(name) in positive,
            )
            for name, (epochs, values) in self.curves.items()
            if values
        }


def _moment(epoch: int) -> str:
    return f"at the end of epoch {epoch}" if epoch else "before training"
