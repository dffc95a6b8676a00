"""How far another search's best could be from this one's: the band around the tuning curve."""

from itertools import combinations
from math import sqrt
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import stdtrit

from thalweg.study.judge.judging import _half_widths

VALUES = st.lists(st.floats(0.1, 0.9), min_size=6, max_size=9, unique=True)


def ranked(values):
    return tuple(sorted(range(len(values)), key=lambda trial: -values[trial]))


def expected(values, n):
    """The mean best of the default, the first, and n - 1 of the others: every choice of them."""
    return mean(max((values[0], *others)) for others in combinations(values[1:], n - 1))


@given(VALUES)
def test_it_is_the_jackknife_over_the_trials(values):
    halves = _half_widths(values, ranked(values))
    assert len(halves) == len(values) // 3
    assert halves[0] == 0  # the default alone: nothing is drawn
    for n, half in enumerate(halves[1:], 2):
        without = [expected([*values[:i], *values[i + 1 :]], n) for i in range(1, len(values))]
        count = len(without)
        se = sqrt((count - 1) / count * sum((value - mean(without)) ** 2 for value in without))
        # Degrees of freedom: Satterthwaite's, at least 1, but at most as many as there are disjoint studies.
        assert half >= stdtrit(len(values) / n, 0.975) * se * (1 - 1e-9) - 1e-12
        assert half <= stdtrit(1, 0.975) * se * (1 + 1e-9) + 1e-12


@given(VALUES)
def test_losses_that_ran_away_have_a_band_too(values):
    far = [2.0**600 * value for value in values]
    assert _half_widths(far, ranked(far)) == pytest.approx(
        [2.0**600 * half for half in _half_widths(values, ranked(values))], rel=1e-6
    )


def test_small_pools_have_none():
    assert _half_widths([0.5, 0.6], (1, 0)) == ()
    assert _half_widths([0.0, 0.0, 0.0, 0.0, 0.0, 0.0], (0, 1, 2, 3, 4, 5)) == (0, 0)
