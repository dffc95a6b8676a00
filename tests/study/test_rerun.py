import json
import os
import re
import sqlite3
import textwrap
from dataclasses import replace

import pytest
from comparing import rows, run, run_of

from thalweg.cpu import cpu_name
from thalweg.study import Comparison, StudyError
from thalweg.study.ask.spec import resolve, study
from thalweg.study.keep.store import open_store
from thalweg.study.model.cells import Curve, Run
from thalweg.study.model.same import differences
from thalweg.study.run.engines import LocalProcesses, Serial
from thalweg.study.run.rerun import rerun

pytestmark = pytest.mark.usefixtures("in_a_folder_of_its_own")


def refusal(row, store="s.sqlite", engine=None):
    with pytest.raises(StudyError) as caught:
        rerun(store, row, engine=engine or Serial())
    return str(caught.value)


def change(store, statement, *values):
    with sqlite3.connect(store) as connection:
        connection.execute(statement, values)
    connection.close()


@pytest.mark.slow
def test_a_row_comes_out_the_same_in_a_worker_and_the_store_stays_as_it_is(script, tmp_path):
    found = run(script(), ("adam",))
    before = (tmp_path / "s.sqlite").read_bytes()
    chosen = found.rows[0].tuned_runs[1]
    again = rerun("s.sqlite", chosen.key[:12])
    assert again.stored == chosen
    assert again.same
    assert again.differences == ()
    assert again.elsewhere == ""
    assert again.new == replace(
        chosen, seconds=again.new.seconds, step_seconds=again.new.step_seconds, host=again.new.host
    )
    assert again.new.seconds != chosen.seconds
    assert again.sentences[0].endswith(
        f"seed {chosen.seed} (row {chosen.key[:12]}), trained again: the same, to the last bit."
    )
    assert (tmp_path / "s.sqlite").read_bytes() == before
    assert [f.name for f in tmp_path.iterdir() if f.name.startswith("s.sqlite")] == ["s.sqlite"]


ENDS = """
    import torch

    def train(trial):
        width = trial.options["width"]
        torch.manual_seed(trial.seed("init"))
        m = torch.nn.Linear(2, width)
        o = trial.optimizer(m)
        trial.report(valid_loss=(m(torch.ones(1, 2)) ** 2).sum())
        for _ in trial.epochs(3):
            o.zero_grad()
            (m(torch.ones(1, 2)) ** 2).sum().backward()
            o.step()
            trial.report(valid_loss=(m(torch.ones(1, 2)) ** 2).sum())
            if width == 3 and o.param_groups[0]["lr"] == 0.5:
                raise RuntimeError("width 3 does not do")
"""


def test_every_row_of_a_comparison_comes_out_the_same_however_it_ended(script, tmp_path):
    rules = ("sgd:lr=1e30", "adam", "sgd:lr=0.5")
    found = run(script(ENDS), rules, vary={"width": [2, 3]}, trials=2, seeds=2)
    assert {r.status for r in found.runs} == {"done", "diverged", "failed"}
    before = (tmp_path / "s.sqlite").read_bytes()
    for stored in found.runs:
        again = rerun("s.sqlite", stored.key.upper(), engine=Serial())
        assert again.stored == stored
        assert again.same, again.differences
    assert (tmp_path / "s.sqlite").read_bytes() == before


def test_settings_and_what_is_held_are_part_of_a_row(script):
    vary = {"schedule": ["none", "cosine"], "clip_norm": ["none", "0.1"]}
    found = run(script(), ("sgd",), vary=vary, trials=1, seeds=2, hold=["init"])
    every = [*found.runs, *(row.repeated for row in found.rows)]
    assert len({cell.called for cell, _ in found.trainings}) == 4
    for stored in every:
        again = rerun("s.sqlite", stored.key, engine=Serial())
        assert again.stored == stored
        assert again.same, again.differences


def test_a_row_of_an_earlier_comparison_in_the_store(script):
    task = script()
    old = run(task, ("sgd",))
    run(task, ("adam",), trials=4)
    assert rerun("s.sqlite", old.runs[1].key, engine=Serial()).same


def test_it_works_beside_a_writer(script, tmp_path):
    found = run(script(), ("sgd",))
    with open_store(tmp_path / "s.sqlite"):
        assert rerun("s.sqlite", found.runs[0].key, engine=Serial()).same


