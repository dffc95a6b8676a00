"""A study goes on with the design and the budget that it began with, and uses all of its runs."""

import sqlite3
from pathlib import Path

import pytest
from comparing import begin_before, rows, run

from thalweg.study import Comparison, Finished, Started, StudyError, run_study
from thalweg.study.ask.draws import uniform
from thalweg.study.ask.spec import study
from thalweg.study.model.cells import Curve, Run
from thalweg.study.run.engines import Serial

pytestmark = pytest.mark.usefixtures("in_a_folder_of_its_own")

KEPT = Path(__file__).parents[1] / "kept" / "0.1.0" / "study.store"


def trained(events):
    """What was trained, as (contender, trial, whether it was of the search)."""
    return [(e.cell.called, e.cell.trial, "split" in e.cell.held) for e in events if isinstance(e, Finished)]


class Invented(Serial):
    """Trainings that take no time: what comes of each follows from its key."""

    def map(self, function, items):
        for cells in items:
            yield cells, [self.run(cell) for cell in cells]

    def run(self, cell):
        end = int(cell.key[:8], 16) / 2**32
        curves = {name: Curve((0, 1), (2.0, end)) for name in ("valid_loss", "test_loss")}
        return Run(cell.key, cell.seed, cell.values, "done", curves=curves)


