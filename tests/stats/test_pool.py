"""Against a walk through every virtual study, and against new studies simulated where the truth is known."""

from dataclasses import replace
from itertools import combinations
from math import sqrt

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.special import stdtrit

from simulated import generator
from thalweg.stats.intervals import t_interval
from thalweg.stats.pool import (
    COVERED,
    Estimate,
    Pool,
    deletions,
    gain,
    largest_budget,
    procedure,
    to_rerun,
    winning,
)
from worlds import fresh_studies, made_up, pool, published, winners

WORLDS = {world.name: world for world in (*published(), *made_up())}
VALUES = st.integers(-400, 400).map(lambda whole: whole / 8)


@st.composite
def pools(draw, seeds=None):
    """With fresh seeds of the default and of some others, whichever: the formulas hold for any."""
    size = draw(st.integers(2, 7))
    seeds = seeds or draw(st.integers(2, 4))
    ranking = draw(st.permutations(range(size)))
    tuning = draw(st.lists(VALUES, min_size=size, max_size=size))
    again = {0, *draw(st.sets(st.integers(0, size - 1)))}
    fresh = {trial: tuple(draw(st.lists(VALUES, min_size=seeds, max_size=seeds))) for trial in again}
    return Pool(tuple(ranking), tuple(tuning), fresh)


@st.composite
def pools_with_n(draw, seeds=None):
    given_pool = draw(pools(seeds))
    return given_pool, draw(st.integers(1, given_pool.size))


def winner(ranking, study):
    return min(study, key=ranking.index)


def studies(trials, n):
    """Every virtual study of n of these trials, the default in each."""
    others = [trial for trial in trials if trial]
    return [(0, *drawn) for drawn in combinations(others, min(n - 1, len(others)))]


def walked(ranking, values, n, trials=None):
    """The mean over every virtual study."""
    every = studies(range(len(ranking)) if trials is None else trials, n)
    return float(np.mean([values[winner(ranking, study)] for study in every]))


@given(pools_with_n())
def test_each_trial_wins_as_often_as_in_a_walk_through_every_study(given_pool):
    found, n = given_pool
    won = [winner(found.ranking, study) for study in studies(range(found.size), n)]
    assert winning(found.ranking, n) == pytest.approx([won.count(k) / len(won) for k in range(found.size)], abs=1e-12)


@given(pools_with_n())
def test_the_mean_is_that_of_every_virtual_study(given_pool):
    found, n = given_pool
    assert procedure(found, n).mean == pytest.approx(walked(found.ranking, found.values(), n), abs=1e-9)


@given(pools_with_n())
def test_the_jackknife_is_that_of_leaving_out_and_recomputing(given_pool):
    found, n = given_pool
    values, others = found.values(), range(1, found.size)
    assume(n > 1 and found.size > 2)
    left = np.array([walked(found.ranking, values, n, [t for t in range(found.size) if t != out]) for out in others])
    count = len(left)
    parts = deletions(found, n, values)
    assert parts[0] == 0
    assert parts[1:] == pytest.approx(sqrt((count - 1) / count) * (left - left.mean()), abs=1e-8)


def test_the_variance_is_the_jackknifes_and_what_the_seeds_share():
    """Each part by its definition, for a pool in which every trial has fresh seeds."""
    rng = np.random.default_rng(1)
    n, size, seeds = 3, 8, 6
    values = rng.standard_normal((size, seeds)) + 3 * rng.standard_normal(seeds)
    ranking = tuple(int(i) for i in rng.permutation(size))
    found = procedure(Pool(ranking, (0.0,) * size, {k: tuple(values[k]) for k in range(size)}), n)
    wins = winning(ranking, n)
    by_seed = np.array([walked(ranking, values[:, j], n) for j in range(seeds)])
    cells = [wins[k] ** 2 * values[k].var(ddof=1) / seeds for k in range(size)]
    jackknife = float(
        (deletions(Pool(ranking, tuple(values.mean(1)), {0: (0.0,) * seeds}), n, values.mean(1)) ** 2).sum()
    )
    shared = by_seed.var(ddof=1) / seeds - sum(cells)
    assert shared > 0
    assert found.se**2 == pytest.approx(jackknife + cells[0] + shared)
    assert found.trials_part + found.seeds_part == pytest.approx(found.se**2)
    assert found.noise == pytest.approx(sqrt(sum(wins[k] * values[k].var(ddof=1) for k in range(size))))


