import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from thalweg.stats.intervals import t_interval, t_quantile
from thalweg.stats.paired import difference, seeds_needed

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
