"""What the valley's findings are computed by: worked by hand, by foreign libraries, and by simulation."""

from math import sqrt

import numpy as np
import pytest
from answers.anew import benchmarks, chance_of_first, count_of, range_of, results
from answers.left_out import half_width, jackknifed, spread, without_seed, without_trial
from answers.noise import Ratio, noise, of_one, other_seeds, variances
from answers.switching import interval_of, with_each_seed
from scipy import stats

from thalweg.stats.pool import Pool, gain, procedure


def pool(means, noise=0.0, seeds=4, chance=None, again=None, rerun_noise=None):
    """Trials that lie evenly and rank by their means, higher being better; the best ``again`` were trained again."""
    drawn = chance or np.random.default_rng(0)
    ranking = tuple(int(k) for k in np.argsort(-np.asarray(means), kind="stable"))
    shared = np.zeros(seeds) if rerun_noise is None else rerun_noise
    fresh = {
        k: tuple(means[k] + shared + noise * drawn.standard_normal(seeds))
        for k in sorted({0, *ranking[: len(means) if again is None else again]})
    }
    places = tuple(k / len(means) for k in range(len(means)))
    return Pool(ranking, tuple(map(float, means)), fresh, places, {}, tuple(map(float, means)))


def test_a_default_is_chosen_by_one_seed_and_judged_by_the_others():
    """Seeds 0 and 1 choose the first, seed 2 the second: with seed 0 they then give (1 + 4) / 2, and so on."""
    tests = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    np.testing.assert_allclose(with_each_seed([0, 0, 1], tests), [(1 + 4) / 2, (2 + 5) / 2, (3 + 3) / 2])


def test_the_best_default_is_estimated_without_bias():
    """Three equal defaults: whoever is chosen for its luck is judged by other runs, so the mean is theirs."""
    drawn = np.random.default_rng(1).standard_normal((4000, 3, 5))
    found = [with_each_seed(each.argmax(0), each).mean() for each in drawn]
    assert abs(np.mean(found)) < 4 * np.std(found) / sqrt(len(found))
    assert np.mean(drawn.max(1)) > 0.8  # of the runs that chose it, far from 0


def test_the_interval_of_switching_by_hand():
    """Nothing varies but the judging seeds, by -1, 0, 1: the variance of a mean is 1 / 3, Student's t has 2 degrees."""
    tuned = procedure(pool([5.0] * 5, seeds=3), 2)
    tests = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    found = interval_of(tuned, [0, 0, 0], tests, 0.95)
    assert found.mean == pytest.approx(3)
    assert found.high - found.mean == pytest.approx(stats.t.ppf(0.975, 2) * sqrt(1 / 3))
    # Where the last seed chooses the other default, that is judged by the first two: 9 in place of 1, and of 2. Left
    # out one at a time, the best is then (9 + 3) / 2, (9 + 3) / 2, (1 + 2) / 2: squares of 2, 2 and 4 thirds times 4.5.
    tests[1] = 9.0
    wider = interval_of(tuned, [0, 0, 1], tests, 0.95)
    assert wider.mean == pytest.approx(5 - ((1 + 9) / 2 + (2 + 9) / 2 + 3) / 3)
    variance = 2 / 3 * (1.5**2 + 1.5**2 + 3.0**2)
    assert wider.high - wider.mean == pytest.approx(stats.t.ppf(0.975, 2) * sqrt(variance))
    with pytest.raises(ValueError, match="3 fresh seeds or more, got 2"):
        interval_of(tuned, [0, 0], tests[:, :2], 0.95)


def test_what_seeds_have_in_common_is_no_noise_of_the_difference():
    shared = np.array([-3.0, 1.0, 2.0, 0.0])
    tuned = procedure(pool([5.0] * 5, rerun_noise=shared), 3)
    found = interval_of(tuned, [0] * 4, np.array([2.0 + shared]), 0.95)
    assert found.mean == pytest.approx(3)
    # Of the tuned rule alone it would be, and the interval is no narrower than what the estimate has besides.
    assert found.high - found.low < 2 * tuned.half(0.95) / 5


