"""What a comparison answers, of trainings that were not done: what each gives is written down here."""

import math
import re
from pathlib import Path
from random import Random

import pytest
from comparing import run

from thalweg.cli import main
from thalweg.stats.pool import winning
from thalweg.stats.scale import Scale
from thalweg.study import Comparison, Finished, StudyError, compare
from thalweg.study.ask.spec import resolve, study
from thalweg.study.judge.mattering import check_target, matters_of
from thalweg.study.judge.notices import stands_alone
from thalweg.study.model.cells import Curve, Run
from thalweg.study.model.metric import Metric
from thalweg.study.run.engines import Serial

pytestmark = pytest.mark.usefixtures("in_a_folder_of_its_own")

KEPT = Path(__file__).parents[1] / "kept" / "0.1.0" / "study.store"
TASK = "quadratic-deep"


class Written(Serial):
    """Trainings that take no time: ``end(cell)`` is the metric at the end, on validation and test; None: it failed."""

    def __init__(self, end, metric="accuracy", before=0.1, **declared):
        super().__init__()
        self.end, self.metric, self.before, self.declared = end, metric, before, declared

    def map(self, function, items):
        for cells in items:
            yield cells, [self.run(cell) for cell in cells]

    def run(self, cell):
        end = self.end(cell)
        values = (self.before,) if end is None else (self.before, end)
        curves = {
            f"{split}_{self.metric}": Curve(tuple(range(len(values))), values, **self.declared)
            for split in ("valid", "test")
        }
        status, message = ("failed", "RuntimeError: no") if end is None else ("done", "")
        return Run(cell.key, cell.seed, cell.values, status, message, curves, seconds=1.0)


def luck(cell, *about):
    """A normal number that belongs to the seed and to what is named."""
    return Random(f"{cell.seed}/{about}").gauss(0, 1)


def compared(end, rules=("sgd", "adam"), metric="accuracy", before=0.1, declared=None, **settings):
    engine = Written(end, metric, before, **(declared or {}))
    return run(TASK, rules, engine=engine, **{"trials": 1, "seeds": 5, "metric": metric, **settings})


def flat(cell):
    return 0.9 + 0.01 * luck(cell, cell.called)


# -- against


def test_the_others_are_compared_with_the_one_that_is_named():
    rules = ("sgd", "adam", "lion", "rmsprop")
    first = compared(flat, rules)
    assert (first.family.reference, len(first.family.contrasts)) == ("sgd", 3)
    named = compared(flat, rules, against="lion")
    assert named.family.reference == "lion"
    assert [each.first for each in named.family.contrasts] == ["sgd", "adam", "rmsprop"]
    assert {each.second for each in named.family.contrasts} == {"lion"}
    assert "from Lion" in named.verdict.answer
    # The differences are those between the two, whichever is named.
    back = next(each for each in first.family.contrasts if each.first == "lion").interval
    forth = next(each for each in named.family.contrasts if each.first == "sgd").interval
    assert forth.mean == pytest.approx(-back.mean)


def test_what_is_no_label_is_refused_with_the_labels(capsys):
    with pytest.raises(StudyError, match="one of sgd, adam; got 'adamw'"):
        resolve(study(TASK, ["sgd", "adam"], against="adamw"))
    assert main(["compare", TASK, "-r", "sgd,adam", "--against", "adamw", "--engine", "serial"]) == 2
    assert "against is the label of the one that the others are compared with" in capsys.readouterr().err
    assert not [*Path().glob("*.sqlite")]
    varied = study(TASK, "sgd", vary={"instance": [1, 2]}, against="instance=2")
    assert resolve(varied).against == "instance=2"


# -- matters


def test_what_matters_is_a_ratio_where_errors_are_compared():
    events = []
    with pytest.raises(StudyError, match=r"what matters is a ratio above 1, such as 1\.25; got 0\.01"):
        compared(flat, declared={"tests": 500}, matters=0.01, events=events)
    assert sum(isinstance(event, Finished) for event in events) <= 1  # before anything more is trained
    with pytest.raises(StudyError, match="does not say how many test examples there are"):
        compared(flat, store="plain.sqlite", matters=1.25)
    for wrong in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(StudyError, match="the smallest difference that matters, a number above 0"):
            study(TASK, ["sgd"], matters=wrong)


