"""Finished runs, sent to where a user keeps others: TensorBoard, Weights & Biases, MLflow, or anything like them.

    thalweg.compare("digits-mlp", ["adamw", "sgd"], on_event=following(TensorBoard("runs")))

They are copies. The store of a comparison is always written, and no tracker's failure ends a comparison.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Protocol, runtime_checkable

from thalweg.study.model.cells import Cell, Run, which
from thalweg.study.model.errors import StudyError
from thalweg.study.model.events import Event, Finished

from .tracker_adapters import MLflow, TensorBoard, WandB

__all__ = [
    "MLflow",
    "TensorBoard",
    "Tracker",
    "TrackerWarning",
    "WandB",
    "config_of",
    "epochs_of",
    "following",
    "reporting",
    "together",
]


class Logging(Protocol):
    """The least of a tracker: one that has begun elsewhere, such as the run that ``wandb.init()`` returned."""

    def log(self, metrics: Any, /, *, step: int) -> object:
        """Take the values of one step, by name."""


@runtime_checkable
class Tracker(Protocol):
    """Takes one run after the other: ``start``, ``log`` for each epoch, ``end``."""

    def start(self, config: Mapping[str, Any]) -> None:
        """Begin a run. ``config["name"]`` is unique in a comparison; see `config_of` for the rest."""

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Values at the end of an epoch, the ``step`` (0: before training)."""

    def end(self, status: str) -> None:
        """The run ended: ``done``, ``diverged``, ``failed`` or ``died``."""


class TrackerWarning(UserWarning):
    """A tracker failed. The results are in the comparison's own store all the same."""


def following(tracker: Tracker | Logging, about: Mapping[str, Any] | None = None) -> Callable[[Event], None]:
    """An ``on_event`` for `compare` that sends each run, as it finishes, to a tracker as one run of its own.

    ``tracker``  `TensorBoard`, `WandB`, `MLflow` or your own `Tracker`. One that only has ``.log(dict, step=)`` is used
                 as it is: it gets the final values of each run, as ``adamw/test_loss``, and as the step how many runs
                 are done.
    ``about``    more to keep with each run: ``{"task": "digits-mlp"}``.

    What is in the store from an earlier call is not sent again. A failure of the tracker is a `TrackerWarning`, once;
    the next run is sent all the same.
    """
    guarded = _Guarded(tracker)

    def on_event(event: Event) -> None:
        if not isinstance(event, Finished):
            return
        with guarded():
            if isinstance(tracker, Tracker):
                _send(tracker, event.cell, event.run, about or {})
            else:
                final = {f"{event.cell.called}/{name}": curve.values[-1] for name, curve in event.run.curves.items()}
                tracker.log(final, step=event.done)

    return on_event


def reporting(tracker: Tracker | Logging) -> Callable[[int, Mapping[str, float]], None]:
    """An ``on_report`` for `train` that sends each epoch's values to a tracker whose run has begun.

    A failure of the tracker is a `TrackerWarning`, once, and does not end the training.
    """
    guarded = _Guarded(tracker)

    def on_report(epoch: int, values: Mapping[str, float]) -> None:
        with guarded():
            tracker.log(dict(values), step=epoch)

    return on_report


def together(*callbacks: Callable[[Event], None]) -> Callable[[Event], None]:
    """Several ``on_event`` as one: each gets every event, in this order."""

    def on_event(event: Event) -> None:
        for callback in callbacks:
            callback(event)

    return on_event


def config_of(cell: Cell, run: Run, about: Mapping[str, Any]) -> dict[str, Any]:
    """What a tracker is told of a run: its name, rule, trial, seed and key, ``hyper/lr`` and so on; then ``about``.

    The key is the run's in the store and in exported tables. The name ends with its first digits: a comparison trains
    each default twice with one seed, to see whether the script repeats itself.
    """
    values = {f"hyper/{name}": value for name, value in run.values.items()}
    name = f"{cell.called} {which(cell.trial)} seed {run.seed} {run.key[:8]}"
    own = {"name": name, "rule": cell.called, "trial": cell.trial, "seed": run.seed, "key": run.key}
    return {**own, **values, **about}


def epochs_of(run: Run) -> Iterator[tuple[int, dict[str, float]]]:
    """A run's values by epoch: each epoch in which anything was reported, with what was."""
    by_epoch: dict[int, dict[str, float]] = {}
    for name, curve in run.curves.items():
        for epoch, value in zip(curve.epochs, curve.values, strict=True):
            by_epoch.setdefault(epoch, {})[name] = value
    yield from sorted(by_epoch.items())


class _Guarded:
    """Runs what a tracker does; its first failure is told, as a warning, and none is raised."""

    def __init__(self, tracker: object) -> None:
        if not callable(getattr(tracker, "log", None)):
            raise StudyError(
                "a tracker has a method log(metrics, step): TensorBoard(folder), WandB(project), MLflow(folder), or "
                f"one of your own; got {tracker!r}"
            )
        self._name = type(tracker).__name__
        self._told = False

    @contextmanager
    def __call__(self) -> Iterator[None]:
        try:
            yield
        except Exception as problem:
            if not self._told:
                self._told = True
                words = f"{type(problem).__name__}: {problem}"
                warnings.warn(
                    f"the tracker {self._name} failed, and may lack runs: {words}. Results are stored all the same; "
                    "later failures of it are not told",
                    TrackerWarning,
                    stacklevel=4,
                )


def _send(tracker: Tracker, cell: Cell, run: Run, about: Mapping[str, Any]) -> None:
    tracker.start(config_of(cell, run, about))
    try:
        for epoch, metrics in epochs_of(run):
            tracker.log(metrics, epoch)
    except BaseException:
        with suppress(Exception):  # it is not left open, nor is its first failure hidden by a second
            tracker.end("failed")
        raise
    tracker.end(run.status)
