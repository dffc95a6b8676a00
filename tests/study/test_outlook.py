"""What `thalweg plan` says before a comparison runs: its size, its cost, and the difference that it would tell."""

from dataclasses import replace
from math import exp, inf, log

import pytest
from comparing import run

from thalweg.cli import main
from thalweg.stats.planning import detectable
from thalweg.study import LocalProcesses, StudyError
from thalweg.study.ask.spec import study
from thalweg.study.judge.results import Comparison
from thalweg.study.run.outlook import Outlook, Range, Told, outlook
from thalweg.terminal.outlook import lines

SLOW = """
import time
import torch


def train(trial):
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = trial.optimizer([weight])
    trial.report(valid_loss=1.0, test_loss=1.0)
    for epoch in trial.epochs(50):
        time.sleep(0.05)
        loss = (weight**2).sum()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        trial.report(valid_loss=float(loss.detach()), test_loss=float(loss.detach()))
"""
LOST = SLOW.replace("time.sleep(0.05)", "raise RuntimeError('no data')")


@pytest.fixture
def script(tmp_path):
    def written(text):
        path = tmp_path / "script.py"
        path.write_text(text)
        return f"{path}:train"

    return written


@pytest.mark.slow
def test_a_training_is_timed_by_its_beginning(script, tmp_path):
    asked = study(script(SLOW), ["sgd", "adam"], trials=17)
    (found,) = outlook(asked, store=tmp_path / "none.sqlite", engine=LocalProcesses(1))
    # 50 epochs of at least 0.05 s, of which a few were trained.
    assert 1.5 <= found.seconds < 15
    # Two searches of 17, each default once more; winners of 85% of searches are at most 7 of 17, and the default.
    assert (found.search, found.again, found.stored) == (36, 80, 0)
    assert found.remaining == pytest.approx(116 * found.seconds)
    assert not (tmp_path / "none.sqlite").exists()
    assert (found.told, found.metric) == ((), None)
    assert (found.worlds.trials, found.worlds.budget, found.worlds.seeds) == (17, 5, 5)


@pytest.mark.slow
def test_a_script_that_counts_no_epochs_is_timed_whole(script, tmp_path):
    asked = study(script(SLOW.replace("trial.epochs(50)", "range(20)")), ["sgd"], trials=17)
    (found,) = outlook(asked, store=tmp_path / "none.sqlite", engine=LocalProcesses(1))
    assert 1 <= found.seconds < 5


def test_more_trials_are_told_by_the_runs_there_are(in_a_folder_of_its_own):
    run("quadratic-deep", trials=9, seeds=2)
    (found,) = outlook(study("quadratic-deep", ["sgd", "adam"], trials=17, seeds=2), store="s.sqlite")
    assert found.stored > 18
    assert (len(found.told), found.judged) == (1, 9)


@pytest.mark.slow
def test_a_script_that_fails_is_said(script, tmp_path):
    with pytest.raises(StudyError, match=r"\(sgd\) failed: RuntimeError.*no data"):
        outlook(study(script(LOST), ["sgd"]), store=tmp_path / "none.sqlite", engine=LocalProcesses(1))


def test_of_stored_runs_nothing_is_trained_and_their_spread_tells(in_a_folder_of_its_own):
    run("quadratic-deep", trials=9, seeds=2)
    asked = study("quadratic-deep", ["sgd", "adam"], trials=9, seeds=2)
    (found,) = outlook(asked, store="s.sqlite", engine=LocalProcesses(1))
    assert found.stored == found.search + found.again
    assert found.remaining == 0
    (pair,) = found.told
    compared = Comparison.load("s.sqlite")
    estimate = compared.searches.differences["adam"]
    miss = 1 - compared.family.contrasts[0].interval.level
    assert (pair.first, pair.second, pair.now) == ("adam", "sgd", detectable(estimate.se, estimate.df, miss))
    assert pair.larger < pair.now
    assert found.worlds is None


def of(plan, **others):
    known = {
        "search": 20,
        "again": 30,
        "stored": 0,
        "seconds": 2.0,
        "workers": 2,
        "metric": None,
        "told": (),
        "judged": 2,
        "worlds": None,
    }
    return Outlook(plan=plan, **{**known, **others})


def test_the_sentences_give_size_cost_and_difference(in_a_folder_of_its_own):
    found = run("digits-mlp", trials=2, seeds=2)
    plan, metric = replace(found.plan, budgets=(5,)), found.metric
    assert metric.scale.kind == "errors"
    told = (Told("adam", "sgd", log(1.5), log(1.25)), Told("lion", "sgd", inf, inf))
    assert lines(of(plan, metric=metric, told=told, stored=10)) == [
        "On digits-mlp: 2 contenders, 2 trials each, judged as searches of 5, 2 fresh seeds: 20 trainings, and at most "
        "30 re-runs. 10 are stored.",
        "One takes about 2.0 s here, so what is left at most 40 s with 2 workers.",
        "By its runs, a comparison of this size tells in 4 of 5 cases, if there is so large a difference:",
        "adam against sgd: a factor of 1.50; with --trials 3, a factor of 1.25 or less.",
    ]
    worlds = lines(of(plan, worlds=Range((1.3, 1.5), (0.9, 4.6), 33, 5, 5), seconds=600))
    assert worlds[1].endswith("so all at most 4.2 hours with 2 workers.")
    assert "(33 trials judged as searches of 5, 5 seeds)" in worlds[2]
    assert "1.3 to 1.5 times the errors" in worlds[2]
    # A larger study is told by the runs of the smaller one that is there.
    larger = lines(of(plan, metric=metric, told=told, judged=9))
    assert larger[2].startswith("By its runs, a comparison of 9 trials tells")
    assert larger[3].endswith("; with --trials 17, a factor of 1.25 or less.")
    timed = lines(of(replace(plan, minutes=3.0, budgets=()), worlds=None))
    assert "a search of 3 minutes each" in timed[0]
    # Two searches of three minutes and 30 runs of 2 s, by two workers.
    assert timed[1].endswith("so all at most 4 minutes with 2 workers.")
    assert timed[2] == "What it would tell is known once runs are stored."
    (_, _, small) = lines(of(found.plan))
    assert small == "It is too small for a word on rules (from 9 trials on): settings are compared."
    assert exp(told[0].now) == pytest.approx(1.5)


def test_the_command_says_it_and_refuses_what_compare_refuses(in_a_folder_of_its_own, capsys):
    run("quadratic-deep", trials=9, seeds=2)
    capsys.readouterr()
    asked = ["plan", "quadratic-deep", "-r", "sgd,adam", "--trials", "9", "--seeds", "2", "--store", "s.sqlite"]
    assert main(asked) == 0
    said = capsys.readouterr().out
    assert (
        "On quadratic-deep: 2 contenders, 9 trials each, judged as searches of 4, 2 fresh seeds: 20 trainings" in said
    )
    assert "adam against sgd: " in said
    assert main(["plan", "quadratic-deep", "-r", "sgd,adams"]) == 2
    assert "adams" in capsys.readouterr().err
