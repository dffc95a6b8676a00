"""What a finished comparison says in the terminal."""

from io import StringIO

from rich.console import Console

import handmade
from thalweg.terminal.comparison import print_outcome


def printed(found, capsys, width=80):
    stream = StringIO()
    print_outcome(found, Console(file=stream, width=width, color_system=None, highlight=False), None)
    return stream.getvalue() + capsys.readouterr().out


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
