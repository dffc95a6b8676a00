"""A script's own arguments: what stands after -- is in sys.argv, and part of what a result stands for."""

import json
import sqlite3

import msgspec
import pytest
from comparing import rows, run

from thalweg.cli import main
from thalweg.study import StudyError, train
from thalweg.study.ask.spec import resolve, study
from thalweg.study.model.plan import Plan
from thalweg.study.run.engines import Serial
from thalweg.study.run.lr_find import lr_find
from thalweg.study.run.rerun import rerun
from thalweg.view import commands

pytestmark = pytest.mark.usefixtures("in_a_folder_of_its_own")

PARSING = """
import argparse
import sys
import torch

IMPORTED = list(sys.argv)
parser = argparse.ArgumentParser()
parser.add_argument("--width", type=int, default=1)
parser.add_argument("--name", default="")
given = parser.parse_args()


def train(trial):
    assert IMPORTED == sys.argv == [__file__, *sys.argv[1:]]
    torch.manual_seed(trial.seed("init"))
    model = torch.nn.Linear(1, given.width)
    optimizer = trial.optimizer(model)
    for _ in trial.epochs(2):
        loss = model(torch.ones(1)).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        trial.report(valid_loss=loss, test_loss=loss, valid_width_score=given.width)
"""
SMALL = {"rules": ("sgd",), "trials": 1, "seeds": 2}
WIDE = ["--width", "3", "--name", "a b"]


@pytest.fixture
def place(script):
    return script(PARSING)


def widths(found):
    return {run.curves["valid_width_score"].values[-1] for run in found.rows[0].default_runs}


def test_a_training_finds_them(place):
    assert widths(run(place, **SMALL, arguments=WIDE)) == {3.0}
    assert widths(run(place, **SMALL, store="none.sqlite")) == {1.0}
    assert train(place, "sgd", arguments=WIDE).final["valid_width_score"] == 3.0


def test_other_arguments_are_other_results(place):
    """The same are there; and the keys of those who give none are what they were."""
    run(place, **SMALL, arguments=WIDE)
    events = []
    run(place, **SMALL, arguments=tuple(WIDE), events=events)
    assert events[0].done == events[0].total
    events = []
    assert widths(run(place, **SMALL, arguments=["--width", "2"], events=events)) == {2.0}
    assert events[0].done == 0
    plan = resolve(study(place, "sgd", trials=1))
    assert "arguments" not in plan.cell(plan.rules[0], 0, 0).identity()
    before = json.loads(msgspec.json.encode(plan))
    del before["arguments"]
    assert msgspec.convert(before, Plan) == plan


def test_a_row_is_trained_again_with_them(place):
    run(place, **SMALL, arguments=WIDE)
    with sqlite3.connect("s.sqlite") as connection:
        ((key,),) = connection.execute("SELECT key FROM run ORDER BY key LIMIT 1").fetchall()
    connection.close()
    assert rerun("s.sqlite", key, engine=Serial()).same


@pytest.mark.slow
def test_in_processes_of_their_own(place, workers):
    found = run(place, **SMALL, arguments=WIDE, engine=workers)
    assert widths(found) == {3.0}
    rates = lr_find(place, "sgd", points=4, seeds=1, arguments=WIDE, engine=workers)
    assert "-- --width 3 --name 'a b')" in rates.sentences[0]


def test_on_the_command_line(place, tmp_path, capsys):
    """A file of a study may have them too; what the page shows as the command makes the comparison again."""
    small = ["--trials", "1", "--seeds", "2", "--engine", "serial", "--json"]
    assert main(["compare", place, "-r", "sgd", *small, "--store", "s.sqlite", "--", *WIDE]) == 0
    (tmp_path / "study.toml").write_text(f'task = "{place}"\nrules = ["sgd"]\narguments = {json.dumps(WIDE)}\n')
    assert main(["compare", "study.toml", *small, "--store", "t.sqlite"]) == 0
    assert rows("s.sqlite") == rows("t.sqlite")
    assert main(["compare", "study.toml", *small, "--store", "u.sqlite", "--", "--width", "2"]) == 0
    assert rows("s.sqlite") != rows("u.sqlite")
    plan = resolve(study(place, "sgd", arguments=WIDE))
    assert commands.again([plan], None).endswith(" -- --width 3 --name 'a b'")
    capsys.readouterr()
    assert main(["train", place, "sgd", "--json", "--", *WIDE]) == 0
    assert '"valid_width_score"' in capsys.readouterr().out
    few = ["--points", "4", "--seeds", "1", "--engine", "serial"]
    assert main(["lr-find", place, "sgd", *few, "--", *WIDE]) == 0
    # Without the dashes a word is nobody's.
    assert main(["compare", place, "-r", "sgd", "adamw", *small]) == 2


def test_what_argparse_says_is_one_sentence(place):
    with pytest.raises(StudyError, match=r"argparse at script.py:10 says: unrecognized arguments: --wide 3\. What it"):
        run(place, **SMALL, arguments=["--wide", "3"])
    found = train(place, "sgd", arguments=["--width"])
    assert "says: argument --width: expected one argument. What it parses stands after --" in found.message
    assert "printed a text and ended it" in train(place, "sgd", arguments=["--help"]).message


def test_arguments_that_need_not_be_given(script):
    needs = PARSING.replace("default=1", "required=True")
    with pytest.raises(StudyError, match=r"the following arguments are required: --width\. .* may be left out"):
        run(script(needs), **SMALL)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("--width 3", r"arguments is a list of words, such as \['--epochs', '5'\]; got '--width 3'"),
        (["--width", 3], "arguments are words, as a command line has them: write '3', not 3"),
        (["\udcff"], "arguments are words of text"),
    ],
)
def test_arguments_are_words(place, given, words):
    for ask in (lambda: run(place, **SMALL, arguments=given), lambda: train(place, "sgd", arguments=given)):
        with pytest.raises(StudyError, match=words):
            ask()


def test_only_a_script_reads_arguments():
    words = "the task digits-mlp comes with thalweg and reads no arguments: leave --width 3 out"
    for ask in (run, train, lr_find):
        with pytest.raises(StudyError, match=words):
            ask("digits-mlp", "sgd", arguments=["--width", "3"])
    with pytest.raises(StudyError, match="is a function that is called as it is and reads no arguments"):
        train(lambda trial: None, "sgd", arguments=["--width", "3"])
