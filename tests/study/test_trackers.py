"""Runs sent to trackers: what is in the store arrives there, and nothing that happens there harms a comparison."""

import json
import socket
import sqlite3
import struct
import warnings

import pytest

import thalweg
from thalweg.study import Finished, compare
from thalweg.study.bridges.tracker_adapters import _need
from thalweg.study.bridges.trackers import (
    MLflow,
    TensorBoard,
    TrackerWarning,
    WandB,
    config_of,
    epochs_of,
    following,
    reporting,
    together,
)
from thalweg.study.keep.store import open_store
from thalweg.study.model.errors import StudyError
from thalweg.study.run.engines import Serial

RULES = ("adam", "sgd:lr=1e30")  # the second diverges


class Kept:
    """A tracker in memory."""

    def __init__(self):
        self.runs = []

    def start(self, config):
        self.runs.append({"config": dict(config), "steps": {}, "status": None})

    def log(self, metrics, step):
        self.runs[-1]["steps"][step] = dict(metrics)

    def end(self, status):
        self.runs[-1]["status"] = status


class Broken(Kept):
    """Fails in the method named."""

    def __init__(self, method):
        super().__init__()
        self.method = method

    def start(self, config):
        super().start(config)
        self._maybe("start")

    def log(self, metrics, step):
        super().log(metrics, step)
        self._maybe("log")

    def end(self, status):
        super().end(status)
        self._maybe("end")

    def _maybe(self, method):
        if method == self.method:
            raise ConnectionError("no route to host")


@pytest.fixture
def compared(script, tmp_path):
    """Runs a small comparison; its finished runs, by name."""

    def run(on_event, **asked):
        runs = []
        settings = {"trials": 2, "seeds": 2, "engine": Serial(), "store": tmp_path / "s.sqlite", **asked}
        compare(
            script(),
            RULES,
            on_event=together(lambda e: runs.append((e.cell, e.run)) if isinstance(e, Finished) else None, on_event),
            **settings,
        )
        return {config_of(cell, run, {})["name"]: (cell, run) for cell, run in runs}

    return run


def test_every_run_arrives_once_and_whole(compared):
    tracker, second = Kept(), Kept()
    runs = compared(together(following(tracker, {"task": "mine"}), following(second)))
    assert len(tracker.runs) == len(runs) >= 7
    assert {run.status for _, run in runs.values()} == {"done", "diverged"}
    for kept in tracker.runs:
        config = kept["config"]
        cell, run = runs[config["name"]]
        told = [config[name] for name in ("rule", "trial", "seed", "key", "task")]
        assert told == [cell.called, cell.trial, run.seed, run.key, "mine"]
        assert {name: config[f"hyper/{name}"] for name in run.values} == dict(run.values)
        assert kept["status"] == run.status
        assert {
            metric: tuple(values[metric] for values in kept["steps"].values() if metric in values)
            for metric in run.curves
        } == {metric: curve.values for metric, curve in run.curves.items()}
        assert list(kept["steps"]) == sorted(kept["steps"])
    assert [r["steps"] for r in second.runs] == [r["steps"] for r in tracker.runs]


def test_what_is_stored_already_is_not_sent_again(compared):
    compared(lambda event: None)
    tracker = Kept()
    assert compared(following(tracker)) == {}
    assert tracker.runs == []
    more = compared(following(tracker), seeds=3)
    assert len(tracker.runs) == len(more) > 0


@pytest.mark.parametrize("method", ["start", "log", "end"])
def test_a_failing_tracker_is_told_once_and_harms_nothing(compared, method, tmp_path):
    tracker, after = Broken(method), Kept()
    with pytest.warns(TrackerWarning) as told:
        runs = compared(together(following(tracker), following(after)))
    assert len(told) == 1
    assert "the tracker Broken failed, and may lack runs: ConnectionError: no route to host" in str(told[0].message)
    assert len(tracker.runs) == len(after.runs) == len(runs) > 4  # the next run is tried all the same
    if method == "log":
        assert {run["status"] for run in tracker.runs} <= {"failed", "diverged"}  # none is left open
    with open_store(tmp_path / "s.sqlite") as store:
        assert len(store.runs()) == len(runs)


def test_an_interrupt_is_none_of_its_failures(compared):
    class Stopped(Kept):
        def log(self, metrics, step):
            raise KeyboardInterrupt

    tracker = Stopped()
    with pytest.raises(KeyboardInterrupt):
        compared(following(tracker))
    assert tracker.runs[0]["status"] == "failed"


def test_whatever_can_log_is_accepted(compared):
    class Log:
        def __init__(self):
            self.rows = []

        def log(self, row, step):
            self.rows.append((step, row))

    tracker = Log()
    runs = list(compared(following(tracker)).values())
    assert [step for step, _ in tracker.rows] == list(range(1, len(runs) + 1))
    for (_, row), (cell, run) in zip(tracker.rows, runs, strict=True):
        assert row == {f"{cell.called}/{name}": curve.values[-1] for name, curve in run.curves.items()}


def test_a_single_training_reports(script):
    tracker = Kept()
    tracker.start({"name": "one"})
    found = thalweg.train(script(), "adam", on_report=reporting(tracker))
    steps = tracker.runs[0]["steps"]
    assert tuple(values["valid_loss"] for values in steps.values()) == found.curves["valid_loss"].values
    assert list(steps) == [0, 1, 2, 3]
    tracker = Broken("log")
    tracker.start({})
    with pytest.warns(TrackerWarning, match="no route to host"):
        found = thalweg.train(script(), "adam", on_report=reporting(tracker))
    assert found.status == "done"


