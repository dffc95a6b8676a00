from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from thalweg.stats.intervals import Interval, t_interval, t_quantile
from thalweg.stats.paired import answered, difference, p_value, procedure_difference, seeds_needed
from thalweg.stats.pool import Estimate

A = [0.971, 0.975, 0.973, 0.978, 0.970]
B = [0.960, 0.966, 0.958, 0.964, 0.961]


def test_a_clear_difference_has_a_direction():
    assert difference("a", "b", A, B, higher_is_better=True).answer == "better"
    assert difference("a", "b", A, B, higher_is_better=False).answer == "worse"
    assert difference("b", "a", B, A, higher_is_better=True).answer == "worse"


def test_pairing_removes_what_the_seeds_share():
    shared = [0.0, 10.0, -7.0, 3.0, 30.0]
    a = [s + 1 + e for s, e in zip(shared, (0.1, -0.1, 0.2, 0.0, 0.1), strict=True)]
    found = difference("a", "b", a, shared, higher_is_better=True)
    assert found.answer == "better"
    assert found.interval == t_interval([x - y for x, y in zip(a, shared, strict=True)])


def test_more_pairs_shown_widen_each_interval():
    one, ten = (difference("a", "b", A, B, higher_is_better=True, together=n) for n in (1, 10))
    assert ten.interval.low < one.interval.low < one.interval.high < ten.interval.high


def test_no_difference_in_any_seed_is_equal_not_better():
    found = difference("a", "b", A, list(A), higher_is_better=True)
    assert (found.answer, found.why, found.more_seeds) == ("cannot tell", "equal", None)


@pytest.mark.parametrize("shift", [0.25, 0.1])
def test_the_same_difference_in_every_seed_leaves_the_noise_unknown(shift):
    found = difference("a", "b", [a + shift for a in A], A, higher_is_better=True)
    assert (found.answer, found.why) == ("cannot tell", "constant")


def test_two_seeds_are_enough_for_an_interval_but_one_is_not():
    assert difference("a", "b", [1.0, 1.1], [0.0, 0.0], higher_is_better=True).answer == "better"
    with pytest.raises(ValueError, match="at least 2"):
        difference("a", "b", [1.0], [0.0], higher_is_better=True)
    with pytest.raises(ValueError, match="same length"):
        difference("a", "b", [1.0, 2.0, 3.0], [0.0, 1.0], higher_is_better=True)


@given(st.floats(0.01, 10), st.floats(0.01, 10), st.integers(2, 10), st.integers(1, 6))
def test_seeds_needed_is_the_first_number_that_is_enough(mean, sd, n, together):
    more = seeds_needed(mean, sd, n, together=together)
    assume(more is not None and more > 1)

    def half(total):
        return t_quantile(total, 0.95, together) * sd / total**0.5

    assert half(n + more) < mean <= half(n + more - 1)


def test_no_number_is_given_when_it_would_be_absurd():
    assert seeds_needed(1e-6, 1.0, 5) is None
    assert seeds_needed(0.0, 1.0, 5) is None


def test_the_p_value_is_that_of_the_paired_t_test():
    assert p_value(A, B) == pytest.approx(ttest_rel(A, B).pvalue)
    assert p_value(B, A) == pytest.approx(p_value(A, B))


@pytest.mark.parametrize("shift", [0.0, 0.1, 1 / 3])
def test_an_unknown_spread_is_never_significant(shift):
    assert p_value([a + shift for a in A], A) == 1


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=6), st.integers(1, 6))
def test_an_interval_excludes_0_exactly_where_the_p_value_says_so(values, together):
    assume(np.std(values) > 1e-3)
    zeros = [0.0] * len(values)
    p = p_value(values, zeros)
    assume(abs(p * together - 0.05) > 1e-6)
    interval = difference("a", "b", values, zeros, higher_is_better=True, together=together).interval
    assert (interval.low > 0 or interval.high < 0) == (p * together < 0.05)


