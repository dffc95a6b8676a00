import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from thalweg.stats.intervals import t_interval

numbers = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20)


@given(numbers, st.sampled_from([0.6, 0.9, 0.95, 0.99, 0.9999]))
def test_it_is_scipys_t_interval(values, level):
    found = t_interval(values, level=level)
    error = stats.sem(values) if np.ptp(values) else 0.0
    if error > 1e-9 * max(map(abs, values)):  # scipy's own rounding is all there is below
        low, high = stats.t.interval(level, len(values) - 1, np.mean(values), error)
        assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9, abs=1e-9)
        assert found.sd == pytest.approx(np.std(values, ddof=1))
    assert found.low <= found.mean <= found.high
    assert found.n == len(values)


@pytest.mark.parametrize("level", [0.5, 1.0, 95])
def test_a_level_is_a_confidence(level):
    with pytest.raises(ValueError, match="level is a confidence"):
        t_interval([1.0, 2.0], level=level)


def test_the_negative_is_that_of_the_negative_values():
    values = [0.3, 0.1, 0.7]
    assert t_interval(values).negative == t_interval([-value for value in values])


def test_equal_values_have_no_spread_at_all():
    found = t_interval([0.1] * 7)
    assert (found.mean, found.low, found.high, found.sd) == (0.1, 0.1, 0.1, 0.0)


def test_one_value_says_nothing_about_the_spread():
    found = t_interval([3.0])
    assert (found.mean, found.low, found.high) == (3.0, -np.inf, np.inf)


def test_an_interval_stays_within_what_is_possible():
    free, cut = t_interval([0.99, 1.0, 0.98]), t_interval([0.99, 1.0, 0.98], within=(0.0, 1.0))
    assert free.high > 1.0 == cut.high
    assert (cut.low, cut.mean) == (free.low, free.mean)


def test_values_whose_squares_overflow_leave_the_interval_open():
    found = t_interval([1e200, -1e200, 3.0])
    assert (found.low, found.high) == (-np.inf, np.inf)


@pytest.mark.parametrize("values", [[], [[1.0, 2.0]], [1.0, float("nan")], [1.0, float("inf")]])
def test_what_is_no_list_of_finite_numbers_is_refused(values):
    with pytest.raises(ValueError, match="t_interval needs"):
        t_interval(values)


def test_it_covers_the_mean_as_often_as_it_says():
    chance = np.random.default_rng(0)
    hits = [found.low <= 1.0 <= found.high for found in (t_interval(chance.normal(1, 2, 5)) for _ in range(4000))]
    assert np.mean(hits) == pytest.approx(0.95, abs=0.01)
