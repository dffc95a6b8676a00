import itertools
import os
import sqlite3
import textwrap

import pytest
from comparing import Kept, rows, run

import forked
from thalweg.study import Comparison, Finished, Phase, Started, StudyError, compare
from thalweg.study.run.engines import Serial

pytestmark = pytest.mark.usefixtures("in_a_folder_of_its_own")


@pytest.mark.slow
def test_processes_and_serial_find_the_same_to_the_bit(script, tmp_path, capfd):
    """On a task of one's own and a built-in one. What is printed in the processes reaches nobody."""
    own = script()
    loud = "def train(trial):\n    print('loud'); os.system('echo shell'); print('err', file=sys.stderr)\n"
    text = (tmp_path / "script.py").read_text().replace("def train(trial):\n", loud)
    (tmp_path / "script.py").write_text(f"import os, sys\n{text}")
    workers = Kept(2)
    found = [run(own, trials=1, seeds=2, store="own.sqlite", engine=workers)]
    found += [run("quadratic-deep", "sgd", trials=1, seeds=2, store="built-in.sqlite", engine=workers)]
    workers.let_go()
    assert capfd.readouterr() == ("", "")
    again = [run(own, trials=1, seeds=2, store="own, serial.sqlite")]
    again += [run("quadratic-deep", "sgd", trials=1, seeds=2, store="built-in, serial.sqlite")]
    for name, one, other in zip(("own", "built-in"), found, again, strict=True):
        assert rows(f"{name}.sqlite") == rows(f"{name}, serial.sqlite")
        assert one.complete
        assert one.verdict == other.verdict
        assert one.family == other.family
    assert found[1].metric.judgement == "test_loss"
    assert found[1].verdict.sentences[0].startswith("On quadratic-deep, ")
    assert found[1].provenance["packages"]["torch"]


def test_a_comparison_from_start_to_verdict(script):
    events = []
    found = run(script(), ("sgd:lr=0.001", "adam", "lion"), events=events)
    assert [row.contender for row in found.rows] == ["sgd:lr=0.001", "adam", "lion"]
    assert found.metric.judgement == "test_loss"
    assert not found.metric.higher_is_better
    assert "script.py:train" in found.verdict.sentences[0]
    for row in found.rows:
        assert len(row.trials) == len(row.best_after) == 3
        assert len(row.default_runs) == len(row.tuned_runs) == row.tuned.n == 3
        assert {run.seed for run in row.tuned_runs} == set(found.plan.fresh_seeds)
        assert row.winner_values == row.trials[row.winner_trial].values
        best = min(run.curves["valid_loss"].end() for run in row.trials.values())
        assert row.trials[row.winner_trial].curves["valid_loss"].end() == best
        # What as many random trials would be expected to give, which may miss what this search found.
        assert (
            best
            <= row.best_after[2]
            <= row.best_after[1]
            <= row.best_after[0]
            == row.trials[0].curves["valid_loss"].end()
        )
        assert row.step_seconds > 0 < row.seconds
    # A rule whose lr is fixed has nothing to search: its trials are one run, and its default wins.
    assert found.rows[0].winner_trial == 0
    assert [each.first for each in found.family.contrasts] == ["adam", "lion"]
    assert len(found.family.settings) == 3
    assert found.rows[0].step_ratio == 1
    assert isinstance(events[0], Started)
    assert events[0].done == 0
    assert [e.name for e in events if isinstance(e, Phase)] == ["search", "re-runs"]
    finished = [e for e in events if isinstance(e, Finished)]
    assert [e.done for e in finished] == list(range(1, len(finished) + 1))
    repeats = [row.repeated for row in found.rows]
    assert finished[-1].total == len(finished) == len(found.runs) + len(repeats)
    assert all(repeated.curves == row.trials[0].curves for repeated, row in zip(repeats, found.rows, strict=True))
    assert not any(row.unlike for row in found.rows)
    assert Comparison.load("s.sqlite") == found


def test_what_is_stored_is_not_run_again(script):
    task, events = script(), []
    first = run(task)
    again = run(task, events=events)
    assert not [e for e in events if isinstance(e, Finished)]
    assert first == again
    kept = rows("s.sqlite")
    more, events = run(task, trials=5, seeds=4, events=events), []
    assert set(kept) < set(rows("s.sqlite"))
    assert len(more.rows[0].trials) == 5
    assert more.rows[0].tuned.n == 4
    assert first.rows[1].trials == {k: more.rows[1].trials[k] for k in range(3)}


