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


def test_the_default_budget_is_a_third_of_the_pool():
    def budgets(**settings):
        return resolve(study("quadratic-deep", "sgd", **settings)).budgets

    assert budgets(trials=75) == (25,)
    assert budgets(trials=25) == (8,)
    assert budgets(trials=5) == ()
    assert budgets(trials=75, budgets=(25, 5)) == (5, 25)
    assert budgets(trials=75, budgets=()) == ()
    assert budgets(trials=75, minutes=1.0) == ()


def test_what_can_win_is_trained_again_and_no_more(script):
    found = run(script(), ("sgd", "adam"), trials=9, seeds=3)
    metric = found.metric
    assert found.plan.budgets == (3,)
    for row in found.rows:
        ranked = ranking(tuple(row.trials.values()), metric)
        assert tuple(row.again) == to_rerun(ranked, (3,))
        assert ranked[0] == row.winner_trial
        assert winning(ranked, 3)[list(row.again)].sum() >= 0.95
        assert all([r.seed for r in runs] == list(found.plan.fresh_seeds) for runs in row.again.values())
    (at_three,) = found.procedures
    assert at_three.trials == {"sgd": 3, "adam": 3}
    for label, mean in at_three.means.items():
        row = next(row for row in found.rows if row.contender == label)
        wins = winning(ranking(tuple(row.trials.values()), metric), 3)
        ends = {
            k: sum(r.curves["test_loss"].values[-1] for r in row.again[k]) / 3
            if k in row.again
            else row.trials[k].curves["test_loss"].values[-1]
            for k in range(9)
        }
        assert mean.mean == pytest.approx(sum(wins[k] * ends[k] for k in range(9)))
    assert "tuned with 3 trials each" in found.verdict.sentences[0]
    assert any(s.startswith("Of the configurations found in all 9 trials") for s in found.verdict.sentences)
    assert any("Noise floor" in s for s in found.verdict.sentences)
    assert any("Going over from SGD to Adam" in s for s in found.verdict.sentences)


def test_without_a_budget_only_default_and_winner_are_trained_again(script):
    found = run(script(), trials=9, seeds=2, budgets=())
    assert found.procedures == ()
    assert all(len(row.again) <= 2 for row in found.rows)
    assert "after 9 trials each" in found.verdict.sentences[0]


def test_budgets_are_nested_in_one_pool(script):
    both = run(script(), trials=9, seeds=2, budgets=(2, 3))
    one = run(script(), store="one.sqlite", trials=9, seeds=2, budgets=(2,))
    assert [set(p.trials.values()) for p in both.procedures] == [{2}, {3}]
    assert {r.key for r in one.runs} <= {r.key for r in both.runs}
    assert one.runs


def planned(minutes=None, trials=9):
    return resolve(study("quadratic-deep", ["sgd", "adam"], trials=trials, seeds=2, minutes=minutes))


def fake(plan, rule, trial, seconds, value):
    cell = plan.cell(rule, trial, plan.tuning_seed)
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
    assert again["sgd"] == to_rerun(range(6), (2,))
    assert again["adam"] == to_rerun(range(3), ())


def test_a_study_in_minutes_runs_and_goes_on(script):
    events = []
    found = run(script(), trials=40, seeds=2, minutes=0.002, events=events)
    assert found.complete
    assert min(len(row.trials) for row in found.rows) >= 1
    assert max(len(row.trials) for row in found.rows) < 40
    for row in found.rows:
        assert sum(r.seconds for r in [*row.trials.values()][:-1]) < 0.12
    assert "minutes each" in found.verdict.sentences[0]
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
