"""TensorBoard, Weights & Biases and MLflow as trackers. Each is imported when its first run starts."""

import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path
from time import time
from typing import Any, Literal, get_args

from thalweg.study.model.errors import StudyError

MLFLOW_BATCH = 1000  # metrics in one request, at most: mlflow's own limit

Mode = Literal["offline", "online", "disabled"]


class TensorBoard:
    """Event files in a folder for each run below ``folder``: ``tensorboard --logdir folder`` shows them.

    The configuration is in the HPARAMS tab, with each metric's last value; the status is a text.
    """

    def __init__(self, folder: str | Path) -> None:
        _need("tensorboard", "TensorBoard")
        self.folder = Path(folder)

    def start(self, config: Mapping[str, Any]) -> None:
        """See `thalweg.study.bridges.trackers.Tracker`."""
        from torch.utils.tensorboard import SummaryWriter

        self._config = {name: value for name, value in config.items() if isinstance(value, bool | int | float | str)}
        self._last: dict[str, float] = {}
        self._writer: Any = SummaryWriter(str(self.folder / _file_name(str(config["name"]))))

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """See `thalweg.study.bridges.trackers.Tracker`."""
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)
        self._last.update(metrics)

    def end(self, status: str) -> None:
        """See `thalweg.study.bridges.trackers.Tracker`."""
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
        """See `thalweg.study.bridges.trackers.Tracker`."""
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
        """See `thalweg.study.bridges.trackers.Tracker`."""
        self._run.log(dict(metrics), step=step)

    def end(self, status: str) -> None:
        """See `thalweg.study.bridges.trackers.Tracker`."""
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
        """See `thalweg.study.bridges.trackers.Tracker`."""
        from mlflow.entities import Param

        if self._client is None:
            self._client, self._experiment = self._connected()
        made = self._client.create_run(self._experiment, run_name=str(config["name"]))
        self._run: str = made.info.run_id
        self._kept: list[Any] = []
        self._sent = time()
        self._client.log_batch(self._run, params=[Param(name, str(value)) for name, value in config.items()])

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """See `thalweg.study.bridges.trackers.Tracker`.

        Values are sent once a second: a request may outlast an epoch.
        """
        from mlflow.entities import Metric

        now = time()
        self._kept += [Metric(name, value, int(1000 * now), step) for name, value in metrics.items()]
        if now - self._sent > 1.0:
            self._send()

    def end(self, status: str) -> None:
        """See `thalweg.study.bridges.trackers.Tracker`."""
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


def _need(package: str, asked: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise StudyError(f"{asked} needs the package {package}: pip install {package}")


def _file_name(name: str) -> str:
    """A run's name as that of a folder."""
    return re.sub(r"[^\w.=+-]+", "-", name)
