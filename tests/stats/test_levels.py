from math import inf, isfinite

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from thalweg.stats.intervals import t_interval
from thalweg.stats.levels import level_of, level_of_search, mean_interval
from thalweg.stats.pool import Estimate
from thalweg.stats.scale import PLAIN, Scale

ERRORS, LOG = Scale("errors", 359), Scale("log")
SHARE = (0.0, 1.0)


def test_of_plain_values_it_is_students_interval():
    values = [0.31, 0.29, 0.35, 0.30]
    found = level_of(values)
    assert found == t_interval(values)


def test_of_logarithms_it_is_students_interval_of_these():
    values = [0.1, 0.2, 0.4]
    low, high = stats.t.interval(0.95, 2, np.log(values).mean(), stats.sem(np.log(values)))
    found = level_of(values, scale=LOG)
    assert (found.low, found.mean, found.high) == pytest.approx((np.exp(low), 0.2, np.exp(high)))
    assert (found.sd, found.values) == (pytest.approx(np.std(values, ddof=1)), tuple(values))


accuracies = st.tuples(st.integers(1, 400), st.integers(2, 7), st.randoms()).map(
    lambda drawn: (drawn[0], [drawn[2].randint(0, drawn[0]) / drawn[0] for _ in range(drawn[1])])
)


@given(accuracies, st.booleans())
def test_an_accuracy_has_a_width_and_stays_within_what_is_possible(drawn, alike):
    tests, values = drawn
    values = [values[0]] * len(values) if alike else values
    found = level_of(values, scale=Scale("errors", tests), within=SHARE)
    assert 0 <= found.low < found.high <= 1
    assert found.low - 1e-9 <= found.mean <= found.high + 1e-9


@pytest.mark.parametrize("seeds", [2, 3, 20])
def test_right_in_all_of_four_tests_in_every_seed_is_not_certain(seeds):
    found = level_of([1.0] * seeds, scale=Scale("errors", 4), within=SHARE)
    assert (found.mean, found.high) == (1, 1)
    assert 0 <= found.low < 0.99
    # Half an error of five, times Student's quantile over 1 / sqrt(12) of one.
    half = stats.t.ppf(0.975, seeds - 1) * 2 / 12**0.5 / seeds**0.5
    assert found.low == pytest.approx(max(1 - (0.5 * np.exp(half) - 0.5) / 4, 0))


@pytest.mark.parametrize("scale", [PLAIN, LOG])
def test_equal_values_and_float32s_rounding_have_no_interval(scale):
    one, next_one = 1.0, float(np.nextafter(np.float32(1.0), np.float32(2.0)))
    for values in ([0.1] * 5, [one, next_one, one], [1e-9] * 3, [3000.0, float(np.float32(3000.0002)), 3000.0]):
        found = level_of(values, scale=scale)
        assert (found.low, found.high, found.sd) == (-inf, inf, 0), values
        assert found.mean == pytest.approx(values[0], rel=1e-6)
    assert isfinite(level_of([1.0, 1.001, 1.0], scale=scale).low)


def test_one_run_has_no_interval():
    for scale in (PLAIN, LOG, ERRORS):
        assert level_of([0.5], scale=scale, within=SHARE).low == -inf


def test_a_spread_below_the_least_is_the_least():
    wide = mean_interval([1.0, 1.0, 1.1], level=0.9, least=0.5, rounding=0.0)
    assert (wide.mean, wide.sd) == (pytest.approx(1.0333333), 0.5)
    assert wide.high - wide.mean == pytest.approx(stats.t.ppf(0.95, 2) * 0.5 / 3**0.5)
    assert mean_interval([1.0, 3.0, 5.0], level=0.9, least=0.5, rounding=0.0) == t_interval([1.0, 3.0, 5.0], level=0.9)


def test_losses_that_ran_away_leave_the_interval_open():
    for values in ([1e200, -1e200, 3.0], [1.7e308, 1.6e308]):
        found = level_of(values)
        assert (found.low, found.high) == (-inf, inf)


def estimate(mean, se):
    return Estimate(mean, se, 6.0, se**2, 0.0, 0.2, 1.0, np.zeros(1), np.zeros(2))


def test_a_searchs_level_is_its_mean_as_a_value():
    found = level_of_search(estimate(ERRORS.score(1 - 12 / 359), 0.3), scale=ERRORS, level=0.95, within=SHARE)
    factor = np.exp(stats.t.ppf(0.975, 6) * 0.3)
    assert found.mean == pytest.approx(1 - 12 / 359)
    assert (found.low, found.high) == pytest.approx((1 - (12.5 * factor - 0.5) / 359, 1 - (12.5 / factor - 0.5) / 359))
    assert 0 <= found.low < found.high <= 1
    plain = level_of_search(estimate(0.99, 0.1), scale=PLAIN, level=0.95, within=SHARE)
    assert plain.high == 1


def test_a_search_in_which_nothing_varies_has_no_interval():
    found = level_of_search(estimate(2.0, 0.0), scale=LOG, level=0.95, within=(-inf, inf))
    assert (found.low, found.high, found.mean) == (-inf, inf, pytest.approx(np.exp(2)))
