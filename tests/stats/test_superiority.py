from math import inf, nan, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rliable.metrics import probability_of_improvement
from scipy import stats
from scipy.special import ndtr, ndtri

from thalweg.stats.superiority import brunner_munzel_interval

# Whole numbers, so that ties are common.
samples = st.lists(st.integers(-6, 6).map(float) | st.sampled_from([inf, -inf]), min_size=2, max_size=8)
several = st.lists(st.integers(-6, 6).map(float), min_size=2, max_size=8)


def superiority(a, b, up=True):
    return interval(a, b, up=up).estimate


def interval(a, b, level=0.95, up=True):
    return brunner_munzel_interval(a, b, level, higher_is_better=up)


@given(samples, samples)
def test_it_is_the_share_of_pairs_won_with_ties_counted_half(a, b):
    wins = [1.0 if x > y else 0.5 if x == y else 0.0 for x in a for y in b]
    assert superiority(a, b) == pytest.approx(np.mean(wins), abs=1e-12)


@given(several, several)
def test_it_is_rliables(a, b):
    theirs = probability_of_improvement(np.array(a)[:, None], np.array(b)[:, None])
    assert superiority(a, b) == pytest.approx(theirs, abs=1e-12)


@given(samples, samples, st.booleans())
def test_what_a_wins_b_loses_in_either_direction(a, b, up):
    assert superiority(a, b, up=up) + superiority(b, a, up=up) == pytest.approx(1, abs=1e-12)
    assert superiority(a, b, up=up) == superiority([-v for v in a], [-v for v in b], up=not up)


@settings(max_examples=40)
@given(samples, samples, st.randoms())
def test_the_order_of_the_runs_does_not_matter(a, b, chance):
    assert superiority(chance.sample(a, len(a)), chance.sample(b, len(b))) == superiority(a, b)


@given(samples, samples, st.integers(0, 7), st.integers(0, 5))
def test_a_better_run_makes_it_no_smaller(a, b, place, gain):
    better = [v + gain if i == place % len(a) else v for i, v in enumerate(a)]
    assert superiority(better, b) >= superiority(a, b)


def test_a_clean_sweep_is_exactly_1_and_against_itself_exactly_a_half():
    for n in (2, 3, 7, 49):
        assert superiority([1.0] * n, [0.0] * n) == 1
        assert superiority([0.1 * i for i in range(n)], [0.1 * i for i in range(n)]) == 0.5


@pytest.mark.parametrize("bad", [[], [[1.0, 2.0]], [1.0, nan]])
def test_what_is_no_list_of_numbers_is_refused(bad):
    with pytest.raises(ValueError, match=r"^a has"):
        superiority(bad, [1.0, 2.0])
    with pytest.raises(ValueError, match=r"^b has"):
        interval([1.0, 2.0], bad)


@given(several, several, st.sampled_from([0.8, 0.95, 0.99]))
def test_the_interval_is_around_the_estimate_and_mirrors(a, b, level):
    found, mirrored = interval(a, b, level), interval(b, a, level)
    assert 0 <= found.low <= found.estimate <= found.high <= 1
    assert (found.low, found.high) == pytest.approx((1 - mirrored.high, 1 - mirrored.low), abs=1e-12)
    assert found.p_value == pytest.approx(mirrored.p_value)
    assert (found.p_value < 1 - level - 1e-9) <= (not found.low <= 0.5 <= found.high)
    assert (found.p_value > 1 - level + 1e-9) <= (found.low <= 0.5 <= found.high)
    wider = interval(a, b, (1 + level) / 2)
    assert wider.low <= found.low <= found.high <= wider.high


@given(several, several)
def test_only_the_order_of_the_values_counts(a, b):
    assert interval(np.exp(a), np.exp(b)) == interval(a, b)
    assert interval(a, b, up=False) == interval([-v for v in a], [-v for v in b])


@given(several, several)
def test_the_variance_is_that_of_scipys_statistic(a, b):
    found = interval(a, b)
    if found.variance > 0:
        theirs = stats.brunnermunzel(a, b).statistic
        assert (0.5 - found.estimate) / sqrt(found.variance) == pytest.approx(theirs, rel=1e-9, abs=1e-9)


def test_with_many_runs_the_p_value_is_scipys():
    chance = np.random.default_rng(0)
    for shift in (0.1, 0.15, 0.2):
        a, b = chance.normal(shift, 1, 300), chance.normal(0, 2, 400)
        assert interval(a, b).p_value == pytest.approx(stats.brunnermunzel(a, b).pvalue, rel=0.1)


@pytest.mark.parametrize(("n", "low"), [(2, 0.097), (3, 0.280), (5, 0.485), (6, 0.547), (20, 0.830)])
def test_a_clean_sweep_leaves_room_for_chance(n, low):
    found = interval(list(range(n, 2 * n)), list(range(n)))
    assert (found.estimate, found.high) == (1, 1)
    assert found.low == pytest.approx(low, abs=1e-3)
    # No test of n runs against a sample that never varies can do better: all n win by chance with P = 1/2.
    assert (found.p_value <= 0.05) == (2 * 0.5**n <= 0.05)


