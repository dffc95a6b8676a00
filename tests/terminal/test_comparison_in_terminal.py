"""What a finished comparison says in the terminal, and as JSON."""

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

import handmade
from thalweg.study import Suite
from thalweg.terminal.comparison import print_outcome
from thalweg.view.machine_readable import as_json


def printed(found, capsys, width=80):
    stream = StringIO()
    print_outcome(found, Console(file=stream, width=width, color_system=None, highlight=False), None)
    return stream.getvalue() + capsys.readouterr().out


def read(found, report=None):
    return json.loads(as_json(found, report), parse_constant=lambda text: pytest.fail(text))


def test_the_terminal_shows_the_procedure_and_the_configuration_found(capsys):
    found = handmade.comparison(trials=12)
    text = printed(found, capsys)
    assert text.startswith("AdamW is better than SGD")
    assert "tuned, 4 trials" in text
    for interval in (found.procedures[0].intervals["adamw"], found.rows[2].tuned):
        assert found.metric.unit.mean(interval) in text
    assert "lr=" in text
    assert max(map(len, text.splitlines())) <= 80


def test_without_a_budget_there_is_no_column_for_it(capsys):
    text = printed(handmade.comparison(trials=3), capsys)
    assert "tuned," not in text
    assert "tuned" in text


def test_several_tasks_begin_with_what_they_say_together(capsys):
    found = handmade.suite(3, trials=6, seeds=2)
    text = printed(found, capsys)
    assert text.startswith(found.across.sentences[0])
    places = [text.index(f"On {task}, cannot tell") for task in ("spiral", "digits-mlp", "quadratic-deep")]
    assert places == sorted(places)
    assert text.count("lost runs") == 3
    assert max(map(len, text.splitlines())) <= 80


def test_json_of_one_task():
    found = handmade.comparison(trials=12, seeds=3)
    result = read(found, Path("page.html"))
    assert read(Suite((found,), None), Path("page.html")) == result
    assert (result["task"], result["trials"], result["seeds"], result["report"]) == ("digits-mlp", 12, 3, "page.html")
    (procedures,) = result["procedures"]
    given = found.procedures[0]
    assert procedures["trials"] == 4
    for rule in procedures["rules"]:
        assert rule["mean"] == given.means[rule["rule"]].mean
        assert rule["low"] <= rule["mean"] <= rule["high"]
        assert rule["noise_floor"] == given.noise_floor[rule["rule"]]
    assert procedures["pairs"][0]["superiority"]["p"] == given.pairs[0].superiority.p_value
    assert set(procedures["tuning"]) == {row.rule for row in found.rows}
    assert set(procedures["switching"]) == {"tuned", "default"}
    again = result["rules"][0]["again"]
    assert {each["trial"] for each in again} == set(found.rows[0].again)
    assert all(len(each["runs"]) == 3 and each["runs"][0]["key"] for each in again)
    assert [rule["repeats"] for rule in result["rules"]] == [True, True, True, False]


def test_json_of_several_tasks():
    found = handmade.suite(10, trials=3, seeds=2)
    result = read(found)
    assert [each["task"] for each in result["tasks"]] == [each.plan.task for each in found.comparisons]
    across = result["across"]
    assert across["sentences"] == list(found.across.sentences)
    assert {(each["first"], each["second"]) for each in across["wins"]} >= {("adamw", "sgd"), ("sgd", "adamw")}
    assert (
        set(across["ranking"]["ranks"])
        == set(across["profile"]["areas"])
        == {r.rule for r in found.comparisons[0].rows}
    )
    assert result["missing"] == 0


def test_json_of_several_tasks_of_which_one_is_not_finished():
    found = Suite((handmade.comparison(trials=3), handmade.comparison(trials=3, missing=2, task="spiral")), None)
    result = read(found)
    assert result["across"] is None
    assert result["missing"] == 2
