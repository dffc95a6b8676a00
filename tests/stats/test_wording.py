from math import inf, log, nan

import pytest

from thalweg.stats.intervals import Interval
from thalweg.stats.wording import DRAWN, Unit, counted, listed, value_text


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
        (False, 143.2, "140"),
        (False, 1.43e9, "1.4e+09"),
    ],
)
def test_a_size_has_two_digits_and_no_sign(share, value, written):
    assert Unit(share).size(value) == written


def test_levels_and_differences_go_with_their_interval():
    points, loss = Unit(share=True), Unit()
    assert points.mean(interval(0.97412, 0.004)) == "97.4%"
    assert points.levels(interval(0.97412, 0.004)) == "97.0% to 97.8%"
    assert points.difference(interval(0.0131, 0.004)) == "+1.3 points"
    assert points.bounds(interval(0.0131, 0.004)) == "+0.9 to +1.7"
    assert loss.difference(interval(-0.0123, 0.0021)) == "-0.0123"
    assert loss.bounds(interval(-0.0123, 0.0021)) == "-0.0144 to -0.0102"


ERRORS, LOSSES = Unit(share=True, ratio="errors", falls=True), Unit(ratio="loss")


def test_a_difference_of_logarithms_is_a_ratio():
    """12.5 / 6.5, from a score that is higher with fewer errors; of a loss it is lower."""
    by = log(12.5 / 6.5)
    assert ERRORS.difference(interval(by, 0.2)) == "0.52 times the errors"
    assert ERRORS.difference(interval(-by, 0.2)) == "1.92 times the errors"
    assert LOSSES.difference(interval(by, 0.2)) == "1.92 times the loss"
    # The smaller bound first, whichever way the scale goes.
    assert ERRORS.bounds(interval(by, 0.2)) == "0.43 to 0.64"
    assert LOSSES.bounds(interval(by, 0.2)) == "1.57 to 2.35"
    assert ERRORS.size(by) == ERRORS.size(-by) == LOSSES.size(by) == "a factor of 1.92"
    # Levels stay what they are.
    assert (ERRORS.value(0.97), LOSSES.value(0.3123)) == ("97.00%", "0.3123")


@pytest.mark.parametrize(
    ("factor", "written"),
    [
        (1.0, "1.000"),
        (1.0004, "1.0004"),
        (0.99996, "0.99996"),
        (1 + 1e-12, "1.00000000"),
        (0.95, "0.950"),
        (1.05, "1.050"),
        (0.5, "0.50"),
        (0.0123, "0.012"),
        (0.000123, "0.00012"),
        (1e-9, "a millionth or less"),
        (12.34, "12.3"),
        (1234.5, "1230"),
        (1e7, "a million or more"),
    ],
)
def test_a_ratio_is_told_from_1_and_from_0(factor, written):
    assert LOSSES.difference(interval(log(factor), 1.0)) == f"{written} times the loss"


def test_a_ratio_without_bounds_or_number():
    assert LOSSES.bounds(Interval(0.5, -inf, inf, 0.0, 0.95, ())) == "no interval"
    assert LOSSES.size(inf) == "a factor of a million or more"
    assert LOSSES.size(nan) == "a factor of no number"
    assert LOSSES.difference(interval(-1e4, 1.0)) == "a millionth or less times the loss"


def test_what_is_possible_everywhere_is_unknown():
    endless = Interval(0.5, float("-inf"), float("inf"), 0.0, 0.95, ())
    assert (Unit().bounds(endless), Unit().levels(endless)) == ("no interval", "no interval")


def test_lists_and_numbers_of_things():
    assert (listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"], "or")) == ("a", "a and b", "a, b or c")
    assert (counted(1, "seed"), counted(5, "seed")) == ("1 seed", "5 seeds")


@pytest.mark.parametrize(
    ("share", "value", "written"),
    [
        (True, 0.97412, "97.41%"),
        (True, 0.0, "0.00%"),
        (False, 0.0931249, "0.09312"),
        (False, 347.358, "347.4"),
        (False, 123456.7, "123457"),
        (False, 1.2346e-12, "1.235e-12"),
        (False, -1.2345e30, "-1.23e+30"),
        (False, 0.0, "0"),
        (False, float("nan"), "nan"),
        (False, float("inf"), "inf"),
    ],
)
def test_a_value_without_an_interval_has_four_digits(share, value, written):
    assert Unit(share).value(value) == written


def test_small_means_keep_the_digits_of_their_interval():
    found = interval(4.1234e-11, 3e-13)
    assert (Unit().mean(found), Unit().levels(found)) == ("4.123e-11", "4.093e-11 to 4.153e-11")
    assert Unit().difference(found) == "+4.123e-11"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.001, "0.001"),
        (1e-8, "1e-08"),
        (0.1 + 0.2, "0.3"),
        (True, "true"),
        (10, "10"),
        (10**15, f"{10**15}"),
        ("l2", "l2"),
    ],
)
def test_a_hyperparameter_is_written_as_a_user_would(value, written):
    assert value_text(value) == written


def test_of_a_drawn_value_four_digits_are_enough():
    assert value_text(0.00123456789, DRAWN) == "0.001235"
