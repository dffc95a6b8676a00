"""Pools, budgets and minutes; several tasks; what is said of procedures."""

import pytest
from comparing import rows, run

from thalweg.stats.pool import to_rerun, winning
from thalweg.study import Finished, Suite, compare
from thalweg.study.ask.spec import resolve, study
from thalweg.study.judge.across import across
from thalweg.study.judge.judging import to_train_again
from thalweg.study.judge.select import ranking
from thalweg.study.model.cells import Curve, Run
from thalweg.study.model.metric import Metric
from thalweg.study.run.engines import Serial

pytestmark = pytest.mark.usefixtures("in_a_folder_of_its_own")


def test_the_budget_is_that_of_the_study_and_trials_are_rounded_up():
    def planned(**settings):
        plan = resolve(study("quadratic-deep", "adam", **settings))
        return plan.trials, plan.budgets, [*plan.rules[0].searched]

    assert planned() == (33, (5,), ["lr"])
    asked = (1, 2, 3, 4, 5, 6, 9, 10, 17, 18, 33, 34, 65, 66)
    assert [planned(trials=n)[0] for n in asked] == [1, 2, 3, 5, 5, 9, 9, 17, 17, 33, 33, 65, 65, 129]
    # The box follows from the budget alone.
    assert {(*budgets, *sides) for _, budgets, sides in (planned(trials=n) for n in (17, 33, 65, 129))} == {(5, "lr")}
    assert [planned(trials=n)[1] for n in (3, 5, 9, 17)] == [(), (), (4,), (5,)]
    assert planned(trials=9, budget=2) == (9, (2,), ["lr"])
    assert planned(trials=17, budget=8) == (17, (8,), ["lr"])
    assert planned(trials=25, budget=10) == (33, (10,), ["lr", "beta1"])
    assert planned(trials=65, budget=25) == (65, (25,), ["lr", "beta1", "beta2", "weight_decay"])
    assert planned(trials=40, minutes=1.0) == (40, (), ["lr"])
    given = resolve(study("quadratic-deep", "adam:weight_decay=1e-4..1e-2", trials=3))
    assert [*given.rules[0].searched] == ["lr", "weight_decay"]


def test_each_trial_has_a_seed_that_all_rules_share_and_the_search_one_split():
    plan = resolve(study("quadratic-deep", ["sgd", "adam", "adam:lr=0.1"], trials=9, seeds=2, hold=("init",)))
    _, adam, fixed = plan.rules
    cells = {(cell.contender, cell.trial): cell for cell in plan.search_cells()}
    seeds = [cells["sgd", k].seed for k in range(9)]
    assert len(set(seeds)) == 9
    assert [cells["adam", k].seed for k in range(9)] == seeds == [*plan.search_seeds]
    held = {"init": plan.tuning_seed, "split": plan.tuning_seed}
    assert all(cell.held == held and cell.splits for cell in cells.values())
    assert all(cell.seed == seeds[0] and cell.held == held for cell in plan.repeat_cells())
    again = plan.fresh_cells({"sgd": (0, 3), "adam": (), "adam:lr=0.1": ()})
    assert all(cell.splits and cell.held == {"init": plan.tuning_seed} for cell in again)
    assert {cell.seed for cell in again}.isdisjoint(seeds)
    assert not any(map(plan.is_search, again))
    assert all(map(plan.is_search, cells.values()))
    # Where nothing is searched, all trials are the default, trained once.
    assert len({cells["adam:lr=0.1", k].key for k in range(9)}) == 1
    assert (len(adam.places), fixed.places) == (9, ())
    # In seeds as in draws, more trials begin with fewer, and another study has its own.
    assert resolve(study("quadratic-deep", "sgd", trials=17)).search_seeds[:9] == plan.search_seeds
    assert not {*resolve(study("quadratic-deep", "sgd", study_seed=1)).search_seeds} & {*seeds}


