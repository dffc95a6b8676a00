from itertools import combinations
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.stats.tuning_curve import expected_best

values = st.lists(st.floats(-100, 100), min_size=1, max_size=7)


@given(values, st.booleans())
def test_expected_best_is_the_mean_over_every_choice_of_n(values, up):
    best = max if up else min
    enumerated = [mean(best(chosen) for chosen in combinations(values, n)) for n in range(1, len(values) + 1)]
    assert expected_best(values, higher_is_better=up) == pytest.approx(enumerated, abs=1e-9)


def test_many_trials_do_not_overflow():
    curve = expected_best(range(2000))
    assert curve[0] == pytest.approx(999.5)
    assert curve[-1] == 1999


def test_a_value_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="finite"):
        expected_best([1.0, float("nan")])
