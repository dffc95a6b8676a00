"""What a finished comparison says in the terminal."""

from dataclasses import replace
from io import StringIO
from math import inf

import pytest
from rich.console import Console

import handmade
from thalweg.terminal.comparison import print_outcome


def printed(found, capsys, width=80):
    stream = StringIO()
    print_outcome(found, Console(file=stream, width=width, color_system=None, highlight=False), None)
    return stream.getvalue() + capsys.readouterr().out


def test_the_terminal_shows_the_search_and_the_configuration_found(capsys):
    found = handmade.comparison(trials=12)
    text = printed(found, capsys)
    assert " ".join(text.split()).startswith(found.verdict.short)
    assert "tuned, 5 trials" in text
    for interval in (found.searches.intervals["adamw"], found.rows[2].tuned):
        assert found.metric.unit.mean(interval) in text
    assert max(map(len, text.splitlines())) <= 80


def test_without_a_budget_there_is_no_column_for_it(capsys):
    text = printed(handmade.comparison(trials=3), capsys)
    assert "tuned, " not in text.replace("untuned, ", "")
    assert "tuned" in text


def test_several_tasks_begin_with_what_they_say_together(capsys):
    found = handmade.suite(3, trials=6, seeds=2)
    text = printed(found, capsys)
    flat = " ".join(text.split())
    assert flat.startswith(found.across.sentences[0])
    places = [flat.index(each.verdict.short) for each in found.comparisons]
    assert places == sorted(places)
    assert text.count("lost runs") == 3
    assert max(map(len, text.splitlines())) <= 80


def the_forest(text, found):
    """The lines of the picture: of each contender, and the foot."""
    lines = text.splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith(f"{found.family.contrasts[0].first}  "))
    return lines[first : first + len(found.family.contrasts) + 1]


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("lower", [False, True])
def test_the_forest(capsys, lower, width):
    """Better is to the right of the line, also of losses; dots are what does not matter; the line's name stands below.

    Read by columns: where an interval's end is drawn is where it lies between the ends of the picture.
    """
    found = handmade.comparison(lower=lower, matters=0.01, against="sgd:momentum=0.9")
    *lines, foot = the_forest(printed(found, capsys, width), found)
    zero = {line.index("│") for line in lines if "│" in line}
    assert len(zero) == 1
    (at,) = zero
    assert at - 9 <= foot.index("sgd:momentum=0.9") + 8 <= at + 9
    sign = -1 if lower else 1
    shown = [(sign * d.interval.low, sign * d.interval.high) for d in found.family.contrasts]
    ends = [min(pair) for pair in shown], [max(pair) for pair in shown]
    low, high = min(0.0, *ends[0]), max(0.0, *ends[1])
    left = max(map(len, (d.first for d in found.family.contrasts))) + 2
    columns = (at - left) / (0 - low) if low else None  # of one unit
    for line, difference in zip(lines, found.family.contrasts, strict=True):
        a, b = sorted((sign * difference.interval.low, sign * difference.interval.high))
        bar = [n for n, sign_ in enumerate(line) if sign_ in "━─●"]
        told = difference.answer in ("better", "worse", "equal")
        assert ("━" in line, "─" in line) == (told, not told)
        assert abs(bar[0] - left - columns * (a - low)) <= 1
        assert abs(bar[-1] - left - columns * (b - low)) <= 1
        assert abs(line.index("●") - left - columns * (sign * difference.interval.mean - low)) <= 1
        assert line.split()[0] == difference.first
        assert found.metric.unit.difference(difference.interval) in line
        band = [n for n, sign_ in enumerate(line) if sign_ == "·"]
        assert all(abs(n - at) <= columns * 0.01 + 1 for n in band)
    assert any("·" in line for line in lines)
    assert all(len(line.rstrip()) <= width for line in lines)
    assert high > 0 > low  # of the three, some are on either side


def test_what_lies_far_beyond_the_picture_ends_at_its_edge(capsys):
    """An interval a hundred times as wide as any difference does not make all others a point."""
    found = handmade.comparison(trials=6)
    one, two, three = found.family.contrasts
    wide = replace(one, interval=replace(one.interval, low=-9.0, high=9.0), answer="cannot tell", why="noise")
    unknown = replace(three, interval=replace(three.interval, low=-inf, high=inf), answer="cannot tell", why="constant")
    family = replace(found.family, contrasts=(wide, two, unknown))
    first, second, third, _ = the_forest(printed(replace(found, family=family), capsys), found)
    assert first.count("─") >= 10
    assert 1 <= second.count("━") < 8
    assert third.count("●") == 1
    assert not {"─", "━"} & {*third}
    assert "cannot tell: the same" in third


def test_what_it_rests_on_is_printed_on_demand(capsys):
    found = handmade.comparison(trials=6)
    short = printed(found, capsys)
    stream = StringIO()
    print_outcome(found, Console(file=stream, width=80, highlight=False), verbose=True)
    long = stream.getvalue()
    for sentence in found.verdict.details:
        assert sentence in " ".join(long.split())
        assert sentence not in " ".join(short.split())
    assert "lr=" in long.partition("lost runs")[2]
    assert "lr=" not in short.partition("lost runs")[2]
    assert len(long.splitlines()) > len(short.splitlines()) + 5
