import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from thalweg.stats.holm import holm, holm_together
from thalweg.stats.paired import difference

# From few values too, so that some are equal.
p_values = st.lists(st.floats(0, 1) | st.sampled_from([0.0, 0.01, 0.02, 0.05, 1.0]), min_size=1, max_size=12)


@settings(max_examples=8)  # theirs takes 0.2 s
@given(p_values)
def test_it_is_statsmodels(p):
    rejected, adjusted, _, _ = multipletests(p, alpha=0.05, method="holm")
    assert holm(p) == pytest.approx(list(adjusted), abs=1e-15)
    assert [v <= 0.05 for v in holm(p)] == list(rejected)


def test_an_example_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm_together([0.01, 0.04, 0.03, 0.005]) == (3, 2, 2, 4)


@given(p_values)
def test_it_lies_between_no_correction_and_bonferronis_and_keeps_the_order(p):
    for raw, adjusted in zip(p, holm(p), strict=True):
        assert raw <= adjusted <= min(1.0, len(p) * raw)
    in_order = sorted(zip(p, holm(p), strict=True))
    assert [v for _, v in in_order] == sorted(v for _, v in in_order)


@given(p_values, st.randoms())
def test_the_order_of_the_list_does_not_matter(p, chance):
    order = list(range(len(p)))
    chance.shuffle(order)
    found = holm(p)
    assert holm([p[i] for i in order]) == tuple(found[i] for i in order)


@given(p_values, st.integers(0, 11), st.floats(0, 1))
def test_a_smaller_p_value_makes_none_larger(p, place, factor):
    smaller = [v * factor if i == place % len(p) else v for i, v in enumerate(p)]
    assert all(after <= before for before, after in zip(holm(p), holm(smaller), strict=True))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.sampled_from([0.01, 0.05, 0.1]))
def test_each_intervals_own_level_gives_holms_decision(p, level):
    for raw, adjusted, together in zip(p, holm(p), holm_together(p, level), strict=True):
        if abs(adjusted - level) > 1e-12:
            assert (raw <= level / together) == (adjusted <= level)


def test_a_paired_difference_shown_with_it_excludes_0_where_holm_rejects():
    # 0.019, the p-value of this pair: Bonferroni does not reject it among three, Holm's last step does.
    a, b = [1.0, 2.0, 3.0, 4.0], [0.5, 1.4, 2.3, 3.8]
    p = float(stats.ttest_rel(a, b).pvalue)
    assert 0.05 / 3 < p < 0.05
    together = holm_together([1e-6, 1e-5, p])
    assert together == (3, 2, 1)
    found = [difference("a", "b", a, b, higher_is_better=True, together=n).interval for n in (3, together[2])]
    assert [each.low > 0 for each in found] == [False, True]


def test_without_comparisons_there_is_nothing_to_correct():
    assert holm([]) == holm_together([]) == ()


@pytest.mark.parametrize("p", [[float("nan")], [0.1, -0.1], [1.1], [[0.1, 0.2]]])
def test_what_is_no_list_of_p_values_is_refused(p):
    with pytest.raises(ValueError, match="holm needs"):
        holm(p)


def test_a_confidence_is_not_taken_for_a_level():
    with pytest.raises(ValueError, match=r"such as 0\.05; got 0\.95"):
        holm_together([0.1], 0.95)