def test_the_order_of_runs_is_balanced(script):
    events = []
    run(script(), events=events)
    finished = [e.cell.called for e in events if isinstance(e, Finished)]
    assert finished[:6] == ["sgd", "adam"] * 3


def test_a_store_may_be_read_while_it_is_half_full(script):
    task, looks = script(), []

    def look(event):
        if isinstance(event, Finished):
            looks.append(Comparison.load("s.sqlite"))

    found = compare(task, ["sgd", "adam"], trials=3, seeds=2, store="s.sqlite", engine=Serial(), on_event=look)
    assert [look.missing for look in looks][:4] == [15, 14, 13, 12]
    assert all(earlier.missing > later.missing for earlier, later in itertools.pairwise(looks))
    assert looks[0].verdict.sentences[0].startswith("The comparison is not finished: 1 of 16 runs")
    assert looks[6].rows[0].winner_trial is not None
    assert looks[-1] == found


def test_an_interrupt_leaves_a_whole_store_and_goes_on(script):
    task = script()

    def stop(event):
        if isinstance(event, Finished) and event.done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare(task, ["sgd", "adam"], trials=3, seeds=3, store="s.sqlite", engine=Serial(), on_event=stop)
    assert len(rows("s.sqlite")) == 4
    events = []
    run(task, events=events)
    assert events[0].done == 4


def test_diverged_runs_count_and_are_told(script):
    task = script()
    # A rate at which Adam's neighbour overflows in the three epochs, whatever the seed.
    found = run(task, ("sgd:lr=1e30", "adam"))
    row = found.rows[0]
    assert row.diverged == 4
    assert row.tuned_lost == row.default_lost == 3
    starts = [run.curves["test_loss"].values[0] for run in row.tuned_runs]
    assert list(row.tuned.values) == starts
    said = str(found.verdict)
    assert "Runs that failed: 3 of 3 of SGD (lr=1e+30) (29% to 100%) and none of 3 of Adam" in said
    assert "each counts with its value before training" in said


def test_all_diverged_is_no_verdict(script):
    found = run(script(), ("sgd:lr=1e30", "sgd:lr=1e31"))
    assert "Nothing to compare" in found.verdict.sentences[0]


FAILS_LATER = """
    import torch

    def train(trial):
        m = torch.nn.Linear(2, 1)
        o = trial.optimizer(m)
        for _ in trial.epochs(2):
            (m(torch.ones(1, 2)) ** 2).sum().backward()
            o.step()
            if o.param_groups[0]["lr"] > BOUND:
                raise RuntimeError("too fast")
            trial.report(valid_loss=(m(torch.ones(1, 2)) ** 2).sum())
"""


def test_a_failure_after_the_first_is_a_result(script):
    found = run(script(FAILS_LATER.replace("BOUND", "0.0015")), ("adam",), trials=4)
    assert found.complete
    failed = [run for run in found.runs if run.status == "failed"]
    assert failed
    assert failed[0].message == "RuntimeError: too fast (script.py:11)"
    assert found.rows[0].failed == len(failed)
    assert found.metric.judged_on == "valid"
    assert "reports no test value" in str(found.verdict)


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
        if o.param_groups[0]["lr"] != 1e-3 and os.path.exists("deadly"):
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_a_run_whose_process_died_is_trained_again_by_the_next_call(script, tmp_path, workers):
    task, events = script(DIES.replace('"deadly"', repr(str(tmp_path / "deadly")))), []
    (tmp_path / "deadly").touch()
    found = run(task, ("adam",), trials=2, engine=workers)
    assert [r.status for r in found.rows[0].trials.values()] == ["done", "died"]
    assert found.rows[0].failed == 1
    assert found.complete
    assert "its process died, twice (SIGKILL)" in found.rows[0].trials[1].message
    assert Comparison.load("s.sqlite") == found
    (tmp_path / "deadly").unlink()
    again = run(task, ("adam",), trials=2, engine=workers, events=events)
    trained = [e.cell.trial for e in events if isinstance(e, Finished) and found.plan.is_search(e.cell)]
    assert trained == [1]
    assert [r.status for r in again.rows[0].trials.values()] == ["done"] * 2
    assert Comparison.load("s.sqlite") == again