def test_where_only_configurations_differ_there_are_no_more_degrees_than_disjoint_studies():
    """Trials that vary alike have many degrees by Satterthwaite, but 12 of them hold three studies of four."""
    level = np.arange(12.0)
    ranking = (*range(11, 0, -1), 0)
    found = Pool(ranking, tuple(level), {k: (level[k],) * 5 for k in range(12)})
    assert procedure(found, 4).df == pytest.approx(3)
    assert procedure(found, 3).df <= 4
    # Against the default, of which nothing was drawn, there are no more.
    assert gain(found, 4, found, 1).df == pytest.approx(3)
    # As many disjoint ones of each of the two.
    assert gain(found, 4, replace(found, ranking=(*ranking[1:11], 11, 0)), 4).df <= 6


def test_where_only_seeds_differ_there_are_the_degrees_of_all_that_were_drawn():
    """One noise for all, in 11 trials that are equally good: many more degrees than the 4 of each."""
    rng = np.random.default_rng(3)
    noise = rng.standard_normal((12, 5))
    noise[0] = noise[0, 0]  # the default always gives the same
    ranking = tuple(int(k) for k in (*rng.permutation(np.arange(1, 12)), 0))
    found = procedure(Pool(ranking, (0.0,) * 12, {k: tuple(noise[k] - noise[k].mean()) for k in range(12)}), 2)
    assert found.df > 15


def test_what_the_seeds_do_not_share_is_never_taken_off():
    """The default's noise counts in full, even where another's happens to make up for it."""
    default = (1.0, -1.0, 2.0, -2.0)
    found = Pool((1, 0, 2), (0.0, 0.0, 0.0), {0: default, 1: tuple(-v for v in default)})
    assert winning(found.ranking, 2) == pytest.approx([0.5, 0.5, 0])
    assert procedure(found, 2).se ** 2 == pytest.approx(0.5**2 * np.var(default, ddof=1) / 4)


def test_the_default_alone_is_a_t_interval_of_its_seeds():
    fresh = (0.3, 0.5, 0.1, 0.9)
    found = procedure(Pool((2, 0, 1), (0.0, 5.0, 7.0), {0: fresh, 2: (7.0, 8.0, 9.0, 7.0)}), 1)
    usual = t_interval(fresh)
    assert (found.mean, found.mean - found.half()) == pytest.approx((usual.mean, usual.low))
    assert (found.df, found.trials_part) == (3, 0)


def test_a_default_that_nothing_beats_is_all_there_is():
    found = Pool((0, 3, 1, 2), (1.0, 50.0, -50.0, 7.0), {0: (0.3, 0.5, 0.1)})
    assert winning(found.ranking, 3).tolist() == [1, 0, 0, 0]
    assert to_rerun(found.ranking, (2, 3)) == (0,)
    one, three = procedure(found, 1), procedure(found, 3)
    assert (three.mean, three.half(), three.df) == pytest.approx((one.mean, one.half(), one.df))
    assert three.covered == 1


def test_a_default_that_everything_beats_still_takes_part():
    ranking = (2, 3, 1, 0)
    assert winning(ranking, 2) == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3])
    assert winning(ranking, 4) == pytest.approx([0, 0, 1, 0])
    assert winning(ranking, 1) == pytest.approx([1, 0, 0, 0])


def test_equal_values_leave_nothing_uncertain():
    found = procedure(Pool((1, 2, 0), (4.0, 4.0, 4.0), {0: (4.0, 4.0), 1: (4.0, 4.0)}), 2)
    assert (found.mean, found.se, found.noise) == (4, 0, 0)


@given(pools_with_n(), st.floats(-8, 8).filter(lambda factor: abs(factor) > 0.01), st.floats(-1e3, 1e3))
def test_other_units_change_nothing_but_the_units(given_pool, factor, offset):
    found, n = given_pool

    def there(values):
        return tuple(factor * v + offset for v in values)

    moved = Pool(found.ranking, there(found.tuning), {k: there(v) for k, v in found.fresh.items()})
    before, after = procedure(found, n), procedure(moved, n)
    assert after.mean == pytest.approx(factor * before.mean + offset, abs=1e-6)
    assert after.se == pytest.approx(abs(factor) * before.se, rel=1e-5, abs=1e-6)
    assert after.noise == pytest.approx(abs(factor) * before.noise, rel=1e-5, abs=1e-6)
    if before.se > 1e-3:
        assert after.df == pytest.approx(before.df, rel=1e-4)


@given(pools_with_n(), st.floats(0, 100), st.data())
def test_a_better_trial_never_lowers_the_mean(given_pool, more, data):
    found, n = given_pool
    which = data.draw(st.integers(0, found.size - 1))
    raised = Pool(
        found.ranking,
        tuple(v + more * (k == which) for k, v in enumerate(found.tuning)),
        {k: tuple(v + more * (k == which) for v in values) for k, values in found.fresh.items()},
    )
    before = procedure(found, n).mean
    assert procedure(raised, n).mean == pytest.approx(before + more * winning(found.ranking, n)[which], abs=1e-8)


