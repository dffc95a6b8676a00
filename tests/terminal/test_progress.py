"""What is told while a comparison runs."""

from io import StringIO

import pytest
from rich.console import Console

from thalweg.study.model.cells import Cell, Curve, Run
from thalweg.study.model.events import Finished, Phase, Started
from thalweg.terminal.progress import Plain, Shown, Tally, progress


def run(rule, trial, accuracy, status="done", message=""):
    curves = {"valid_accuracy": Curve((1,), (accuracy,))} if status == "done" else {}
    cell = Cell("digits-mlp", "", rule, "", {"lr": 0.1}, 7, {}, trial)
    return cell, Run(cell.key, 7, cell.values, status, message, curves)


STORED = tuple(run("sgd", trial, 0.125, "diverged") for trial in (3, 4, 5))
EVENTS = (
    Started(10, 4),
    Phase("search", 6, (run("sgd", 0, 0.625), *STORED)),
    Finished(*run("sgd", 1, 0.5), 5, 10),
    Finished(*run("adamw", 1, 0.75), 6, 10),
    Finished(*run("sgd", 2, 0.25), 7, 10),
    Phase("re-runs", 4),
    Finished(*run("sgd", 1, 0.9), 8, 10),
    Finished(*run("sgd", 0, 0.0, "failed", "ValueError: [no] (x.py:3)"), 9, 10),
    Finished(*run("adamw", 0, 0.0, "diverged", "valid_loss was nan"), 10, 10),
)


def test_the_tally():
    tally = Tally(None)
    for event in EVENTS:
        tally.take(event)
    assert (tally.done, tally.total, tally.stored) == (10, 10, 4)
    assert tally.lost() == "4 diverged, 1 failed"
    # The best of the search: re-runs have other seeds.
    assert tally.bests() == "best valid accuracy: sgd 62.50%, adamw 75.00%"
    assert tally.resumed() == "4 of 10 runs were already stored"


def test_plain_lines():
    stream = StringIO()
    plain = Plain(Tally(None), Console(file=stream, soft_wrap=True))
    for event in EVENTS:
        plain.on_event(event)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "4 of 10 runs were already stored"
    assert lines[1] == "search: 6 runs, 4 stored"
    assert "sgd, default, failed: ValueError: [no] (x.py:3)" in lines
    assert "adamw, default, diverged: valid_loss was nan" in lines
    assert lines[-1].startswith("10 of 10 runs; ")
    assert len(lines) == 6  # not one a run


def test_the_time_left_comes_from_what_was_run_now(monkeypatch):
    tally = Tally(None, started=0.0)
    monkeypatch.setattr("thalweg.terminal.progress.monotonic", lambda: 20.0)
    tally.take(Started(1000, 900))
    assert tally.pace() == ""
    tally.take(Finished(*run("sgd", 1, 0.5), 901, 1000))
    tally.take(Finished(*run("sgd", 2, 0.5), 902, 1000))
    assert tally.pace() == "0.1 runs/s, about 16 min left"
    # The default won, so fewer are left; the last one leaves nothing.
    tally.take(Finished(*run("sgd", 2, 0.5), 903, 903))
    assert tally.pace() == "0.15 runs/s"


def test_a_stored_comparison_says_only_that():
    stream = StringIO()
    plain = Plain(Tally(None), Console(file=stream, soft_wrap=True))
    for event in (Started(4, 4), Phase("search", 3, STORED), Phase("re-runs", 1, STORED[:1])):
        plain.on_event(event)
    assert stream.getvalue() == "all 4 runs were already stored\n"


SEVERAL = (
    Started(10, 4, "digits-mlp", (1, 2)),
    *EVENTS[1:],
    Started(8, 2, "spiral[x]", (2, 2)),
    Phase("search", 6, (run("sgd", 0, 0.5), run("sgd", 3, 0.1, "diverged"))),
    Finished(*run("sgd", 1, 0.25), 8, 8),
)


def test_that_trials_were_rounded_up_is_said_once():
    """Of several tasks with the first, on a terminal and in a log."""
    words = "33 trials of each instead of 25: the default, and a power of two of others, which lie evenly"
    several = [Started(10, 0, "a", (1, 2), (), (25, 33)), Started(10, 0, "b", (2, 2), (), (25, 33))]
    told = StringIO()
    plain, shown = (Console(file=told, width=200) for _ in range(2))
    log, display = Plain(Tally(None), plain), Shown(Tally(None))
    for event in several:
        log.on_event(event)
    assert told.getvalue().splitlines() == [f"1 of 2: a, {words}", "1 of 2: a, 10 runs", "2 of 2: b, 10 runs"]
    told.truncate(0)
    for event in several:
        display.on_event(event, shown)
    assert told.getvalue().count(words) == 1
    told.truncate(0)
    log.on_event(Started(10, 0))
    assert "instead of" not in told.getvalue()


def test_a_second_task_starts_anew():
    tally = Tally(None)
    for event in SEVERAL:
        tally.take(event)
    assert (tally.done, tally.total, tally.ended) == (8, 8, 1)
    assert tally.lost() == "1 diverged"
    assert tally.bests() == "best valid accuracy: sgd 50.00%"
    assert tally.task == "2 of 2: spiral[x]"


def test_lines_say_which_task_it_is():
    stream = StringIO()
    plain = Plain(Tally(None), Console(file=stream, soft_wrap=True))
    for event in SEVERAL:
        plain.on_event(event)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "1 of 2: digits-mlp, 4 of 10 runs were already stored"
    assert "2 of 2: spiral[x], 2 of 8 runs were already stored" in lines
    assert "2 of 2: spiral[x], search: 6 runs, 2 stored" in lines
    assert lines[-1].startswith("2 of 2: spiral[x], 8 of 8 runs; ")


def test_the_live_display_says_which_task_it_is():
    stream = StringIO()
    console = Console(file=stream, force_terminal=True, width=100, color_system=None)
    shown = Shown(Tally(None))
    for event in SEVERAL:
        shown.on_event(event, console)
    console.print(shown)
    assert "2 of 2: spiral[x], search" in stream.getvalue().splitlines()[-3]


@pytest.mark.parametrize("width", [80, 120])
def test_the_live_display_fits(width):
    stream = StringIO()
    console = Console(file=stream, force_terminal=True, width=width, color_system=None)
    shown = Shown(Tally(None))
    for event in EVENTS:
        shown.on_event(event, console)
    console.print(shown)
    text = stream.getvalue()
    assert max(map(len, text.splitlines())) <= width
    assert all(
        words in text for words in ("re-runs", "10/10", "4 diverged, 1 failed", "adamw 75.00%", "ValueError: [no]")
    )


def test_a_build_server_gets_plain_lines(capsys, monkeypatch):
    monkeypatch.setenv("CI", "true")
    with progress(None) as on_event:
        on_event(Started(10, 0))
    assert capsys.readouterr().err == "10 runs\n"


def test_what_matters_is_said_before_anything_else():
    """To a terminal and to a log, and of each task; nothing where it was not said."""
    stream = StringIO()
    Plain(Tally(None), Console(file=stream, soft_wrap=True)).on_event(Started(8, 0, matters=1.25))
    assert stream.getvalue().startswith("What matters, said beforehand: 1.25, a ratio where ratios are compared")
    shown = StringIO()
    Shown(Tally(None)).on_event(Started(8, 0, matters=0.5), Console(file=shown, width=200))
    assert shown.getvalue().startswith("What matters, said beforehand: 0.5, ")
    stream = StringIO()
    Plain(Tally(None), Console(file=stream)).on_event(Started(8, 0))
    assert stream.getvalue() == "8 runs\n"