def test_a_stored_comparison_knows_that_it_is_whole(script):
    task, events = script(), []
    # A default that nothing beats: fewer runs than a comparison plans with.
    run(task, ("sgd:lr=0.01",))
    run(task, ("sgd:lr=0.01",), events=events)
    assert (events[0].done, events[0].total) == (5, 5)


def test_a_failure_at_the_first_stops_the_comparison_and_is_not_kept(script):
    task = script(FAILS_LATER.replace("BOUND", "0"))
    with pytest.raises(StudyError, match=r"first training of script.py:train .* failed.*too fast \(script.py:11\)"):
        run(task)
    assert rows("s.sqlite") == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def training(trial): pass", "has no function 'train'; did you mean training? Functions in it: training."),
        ("train = 3", "train in script.py is not a function"),
        ("import nothing_of_this_name", "importing script.py failed: ModuleNotFoundError: No module named"),
        (
            "import torch\n\nget_ipython().run_line_magic('matplotlib', 'inline')",
            "it is a notebook's export and calls get_ipython(), which only notebooks have: remove the lines with it "
            "(script.py:3)",
        ),
        ("import sys; sys.exit('bye')", "importing script.py failed: SystemExit: bye (script.py:1)"),
        ("def train(trial:", "script.py:1 is not valid Python"),
    ],
)  # fmt: skip
def test_a_script_without_train_is_refused_before_anything_is_trained(script, text, words):
    task, events = script(text), []
    with pytest.raises(StudyError) as caught:
        run(task, events=events)
    assert words in str(caught.value)
    assert events == []


def test_a_script_that_starts_a_comparison_when_imported_is_refused(script, tmp_path):
    text = "from thalweg.study import compare\ndef train(trial): pass\ncompare('script.py:train', 'adam')\n"
    with pytest.raises(StudyError, match="__main__"):
        run(script(text))


def test_an_unknown_metric_is_refused_after_the_first_run(script):
    with pytest.raises(StudyError, match="no metric valid_f1 is reported; validation metrics at hand: loss"):
        run(script(), metric="f1")


def test_the_default_store_is_named_after_the_task(script, tmp_path):
    found = compare(script(), "adam", trials=1, seeds=2, engine=Serial())
    assert found.path == tmp_path / "thalweg-script-train.sqlite"
    assert found.path.exists()


MAIN = """
from thalweg.formula import Hyper, Rule, log_uniform
from thalweg.study import compare

class Mine(Rule):
    lr = Hyper(0.1, log_uniform(1e-3, 1.0))

    @staticmethod
    def step(g, lr):
        return lr * g

if __name__ == "__main__":
    found = compare(TASK, ["adam", Mine], trials=2, seeds=2, workers=1)
    print(found.rows[1].contender, found.complete, found.rows[1].failed)
"""


@pytest.mark.slow
def test_a_rule_of_the_script_that_is_run_reaches_the_workers(script, tmp_path):
    place = tmp_path / "main.py"
    place.write_text(MAIN.replace("TASK", repr(script())))
    ended = forked.script(place)
    assert (ended.stdout, ended.stderr) == ("Mine True 0\n", "")
    place.write_text(place.read_text().replace('if __name__ == "__main__":', "if True:"))
    assert "main.py starts a comparison while it is being imported" in forked.script(place).stderr


def stored(store):
    if not os.path.exists(store):
        return 0
    try:
        connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
        try:
            return connection.execute("SELECT count(*) FROM run").fetchone()[0]
        finally:
            connection.close()
    except sqlite3.OperationalError:
        return 0


def test_a_rule_with_nothing_to_search_is_said_not_to_be_tuned(script, tmp_path):
    text = """
        from thalweg.formula import Hyper, Rule

        class Plain(Rule):
            lr = Hyper(0.01)

            @staticmethod
            def step(g, lr):
                return lr * g
    """
    path = tmp_path / "plain.py"
    path.write_text(textwrap.dedent(text))
    found = run(script(), ("sgd", f"{path}:Plain"))
    said = " ".join(found.verdict.sentences)
    assert "Plain: nothing to search, so it ran with its values as given, not tuned." in said
    assert "For Plain no trial" not in said
    assert "Plain" not in " ".join(run(script(), ("sgd",), store="alone.sqlite").verdict.sentences)
