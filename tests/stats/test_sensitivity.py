import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from thalweg.stats.sensitivity import sensitivity

ACCURACIES = [0.900, 0.899, 0.892, 0.880, 0.860, 0.850, 0.1, 0.1]


def test_the_share_within_1_and_5_percent_of_the_best():
    one, five = sensitivity(ACCURACIES, higher_is_better=True)
    assert (one.tolerance, one.count, one.total, one.share) == (0.01, 3, 8, 0.375)
    assert (five.tolerance, five.count) == (0.05, 5)


def test_of_a_loss_the_best_is_the_lowest():
    one, five = sensitivity([1.0, 1.009, 1.04, 2.0], higher_is_better=False)
    assert (one.count, five.count) == (2, 3)
    assert [share.count for share in sensitivity([-1.0, -0.97, 5.0], higher_is_better=False)] == [1, 2]


@pytest.mark.parametrize("values", [ACCURACIES, [0.5] * 7, [0.9, 0.1], [0.3]])
def test_the_interval_is_clopper_and_pearsons(values):
    for share in sensitivity(values, higher_is_better=True):
        expected = proportion_confint(share.count, share.total, method="beta")
        assert (share.low, share.high) == pytest.approx(expected)
        assert 0 <= share.low < share.share <= share.high <= 1


@given(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=20), st.sampled_from([0.25, 2.0, 1024.0]))
def test_the_size_of_the_unit_does_not_matter_and_a_wider_tolerance_holds_more(values, factor):
    found = sensitivity(values, higher_is_better=True, within=(0.0, 0.01, 0.5))
    assert 1 <= found[0].count <= found[1].count <= found[2].count
    scaled = sensitivity([factor * v for v in values], higher_is_better=True, within=(0.0, 0.01, 0.5))
    assert scaled == found


def test_a_best_of_0_is_met_by_equal_values_only():
    assert [share.count for share in sensitivity([0.0, 0.0, 1e-9], higher_is_better=False)] == [2, 2]


@pytest.mark.parametrize("values", [[], [0.1, float("nan")], [float("inf")], [[0.1]]])
def test_what_it_cannot_count_is_refused_in_words(values):
    with pytest.raises(ValueError, match="flat list of finite numbers, got shape"):
        sensitivity(values, higher_is_better=True)
