import pytest

from thalweg.stats.intervals import Interval
from thalweg.stats.wording import Unit, counted, listed


def interval(mean, half):
    return Interval(mean, mean - half, mean + half, half, 0.95, ())


@pytest.mark.parametrize(
    ("share", "value", "written"),
    [
        (True, 0.004, "0.4 points"),
        (True, 0.01234, "1.2 points"),
        (True, 0.123, "12 points"),
        (True, 0.00012, "0.012 points"),
        (True, 0.0, "0 points"),
        (False, 0.0321, "0.032"),
        (False, 1.0, "1"),
        (False, 0.0, "0"),
    ],
)
def test_a_size_has_two_digits_and_no_sign(share, value, written):
    assert Unit(share).size(value) == written


def test_levels_and_differences_go_with_their_interval():
    points, loss = Unit(share=True), Unit()
    assert points.value(0.97412, interval(0.97412, 0.004)) == "97.4%"
    assert points.levels(interval(0.97412, 0.004)) == "97.0% to 97.8%"
    assert points.difference(interval(0.0131, 0.004)) == "+1.3 points"
    assert points.bounds(interval(0.0131, 0.004)) == "+0.9 to +1.7"
    assert loss.difference(interval(-0.0123, 0.0021)) == "-0.0123"
    assert loss.bounds(interval(-0.0123, 0.0021)) == "-0.0144 to -0.0102"


def test_what_is_possible_everywhere_is_unknown():
    endless = Interval(0.5, float("-inf"), float("inf"), 0.0, 0.95, ())
    assert (Unit().bounds(endless), Unit().levels(endless)) == ("unknown", "unknown")


def test_lists_and_numbers_of_things():
    assert (listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"], "or")) == ("a", "a and b", "a, b or c")
    assert (counted(1, "seed"), counted(5, "seed")) == ("1 seed", "5 seeds")
