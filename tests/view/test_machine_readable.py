"""A comparison as JSON: the tables of `export`, and what they do not have."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

import handmade
from thalweg.study import Suite
from thalweg.study.bridges.tables import tables
from thalweg.view.machine_readable import as_json


def read(found, report=None):
    return json.loads(as_json(found, report), parse_constant=lambda text: pytest.fail(text))


def plain(value):
    """As it comes back from JSON."""
    return json.loads(json.dumps(value))


def test_one_task():
    found = handmade.comparison(trials=12, seeds=3)
    result = read(found, Path("page.html"))
    assert read(Suite((found,), None), Path("page.html")) == result
    exported = {table.name: plain(table.rows) for table in tables([found]) if table.name != "curves"}
    assert all(exported.values())
    assert {name: result[name] for name in exported} == exported
    rest = {name: value for name, value in result.items() if name not in exported}
    assert rest == plain(
        {
            "task": "digits-mlp",
            "trials": 12,
            "seeds": 3,
            "matters": None,
            "target": None,
            "verdict": asdict(found.verdict),
            "metric": asdict(found.metric),
            "missing": 0,
            "provenance": found.provenance,
            "store": None,
            "report": "page.html",
        }
    )


def test_the_runs_have_the_keys_that_rerun_takes():
    found = handmade.comparison(trials=12, seeds=3)
    runs = read(found)["runs"]
    assert {run.key for run in found.runs} <= {run["key"] for run in runs}
    again = {(run["contender"], run["trial"]) for run in runs if "re-run" in run["role"]}
    assert again == {(row.contender, trial) for row in found.rows for trial in row.again}


def test_several_tasks():
    found = handmade.suite(10, trials=3, seeds=2)
    result = read(found)
    assert result["tasks"] == [
        {name: value for name, value in read(each).items() if name not in ("store", "report")}
        for each in found.comparisons
    ]
    assert result["across"] == plain(asdict(found.across))
    assert result["missing"] == 0


def test_several_tasks_of_which_one_is_not_finished():
    found = Suite((handmade.comparison(trials=3), handmade.comparison(trials=3, missing=2, task="spiral")), None)
    result = read(found)
    assert result["across"] is None
    assert result["missing"] == 2


def test_before_anything_was_reported_and_where_a_loss_ran_away():
    found = handmade.comparison(trials=3)
    assert read(replace(found, metric=None))["metric"] is None
    row = found.rows[0]
    endless = replace(row.tuned, low=float("-inf"), high=float("inf"), sd=float("nan"))
    shown = read(replace(found, rows=(replace(row, tuned=endless), *found.rows[1:])))["rules"][0]
    assert (shown["tuned_mean"], shown["tuned_low"], shown["tuned_sd"]) == (row.tuned.mean, None, None)
