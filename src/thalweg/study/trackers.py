"""Finished runs, sent to where a user keeps others: TensorBoard, Weights & Biases, MLflow, or anything like them.

    thalweg.compare("digits-mlp", "adamw,sgd", on_event=following(TensorBoard("runs")))

They are copies. The store of a comparison is always written, and no tracker's failure ends a comparison.
"""

import importlib.util
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from time import time
from typing import Any, Literal, Protocol, get_args, runtime_checkable

from .cells import Run
from .errors import StudyError
from .events import Event, Finished

MLFLOW_BATCH = 1000  # metrics in one request, at most: mlflow's own limit

Mode = Literal["offline", "online", "disabled"]


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
                _send(tracker, event.run, about or {})
            else:
                final = {f"{event.run.rule}/{name}": curve.values[-1] for name, curve in event.run.curves.items()}
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


def config_of(run: Run, about: Mapping[str, Any]) -> dict[str, Any]:
    """What a tracker is told of a run: its name, rule, trial and seed, and ``hyper/lr`` and so on; then ``about``."""
    values = {f"hyper/{name}": value for name, value in run.values.items()}
    name = f"{run.rule} {run.which} seed {run.seed}"
    return {"name": name, "rule": run.rule, "trial": run.trial, "seed": run.seed, **values, **about}


def epochs_of(run: Run) -> Iterator[tuple[int, dict[str, float]]]:
    """A run's values by epoch: each epoch in which anything was reported, with what was."""
    by_epoch: dict[int, dict[str, float]] = {}
    for name, curve in run.curves.items():
        for epoch, value in zip(curve.epochs, curve.values, strict=True):
            by_epoch.setdefault(epoch, {})[name] = value
    yield from sorted(by_epoch.items())


class TensorBoard:
    """Event files in a folder for each run below ``folder``: ``tensorboard --logdir folder`` shows them.

    The configuration is in the HPARAMS tab, with each metric's last value; the status is a text.
    """

    def __init__(self, folder: str | Path) -> None:
        _need("tensorboard", "TensorBoard")
        self.folder = Path(folder)

    def start(self, config: Mapping[str, Any]) -> None:
        """See `Tracker`."""
        from torch.utils.tensorboard import SummaryWriter

        self._config = {name: value for name, value in config.items() if isinstance(value, bool | int | float | str)}
        self._last: dict[str, float] = {}
        self._writer: Any = SummaryWriter(str(self.folder / _file_name(str(config["name"]))))

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """See `Tracker`."""
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)
        self._last.update(metrics)

    def end(self, status: str) -> None:
        """See `Tracker`."""
        from torch.utils.tensorboard.summary import hparams

        # Not add_hparams, which would make a second run beside this one.
        for summary in hparams(self._config, self._last):  # type: ignore[no-untyped-call]
            self._writer.file_writer.add_summary(summary)
        self._writer.add_text("status", status)
        self._writer.close()


class WandB:
    """Weights & Biases: one run each, grouped by rule. Offline unless asked, as ``wandb sync`` uploads it later.

    ``project``  its name there; ``mode`` of ``wandb.init``: "offline", "online", "disabled".
    ``dir``      where runs are kept, in a folder wandb/; the current folder unless given.

    A run that did not end well has the exit code 1, which is shown as failed; its summary has the status.
    """

    def __init__(self, project: str, *, mode: Mode = "offline", dir: str | Path | None = None) -> None:
        _need("wandb", "WandB")
        if mode not in get_args(Mode):
            raise StudyError(f"WandB: mode must be offline, online or disabled; got {mode!r}")
        self.project, self.mode, self.dir = project, mode, dir

    def start(self, config: Mapping[str, Any]) -> None:
        """See `Tracker`."""
        import wandb

        if self.dir is not None:
            Path(self.dir).mkdir(parents=True, exist_ok=True)
        self._run = wandb.init(
            project=self.project,
            mode=self.mode,
            dir=self.dir,
            name=config["name"],
            group=config.get("rule"),
            config=dict(config),
            reinit="create_new",  # beside a run of the user's own, which must not end
            settings=wandb.Settings(silent=True, console="off"),
        )

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """See `Tracker`."""
        self._run.log(dict(metrics), step=step)

    def end(self, status: str) -> None:
        """See `Tracker`."""
        self._run.summary["status"] = status
        self._run.finish(exit_code=0 if status == "done" else 1)


class MLflow:
    """MLflow: one run each, in one experiment; hyperparameters are its params, the status a tag.

    ``where``       a tracking URI ("http://...", "sqlite:///..."), or a folder, for a database mlflow.db in it.
    ``experiment``  its name; it is made if there is none.

    A run that did not end well is FAILED. What mlflow itself reports to its makers, MLFLOW_DISABLE_TELEMETRY=true
    turns off.
    """

    def __init__(self, where: str | Path, experiment: str = "thalweg") -> None:
        _need("mlflow", "MLflow")
        self.where, self.experiment = where, experiment
        self._client: Any = None

    def start(self, config: Mapping[str, Any]) -> None:
        """See `Tracker`."""
        from mlflow.entities import Param

        if self._client is None:
            self._client, self._experiment = self._connected()
        made = self._client.create_run(self._experiment, run_name=str(config["name"]))
        self._run: str = made.info.run_id
        self._kept: list[Any] = []
        self._sent = time()
        self._client.log_batch(self._run, params=[Param(name, str(value)) for name, value in config.items()])

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """See `Tracker`. Values are sent once a second, since a request may take longer than an epoch."""
        from mlflow.entities import Metric

        now = time()
        self._kept += [Metric(name, value, int(1000 * now), step) for name, value in metrics.items()]
        if now - self._sent > 1.0:
            self._send()

    def end(self, status: str) -> None:
        """See `Tracker`."""
        self._send()
        self._client.set_tag(self._run, "status", status)
        self._client.set_terminated(self._run, "FINISHED" if status == "done" else "FAILED")

    def _send(self) -> None:
        for first in range(0, len(self._kept), MLFLOW_BATCH):
            self._client.log_batch(self._run, metrics=self._kept[first : first + MLFLOW_BATCH])
        self._kept, self._sent = [], time()

    def _connected(self) -> tuple[Any, str]:
        from mlflow import MlflowClient

        uri, place = str(self.where), None
        if "://" not in uri:
            folder = Path(uri).resolve()
            folder.mkdir(parents=True, exist_ok=True)
            uri, place = f"sqlite:///{folder / 'mlflow.db'}", (folder / "artifacts").as_uri()
        client: Any = MlflowClient(tracking_uri=uri)
        known = client.get_experiment_by_name(self.experiment)
        if known is not None:
            return client, known.experiment_id
        return client, client.create_experiment(self.experiment, artifact_location=place)


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


def _send(tracker: Tracker, run: Run, about: Mapping[str, Any]) -> None:
    tracker.start(config_of(run, about))
    try:
        for epoch, metrics in epochs_of(run):
            tracker.log(metrics, epoch)
    except BaseException:
        with suppress(Exception):  # it is not left open, nor is its first failure hidden by a second
            tracker.end("failed")
        raise
    tracker.end(run.status)


def _need(package: str, asked: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise StudyError(f"{asked} needs the package {package}: pip install {package}")


def _file_name(name: str) -> str:
    """A run's name as that of a folder."""
    return re.sub(r"[^\w.=+-]+", "-", name)