@pytest.mark.slow
def test_the_interval_of_switching_covers():
    """Worlds with a trend along the search, noise, and what seeds share; truth by a great many searches and choices."""
    chance = np.random.default_rng(7)
    level, missed, worlds, n = 0.95, 0, 400, 15
    middles, halves = [], []
    rates = np.linspace(0, 1, 33)[1:]
    truth_defaults = -0.3 + 0.4 * np.sin(np.arange(15))

    def value(places):
        return -3 * (places - 0.6) ** 2

    # Fifteen defaults, the best of them by one noisy look; and the default and 14 others at random, likewise.
    looks = truth_defaults + 0.1 * chance.standard_normal((200_000, 15))
    best = truth_defaults[looks.argmax(1)].mean()
    drawn = value(np.concatenate([np.full((200_000, 1), 0.25), chance.random((200_000, n - 1))], axis=1))
    tuned = np.take_along_axis(drawn, (drawn + 0.1 * chance.standard_normal(drawn.shape)).argmax(1)[:, None], 1).mean()
    for _ in range(worlds):
        places = np.array([0.25, *(chance.permutation(rates) - chance.random(32) / 32)])
        means = value(places)
        valid = means + 0.1 * chance.standard_normal(33)
        shared = 0.1 * chance.standard_normal(10)
        ranking = tuple(int(k) for k in np.argsort(-valid))
        fresh = {k: tuple(means[k] + shared + 0.1 * chance.standard_normal(10)) for k in sorted({0, *ranking[:14]})}
        tuning = tuple(means + 0.1 * chance.standard_normal(33))
        own = Pool(ranking, tuning, fresh, tuple(places), {}, tuple(valid), 0.1)
        tests = truth_defaults[:, None] + shared + 0.1 * chance.standard_normal((15, 10))
        choices = (truth_defaults[:, None] + 0.1 * chance.standard_normal((15, 10))).argmax(0)
        found = interval_of(procedure(own, n), list(choices), tests, level)
        missed += not found.low <= tuned - best <= found.high
        middles.append(found.mean)
        halves.append((found.high - found.low) / 2)
    # At 5% so many of 400 or fewer in 99.9% of cases.
    assert missed <= stats.binom.ppf(0.999, worlds, 1 - level)
    # With the spread from study to study known to 9 degrees of freedom, as that of ten seeds is, it were this wide.
    needed = stats.t.ppf((1 + level) / 2, 9) * np.std(middles, ddof=1)
    assert np.mean(halves) < 1.5 * needed


def test_leaving_out_gives_the_variance_of_a_mean():
    values = np.random.default_rng(2).standard_normal((7, 2))
    without = [np.delete(values, k, axis=0).mean(0) for k in range(7)]
    np.testing.assert_allclose(spread(without), values.var(0, ddof=1) / 7)
    assert half_width(4.0, 9, 0.95) == pytest.approx(2 * stats.t.ppf(0.975, 9))


def test_what_is_left_out_is_gone_and_the_rest_stays():
    whole = pool([0.0, 3.0, 1.0, 2.0], noise=1.0, again=2)
    less = without_trial(whole, 1)
    assert less.ranking == (2, 1, 0)  # 3 and 2 have moved up
    assert less.fresh == {0: whole.fresh[0], 2: whole.fresh[3]}
    assert less.tuning == (0.0, 1.0, 2.0)
    assert without_seed(whole, 1).fresh[3] == (whole.fresh[3][0], *whole.fresh[3][2:])
    with pytest.raises(ValueError, match="not 0"):
        without_trial(whole, 0)


def test_the_jackknife_of_searches_is_that_of_the_library():
    """Of one pool with equal runs in every seed: only trials vary, and their squares are `deletions`' sum."""
    from thalweg.stats.pool import deletions

    means = np.random.default_rng(3).standard_normal(17)
    own = pool(means)

    def mean(of):
        return np.array([procedure(of["a"], 5).mean])

    expected = float((deletions(own, 5, own.values(5)) ** 2).sum())
    assert jackknifed(mean, {"a": own})[0] == pytest.approx(expected)


def test_a_search_is_won_by_the_best_of_what_it_drew():
    own = pool([1.0, 3.0, 2.0, 0.0])
    trials = np.array([[3, 3], [2, 3], [1, 2]])
    np.testing.assert_allclose(results(own, 3, trials, np.zeros((3, 4), int)), [1.0, 2.0, 3.0])


def test_benchmarks_made_anew_have_the_mean_that_the_pool_has():
    pools = {"a": pool(np.random.default_rng(4).standard_normal(17), noise=0.5, again=9)}
    for n in (1, 5):
        drawn = benchmarks(pools, n)["a"]
        assert abs(drawn.mean() - procedure(pools["a"], n).mean) < 4 * drawn.std() / sqrt(len(drawn))


def test_who_is_first_by_hand():
    reached = {"a": np.array([1.0, 2.0, 3.0, 1.0]), "b": np.array([1.0, 1.0, 1.0, 2.0])}
    assert chance_of_first(reached, "a", higher_is_better=True) == (0.5 + 1 + 1 + 0) / 4
    assert chance_of_first(reached, "a", higher_is_better=False) == (0.5 + 0 + 0 + 1) / 4


