from math import exp, inf, log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.stats.scale import PLAIN, Scale

ERRORS, LOG = Scale("errors", 359), Scale("log")


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_accuracy_of_some_errors_is_its_score_and_back(counted):
    errors, tests = counted
    scale = Scale("errors", tests)
    assert scale.score(1 - errors / tests) == pytest.approx(-log((errors + 0.5) / (tests + 1)), abs=1e-9)
    assert scale.value(scale.score(1 - errors / tests)) == pytest.approx(1 - errors / tests, abs=1e-9)


def test_twelve_against_six_errors_of_359_by_hand():
    """12.5 / 6.5."""
    apart = ERRORS.score(1 - 6 / 359) - ERRORS.score(1 - 12 / 359)
    assert exp(apart) == pytest.approx(12.5 / 6.5)
    assert apart > 0  # fewer errors are a higher score


@given(st.floats(1e-30, 1e30))
def test_a_positive_loss_is_its_logarithm_and_back(value):
    assert LOG.value(LOG.score(value)) == pytest.approx(value, rel=1e-12)
    assert LOG.score(2 * value) - LOG.score(value) == pytest.approx(log(2), abs=1e-12)


def test_what_was_declared_positive_and_is_not_counts_as_the_least_there_is():
    """Such a report ends its run as failed, but what it reported before is judged."""
    for value in (0.0, -1.0):
        assert LOG.score(value) == LOG.score(5e-324) < LOG.score(1e-300)


def test_scores_without_an_end_are_the_ends_of_what_is_possible():
    assert [ERRORS.value(score) for score in (-inf, -1e4, 1e4, inf)] == [0, 0, 1, 1]
    assert [LOG.value(score) for score in (-inf, 1e4, inf)] == [0, inf, inf]
    assert (PLAIN.value(-inf), PLAIN.score(0.3), PLAIN.value(0.3)) == (-inf, 0.3, 0.3)


def test_only_logarithms_are_ratios():
    assert (PLAIN.is_ratio, ERRORS.is_ratio, LOG.is_ratio) == (False, True, True)


def test_the_resolution_is_the_spread_of_numbers_of_errors_that_were_rounded():
    """Of 60 errors, give or take half of one."""
    rng = np.random.default_rng(0)
    within_one = 60 + rng.random(100_000) - 0.5
    scores = [ERRORS.score(1 - errors / 359) for errors in within_one]
    assert ERRORS.resolution([ERRORS.score(1 - 60 / 359)] * 3) == pytest.approx(np.std(scores), rel=0.02)
    assert ERRORS.resolution([ERRORS.score(1.0)] * 2) == pytest.approx(2 / sqrt(12))
    assert (PLAIN.resolution([0.5]), LOG.resolution([0.5])) == (0, 0)


@given(st.floats(1e-6, 1e6), st.integers(0, 2**31))
def test_the_rounding_of_float32_is_below_and_a_thousandth_is_above(value, seed):
    rng = np.random.default_rng(seed)
    rounded = [float(np.float32(value * (1 + 1e-7 * each))) for each in rng.standard_normal(8)]
    noisy = [value * (1 + 1e-3 * each) for each in rng.standard_normal(8)]
    for scale in (PLAIN, LOG):
        scores, far = [scale.score(v) for v in rounded], [scale.score(v) for v in noisy]
        assert np.std(scores, ddof=1) <= scale.rounding(scores)
        assert np.std(far, ddof=1) > scale.rounding(far)