def test_equal_within_noise_is_said_of_many_seeds_whose_interval_is_narrow():
    """20 seeds with a standard deviation of 1 each: the half-width of the difference is about 0.6."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 20))
    a, b = (a - a.mean()) / a.std(ddof=1), (b - b.mean()) / b.std(ddof=1)
    found = difference("a", "b", a.tolist(), b.tolist(), higher_is_better=True)
    assert (found.answer, found.noise) == ("equal within noise", pytest.approx(1))
    assert (found.more_seeds, found.why) == (None, "")
    few = difference("a", "b", a[:5].tolist(), b[:5].tolist(), higher_is_better=True)
    assert few.answer == "cannot tell"


@pytest.mark.parametrize(
    ("low", "high", "answer"),
    [
        (0.1, 3.0, "better"),
        (-3.0, -0.1, "worse"),
        (-0.9, 0.9, "equal within noise"),
        (-0.9, 1.1, "cannot tell"),
        (-1.1, 0.9, "cannot tell"),
        (-0.9, 1.0, "cannot tell"),  # as wide as the noise is not within it
        (-1.0, 0.9, "cannot tell"),
        (0.1, 0.2, "better"),  # small but real: that it is small stands in the interval
    ],
)
def test_the_answer_follows_from_the_interval_and_the_noise(low, high, answer):
    interval = Interval((low + high) / 2, low, high, 1.0, 0.95, ())
    assert answered(interval, 1.0, higher_is_better=True) == answer
    turned = {"better": "worse", "worse": "better"}
    assert answered(interval, 1.0, higher_is_better=False) == turned.get(answer, answer)


def test_rounding_is_that_of_the_largest_value():
    """Differences of 1e-10 among values of 1000 are none, whatever values of 0 stand beside them."""
    a, b = (1000.0, 0.0, 1e-3), (1000.0 + 5e-10, -1e-10, 1e-3)
    assert p_value(a, b) == 1.0
    assert difference("a", "b", a, b, higher_is_better=True).why == "equal"


FOUND = Estimate(mean=1.0, se=0.2, df=8.0, trials_part=0.03, seeds_part=0.01, noise=0.5, covered=0.95)


def procedural(found, **others):
    return procedure_difference("a", "b", found, **{"trials": 25, "seeds": 5, "higher_is_better": True, **others})


def test_a_difference_of_procedures_says_what_its_estimate_does():
    found = procedural(FOUND)
    assert (found.answer, found.procedure, found.noise, found.interval.sd) == ("better", True, 0.5, 0.5)
    assert (found.interval.low, found.interval.high) == pytest.approx((1 - FOUND.half(), 1 + FOUND.half()))
    assert procedural(FOUND, higher_is_better=False).answer == "worse"
    assert procedural(replace(FOUND, mean=0.0)).answer == "equal within noise"
    assert procedural(replace(FOUND, mean=0.2)).answer == "cannot tell"


def test_a_family_of_procedures_has_wider_intervals():
    one, ten = procedural(FOUND), procedural(FOUND, together=10)
    assert ten.interval.low < one.interval.low < one.interval.high < ten.interval.high
    assert procedural(replace(FOUND, mean=0.6)).answer == "better"
    assert procedural(replace(FOUND, mean=0.6), together=10).answer == "cannot tell"


def test_more_trials_or_seeds_are_counted_and_absurd_numbers_left_out():
    found = procedural(replace(FOUND, mean=0.4))
    assert found.answer == "cannot tell"
    assert found.more_trials == replace(FOUND, mean=0.4).more(25, 5)[0]
    assert 0 < found.more_trials <= 200
    assert found.more_seeds is None  # the draws alone are too few
    hopeless = procedural(replace(FOUND, mean=0.24, noise=0.1))
    assert (hopeless.answer, hopeless.more_trials, hopeless.more_seeds) == ("cannot tell", None, None)


@pytest.mark.parametrize(("mean", "why"), [(0.0, "equal"), (0.3, "constant")])
def test_procedures_without_any_spread_are_never_called_better(mean, why):
    still = replace(FOUND, mean=mean, se=0.0, trials_part=0.0, seeds_part=0.0)
    found = procedural(still)
    assert (found.answer, found.why, found.procedure) == ("cannot tell", why, True)
    assert still.p == 1
