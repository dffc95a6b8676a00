"""What may be said of two, read off one interval."""

from dataclasses import replace
from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from thalweg.stats.difference import Difference, answered, correlation, paired_interval
from thalweg.stats.intervals import Interval, t_interval
from thalweg.stats.levels import search_interval
from thalweg.stats.pool import Estimate
from thalweg.stats.proportion import Rate
from thalweg.stats.scale import Scale
from thalweg.stats.superiority import brunner_munzel_interval

A = [0.971, 0.975, 0.973, 0.978, 0.970]
B = [0.960, 0.966, 0.958, 0.964, 0.961]
NONE, SOME = Rate(0, 20), Rate(3, 20)


def between(low, high, n=5):
    """An interval of so many seeds, whose values do not matter."""
    return Interval((low + high) / 2, low, high, 1.0, 0.95, (0.0,) * n)


def read(interval, up=True, **others):
    return answered("a", "b", interval, higher_is_better=up, **others)


def said(interval, up=True, **others):
    found = read(interval, up, **others)
    return found.answer, found.why, found.slight


@pytest.mark.parametrize(
    ("low", "high", "matters", "answer", "slight"),
    [
        (0.1, 3.0, None, "better", False),
        (-3.0, -0.1, None, "worse", False),
        (0.1, 3.0, 1.0, "better", False),
        (0.1, 0.9, 1.0, "better", True),
        (0.1, 1.0, 1.0, "better", False),  # as much as matters is not less
        (-0.9, -0.1, 1.0, "worse", True),
        (1.2, 3.0, 1.0, "better", False),
        (-0.9, 0.9, 1.0, "equal", False),
        (-0.9, 0.9, None, "cannot tell", False),
        (-1e-9, 1e-9, None, "cannot tell", False),
        (-0.9, 1.0, 1.0, "cannot tell", False),
        (-1.0, 0.9, 1.0, "cannot tell", False),
        (0.0, 0.9, 1.0, "equal", False),  # 0 itself is not left out
        (0.0, 2.0, 1.0, "cannot tell", False),
        (-inf, inf, 1.0, "cannot tell", False),
    ],
)
def test_the_answer_is_read_off_the_interval(low, high, matters, answer, slight):
    interval = replace(between(low, high), mean=0.5 if high == inf else (low + high) / 2)
    why = "noise" if answer == "cannot tell" else ""
    assert said(interval, matters=matters) == (answer, why, slight)
    turned = {"better": "worse", "worse": "better"}
    assert said(interval, up=False, matters=matters) == (turned.get(answer, answer), why, slight)
    searched = replace(interval, values=())
    if high < inf:
        assert said(searched, matters=matters, searches=True) == (answer, why, slight)


bounds = st.tuples(st.floats(-2, 2), st.floats(-2, 2)).map(sorted)


@given(bounds, st.none() | st.floats(0.01, 2), st.booleans())
def test_without_what_matters_nothing_is_equal_and_never_is_a_claim_against_the_interval(ends, matters, up):
    low, high = ends
    answer, _, slight = said(between(low, high), up, matters=matters)
    holds_0 = low <= 0 <= high
    assert (answer in ("better", "worse")) == (not holds_0)
    if answer == "equal" or slight:
        assert matters is not None
        assert max(-low, high) < matters
    if answer == "better":
        assert (low > 0) == up


rates = st.tuples(st.integers(0, 20), st.integers(0, 20)).map(lambda two: (Rate(two[0], 20), Rate(two[1], 20)))


@given(bounds, st.none() | st.floats(0.01, 2), st.booleans(), rates, st.none() | bounds)
def test_turned_round_it_says_the_same_and_twice_it_is_as_it_was(ends, matters, up, failures, of_good):
    quality = between(*of_good) if of_good else None
    more = {"matters": matters, "failures": failures, "quality": quality}
    found = read(between(*ends), up, **more)
    assert found.flipped.flipped == found
    turned = more | {"failures": failures[::-1], "quality": quality and quality.negative}
    assert found.flipped == answered("b", "a", between(*ends).negative, higher_is_better=up, **turned)


@given(bounds, st.floats(0.01, 2), st.booleans(), rates, st.none() | bounds)
def test_nothing_is_better_that_failed_more_often_or_is_worse_where_it_did_not_fail(ends, matters, up, failures, good):
    found = read(between(*ends), up, matters=matters, failures=failures, quality=between(*good) if good else None)
    ahead = found if found.answer == "better" else found.flipped
    if found.answer in ("better", "worse"):
        assert ahead.failures[0].share <= ahead.failures[1].share
        if ahead.quality:
            assert ahead.quality.high >= 0 if up else ahead.quality.low <= 0
    if found.answer == "equal":
        assert not found.one_failed
    if found.answer == "cannot tell":
        assert not found.slight