def test_fewer_than_two_test_examples_never_matter():
    """2 errors of 100: 4 are a ratio of 4.5 / 2.5 in scores. 200 errors of 1000: 2 more are nothing, 1.25 counts."""
    few, many = Scale("errors", 100), Scale("errors", 1000)
    assert matters_of(1.25, few, few.score(0.98)) == pytest.approx(math.log(4.5 / 2.5))
    assert matters_of(1.25, many, many.score(0.8)) == pytest.approx(math.log(1.25))
    assert matters_of(1.25, Scale("log"), 0.0) == pytest.approx(math.log(1.25))
    assert matters_of(0.01, Scale(), 0.9) == 0.01
    assert matters_of(None, many, 0.0) is None


def test_what_matters_is_said_before_anything_is_trained(capsys):
    tokens = ["-r", "sgd,adam", "--trials", "1", "--seeds", "2", "--engine", "serial", "--matters", "0.5"]
    assert main(["compare", TASK, *tokens]) == 0
    said = capsys.readouterr().err
    assert said.index("What matters, said beforehand: 0.5") < said.index("search: ")


@pytest.mark.parametrize(
    ("scale", "target", "words"),
    [
        (Scale("errors", 100), 95.0, "is a fraction from 0 to 1, so its target is too; got 95"),
        (Scale(), -0.1, "is a fraction from 0 to 1"),
    ],
)
def test_a_target_is_a_value_of_the_metric(scale, target, words):
    with pytest.raises(StudyError, match=words):
        check_target(target, Metric("accuracy", True, scale=scale))
    check_target(0.95, Metric("accuracy", True, scale=scale))


def test_the_target_of_a_positive_loss_is_positive():
    with pytest.raises(StudyError, match="positive, so its target is too; got 0"):
        check_target(0.0, Metric("loss", False, scale=Scale("log")))
    check_target(0.0, Metric("loss", False))


def test_a_rule_and_its_copy_are_equal_within_what_matters():
    """20 seeds, a spread of one, m of one: said of most studies, and never where it was not said what matters."""
    said = []
    for study_seed in range(20):
        end = lambda cell: 0.5 + 0.01 * luck(cell, cell.called)  # noqa: E731
        found = compared(
            end, ("sgd:lr=0.1", "sgd:lr=0.1:momentum=0"), seeds=20, matters=0.01, study_seed=study_seed,
            store=f"{study_seed}.sqlite",
        )  # fmt: skip
        (pair,) = found.family.contrasts
        assert (pair.answer == "equal") == (-0.01 < pair.interval.low < 0 < pair.interval.high < 0.01)
        assert ("are equal within what matters" in found.verdict.answer) == (pair.answer == "equal")
        said.append(pair.answer)
    assert said.count("equal") >= 13
    silent = compared(end, ("sgd:lr=0.1", "sgd:lr=0.1:momentum=0"), seeds=20, study_seed=19, store="silent.sqlite")
    (pair,) = silent.family.contrasts
    assert pair.answer == "cannot tell"
    assert "; if they differ, by less than " in silent.verdict.answer
    assert "equal" not in silent.verdict.answer


def test_better_by_less_than_matters():
    found = compared(lambda cell: 0.5 + (cell.called == "adam") * 0.02 + 0.001 * luck(cell, cell.called), matters=0.1)
    (pair,) = found.family.contrasts
    assert (pair.answer, pair.slight) == ("better", True)
    assert "Adam (lr=0.001) is better than SGD (lr=0.001)" in found.verdict.answer
    assert "by less than matters: test accuracy +2.0 points" in found.verdict.answer


# -- few trials: settings, no rules


@pytest.mark.parametrize("trials", [1, 3, 5])
def test_with_few_trials_nothing_is_said_of_rules(trials):
    """Every name stands with its numbers."""
    found = compared(flat, ("sgd", "adam", "lion"), trials=trials, store=f"{trials}.sqlite")
    assert found.searches is None
    for sentence in found.verdict.sentences:
        assert not re.search(r"\b(SGD|Adam|Lion)\b(?! \(lr=)", sentence), sentence
    assert ("untuned" if trials == 1 else f"of the settings found in {trials} trials each") in found.verdict.answer


def test_a_budget_needs_six_trials():
    with pytest.raises(StudyError, match="needs a pool of at least 9"):
        resolve(study(TASK, ["sgd"], trials=5, budget=2))


# -- the target


def only_the_third(cell):
    return 0.95 if cell.trial == 3 else 0.5 + 0.001 * luck(cell, cell.called)


