"""Curves in Braille dots, and the picture of a training."""

import pytest
from rich.console import Console

from thalweg.terminal.plot import braille, limits, wants_logarithm
from thalweg.terminal.training import Progress, figure


def dots(lines):
    """The dots that are set, as (column, row) from the upper left corner."""
    left, right = (0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80)
    offsets = {bit: (dx, dy) for dx, bits in enumerate((left, right)) for dy, bit in enumerate(bits)}
    return {
        (2 * x + dx, 4 * y + dy)
        for y, line in enumerate(lines)
        for x, character in enumerate(line)
        for bit, (dx, dy) in offsets.items()
        if (ord(character) - 0x2800) & bit
    }


def test_a_straight_fall_is_a_diagonal():
    assert dots(braille([1.0, 0.0], 1, 4, 2, 0.0, 1.0)) == {(k, k) for k in range(8)}


def test_a_curve_that_is_not_over_leaves_the_rest_empty():
    assert {x for x, _ in dots(braille([1.0, 0.5], 3, 4, 2, 0.0, 1.0))} == {0, 1, 2}


def test_a_steep_piece_is_joined():
    found = dots(braille([0.0, 1.0, 1.0], 2, 1, 4, 0.0, 1.0))
    assert {y for _, y in found} == set(range(16))


def test_values_that_are_not_finite_are_left_out():
    found = dots(braille([0.0, float("nan"), 0.0], 2, 3, 1, 0.0, 1.0))
    assert {x for x, _ in found} == {0, 5}
    assert limits([[float("nan")]]) == (0.0, 1.0)
    assert limits([[2.0, float("inf")], [1.0]]) == (1.0, 2.0)
    assert limits([[3.0]]) == (2.5, 3.5)


@pytest.mark.parametrize(("values", "expected"), [([1.0, 2.0], False), ([1.0, 30.0], True), ([0.0, 30.0], False)])
def test_logarithms_are_for_values_far_apart(values, expected):
    assert wants_logarithm([values]) is expected


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_picture_fits_and_has_edges_and_legend(width, capsys):
    progress = Progress("a task with quite a long name, a rule with a long one too, seed 12345", 50)
    for epoch in range(20):
        progress.take(epoch, {"train_loss": 100.0 / (epoch + 1), "valid_loss": 120.0 / (epoch + 1), "test_loss": 1.0})
    Console(width=width).print(figure(progress, width))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) == 14
    assert lines[1].split()[0] == "120"
    assert lines[10].split()[0] == "5"
    assert lines[12].split()[:2] == ["──", "train_loss"]


def test_before_the_first_report_and_without_a_loss(capsys):
    progress = Progress("a task", None)
    Console(width=80).print(figure(progress, 80))
    assert "before the first report" in capsys.readouterr().out
    progress.take(0, {"valid_accuracy": 0.5})
    assert progress.drawn() == ["valid_accuracy"]
    Console(width=80).print(figure(progress, 80))
    assert "valid_accuracy 50.00%" in capsys.readouterr().out