def test_failures_take_back_what_is_better_and_what_is_equal():
    better, equal = between(0.2, 1.0), between(-0.2, 0.2)
    assert said(better, failures=(SOME, NONE)) == ("cannot tell", "failures", False)
    assert said(better, up=False, failures=(NONE, SOME)) == ("cannot tell", "failures", False)
    assert said(better, failures=(NONE, SOME)) == ("better", "", False)
    assert said(better, failures=(SOME, SOME)) == ("better", "", False)
    for failures in ((SOME, NONE), (NONE, SOME)):
        assert said(equal, matters=0.5, failures=failures) == ("cannot tell", "failures", False)
    assert said(equal, matters=0.5, failures=(NONE, NONE)) == ("equal", "", False)
    # What could not be told is so for its noise.
    assert said(equal, failures=(SOME, NONE)) == ("cannot tell", "noise", False)


def test_quality_of_the_opposite_sign_takes_back_what_is_better():
    better, below, above, about = between(0.2, 1.0), between(-1, -0.1), between(0.1, 1), between(-1, 1)
    assert said(better, quality=below) == ("cannot tell", "quality", False)
    assert said(better, quality=above) == said(better, quality=about) == ("better", "", False)
    assert said(better, up=False, quality=below) == ("cannot tell", "quality", False)
    assert said(between(-1, -0.2), quality=above) == ("cannot tell", "quality", False)
    assert said(between(-1, -0.2), up=False, quality=above) == ("cannot tell", "quality", False)
    assert said(between(-1, -0.2), up=False, quality=below) == ("better", "", False)


def test_a_paired_interval_is_students_of_the_differences():
    for miss in (0.05, 0.01 / 15):
        found = paired_interval(A, B, miss=miss)
        assert found == t_interval([x - y for x, y in zip(A, B, strict=True)], level=1 - miss)
        theirs = ttest_rel(A, B).confidence_interval(1 - miss)
        assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))
    assert paired_interval(B, A).negative.low == pytest.approx(paired_interval(A, B).low)


def test_what_the_seeds_share_cancels():
    shared = [0.0, 10.0, -7.0, 3.0, 30.0]
    ahead = [s + 1 + e for s, e in zip(shared, (0.1, -0.1, 0.2, 0.0, 0.1), strict=True)]
    assert said(paired_interval(ahead, shared))[0] == "better"


def test_what_is_no_pair_of_lists_is_refused():
    with pytest.raises(ValueError, match="at least 2; got 1 and 1"):
        paired_interval([1.0], [0.0])
    with pytest.raises(ValueError, match="same length, at least 2; got 3 and 2"):
        paired_interval([1.0, 2.0, 3.0], [0.0, 1.0])


@pytest.mark.parametrize("by", [0.25, 0.1, -0.1])
def test_the_same_difference_in_every_seed_is_told_by_many_signs_only(by):
    """2^(1 - 5) = 0.06 is above 5%, 2^(1 - 20) far below it; 2^(1 - 6) = 0.03 is below 5% and above 1%."""
    direction = "better" if by > 0 else "worse"

    def of(seeds, miss=0.05):
        values = [0.1 * k for k in range(seeds)]
        return said(paired_interval([v + by for v in values], values, miss=miss))

    assert of(5) == ("cannot tell", "constant", False)
    assert of(20) == (direction, "constant", False)
    assert of(6) == (direction, "constant", False)
    assert of(6, miss=0.01) == ("cannot tell", "constant", False)
    assert of(20, miss=0.01 / 15) == (direction, "constant", False)


def test_a_constant_difference_of_what_failed_more_often_is_not_told():
    constant = paired_interval([1.5] * 20, [1.0] * 20)
    assert (constant.low, constant.high, constant.sd) == (-inf, inf, 0)
    assert said(constant, failures=(SOME, NONE)) == ("cannot tell", "failures", False)
    assert said(constant, matters=2.0) == ("better", "constant", False)


def test_no_difference_in_any_seed_is_not_called_equal():
    """What one file ran twice, for instance: that they are equal is no finding."""
    for matters in (None, 0.1):
        assert said(paired_interval(A, list(A)), matters=matters) == ("cannot tell", "equal", False)