def test_the_share_of_searches_that_miss_the_target():
    found = compared(only_the_third, trials=9, target=0.9)
    for row in found.rows:
        ranked = [3, *(k for k in range(9) if k != 3)]  # who else wins does not matter: all of them miss
        share = 1 - winning(ranked, 4, even=True)[3]
        assert found.searches.missed[row.contender] == pytest.approx(share)
        assert 0.5 < share < 0.75  # of 3 of 8 others
        assert f"{share:.0%} of {row.name}" in " ".join(found.verdict.sentences)
    assert compared(only_the_third, trials=9, store="none.sqlite").searches.missed == {}


def test_a_target_that_no_search_reaches_is_said_first():
    found = compared(flat, trials=9, target=0.999)
    assert found.verdict.sentences[0].startswith("This is no answer: no search reaches the target of 99.90%")
    low = compared(
        lambda cell: 0.5 + abs(luck(cell)), metric="loss", before=9.0, trials=9, target=0.1, store="l.sqlite"
    )
    assert low.verdict.sentences[0].startswith("This is no answer: no search reaches the target of 0.1")


# -- failures


@pytest.mark.parametrize("how", ["raises", "no better than before"])
@pytest.mark.parametrize("ahead", [0.0, 0.05])
def test_what_fails_is_never_better_or_equal_without_a_word(how, ahead):
    """Adam fails in a tenth of its runs, and is as good as SGD, or better, where it does not."""
    alone = []
    for study_seed in range(12):

        def end(cell):
            if cell.called == "adam" and Random(f"{cell.seed}").random() < 0.1:
                return None if how == "raises" else 0.05
            return 0.8 + ahead * (cell.called == "adam") + 0.01 * luck(cell, cell.called)

        found = compared(end, seeds=20, matters=0.05, study_seed=study_seed, store=f"{study_seed}.sqlite")
        (pair,) = found.family.contrasts
        lost = pair.failures[0].count
        assert pair.failures[1].count == 0
        said = " ".join(found.verdict.sentences)
        if lost:
            assert pair.answer not in ("better", "equal")
            assert f"{lost} of 20 of Adam" in said
            assert "none of 20 of SGD" in said
            # Of those that did not fail, beside it; over the seeds in which neither did.
            assert pair.quality.n == 20 - lost
            assert pair.quality.mean == pytest.approx(ahead, abs=0.01)
            assert pair.interval.mean < pair.quality.mean
            alone.append(study_seed)
        else:
            assert "of 20 runs of each failed: up to 14% not excluded" in said or "None of 20" in said
            assert pair.quality is None
    assert len(alone) > 6


def test_three_outcomes_are_apart():
    """Of searches: runs that fail, searches that miss, and how good the others are."""

    def end(cell):
        if cell.called == "adam" and cell.trial and Random(f"{cell.seed}").random() < 0.3:
            return None
        return only_the_third(cell)

    found = compared(end, trials=9, target=0.9, seeds=8)
    assert found.searches.failures["sgd"].count == 0
    rate = found.searches.failures["adam"]
    assert 0 < rate.count < rate.total == 8 * len(found.rows[1].again)
    (pair,) = found.family.contrasts
    assert pair.failures == (rate, found.searches.failures["sgd"])
    assert pair.quality is not None
    assert pair.quality.mean > pair.interval.mean
    assert {*found.searches.missed} == {"sgd", "adam"}
    said = " ".join(found.verdict.sentences)
    assert f"{rate.count} of {rate.total} of Adam" in said
    assert "Of the runs that did not fail: " in said
    assert "Of the searches in these trials, winners miss the target: " in said


def test_a_run_that_is_no_better_than_before_counts_as_failed():
    """At 10% before and after: with its value before, among the failed, though it ended."""
    found = compared(lambda cell: 0.1 if cell.called == "adam" else 0.9 + 0.01 * luck(cell))
    (pair,) = found.family.contrasts
    assert (pair.failures[0].count, pair.failures[1].count) == (5, 0)
    assert found.rows[1].failed == found.rows[1].diverged == 0
    assert found.rows[1].tuned.values == (0.1,) * 5


# -- what is said first