@pytest.mark.parametrize(
    ("a", "b", "share", "trials"),
    [
        ([0.5, 0.5, 0.5, 0.5, 0.5], [0.0, 0.0, 1.0, 1.0, 1.0], 0.4, 5),  # the variance 0.3 / 5 alone would give 4
        ([0.5, 2.0, 2.0, 2.0, 2.0], [0.0, 0.0, 0.0, 0.0, 1.0], 0.96, 10),  # twice 0.008 / 5, and 12
        ([1.0, 3.0], [0.0, 2.0], 0.75, 2),  # twice 0.125 / 2, and 1.5
    ],
)
def test_it_is_wilsons_interval_of_as_many_trials_between_once_and_twice_the_smaller_sample(a, b, share, trials):
    found = interval(a, b)
    assert found.estimate == pytest.approx(share)
    t = stats.t.isf(0.025, 2 * len(a) - 2)
    for end in (found.low, found.high):
        assert abs(share - end) == pytest.approx(t * sqrt(end * (1 - end) / trials))


def test_runs_that_never_differ_say_little():
    found = interval([0.1] * 5, [0.1] * 5)
    assert (found.estimate, found.p_value, found.variance) == (0.5, 1, 0)
    assert found.high - found.low > 0.6


@pytest.mark.parametrize(("a", "b"), [([1.0], [1.0, 2.0]), ([8.0], [5.0, 5.0, 8.0, 7.0, 8.0]), ([1.0, 2.0], [0.0])])
def test_a_single_run_says_nothing_of_the_spread(a, b):
    with pytest.raises(ValueError, match="at least 2 runs of each"):
        interval(a, b)


@pytest.mark.parametrize("level", [0.05, 1.0, 0.0, nan])
def test_a_level_is_a_confidence(level):
    with pytest.raises(ValueError, match=r"such as 0\.95"):
        interval([1.0, 2.0], [3.0, 4.0], level)


def covers(chance, truth, sd, m, n, runs=1500):
    """How often the interval has the truth, for normals with these standard deviations."""
    shift = ndtri(truth) * sqrt(1 + sd**2)
    found = [interval(chance.normal(shift, 1, m), chance.normal(0, sd, n)) for _ in range(runs)]
    return np.mean([each.low <= truth <= each.high for each in found])


@pytest.mark.parametrize("truth", [0.5, 0.9])
def test_it_covers_what_it_says_with_five_runs(truth):
    assert covers(np.random.default_rng(0), truth, 3.0, 5, 5, runs=600) >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(3, 3), (5, 5), (5, 20), (10, 10)])
@pytest.mark.parametrize("sd", [0.02, 0.3, 1.0, 3.0, 50.0])
def test_it_covers_for_any_spread_and_size(sizes, sd):
    chance = np.random.default_rng(1)
    found = {truth: covers(chance, truth, sd, *sizes) for truth in (0.5, 0.6, 0.75, 0.9, 0.95)}
    assert min(found.values()) > 0.915, found
    assert np.mean(list(found.values())) > 0.95


@pytest.mark.slow
def test_with_five_runs_it_covers_as_documented_where_the_usual_interval_does_not():
    chance = np.random.default_rng(2)
    for sd in (0.02, 0.3, 1.0, 3.0, 50.0):
        for truth in (0.5, 0.75, 0.9, 0.95):
            assert covers(chance, truth, sd, 5, 5) > 0.955
        assert 0.88 < covers(chance, 0.98, sd, 5, 5) < 0.99

    def usual(a, b):
        found = interval(a, b)
        half = stats.t.isf(0.025, 8) * sqrt(found.variance)
        return found.estimate - half <= 0.9 <= found.estimate + half

    hits = [usual(chance.normal(ndtri(0.9) * sqrt(2), 1, 5), chance.normal(0, 1, 5)) for _ in range(1000)]
    assert np.mean(hits) < 0.8


@pytest.mark.slow
def test_it_covers_with_ties():
    chance = np.random.default_rng(3)
    for shift in (0.0, 0.7, 1.5):
        steps = np.arange(-20, 21)
        p, q = (np.diff(ndtr(np.append(steps - 0.5, 20.5) - s)) for s in (shift, 0.0))
        truth = float(p @ (np.sign(steps[:, None] - steps) / 2 + 0.5) @ q)
        pairs = [(np.round(chance.normal(shift, 1, 5)), np.round(chance.normal(0, 1, 5))) for _ in range(1500)]
        assert np.mean([found.low <= truth <= found.high for found in (interval(a, b) for a, b in pairs)]) > 0.95