@given(pools_with_n(), st.data())
def test_the_order_in_which_the_others_were_drawn_does_not_matter(given_pool, data):
    found, n = given_pool
    other = [0, *data.draw(st.permutations(range(1, found.size)))]
    tuning = [0.0] * found.size
    for trial, value in enumerate(found.tuning):
        tuning[other[trial]] = value
    relabelled = Pool(
        tuple(other[trial] for trial in found.ranking),
        tuple(tuning),
        {other[trial]: values for trial, values in found.fresh.items()},
    )
    before, after = procedure(found, n), procedure(relabelled, n)
    assert (after.mean, after.se, after.covered) == pytest.approx((before.mean, before.se, before.covered), abs=1e-9)
    assert after.df == pytest.approx(before.df, rel=1e-6)


@given(pools_with_n())
def test_a_procedure_against_itself_is_exactly_nothing(given_pool):
    found, n = given_pool
    itself = gain(found, n, found, n)
    assert (itself.mean, itself.se, itself.p) == (0, 0, 1)


@given(pools_with_n(), st.sampled_from([0.1, 0.3, 1 / 3]))
def test_rounding_is_no_spread_that_makes_a_constant_difference_certain(given_pool, by):
    found, n = given_pool
    moved = Pool(
        found.ranking,
        tuple(v + by for v in found.tuning),
        {k: tuple(v + by for v in values) for k, values in found.fresh.items()},
    )
    constant = gain(moved, n, found, n)
    assert constant.mean == pytest.approx(by, abs=1e-9)
    assert (constant.se, constant.p) == (0, 1)


@given(pools_with_n(3), pools_with_n(3))
def test_a_difference_is_of_the_two_means_and_turns_round(one_pool, other_pool):
    (first, n), (second, m) = one_pool, other_pool
    one, other = gain(first, n, second, m), gain(second, m, first, n)
    assert one.mean == pytest.approx(procedure(first, n).mean - procedure(second, m).mean, abs=1e-9)
    assert (other.mean, other.se, other.df) == pytest.approx((-one.mean, one.se, one.df), abs=1e-9)
    assert other.p == pytest.approx(one.p)


def test_what_two_pools_share_cancels():
    """Rules that have their draws and seeds in common, where both differ a lot, differ by a constant."""
    rng = np.random.default_rng(0)
    ranking = tuple(int(i) for i in rng.permutation(12))
    values = 5 * rng.standard_normal((12, 1)) + 3 * rng.standard_normal(4)

    def one(by):
        return Pool(ranking, tuple(values.mean(1) + by), {k: tuple(v + by) for k, v in enumerate(values)})

    found = gain(one(0.5), 4, one(0.0), 4)
    assert (found.mean, found.se) == pytest.approx((0.5, 0), abs=1e-12)
    assert procedure(one(0.0), 4).se > 1


@pytest.mark.parametrize(("size", "n"), [(75, 25), (75, 5), (12, 4), (7, 2)])
def test_as_few_are_trained_again_as_win_95_percent(size, n):
    ranking = (*range(1, size), 0)
    chosen = to_rerun(ranking, (n,))
    wins = winning(ranking, n)
    assert chosen[0] == 0
    assert wins[list(chosen)].sum() >= COVERED - 1e-9
    assert wins[[k for k in chosen if k not in (0, max(chosen))]].sum() < COVERED


def test_a_pool_of_75_has_8_trials_to_train_again_for_25():
    """C(74 - 8, 24) / C(74, 24) is the first below 0.05."""
    ranking = (*range(1, 40), 0, *range(40, 75))
    assert to_rerun(ranking, (25,)) == tuple(range(9))
    assert set(to_rerun(ranking, (5, 25))) == {*to_rerun(ranking, (5,)), *to_rerun(ranking, (25,))}
    assert to_rerun(ranking, ()) == (0, 1)


def test_the_share_that_was_trained_again_is_known():
    found = Pool((1, 2, 0), (0.0, 1.0, 2.0), {0: (0.0, 0.1), 1: (1.0, 1.1)})
    assert procedure(found, 2).covered == pytest.approx(0.5)
    full = replace(found, fresh={**found.fresh, 2: (0.5, 0.6)})
    assert procedure(full, 2).covered == pytest.approx(1)
    assert gain(full, 2, found, 2).covered == pytest.approx(0.5)


def test_a_third_of_the_pool_is_the_largest_virtual_study():
    assert [largest_budget(n) for n in (2, 5, 6, 25, 75)] == [0, 1, 2, 8, 25]


