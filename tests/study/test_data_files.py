"""Files that a script declares by trial.file(...): what is in them is part of what a result stands for."""

import sqlite3

import pytest
from comparing import run

from thalweg.study import StudyError, train
from thalweg.study.ask import local_modules
from thalweg.study.ask.local_modules import script_files
from thalweg.study.ask.spec import resolve, study
from thalweg.study.run.engines import Serial
from thalweg.study.run.lr_find import lr_find
from thalweg.study.run.rerun import rerun
from thalweg.study.run.worker import run_cell

SCRIPT = """
import torch
from loading import labels


def train(run):
    torch.manual_seed(run.seed("init"))
    x = torch.tensor([[float(line)] for line in run.file("data/x.csv").read_text().split()])
    model = torch.nn.Linear(1, 1)
    optimizer = run.optimizer(model)
    for _ in run.epochs(2):
        loss = torch.nn.functional.mse_loss(model(x), labels(run))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        run.report(valid_loss=loss, test_loss=loss)
"""
LOADING = """
import torch


def labels(trial):
    return torch.tensor([[float(line)] for line in trial.file("y.csv").read_text().split()])
"""
SMALL = {"rules": ("sgd",), "trials": 1, "seeds": 2}


@pytest.fixture
def place(script, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.csv").write_text("1\n2\n")
    (tmp_path / "y.csv").write_text("1\n2\n")
    (tmp_path / "loading.py").write_text(LOADING)
    return script(SCRIPT)


@pytest.mark.parametrize("name", ["data/x.csv", "y.csv"])
def test_a_changed_file_is_told_and_trained_with_again(place, tmp_path, name):
    """Whatever the trial is called, also in a module, and from any folder."""
    first = run(place, **SMALL)
    events = []
    run(place, **SMALL, events=events)
    assert (events[0].done, events[0].changed) == (events[0].total, ())
    (tmp_path / name).write_text("1\n3\n")
    events = []
    other = run(place, **SMALL, events=events)
    assert (events[0].done, events[0].changed) == (0, (name,))
    assert other.rows[0].tuned != first.rows[0].tuned
    (tmp_path / name).write_text("1\n2\n")
    events = []
    run(place, **SMALL, events=events)
    assert events[0].done == events[0].total


def test_what_counts(place, tmp_path):
    """Files that are there and named in the call: no name put together, no other's method that names none."""
    (tmp_path / "script.py").write_text(SCRIPT + "    archive.file('inside.txt'), run.file('data/' + 'z.csv')\n")
    assert [*script_files(tmp_path / "script.py")] == ["script.py", "loading.py", "data/x.csv", "y.csv"]


def test_a_large_file_is_hashed_once(place, tmp_path, monkeypatch):
    """Until size or time of change are others."""
    monkeypatch.setattr(local_modules, "SMALL", 3)
    local_modules._kept_hash.cache_clear()
    for _ in range(3):
        before = script_files(tmp_path / "script.py")
    assert local_modules._kept_hash.cache_info().misses == 4
    (tmp_path / "y.csv").write_text("1\n2\n3\n")
    after = script_files(tmp_path / "script.py")
    assert [name for name in after if after[name] != before[name]] == ["y.csv"]


def test_one_training(place, tmp_path):
    assert train(place, "sgd").status == "done"
    assert lr_find(place, "sgd", points=4, seeds=1, epochs=2, engine=Serial()).rates
    seen = []

    def typed_in(trial):
        seen.append(trial.file(str(tmp_path / "y.csv")))

    train(typed_in, "sgd")
    assert seen == [tmp_path / "y.csv"]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("'data/w.csv'", r"trial.file\('data/w.csv'\): .*/data/w.csv is not there on .*; did you mean x.csv\?"),
        ("'data'", "data is a folder: name each file in it that is read"),
        ("'data/' + 'x.csv' * 1", None),
        ("'y' + '.csv'", None),
        ("['y.csv']", r"trial.file takes a path as text, trial.file\('data.csv'\); got \['y.csv'\]"),
    ],
)
def test_what_cannot_be_seen_is_refused(place, script, asked, words):
    apart = "script.py puts this name together while it runs, .*: write the name itself in the call, trial.file"
    text = SCRIPT.replace("from loading import labels", "labels = lambda _: torch.ones(2, 1)")
    place = script(text.replace('"data/x.csv"', asked))
    with pytest.raises(StudyError, match=words or apart):
        run(place, **SMALL)


def test_a_file_that_is_gone(place, tmp_path):
    """Since the comparison began, or on another machine; and when a row is trained again."""
    run(place, **SMALL)
    (tmp_path / "y.csv").rename(tmp_path / "z.csv")
    with sqlite3.connect("s.sqlite") as connection:
        ((key,),) = connection.execute("SELECT key FROM run ORDER BY key LIMIT 1").fetchall()
    connection.close()
    with pytest.raises(
        StudyError, match=r"can no longer be reproduced: script.py reads .*y.csv, which is not there on"
    ):
        rerun("s.sqlite", key, engine=Serial())
    (tmp_path / "z.csv").rename(tmp_path / "y.csv")

    plan = resolve(study(place, "sgd"))
    (tmp_path / "y.csv").unlink()
    with pytest.raises(StudyError, match=r"y.csv, which is not there on .*: every machine that trains must find it"):
        run_cell(plan.cell(plan.rules[0], 0, 0))


@pytest.mark.slow
def test_in_processes_of_their_own(place, workers):
    assert run(place, **SMALL, engine=workers).complete