@pytest.mark.parametrize("seeds", [5, 20])
@pytest.mark.parametrize("size", [1e-8, 1.0, 1000.0])
def test_differences_of_float32s_rounding_are_none(seeds, size):
    """Of either sign or of one, whatever the size of the values, and whatever smaller ones stand beside them."""
    rng = np.random.default_rng(0)
    values = [size * (1 + k / 10) for k in range(seeds)]
    for signs in (rng.choice([-1, 1], seeds), np.ones(seeds)):
        moved = [v + 1e-7 * size * sign for v, sign in zip(values, signs, strict=True)]
        found = paired_interval([*moved, 0.0], [*values, 0.0])
        assert (found.low, found.high, found.mean) == (-inf, inf, 0)
        assert said(found) == ("cannot tell", "equal", False)
    # A difference of a tenth is none of rounding, even of values this small.
    assert said(paired_interval([1.1 * size] * 20, [size] * 20)) == ("better", "constant", False)


def test_on_a_logarithmic_scale_rounding_does_not_grow_near_1():
    """The logarithm of 1.0000001 is small, and no noise."""
    log = Scale("log")
    one, other = ([log.score(1 + k * 1e-7) for k in steps] for steps in ((0, 1, 0, 2), (1, 0, 0, 1)))
    assert said(paired_interval(one, other, scale=log)) == ("cannot tell", "equal", False)


def test_differences_that_round_to_constant_but_not_all_of_one_sign_tell_nothing():
    """A spread of rounding's size around less than it: signs are no evidence."""
    moved = [1.0 + k for k in 20 * [1.2e-6]]
    moved[3] = 1.0 - 0.1e-6
    assert said(paired_interval(moved, [1.0] * 20)) == ("cannot tell", "constant", False)


def test_equal_numbers_of_errors_have_a_width():
    """12 of 359 in every seed of both: sqrt(2) times the resolution, and Student's quantile."""
    scale = Scale("errors", 359)
    scores = [scale.score(1 - 12 / 359)] * 5
    found = paired_interval(scores, scores, scale=scale)
    assert found.high == pytest.approx(2.776445 * 2**0.5 / (12**0.5 * 12.5) / 5**0.5)
    assert said(found)[:2] == ("cannot tell", "noise")
    assert said(found, matters=0.06)[0] == "equal"


def test_correlations_are_numpys():
    rng = np.random.default_rng(0)
    ours, *others = rng.standard_normal((4, 6))
    intervals = [paired_interval(each, ours) for each in others]
    assert correlation(intervals) == pytest.approx(np.corrcoef([each - ours for each in others]))
    # One that never varies, as numbers of errors may, goes with nothing.
    still = paired_interval([1.0] * 6, [0.5] * 6)
    assert correlation([still, intervals[0]]) == pytest.approx(np.eye(2))


def estimate(mean, se):
    return Estimate(mean, se, 8.0, se**2, 0.0, 0.3, 1.0, np.zeros(1), np.zeros(2))


def test_an_interval_of_searches_is_its_estimates():
    found = search_interval(estimate(1.0, 0.2), 0.01)
    half = estimate(1.0, 0.2).half(0.99)
    assert (found.low, found.high, found.level, found.sd) == pytest.approx((1 - half, 1 + half, 0.99, 0.3))
    assert said(found, searches=True)[0] == "better"


@pytest.mark.parametrize(("mean", "why"), [(0.0, "equal"), (0.3, "constant"), (-0.3, "constant")])
def test_searches_in_which_nothing_varies_are_never_called_better(mean, why):
    found = search_interval(estimate(mean, 0.0), 0.05)
    assert (found.low, found.high) == (-inf, inf)
    assert said(found, matters=1.0, searches=True) == ("cannot tell", why, False)


def test_if_they_differ_it_is_by_less_than_the_farther_end():
    assert read(between(-0.2, 0.7)).at_most == 0.7
    assert read(between(-0.9, 0.7)).at_most == 0.9


def test_of_one_alone_failures_are_told():
    for failures, one in (((NONE, NONE), False), ((SOME, SOME), False), ((SOME, NONE), True), ((NONE, SOME), True)):
        assert read(between(-1, 1), failures=failures).one_failed == one


def test_turned_round_the_chance_is_the_others():
    chance = brunner_munzel_interval(A, B, higher_is_better=True)
    found: Difference = read(paired_interval(A, B), superiority=chance)
    assert (found.flipped.superiority.estimate, found.flipped.first) == (1 - chance.estimate, "b")