@given(st.floats(0.1, 5), st.floats(0, 1), st.floats(0, 1), st.integers(6, 75), st.integers(2, 10), st.floats(2, 60))
def test_more_trials_or_seeds_bring_the_half_width_below_the_mean(mean, trials, seeds, size, count, df):
    assume(trials + seeds > 1e-3)
    found = Estimate(mean, sqrt(trials + seeds), df, trials, seeds, 1.0, 1.0)
    assume(found.half() > mean)
    quantile = float(stdtrit(df, 0.975))
    for more, have, shrinks, stays in zip(
        found.more(size, count), (size, count), (trials, seeds), (seeds, trials), strict=True
    ):

        def half(total, have=have, shrinks=shrinks, stays=stays):
            return quantile * sqrt(shrinks * have / total + stays)

        if more is None:
            assert quantile * sqrt(stays) >= mean * (1 - 1e-9)
        else:
            assert half(have + more) <= mean * (1 + 1e-9)
            assert more >= 1
            assert half(have + more - 1) > mean * (1 - 1e-9)


def test_several_intervals_at_once_are_bonferronis():
    found = Estimate(1.0, 0.5, 6.0, 0.2, 0.05, 1.0, 1.0)
    assert found.half(0.95, 5) == pytest.approx(found.half(0.99))
    assert found.p == pytest.approx(1 - found_level(found))


def found_level(found):
    """The level at which the interval just reaches 0."""
    low, high = 0.5, 1 - 1e-9
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if found.half(middle) < found.mean else (low, middle)
    return low


@pytest.mark.parametrize(
    ("ranking", "tuning", "fresh", "words"),
    [
        ((0, 2), (1.0, 2.0), {0: (1.0, 2.0)}, "ranks every trial once"),
        ((0, 0), (1.0, 2.0), {0: (1.0, 2.0)}, "ranks every trial once"),
        ((1, 0), (1.0, 2.0), {1: (1.0, 2.0)}, "fresh values of the default"),
        ((1, 0), (1.0, 2.0), {0: (1.0, 2.0), 1: (1.0,)}, "equally many"),
        ((1, 0), (1.0, np.nan), {0: (1.0, 2.0)}, "finite"),
        ((1, 0), (1.0, 2.0), {0: (1.0, np.inf)}, "finite"),
    ],
)
def test_what_is_no_pool_is_refused_in_words(ranking, tuning, fresh, words):
    with pytest.raises(ValueError, match=words):
        Pool(ranking, tuning, fresh)


def test_what_cannot_be_asked_of_a_pool_is_refused_in_words():
    two = Pool((1, 0), (1.0, 2.0), {0: (1.0, 2.0)})
    three = replace(two, fresh={0: (1.0, 2.0, 3.0)})
    for n in (0, 3):
        with pytest.raises(ValueError, match=f"1 to 2 trials, as many as the pool; got {n}"):
            procedure(two, n)
    with pytest.raises(ValueError, match="the same fresh seeds"):
        gain(two, 2, three, 2)


@pytest.fixture(scope="module")
def simulated():
    """Estimates of many pools of a world, and many new studies of it: mean and variance of each are known."""
    found = {}
    for name in ("fmnist_2c2d SGD", "quadratic_deep Adam", "mnist_vae Momentum", "narrow peak"):
        rng = generator("test_pool", name)
        estimates = [procedure(pool(WORLDS[name], rng, budgets=(5,), size=30), 5) for _ in range(400)]
        found[name] = estimates, winners(WORLDS[name], rng, 5, 100_000)
    return found


@pytest.mark.slow
def test_it_is_unbiased_for_new_studies(simulated):
    for name, (estimates, truth) in simulated.items():
        means = np.array([each.mean for each in estimates])
        error = means.std(ddof=1) / sqrt(len(means))
        assert abs(means.mean() - truth.mean()) < 4 * error, name


@pytest.mark.slow
def test_the_jackknife_does_not_understate_the_variance_on_average(simulated):
    """Efron & Stein 1981; what it is compared with, and itself, are known to about 10% here."""
    for name, (estimates, _) in simulated.items():
        true = np.var([each.mean for each in estimates], ddof=1)
        told = np.mean([each.se**2 for each in estimates])
        assert 0.8 * true < told < 1.6 * true, name


def test_a_study_is_what_the_worlds_say_it_is():
    """The oracle's own oracle: in a flat world without noise of the draws, only the last training's noise is left."""
    flat = WORLDS["flat"]
    found = fresh_studies(flat, np.random.default_rng(0), 5, 20_000)
    assert (found.mean(), found.std()) == pytest.approx((0, 1), abs=0.03)
