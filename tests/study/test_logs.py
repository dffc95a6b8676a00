"""What went wrong is kept: the traceback and the last lines of output of each run."""

import sqlite3

import pytest
from comparing import run

import thalweg
from thalweg.cli import main
from thalweg.study import Comparison
from thalweg.study.keep.merge import merge
from thalweg.study.run.rerun import kept

pytestmark = pytest.mark.usefixtures("in_a_folder_of_its_own")

SCRIPT = """
import sys
import torch


def train(trial):
    model = torch.nn.Linear(2, 1)
    optimizer = trial.optimizer(model)
    trial.report(valid_loss=1.0, test_loss=1.0)
    for epoch in trial.epochs(2):
        loss = model(torch.ones(2)).square().sum()
        loss.backward()
        optimizer.step()
        print("epoch", epoch, "of a run", flush=False)
        print("aside", file=sys.stderr)
        if optimizer.param_groups[0]["lr"] != 0.001:
            broken(epoch)
        trial.report(valid_loss=loss, test_loss=loss)


def broken(epoch):
    raise ValueError(f"nothing works in epoch {epoch}")
"""


@pytest.mark.slow
def test_of_workers(script, tmp_path, capsys, workers):
    found = run(script(SCRIPT), ("adamw",), trials=2, seeds=2, engine=workers)
    default, failed = found.rows[0].trials.values()
    assert default.log.splitlines() == ["epoch 0 of a run", "aside", "epoch 1 of a run", "aside"] or sorted(
        default.log.splitlines()
    ) == ["aside", "aside", "epoch 0 of a run", "epoch 1 of a run"]
    assert failed.status == "failed"
    trace, _, printed = failed.log.partition("\n\n")
    assert trace.startswith("Traceback (most recent call last):\n")
    assert "broken(epoch)" in trace
    assert trace.endswith("ValueError: nothing works in epoch 0")
    assert "thalweg" not in trace  # from the script on
    assert sorted(printed.splitlines()) == ["aside", "epoch 0 of a run"]
    capsys.readouterr()
    assert main(["rerun", "s.sqlite", failed.key[:8], "--show"]) == 0
    shown = capsys.readouterr().out
    assert "trial 1, seed" in shown
    assert failed.log in shown
    page = tmp_path / "page.html"
    assert main(["report", "s.sqlite", "--out", str(page)]) == 0
    assert "nothing works in epoch 0" in page.read_text().partition("Traceback and output")[2]
    # Stores that are put together have them too.
    merge("both.sqlite", "s.sqlite")
    assert [each.log for each in Comparison.load("both.sqlite").rows[0].trials.values()] == [default.log, failed.log]


def test_stores_of_before_have_none(script):
    found = run(script(), ("adamw",))
    with sqlite3.connect("s.sqlite") as connection:
        connection.execute("DROP TABLE log")
    connection.close()
    assert Comparison.load("s.sqlite").rows[0].trials == found.rows[0].trials
    assert kept("s.sqlite", found.rows[0].trials[0].key)[1] == "It left no traceback, and printed nothing."
    assert run(script(), ("adamw",), trials=4).complete


def test_of_one_training(script, capsys):
    made = thalweg.train(script(SCRIPT), "adamw", lr=0.1)
    assert made.traceback.endswith("ValueError: nothing works in epoch 0")
    capsys.readouterr()
    assert main(["train", script(SCRIPT), "adamw:lr=0.1"]) == 1
    assert made.traceback in capsys.readouterr().err