def test_more_trials_more_seeds_and_one_rule_more_use_every_run():
    def going_on(rules, **settings):
        events = []
        found = run("quadratic-deep", rules, engine=Invented(), events=events, **settings)
        return found, trained(events)

    two = ("sgd", "adam")
    first, new = going_on(two, trials=17, seeds=2)
    assert [(rule, k) for rule, k, search in new if search][:4] == [("sgd", 0), ("adam", 0), ("sgd", 1), ("adam", 1)]
    for trials in (33, 65):
        before = {*rows("s.sqlite")}
        found, new = going_on(two, trials=trials, seeds=2)
        assert before < {*rows("s.sqlite")}
        assert found.plan.budgets == first.plan.budgets == (5,)
        assert [*found.plan.rules[0].searched] == ["lr"]
        of_search = [(rule, k) for rule, k, search in new if search]
        assert of_search == [(rule, k) for k in range((trials + 1) // 2, trials) for rule in two]
        # And of the re-runs, those of trials that were not trained again before.
        assert len(new) == len({*rows("s.sqlite")} - before)
    more, new = going_on(two, trials=65, seeds=3)
    assert not any(search for _, _, search in new)
    assert len(new) == sum(len(row.again) for row in more.rows)
    assert {run.seed for row in more.rows for runs in row.again.values() for run in runs} == {*more.plan.fresh_seeds}
    _, new = going_on((*two, "lion"), trials=65, seeds=3)
    assert {rule for rule, _, _ in new} == {"lion"}
    assert found.rows[0].trials.items() >= first.rows[0].trials.items()
    assert going_on(two, trials=17, seeds=2)[1] == []


def test_trials_are_rounded_up_and_that_is_said_once(script):
    for trials, rounded in ((4, (4, 5)), (5, None)):
        events = []
        run(script(), trials=trials, seeds=2, events=events, store=f"{trials}.sqlite")
        assert [e.rounded for e in events if isinstance(e, Started)] == [rounded]
    events = []
    run(script(), trials=4, minutes=0.001, seeds=2, events=events, store="minutes.sqlite")
    assert events[0].rounded is None


def test_another_budget_is_refused_with_what_to_do(script):
    task = script()
    run(task, ("sgd",), trials=9, seeds=2, budget=2)
    kept = rows("s.sqlite")
    for settings, words in (
        ({"trials": 17, "budget": 5}, "judges searches of 2 trials, and goes on with that, so that its runs are used"),
        ({"trials": 33, "budget": 10}, "leave budget out, or name another store for this"),
    ):
        with pytest.raises(StudyError) as raised:
            run(task, ("sgd",), seeds=2, **settings)
        assert words in str(raised.value)
    assert rows("s.sqlite") == kept
    assert run(task, ("sgd",), trials=17, seeds=2).plan.budgets == (2,)
    assert run(task, ("sgd",), trials=17, seeds=2, budget=2).plan.budgets == (2,)
    # With fewer trials than it takes nothing is judged, and the budget is kept.
    few = run(task, ("sgd",), trials=3, seeds=2)
    assert (few.plan.budgets, few.searches) == ((2,), None)
    assert run(task, ("sgd",), trials=9, seeds=2).searches.trials == {"sgd": 2}
    # A study that was too small for a budget gets one when it grows, but not one with another box.
    run(task, ("adam",), "small.sqlite", trials=3, seeds=2)
    with pytest.raises(StudyError, match="judges no searches"):
        run(task, ("adam",), "small.sqlite", trials=33, seeds=2, budget=10)
    assert run(task, ("adam",), "small.sqlite", trials=9, seeds=2).plan.budgets == (4,)
    assert run(task, ("adam",), "small.sqlite", trials=17, seeds=2).plan.budgets == (4,)


def test_minutes_do_not_change_what_is_searched(script):
    task, events = script(), []
    found = run(task, ("adam",), trials=33, seeds=2, budget=10)
    timed = run(task, ("adam",), trials=33, seeds=2, minutes=60.0, events=events)
    assert not any(search for _, _, search in trained(events))
    assert [*timed.plan.rules[0].searched] == ["lr", "beta1"]
    assert timed.searches.trials == {"adam": 11}
    again = run(task, ("adam",), trials=33, seeds=2)
    assert (again.plan, again.rows) == (found.plan, found.rows)


def test_what_is_refused_leaves_no_store(script):
    with pytest.raises(StudyError, match="no rule 'sdg'"):
        run(script(), ("sdg",))
    assert not Path("s.sqlite").exists()


def test_a_study_of_design_1_goes_on_in_it(script):
    """Independent draws, as many trials as are asked for, a third of them judged, one seed, no split, the old box."""
    task = script()
    begin_before(task, ["sgd", "adam"], trials=6)
    six = run(task, trials=6)
    assert (six.plan.design, six.plan.budgets, six.plan.search_seeds) == (1, (2,), ())
    kept, events = rows("s.sqlite"), []
    found = run(task, trials=10, events=events)
    assert {*kept} <= {*rows("s.sqlite")}
    assert (found.plan.trials, found.plan.budgets) == (10, (3,))
    adam = found.plan.rules[1]
    assert [*adam.searched] == ["lr", "beta1"]
    assert adam.places == ()
    lr = float(adam.trials[7]["lr"])
    assert lr == pytest.approx(1e-5 * 1e4 ** uniform(0, 7, "lr"))
    assert {e.cell.seed for e in events if isinstance(e, Finished)} <= {found.plan.tuning_seed, *found.plan.fresh_seeds}
    assert not any(e.cell.splits or e.cell.held for e in events if isinstance(e, Finished))
    with pytest.raises(StudyError, match="judges searches of 3 trials"):
        run(task, trials=10, budget=5)


def test_a_store_of_0_1_0_goes_on(tmp_path, monkeypatch):
    """Under the versions that it was made with, nothing is trained again: all its runs are used."""
    store = tmp_path / "study.sqlite"
    store.write_bytes(KEPT.read_bytes())
    before = Comparison.load(store)
    monkeypatch.setattr("thalweg.study.ask.spec.installed", before.plan.versions.__getitem__)
    asked = study("quadratic-deep", ["sgd", "adamw"], trials=3, seeds=2)
    hashes = {rule.label: rule.hash for rule in before.plan.rules}
    events = []
    again = run_study(asked, store=store, engine=Serial(), on_event=events.append).only
    now = {rule.label: rule.hash for rule in again.plan.rules}
    same = [label for label in hashes if now[label] == hashes[label]]
    assert again.plan.design == 1
    assert again.plan.rules[0].trials == before.plan.rules[0].trials
    assert {e.cell.called for e in events if isinstance(e, Finished)} == {*hashes} - {*same}
    with sqlite3.connect(store) as connection:
        assert connection.execute("SELECT count(*) FROM run").fetchone()[0] >= len(before.runs)
    connection.close()