def test_epochs_keep_what_was_reported_in_each(compared):
    _, run = next(iter(compared(lambda event: None).values()))
    by_epoch = dict(epochs_of(run))
    assert list(by_epoch) == list(run.curves["valid_loss"].epochs)
    assert by_epoch[2]["test_loss"] == run.curves["test_loss"].values[2]


def test_mistakes_are_answered_in_words():
    with pytest.raises(StudyError, match="a tracker has a method log"):
        following(object())
    with pytest.raises(StudyError, match="X needs the package no_such_package: pip install no_such_package"):
        _need("no_such_package", "X")
    with pytest.raises(StudyError, match="mode must be offline, online or disabled; got 'off'"):
        WandB("p", mode="off")


@pytest.mark.slow
# tensorboard's protobuf and numpy calls, and what torch wraps around them, warn of their own deprecations at import.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_tensorboard_reads_it_back(compared, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    runs = compared(following(TensorBoard(tmp_path / "board"), {"task": "mine"}))
    folders = sorted((tmp_path / "board").iterdir())
    by_folder = {name.replace(":", "-").replace(" ", "-"): run for name, (_, run) in runs.items()}
    assert {folder.name for folder in folders} == by_folder.keys()
    for folder in folders:
        run = by_folder[folder.name]
        read = EventAccumulator(str(folder)).Reload()
        for metric, curve in run.curves.items():
            # The last value once more, at step 0 of the same name: the one that the HPARAMS tab shows.
            events = read.Scalars(metric)[: len(curve.values)]
            assert [event.step for event in events] == list(curve.epochs)
            assert [event.value for event in events] == pytest.approx(curve.values)
        (status,) = read.Tensors("status/text_summary")
        assert status.tensor_proto.string_val[0].decode() == run.status
        content = read.summary_metadata["_hparams_/session_start_info"].plugin_data.content
        kept = HParamsPluginData.FromString(content).session_start_info.hparams
        assert kept["hyper/lr"].number_value == run.values["lr"]
        assert kept["task"].string_value == "mine"


@pytest.fixture
def offline(monkeypatch):
    """No connection but to this machine: wandb's service is a process here."""
    connect = socket.socket.connect

    def only_here(self, address):
        if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a connection to {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", only_here)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("DO_NOT_TRACK", "true")


def _logged(data):
    """The records of a file in LevelDB's log format, after wandb's own 7 bytes: blocks of 32 KiB, pieces within them.

    A piece is a checksum, its length, and whether it is a whole record (1), its first, a middle or last one (2, 3, 4).
    """
    place, record = 7, b""
    while place + 7 <= len(data):
        if 2**15 - place % 2**15 < 7:  # no piece begins so near a block's end
            place += 2**15 - place % 2**15
            continue
        _, length, kind = struct.unpack_from("<IHB", data, place)
        record += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):
            yield record
            record = b""


@pytest.mark.slow
# wandb is built on pydantic and protobuf, whose deprecations it has not followed yet.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_wandb_keeps_it_offline(compared, tmp_path, offline):
    import wandb
    from wandb.proto.wandb_internal_pb2 import Record

    try:
        runs = compared(following(WandB("mine", dir=tmp_path / "w")))
    finally:
        wandb.teardown()
    files = sorted((tmp_path / "w" / "wandb").glob("offline-run-*/*.wandb"))
    assert len(files) == len(runs)
    found = {}
    for file in files:
        records = [Record.FromString(data) for data in _logged(file.read_bytes())]
        begun = next(record.run for record in records if record.HasField("run"))
        rows = [
            {(item.key or ".".join(item.nested_key)): json.loads(item.value_json) for item in record.history.item}
            for record in records
            if record.HasField("history")
        ]
        ended = next(record.exit.exit_code for record in records if record.HasField("exit"))
        config = {item.key: json.loads(item.value_json) for item in begun.config.update}
        found[begun.display_name] = (begun, config, rows, ended)
    assert found.keys() == runs.keys()
    for name, (cell, run) in runs.items():
        begun, config, rows, ended = found[name]
        assert (begun.project, begun.run_group) == ("mine", cell.called)
        assert config["hyper/lr"] == run.values["lr"]
        assert ended == (run.status != "done")
        for metric, curve in run.curves.items():
            assert tuple(row[metric] for row in rows if metric in row) == curve.values
            assert tuple(row["_step"] for row in rows if metric in row) == curve.epochs


@pytest.mark.slow
# mlflow imports deprecated names of pydantic and SQLAlchemy.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_mlflow_keeps_it_in_a_folder(compared, tmp_path, offline):
    from mlflow import MlflowClient

    runs = compared(following(MLflow(tmp_path / "m", "mine")))
    client = MlflowClient(f"sqlite:///{tmp_path / 'm' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("mine")
    found = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert found.keys() == runs.keys()
    for name, (_, run) in runs.items():
        kept = found[name]
        assert kept.info.status == ("FINISHED" if run.status == "done" else "FAILED")
        assert kept.data.tags["status"] == run.status
        assert float(kept.data.params["hyper/lr"]) == run.values["lr"]
        for metric, curve in run.curves.items():
            history = sorted(client.get_metric_history(kept.info.run_id, metric), key=lambda m: m.step)
            assert tuple(m.step for m in history) == curve.epochs
            assert tuple(m.value for m in history) == curve.values
    # A second comparison goes into the same experiment.
    compared(following(MLflow(f"sqlite:///{tmp_path / 'm' / 'mlflow.db'}", "mine")), seeds=3)
    assert len(client.search_runs([experiment.experiment_id])) > len(runs)
    with sqlite3.connect(tmp_path / "m" / "mlflow.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()


def test_a_tracker_warning_can_be_silenced(compared):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TrackerWarning)
        assert compared(following(Broken("start")))