def test_a_saturated_metric_is_said_first():
    found = compared(lambda cell: 1.0 - 1e-9 * (cell.trial + 1), trials=9, declared={"tests": 100})
    assert found.verdict.sentences[0].startswith(
        "This is no answer: test accuracy is saturated, all reach 100.00% or less than one example below."
    )
    assert "--metric loss" in found.verdict.sentences[0]
    assert found.verdict.notices == 1
    open_ = compared(flat, trials=9, declared={"tests": 100}, store="open.sqlite")
    assert not any("saturated" in sentence for sentence in open_.verdict.sentences)


PLACES = (0.5, 0.4, 0.3, 0.5, 0.8)


@pytest.mark.parametrize(
    ("values", "best", "luck", "alone"),
    [
        # Ahead of 0.55, its better neighbour, by 0.35; of the middle one, 0.52, by 0.38.
        ((0.50, 0.90, 0.52, 0.55, 0.50), 1, 0.08, True),
        ((0.50, 0.90, 0.52, 0.55, 0.50), 1, 0.09, False),  # 4 x 0.09 is more than 0.35
        # Ahead of 0.80 by 0.10, less than half of the 0.38.
        ((0.50, 0.90, 0.52, 0.80, 0.50), 1, 0.0, False),
        # At the end of the range it has one neighbour, at 0.4: ahead by 0.40 of it and of the middle.
        ((0.50, 0.50, 0.90, 0.55, 0.50), 2, 0.0, True),
        # One without a value is as the worst that has one, 0.50: ahead by 0.35 of the other.
        ((0.50, 0.90, -math.inf, 0.55, 0.50), 1, 0.08, True),
        ((0.90, 0.50, 0.50, 0.50, 0.50), 0, 0.0, False),  # the default is no draw
    ],
)
def test_a_best_trial_that_stands_alone(values, best, luck, alone):
    assert stands_alone(PLACES, values, best, luck) == alone
    assert not stands_alone(PLACES[:3], values[:3], 1, 0.0)  # three trials have no neighbours


def test_a_best_trial_that_stands_alone_is_said_first():
    found = compared(lambda cell: 0.95 if cell.trial == 3 else 0.5 + 1e-4 * luck(cell, cell.called), trials=17)
    first = found.verdict.sentences[0]
    assert first.startswith("Not yet an answer: the best trial of SGD stands alone, those next to it in lr are far")
    assert f"A narrower range around lr={found.rows[0].winner_values['lr']:.4g} would find it more often" in first
    assert found.verdict.answer.startswith(f"On {TASK}, each tuned")
    assert found.verdict.short.endswith(found.verdict.answer)


def test_a_search_at_an_edge_names_the_wider_range():
    """Where the largest rate is the best: a range around it, 30 times as far to both sides, that the command takes."""
    found = compared(lambda cell: 0.5 + 0.04 * math.log10(cell.values["lr"]) + 1e-4 * luck(cell, cell.called), trials=9)
    (notice,) = found.verdict.sentences[: found.verdict.notices]
    assert notice.startswith("At an edge of its search, where a wider one may find better: SGD (lr=")
    for row in found.rows:
        (reference, low, high) = re.search(rf"-r ({row.contender}:lr=([^.]*\.[^.]*)\.\.([^),]*))\)", notice).groups()
        lr = row.winner_values["lr"]
        assert [float(low), float(high)] == pytest.approx([lr / 30, lr * 30], rel=0.05)
        assert resolve(study(TASK, [reference])).rules[0].searched.keys() == {"lr"}


# -- scales that a script declares


def test_errors_and_positive_losses_are_compared_as_ratios():
    """Of 20 and 40 errors of 100: 40.5 / 20.5 times. Of losses that differ by a factor of 2: 2.00 times."""
    accuracy = {"sgd": 0.8, "adam": 0.6}
    found = compared(lambda cell: accuracy[cell.called] + 0.01 * (cell.seed % 2), declared={"tests": 100})
    assert "times the errors" in found.verdict.answer
    (pair,) = found.family.contrasts
    assert math.exp(-pair.interval.mean) == pytest.approx(40.5 / 20.5, rel=0.04)
    loss = {"sgd": 0.8, "adam": 0.4}
    found = compared(
        lambda cell: loss[cell.called] * (1 + 0.01 * luck(cell, cell.called)), metric="loss", before=9.0,
        declared={"positive": True}, store="loss.sqlite",
    )  # fmt: skip
    assert re.search(r"0\.(49\d?|50\d?) times the loss", found.verdict.answer)
    plain = compared(lambda cell: loss[cell.called] + 0.01 * luck(cell, cell.called), metric="loss", before=9.0,
                     store="plain.sqlite")  # fmt: skip
    assert "times" not in plain.verdict.answer