CHANCE = """
    import os, torch

    def train(trial):
        m = torch.nn.Linear(2, 1)
        o = trial.optimizer(m)
        trial.report(valid_loss=1.0, valid_error=2.0)
        for epoch in trial.epochs(3):
            m(torch.ones(1, 2)).sum().backward()
            o.step()
            noise = int.from_bytes(os.urandom(4)) / 2**33 if epoch else 0.0
            trial.report(valid_loss=1 + noise, valid_error=2.0)
"""


def test_what_depends_on_more_than_its_seed_is_told_with_all_digits(script):
    found = run(script(CHANCE), ("sgd",))
    again = rerun("s.sqlite", found.runs[0].key, engine=Serial())
    assert not again.same
    then, now = (r.curves["valid_loss"].values[2] for r in (again.stored, again.new))
    assert again.differences == (f"valid_loss, epoch 2: {then!r} stored, {now!r} now, and 1 later epoch differs",)
    assert "trained again: not the same." in again.sentences[0]
    assert again.differences[0] in again.sentences


def test_all_that_a_cell_determines_is_compared_to_the_last_bit():
    one = Run("k", 2, {"lr": 0.1}, "done", "", {"valid_loss": Curve((0, 1), (0.0, 0.3))}, 5, 8, 1.5, 1e-4, "h")
    assert differences(one, replace(one, seconds=9.0, step_seconds=None, host="else")) == ()

    def told(**changes):
        return differences(one, replace(one, **changes))

    assert told(status="failed", message="no") == (
        "status: 'done' stored, 'failed' now",
        "message: '' stored, 'no' now",
    )
    assert told(steps=6) == ("steps: 5 stored, 6 now",)
    assert told(state_bytes=0) == ("state_bytes: 8 stored, 0 now",)

    def curve(epochs, values):
        return told(curves={"valid_loss": Curve(epochs, values)})

    assert curve((0, 1), (-0.0, 0.3)) == ("valid_loss, epoch 0: 0.0 stored, -0.0 now",)
    assert curve((0, 1), (0.0, 0.1 + 0.2)) == ("valid_loss, epoch 1: 0.3 stored, 0.30000000000000004 now",)
    assert curve((0,), (0.0,)) == ("valid_loss, epoch 1: 0.3 stored, no value now",)
    assert told(curves={}) == ("valid_loss, epoch 0: 0.0 stored, no value now, and 1 later epoch differs",)


def test_which_row(script):
    found = run(script(), ("sgd",))
    keys = [each.key for each in found.runs]
    for bad in ("abc", "", "adam", keys[0] + "x", "12 4"):
        assert "the first digits of its key, at least 4 of 0-9 and a-f" in refusal(bad)
    other = keys[0][:11] + ("0" if keys[0][11] != "0" else "1")
    assert f"has no row {other}: it holds {len(rows('s.sqlite'))} rows; close is sgd, default, seed" in refusal(other)
    assert keys[0][:12] in refusal(other)
    assert "there is no store" in refusal("abcd", "nowhere.sqlite")


def test_a_beginning_of_two_rows_lists_them(tmp_path):
    plan = resolve(study("digits-mlp", ["adam", "sgd"], trials=4, seeds=2))
    seen = {}
    for seed in range(100_000):
        cell = plan.cell(plan.rules[seed % 2], seed % 4, seed)
        if (other := seen.setdefault(cell.key[:4], cell)) is not cell:
            break
    with open_store(tmp_path / "s.sqlite") as store:
        store.begin(plan, {})
        for each in (cell, other):
            store.add(each, run_of(each))
    said = refusal(cell.key[:4])
    assert said.startswith("2 rows of ")
    for each in (cell, other):
        words = "default" if each.trial == 0 else f"trial {each.trial}"
        assert f"{each.rule}, {words}, seed {each.seed} (row {each.key[:12]})" in said


def test_a_script_that_was_changed_or_is_gone(script, tmp_path):
    found = run(script(), ("sgd",))
    key, text = found.runs[0].key, (tmp_path / "script.py").read_text()
    (tmp_path / "script.py").write_text(text + "# more\n")
    said = refusal(key)
    assert "can no longer be reproduced: " in said
    assert "script.py was changed since" in said
    assert found.plan.task_hash[:12] in said
    (tmp_path / "script.py").unlink()
    assert "script.py is no longer there. Put it back" in refusal(key)
    (tmp_path / "script.py").write_text(text)
    assert rerun("s.sqlite", key, engine=Serial()).same