def test_what_can_win_is_trained_again_and_no_more(script):
    found = run(script(), ("sgd", "adam"), trials=9, seeds=3)
    metric = found.metric
    assert found.plan.budgets == (4,)
    for row in found.rows:
        ranked = ranking(tuple(row.trials.values()), metric)
        assert tuple(row.again) == to_rerun(ranked, (4,), even=True)
        assert ranked[0] == row.winner_trial
        assert winning(ranked, 4, even=True)[list(row.again)].sum() >= 0.95
        assert all([r.seed for r in runs] == list(found.plan.fresh_seeds) for runs in row.again.values())
    assert found.searches.trials == {"sgd": 4, "adam": 4}
    for label, mean in found.searches.means.items():
        row = next(row for row in found.rows if row.contender == label)
        wins = winning(ranking(tuple(row.trials.values()), metric), 4, even=True)
        ends = {
            k: sum(r.curves["test_loss"].values[-1] for r in row.again[k]) / 3
            if k in row.again
            else row.trials[k].curves["test_loss"].values[-1]
            for k in range(9)
        }
        assert mean.mean == pytest.approx(sum(wins[k] * ends[k] for k in range(9)))
    assert "each tuned by a random search of 4 trials" in found.verdict.answer
    assert any("The 9 trials of each are judged as searches of 4" in sentence for sentence in found.verdict.sentences)


def test_in_few_trials_only_default_and_winner_are_trained_again(script):
    found = run(script(), trials=5, seeds=2)
    assert found.searches is None
    assert all(len(row.again) <= 2 for row in found.rows)
    assert "of the settings found in 5 trials each" in found.verdict.answer


def planned(minutes=None, trials=9):
    return resolve(study("quadratic-deep", ["sgd", "adam"], trials=trials, seeds=2, minutes=minutes))


def fake(plan, rule, trial, seconds, value):
    cell = plan.search_cell(rule, trial)
    curves = {name: Curve((0, 1), (5.0, value)) for name in ("valid_loss", "test_loss")}
    return Run(cell.key, cell.seed, cell.values, "done", curves=curves, seconds=seconds)


def test_minutes_end_a_search_by_what_its_trainings_took():
    plan = planned(minutes=1.0)
    sgd, adam = plan.rules
    have = {}
    for rule, seconds in ((sgd, 10.0), (adam, 25.0)):
        for trial in range(9):
            found = fake(plan, rule, trial, seconds, float(trial + 1))
            have[found.key] = found
    again = to_train_again(plan, have)
    # Six trainings of 10 s begin within a minute, three of 25 s: a third of them is the budget.
    assert again["sgd"] == to_rerun(range(6), (2,), even=True)
    assert again["adam"] == to_rerun(range(3), (), even=True)


def test_a_study_in_minutes_runs_and_goes_on(script):
    events = []
    found = run(script(), trials=40, seeds=2, minutes=0.002, events=events)
    assert found.complete
    assert min(len(row.trials) for row in found.rows) >= 1
    assert max(len(row.trials) for row in found.rows) < 40
    for row in found.rows:
        assert sum(r.seconds for r in [*row.trials.values()][:-1]) < 0.12
    assert "minutes" in found.verdict.answer or found.searches is None
    before, events = rows("s.sqlite"), []
    assert run(script(), trials=40, seeds=2, minutes=0.002, events=events) == found
    assert not [e for e in events if isinstance(e, Finished)]
    assert rows("s.sqlite") == before


def test_several_tasks_are_one_suite(script):
    one, other = script(), script(name="other.py")
    events = []
    found = compare(
        [one, other], ["sgd", "adam"], trials=3, seeds=2, store="suite.sqlite", engine=Serial(), on_event=events.append
    )
    assert isinstance(found, Suite)
    assert [c.plan.task for c in found.comparisons] == ["script.py:train", "other.py:train"]
    assert Suite.load("suite.sqlite") == found
    assert found.missing == 0
    assert found.across is not None
    assert found.across.sentences
    with pytest.raises(Exception, match=r"several tasks \(script.py:train, other.py:train\)"):
        _ = found.only
    # One of them alone may go on in the same store; a stranger may not.
    with pytest.raises(Exception, match="name another store"):
        run(script(name="third.py"), store="suite.sqlite")


def test_nothing_is_said_across_other_rules_or_one_task(script):
    a = run(script(), ("sgd", "adam"), store="a.sqlite", trials=1, seeds=2)
    b = run(script(), ("sgd", "lion"), store="b.sqlite", trials=1, seeds=2)
    assert across([a]) is None
    assert across([a, b]) is None


def test_ties_and_lost_trials_rank_as_the_winner_is_chosen():
    plan = planned()
    rule = plan.rules[0]
    runs = [fake(plan, rule, k, 1.0, value) for k, value in enumerate((2.0, 1.0, 1.0, 3.0))]
    assert ranking(runs, Metric("loss", False)) == (1, 2, 0, 3)