SAYS = """
    import torch

    def train(trial):
        torch.manual_seed(trial.seed("init"))
        m = torch.nn.Linear(2, 1)
        o = trial.optimizer(m)
        tests = {tests}
        for epoch in trial.epochs(2):
            loss = (m(torch.ones(1, 2)) ** 2).sum()
            o.zero_grad()
            loss.backward()
            o.step()
            trial.report({report})
"""


def test_trainings_that_count_other_test_examples_are_refused(script):
    text = SAYS.format(
        tests="100 + (o.param_groups[0]['lr'] != 0.001)",
        report="valid_accuracy=0.5 + torch.rand(()) / 9, test_accuracy=0.5 + torch.rand(()) / 9, tests=tests",
    )
    with pytest.raises(StudyError, match=r"say that test_accuracy is of 100 and of 101 test examples: the test part"):
        run(script(text), ("sgd",), trials=3)


def test_what_a_script_declares_is_kept(script):
    text = SAYS.format(
        tests="250",
        report="valid_accuracy=0.5 + torch.rand(()) / 9, test_accuracy=0.5 + torch.rand(()) / 9, tests=tests",
    )
    found = run(script(text), ("sgd",), trials=1)
    assert found.metric.scale == Scale("errors", 250)
    assert Comparison.load("s.sqlite").metric == found.metric
    positive = SAYS.format(tests="1", report="valid_loss=1 + loss, test_loss=1 + loss, positive='loss'")
    found = run(script(positive, "other.py"), ("sgd",), trials=1, store="other.sqlite")
    assert Comparison.load("other.sqlite").metric.scale == found.metric.scale == Scale("log")


def test_what_is_declared_positive_is(script):
    text = SAYS.format(tests="1", report="valid_loss=loss - 100, test_loss=loss, positive='loss'")
    with pytest.raises(StudyError, match=r"valid_loss is declared positive and was -\d.*leave positive= out"):
        run(script(text), ("sgd",), trials=1)


@pytest.mark.parametrize("tests", ["0", "2.5", "True", "'many'"])
def test_a_number_of_test_examples_is_a_whole_number(script, tests):
    text = SAYS.format(tests=tests, report="valid_loss=loss, tests=tests")
    with pytest.raises(StudyError, match="tests, the number of test examples, "):
        run(script(text), ("sgd",), trials=1)


# -- what was stored before


def test_an_old_store_is_judged_in_the_words_of_today(tmp_path):
    store = tmp_path / "study.sqlite"
    store.write_bytes(KEPT.read_bytes())
    found = Comparison.load(store)
    assert (found.plan.design, found.plan.against, found.plan.matters, found.plan.target) == (1, "", None, None)
    assert found.metric.scale == Scale()
    assert found.family.reference == found.rows[0].contender
    assert re.match(r"On .*, of the settings found in 3 trials each, ", found.verdict.answer)
    assert "if they differ, by less than" in found.verdict.answer or "better" in found.verdict.answer


# -- on several tasks


def test_tasks_together_count_what_was_compared():
    """Three rules against one on two tasks are six comparisons, not those of every two."""
    rules = ("sgd", "adam", "lion", "rmsprop")
    good = {"adam": 0.9, "lion": 0.9, "rmsprop": 0.8, "sgd": 0.8}
    found = compare(
        [TASK, "digits-mlp"], rules, trials=1, seeds=5, metric="accuracy", store="two.sqlite",
        engine=Written(lambda cell: good[cell.called] + 0.001 * luck(cell, cell.called)),
    )  # fmt: skip
    first, second = found.across.sentences
    assert first == "On each of the 2 tasks: Adam is better than SGD; Lion is better than SGD."
    told = sum(pair.answer in ("better", "worse") for each in found.comparisons for pair in each.family.contrasts)
    assert second == f"Of the 6 comparisons of two rules on a task, {told} can be told, {6 - told} cannot."
    none = compare(
        [TASK, "digits-mlp"], rules, trials=1, seeds=5, metric="accuracy", store="none.sqlite",
        engine=Written(lambda cell: 0.5 + 0.1 * luck(cell, cell.called)),
    )  # fmt: skip
    assert none.across.sentences[0] == "No rule is better than SGD on all of the 2 tasks, or worse."
