"""Published runs, repeated; and that a figure that is not met is noticed."""

import json
from dataclasses import replace

import pytest

from thalweg.study import Serial
from thalweg.verify.check import CELLS, Measured, checked, jobs, one_epoch_late, verify
from thalweg.verify.published import INITIAL, MEANS, OPTIMIZERS, RUNS
from thalweg.verify.wording import as_json, as_markdown, outcome_table, summary


def name(cell):
    return f"{cell.optimizer}-{cell.schedule}-{cell.seed}"


@pytest.mark.parametrize("cell", [run for run in RUNS if not run.differs], ids=name)
def test_a_published_run_is_met(cell):
    (found,) = verify([cell], engine=Serial())
    assert found.problem == ""
    assert abs(found.gap) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("cell", MEANS, ids=lambda cell: cell.optimizer)
def test_ten_published_seeds_are_met(cell):
    (found,) = verify([cell], engine=Serial())
    assert found.problem == ""
    assert found.deviation == pytest.approx(cell.deviation, rel=1e-2)


def test_every_optimizer_of_the_study_is_repeated():
    assert {run.optimizer for run in RUNS} == set(OPTIMIZERS)
    assert {run.instance for run in RUNS} <= set(INITIAL)
    assert {run.schedule for run in RUNS} == {"none", "cosine", "cosine_wr", "ltr"}
    assert len(jobs()) == len(RUNS) + 10 * len(MEANS)


def test_a_figure_that_is_not_met_is_noticed():
    run, initial = RUNS[0], RUNS[0].initial
    good = checked(run, [Measured(initial, run.final)])
    assert good.problem == ""
    late = checked(run, [Measured(initial, run.final * (1 + 2e-5))])
    assert "final loss 87.29985, published 87.2981: 2.0e-05 apart" in late.problem
    assert "initial loss" in checked(run, [Measured(initial * 1.01, run.final)]).problem
    assert checked(run, [Measured(problem="no such rule")]).problem == "no such rule"
    assert "1 are not met" in summary([good, late])


def test_a_mean_is_judged_with_its_deviation():
    cell = MEANS[0]
    apart = [cell.mean + cell.deviation * step * (9 / 10) ** 0.5 for step in (-1, 1) * 5]
    assert checked(cell, [Measured(353.4, value) for value in apart]).problem == ""
    same = [Measured(353.4, cell.mean)] * 10
    assert "deviation 0" in checked(cell, same).problem


def test_a_run_that_is_known_to_differ_is_shown_but_does_not_fail():
    run = next(run for run in RUNS if run.differs)
    cell = checked(run, [Measured(run.initial, 2 * run.final)])
    assert cell.problem == ""
    assert "1 differ for a known reason" in summary([cell])
    assert run.differs in as_json([cell])
    assert checked(replace(run, differs=""), [Measured(run.initial, 2 * run.final)]).problem


def test_the_published_trapezoid_comes_one_epoch_late():
    assert [one_epoch_late(epoch, 100) for epoch in (0, 1, 2, 11, 90, 91, 99)] == pytest.approx(
        [1.0, 0.1, 0.2, 1.0, 1.0, 10 / 11, 2 / 11]
    )


def test_the_outcome_is_worded_for_people_documents_and_machines(capsys):
    cells = [checked(run, [Measured(run.initial, run.final)]) for run in RUNS]
    cells += [checked(cell, [Measured(353.4, cell.mean)] * 10) for cell in MEANS]
    from rich.console import Console

    Console(width=80, file=None).print(outcome_table(cells))
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    assert "Lookahead(Momentum)" in shown
    assert as_markdown(cells).count("\n| ") == len(CELLS) + 1
    figures = json.loads(as_json(cells), parse_constant=pytest.fail)["figures"]
    assert len(figures) == len(CELLS)
    assert figures[0]["source"].startswith("SirRob1997/")
