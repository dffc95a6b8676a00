"""From values to verdicts, by hand."""

from math import exp, inf, sqrt

import pytest
from scipy.stats import t as student

from thalweg.claims.claim import Bound, Claim, Measurement, Seeds
from thalweg.claims.judging import agreement, intervals, judged
from thalweg.languages import Words

WORDS = Words("a", "b")


def claim(*bounds, seeds=4):
    return Claim("a-claim", "Slide", WORDS, WORDS, WORDS, bounds, seeds, lambda _: Measurement({}, ()), tuning=2)


def verdict(one, **values):
    return judged(one, intervals(one, Measurement(values, ()))).verdict


def test_an_interval_is_students_at_one_percent():
    one = claim(Bound("x", WORDS, at_least=0.0))
    interval = intervals(one, Measurement({"x": [1.0, 2.0, 3.0, 4.0]}, ()))["x"]
    # Mean 2.5, deviation sqrt(5/3).
    half = student.ppf(0.995, 3) * sqrt(5 / 3) / 2
    assert (interval.low, interval.high) == pytest.approx((2.5 - half, 2.5 + half), rel=1e-12)


def test_several_bounds_share_the_error():
    both = claim(Bound("x", WORDS, at_least=0.0), Bound("y", WORDS, at_least=0.0))
    values = {"x": [1.0, 2.0, 3.0, 4.0], "y": [1.0, 1.0, 1.0, 1.0]}
    interval = intervals(both, Measurement(values, ()))["x"]
    assert interval.high - 2.5 == pytest.approx(student.ppf(0.9975, 3) * sqrt(5 / 3) / 2, rel=1e-12)


def test_of_a_ratio_the_interval_is_of_logarithms():
    one = claim(Bound("x", WORDS, at_least=1.0, ratio=True))
    interval = intervals(one, Measurement({"x": [exp(1), exp(2), exp(3), exp(4)]}, ()))["x"]
    half = student.ppf(0.995, 3) * sqrt(5 / 3) / 2
    assert (interval.mean, interval.low, interval.high) == pytest.approx((exp(2.5), exp(2.5 - half), exp(2.5 + half)))
    with pytest.raises(ValueError, match="above 0"):
        intervals(one, Measurement({"x": [1.0, 0.0, 1.0, 1.0]}, ()))


@pytest.mark.parametrize(
    ("bound", "expected"),
    [  # of values whose interval is 2.5 +- 3.77
        (Bound("x", WORDS, at_least=-1.3), "holds"),
        (Bound("x", WORDS, at_least=-1.2), "cannot tell"),
        (Bound("x", WORDS, at_least=6.2), "cannot tell"),
        (Bound("x", WORDS, at_least=6.3), "does not hold"),
        (Bound("x", WORDS, at_most=6.3), "holds"),
        (Bound("x", WORDS, at_most=-1.3), "does not hold"),
        (Bound("x", WORDS, at_least=-1.3, at_most=6.3), "holds"),
        (Bound("x", WORDS, at_least=-1.3, at_most=6.2), "cannot tell"),
        (Bound("x", WORDS, at_least=7.0, at_most=8.0), "does not hold"),
    ],
)
def test_where_the_interval_lies_decides(bound, expected):
    assert verdict(claim(bound), x=[1.0, 2.0, 3.0, 4.0]) == expected


def test_a_claim_is_all_of_its_bounds():
    low, high = Bound("x", WORDS, at_least=0.0), Bound("y", WORDS, at_least=0.0)
    both = claim(low, high)
    sure, unsure, wrong = [1.0] * 4, [-1.0, 1.0, -1.0, 1.0], [-1.0] * 4
    assert verdict(both, x=sure, y=sure) == "holds"
    assert verdict(both, x=sure, y=unsure) == "cannot tell"
    assert verdict(both, x=unsure, y=wrong) == "does not hold"


def test_a_missing_quantity_and_an_empty_bound_are_refused():
    with pytest.raises(KeyError):
        verdict(claim(Bound("x", WORDS, at_least=0.0)), y=[1.0])
    with pytest.raises(ValueError, match="at_least or at_most"):
        Bound("x", WORDS)
    with pytest.raises(ValueError, match="between two"):
        Bound("x", WORDS, at_least=2.0, at_most=1.0)
    with pytest.raises(ValueError, match="between two"):
        Bound("x", WORDS, at_least=inf)


def test_agreement_is_the_share_of_the_most_frequent():
    assert agreement(["holds", "cannot tell", "holds", "holds", "cannot tell"]) == 0.6
    assert agreement(["does not hold"]) == 1.0


def test_seeds_are_others_for_each_repeat_claim_and_use():
    one = claim(Bound("x", WORDS, at_least=0.0))
    drawn = [one.seeds_of(repeat) for repeat in range(6)]
    every = [seed for each in drawn for seed in (*each.judged, *each.tuning)]
    assert len({*every}) == len(every) == 36
    assert all(0 <= seed < 2**32 for seed in every)
    assert drawn[1] == one.seeds_of(1) != Seeds(drawn[1].tuning, drawn[1].judged)