def test_counts_of_equal_chances_are_binomial():
    found = count_of([0.3] * 5)
    np.testing.assert_allclose(found, stats.binom.pmf(range(6), 5, 0.3))
    assert range_of(found) == tuple(int(k) for k in stats.binom.interval(0.95, 5, 0.3))
    np.testing.assert_allclose(count_of([1.0, 0.0, 0.5]), [0, 0.5, 0.5, 0])


def test_noise_by_hand():
    """Two trials and the default, searches of 2: each other wins half of them where it is better, as the first is.

    The default 0 with runs -1 and 1, the first 4 with 3 and 5, the second -4. The first wins half the searches, the
    default the rest: the mean is 2, the variance of winners 4, of which each winner's own noise is 0 (their runs move
    together), and a mean of two runs has a variance of 2 / 2.
    """
    own = Pool((1, 0, 2), (0.0, 4.0, -4.0), {0: (-1.0, 1.0), 1: (3.0, 5.0)}, (0.5, 0.25, 0.75))
    assert of_one(own, 2) == pytest.approx((2.0, 4.0 + 1.0, 1.0))
    # Another that is always 6 higher: the means have a variance of 18.
    other = Pool((1, 0, 2), (6.0, 10.0, 2.0), {0: (5.0, 7.0), 1: (9.0, 11.0)}, (0.5, 0.25, 0.75))
    assert variances({"a": own, "b": other}, "a", 2) == pytest.approx((5.0 + 18.0, 5.0, 1.0))


def test_the_strip_of_other_seeds_spreads_as_the_sentence_says():
    """Of winners with different noise, so that the best one's alone is another. Drawn runs lack a degree of freedom."""
    runs = {0: (-0.1, 0.1, 0.0, 0.0), 1: (1.0, 7.0, 3.0, 5.0), 3: (5.9, 6.1, 6.0, 6.0)}
    own = Pool((3, 1, 0, 2), (0.0, 4.0, -4.0, 6.0), runs, (0.5, 0.25, 0.75, 0.1))
    mean, anew, seeds = of_one(own, 2)
    drawn = other_seeds(own, 2, 100_000)
    assert drawn.mean() == pytest.approx(mean, abs=0.02)
    assert drawn.var() == pytest.approx(seeds * 3 / 4, rel=0.03)
    assert anew > 4 * seeds
    # One search in three is won by each: deviations of 20, 0.02 and 0.02, over 3, of a mean of 4.
    assert seeds == pytest.approx((20 + 0.02 + 0.02) / 3 / 3 / 4)


def test_equal_rules_spread_as_far_as_one():
    own = pool(np.random.default_rng(5).standard_normal(17), noise=0.3, again=9)
    found = noise(dict.fromkeys("abc", own), "a", 5, 0.95)
    ratio = found.rules_to_anew
    assert (ratio.low, ratio.value, ratio.high) == pytest.approx((1, 1, 1), rel=1e-12)
    assert found.anew_to_seeds.value == pytest.approx(found.anew / found.seeds)
    assert found.anew_to_seeds.low < found.anew_to_seeds.value < found.anew_to_seeds.high


def test_rules_that_differ_are_told_and_a_spread_of_nothing_is_not_known():
    chance = np.random.default_rng(6)
    pools = {k: pool(5 * k + 0.1 * chance.standard_normal(33), noise=0.1, seeds=10, chance=chance) for k in range(4)}
    told = noise(pools, 0, 5, 0.95).rules_to_anew
    assert told.low > 5
    assert "to" in told.text
    still = noise({"a": pool([1.0] * 5), "b": pool([2.0] * 5)}, "a", 2, 0.95)
    assert still.rules_to_anew.text == "not known"
    assert Ratio(1.353, 1.0467, 271.8).text == "1.4 (1.05 to 100 or more)"
    assert Ratio(0.964, 0.0213, 14.03).text == "0.96 (0.021 to 14)"


def test_paired_gain_and_counter_agree_on_the_reference():
    """A rule against itself gains nothing, whatever the draws: both readings take the same pools."""
    own = pool(np.random.default_rng(8).standard_normal(17), noise=0.2)
    assert gain(own, 5, own, 5).mean == 0
    reached = benchmarks({"a": own, "b": own}, 5, 500)
    np.testing.assert_array_equal(reached["a"], reached["b"])
    apart = benchmarks({"a": own, "b": own}, 5, 500, together=False)
    assert (apart["a"] != apart["b"]).mean() > 0.2