RULE = """
    from thalweg.formula import Hyper, Rule

    HELP = 1

    class Mine(Rule):
        lr = Hyper(0.01)

        @staticmethod
        def step(g, lr):
            return lr * g
"""


def test_a_rule_that_was_changed(script, tmp_path):
    path, text = tmp_path / "mine.py", textwrap.dedent(RULE)
    path.write_text(text)
    key = run(script(), (f"{path}:Mine",)).runs[0].key
    path.write_text(text.replace("return lr * g", "return 2 * lr * g"))
    assert re.search("the rule Mine was changed since .*was `return lr . g` and is `return 2 . lr . g`", refusal(key))
    path.write_text(text.replace("HELP = 1", "HELP = 2"))
    assert "its own text is the same, something else in its file is not" in refusal(key)
    path.unlink()
    assert re.search(r"can no longer be reproduced: .*there is no file .*mine\.py", refusal(key))


def test_other_versions_than_the_rows_are_refused_by_name(tmp_path):
    plan = resolve(study("digits-mlp", ["adam"], trials=1, seeds=2))
    old = replace(plan, versions={**plan.versions, "torch": "1.13.1"})
    (cell,) = old.search_cells()
    with open_store(tmp_path / "s.sqlite") as store:
        store.begin(old, {})
        store.add(cell, run_of(cell))
        store.begin(plan, {})
    said = refusal(cell.key)
    assert f"it was computed with torch 1.13.1, and here is torch {plan.versions['torch']}" in said


def test_a_task_of_another_version_is_refused(tmp_path):
    plan = resolve(study("digits-mlp", ["adam"], trials=1, seeds=2))
    old = replace(plan, task_hash="version 0")
    (cell,) = old.search_cells()
    with open_store(tmp_path / "s.sqlite") as store:
        store.begin(old, {})
        store.add(cell, run_of(cell))
    assert f"the task was version 0 then, and is {plan.task_hash} now" in refusal(cell.key)


def test_a_row_whose_process_died_has_nothing_to_compare_with(tmp_path):
    plan = resolve(study("digits-mlp", ["adam"], trials=1, seeds=2))
    (cell,) = plan.search_cells()
    with open_store(tmp_path / "s.sqlite") as store:
        store.begin(plan, {})
        store.add(cell, Run(cell.key, cell.seed, cell.values, "died", "its process died, twice (SIGKILL)"))
    said = refusal(cell.key)
    assert "has no result to compare with: its process died, twice (SIGKILL)" in said
    assert "trains it again" in said


def test_another_processor_is_said_to_be_one(script):
    found = run(script(), ("sgd",))
    provenance = json.dumps({**found.provenance, "cpu": "Babbage 1837"})
    change("s.sqlite", "UPDATE study SET provenance = ?", provenance)
    again = rerun("s.sqlite", found.runs[0].key, engine=Serial())
    assert again.same
    words = f"computed on Babbage 1837, and this is {cpu_name()}: bits may differ between processors."
    assert again.elsewhere.endswith(words)
    assert again.elsewhere in again.sentences
    # A machine on which no comparison was started, such as one of a cluster.
    change("s.sqlite", "UPDATE run SET host = 'node7'")
    assert (
        "computed on node7, whose processor is not known"
        in rerun("s.sqlite", found.runs[0].key, engine=Serial()).elsewhere
    )


def test_a_store_of_a_newer_version_is_refused(script):
    key = run(script(), ("sgd",)).runs[0].key
    change("s.sqlite", "PRAGMA user_version = 99")
    assert "written by a newer thalweg (format 99" in refusal(key)


DIES = """
    import os, signal
    import torch

    def train(trial):
        m = torch.nn.Linear(2, 1)
        o = trial.optimizer(m)
        for _ in trial.epochs(2):
            (m(torch.ones(1, 2)) ** 2).sum().backward()
            o.step()
            trial.report(valid_loss=(m(torch.ones(1, 2)) ** 2).sum())
        if os.path.exists("DEADLY"):
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_a_crash_takes_nothing_with_it_and_is_told(script, tmp_path):
    found = run(script(DIES.replace("DEADLY", str(tmp_path / "deadly"))), ("sgd",))
    (tmp_path / "deadly").touch()
    said = refusal(found.runs[0].key, engine=LocalProcesses(1))
    assert "could not be trained again: its process died, twice (SIGKILL)" in said
    assert said.endswith("Stored is that it was done")
    assert Comparison.load("s.sqlite") == found
    assert os.path.exists("deadly")
