from math import inf, sqrt

import numpy as np
import pytest
from scipy import stats

from thalweg.stats.planning import POWER, detectable, spread
from thalweg.stats.pool import Estimate


@pytest.mark.parametrize(("se", "df", "miss"), [(0.3, 4.0, 0.05), (2.0, 7.5, 0.0101), (1e-3, 60.0, 0.05), (1, 2, 0.04)])
def test_so_large_a_difference_is_told_as_often_as_is_asked(se, df, miss):
    """By the noncentral distribution, and by 40,000 estimates whose own standard errors vary."""
    effect = detectable(se, df, miss)
    critical = stats.t.isf(miss / 2, df)
    assert stats.nct.sf(critical, df, effect / se) == pytest.approx(POWER, abs=1e-6)
    rng, n = np.random.default_rng(0), 40_000
    estimates = effect + se * rng.standard_normal(n)
    errors = se * np.sqrt(rng.chisquare(df, n) / df)
    assert np.mean(estimates - critical * errors > 0) == pytest.approx(POWER, abs=0.01)


def test_with_many_degrees_it_is_the_sum_of_two_normal_quantiles():
    for df in (1e6, inf):
        assert detectable(0.5, df, 0.05) == pytest.approx(0.5 * (1.959964 + 0.841621), rel=1e-4)


def test_more_power_needs_more_and_the_few_degrees_of_few_seeds_are_enough():
    assert detectable(1, 4, 0.05, 0.5) < detectable(1, 4, 0.05) < detectable(1, 4, 0.05, 0.95)
    # One degree, and a share of fifteen pairs at 1%: still a number, and the right one.
    critical = stats.t.isf(0.01 / 15 / 2, 1)
    assert stats.nct.sf(critical, 1, detectable(1, 1, 0.01 / 15)) == pytest.approx(0.8, abs=1e-3)


def test_where_the_spread_is_not_known_nothing_is():
    assert detectable(0.0, 4, 0.05) == inf


def test_trials_and_seeds_shrink_each_its_part():
    found = Estimate(1.0, 0.5, 6.0, 0.16, 0.09, 1.0, 1.0, np.zeros(1), np.zeros(2))
    assert spread(found) == pytest.approx(0.5)
    assert spread(found, more_trials=4) == pytest.approx(sqrt(0.04 + 0.09))
    assert spread(found, more_seeds=9) == pytest.approx(sqrt(0.16 + 0.01))
