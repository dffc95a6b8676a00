import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from thalweg.stats.proportion import Rate, exact_bounds


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.sampled_from([0.8, 0.95]))
def test_bounds_are_scipys_exact_interval(counted, level):
    count, total = counted
    theirs = binomtest(count, total).proportion_ci(level, method="exact")
    assert exact_bounds(count, total, (1 - level) / 2) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_of_none_that_failed_the_bound_is_by_hand():
    """(1 - P)^20 = 0.05."""
    none = Rate(0, 20)
    assert none.not_excluded == pytest.approx(1 - 0.05 ** (1 / 20))
    assert f"{none.not_excluded:.1%}" == "13.9%"
    assert (none.share, none.interval[0]) == (0, 0)
    assert none.interval[1] == pytest.approx(1 - 0.025 ** (1 / 20))


def test_of_some_the_interval_is_two_sided_and_the_bound_one_sided():
    some = Rate(3, 45)
    theirs = binomtest(3, 45).proportion_ci(0.95, method="exact")
    assert some.interval == pytest.approx((theirs.low, theirs.high))
    assert some.not_excluded == pytest.approx(binomtest(3, 45, alternative="less").proportion_ci(0.95, "exact").high)
    assert some.share == pytest.approx(1 / 15)
    assert Rate(7, 7).interval[1] == 1


def test_of_no_runs_nothing_is_known():
    assert (Rate(0, 0).share, Rate(0, 0).not_excluded, Rate(0, 0).interval) == (0, 1, (0, 1))
