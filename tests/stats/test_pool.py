"""Against a walk through every search, and against new searches simulated where the truth is known."""

from dataclasses import replace
from itertools import combinations, product
from math import sqrt

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import t as student

from thalweg.stats import simultaneous
from thalweg.stats.intervals import t_interval
from thalweg.stats.pool import (
    BEYOND_NOISE,
    COVERED,
    COVERED_INDEPENDENT,
    LEAST_FREEDOM,
    Estimate,
    Pool,
    deletions,
    gain,
    largest_budget,
    procedure,
    share_of_misses,
    to_rerun,
    winning,
)

VALUES = st.integers(-400, 400).map(lambda whole: whole / 8)


@st.composite
def pools(draw, seeds=None, even=None):
    """With fresh seeds of the default and of some others, whichever: the formulas hold for any."""
    even = draw(st.booleans()) if even is None else even
    size = draw(st.integers(2, 5 if even else 7))
    seeds = seeds or draw(st.integers(2, 4))
    ranking = draw(st.permutations(range(size)))
    tuning = draw(st.lists(VALUES, min_size=size, max_size=size))
    again = {0, *draw(st.sets(st.integers(0, size - 1)))}
    fresh = {trial: tuple(draw(st.lists(VALUES, min_size=seeds, max_size=seeds))) for trial in again}
    places = draw(st.lists(st.floats(0, 1), min_size=size, max_size=size, unique=True)) if even else ()
    return Pool(tuple(ranking), tuple(tuning), fresh, tuple(places))


@st.composite
def pools_with_n(draw, seeds=None, even=None):
    given_pool = draw(pools(seeds, even))
    return given_pool, draw(st.integers(1, given_pool.size))


def winner(ranking, study):
    return min(study, key=ranking.index)


def studies(trials, n, even):
    """Every search of n of these trials, the default in each; the others with replacement where they lie evenly."""
    others = [trial for trial in trials if trial]
    drawn = product(others, repeat=n - 1) if even else combinations(others, min(n - 1, len(others)))
    return [(0, *each) for each in drawn]


def walked(ranking, values, n, even=False, trials=None):
    """The mean over every search."""
    every = studies(range(len(ranking)) if trials is None else trials, n, even)
    return float(np.mean([values[winner(ranking, study)] for study in every]))


@given(pools_with_n())
def test_each_trial_wins_as_often_as_in_a_walk_through_every_study(given_pool):
    found, n = given_pool
    won = [winner(found.ranking, study) for study in studies(range(found.size), n, found.is_even)]
    wins = winning(found.ranking, n, even=found.is_even)
    assert wins == pytest.approx([won.count(k) / len(won) for k in range(found.size)], abs=1e-12)
    assert wins.sum() == pytest.approx(1, abs=1e-12)


@given(pools_with_n())
def test_the_mean_is_that_of_every_virtual_study(given_pool):
    found, n = given_pool
    assert procedure(found, n).mean == pytest.approx(walked(found.ranking, found.values(n), n, found.is_even), abs=1e-9)


@given(pools_with_n())
def test_the_jackknife_is_that_of_leaving_out_and_recomputing(given_pool):
    found, n = given_pool
    values, others = found.values(n), range(1, found.size)
    assume(n > 1 and found.size > 2)
    kept = [[t for t in range(found.size) if t != out] for out in others]
    left = np.array([walked(found.ranking, values, n, found.is_even, trials) for trials in kept])
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
    wins = winning(ranking, n, even=False)
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
    assert found.by_seed == pytest.approx(by_seed)
    assert found.terms @ found.terms == pytest.approx(jackknife)


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
    assert winning(found.ranking, 2, even=False) == pytest.approx([0.5, 0.5, 0])
    assert procedure(found, 2).se ** 2 == pytest.approx(0.5**2 * np.var(default, ddof=1) / 4)


def test_the_default_alone_is_a_t_interval_of_its_seeds():
    fresh = (0.3, 0.5, 0.1, 0.9)
    found = procedure(Pool((2, 0, 1), (0.0, 5.0, 7.0), {0: fresh, 2: (7.0, 8.0, 9.0, 7.0)}), 1)
    usual = t_interval(fresh)
    assert (found.mean, found.mean - found.half()) == pytest.approx((usual.mean, usual.low))
    assert (found.df, found.trials_part) == (3, 0)


def test_a_default_that_nothing_beats_is_all_there_is():
    found = Pool((0, 3, 1, 2), (1.0, 50.0, -50.0, 7.0), {0: (0.3, 0.5, 0.1)})
    for even in (True, False):
        assert winning(found.ranking, 3, even=even).tolist() == [1, 0, 0, 0]
        assert to_rerun(found.ranking, (2, 3), even=even) == (0,)
    one, three = procedure(found, 1), procedure(found, 3)
    assert (three.mean, three.half(), three.df) == pytest.approx((one.mean, one.half(), one.df))
    assert three.covered == 1


def test_a_default_that_everything_beats_still_takes_part():
    ranking = (2, 3, 1, 0)
    for even in (True, False):
        assert winning(ranking, 2, even=even) == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3])
        assert winning(ranking, 1, even=even) == pytest.approx([1, 0, 0, 0])
    assert winning(ranking, 4, even=False) == pytest.approx([0, 0, 1, 0])
    # With replacement the best may not be drawn: 1 - (2/3)^3.
    assert winning(ranking, 4, even=True) == pytest.approx([0, 1 / 27, 19 / 27, 7 / 27])


def test_equal_values_leave_nothing_uncertain():
    found = procedure(Pool((1, 2, 0), (4.0, 4.0, 4.0), {0: (4.0, 4.0), 1: (4.0, 4.0)}), 2)
    assert (found.mean, found.se, found.noise) == (4, 0, 0)


@given(pools_with_n(), st.floats(-8, 8).filter(lambda factor: abs(factor) > 0.01), st.floats(-1e3, 1e3))
def test_other_units_change_nothing_but_the_units(given_pool, factor, offset):
    found, n = given_pool

    def there(values):
        return tuple(factor * v + offset for v in values)

    moved = replace(found, tuning=there(found.tuning), fresh={k: there(v) for k, v in found.fresh.items()})
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
    raised = replace(
        found,
        tuning=tuple(v + more * (k == which) for k, v in enumerate(found.tuning)),
        fresh={k: tuple(v + more * (k == which) for v in values) for k, values in found.fresh.items()},
    )
    before = procedure(found, n).mean
    assert procedure(raised, n).mean == pytest.approx(
        before + more * winning(found.ranking, n, even=found.is_even)[which], abs=1e-8
    )


@given(pools_with_n(), st.data())
def test_the_order_in_which_the_others_were_drawn_does_not_matter(given_pool, data):
    found, n = given_pool
    other = [0, *data.draw(st.permutations(range(1, found.size)))]

    def moved(values):
        return tuple(values[other.index(trial)] for trial in range(found.size)) if values else ()

    relabelled = Pool(
        tuple(other[trial] for trial in found.ranking),
        moved(found.tuning),
        {other[trial]: values for trial, values in found.fresh.items()},
        moved(found.places),
    )
    before, after = procedure(found, n), procedure(relabelled, n)
    assert (after.mean, after.se, after.covered) == pytest.approx((before.mean, before.se, before.covered), abs=1e-9)
    assert after.df == pytest.approx(before.df, rel=1e-6)


@given(pools_with_n())
def test_a_procedure_against_itself_is_exactly_nothing(given_pool):
    found, n = given_pool
    itself = gain(found, n, found, n)
    assert (itself.mean, itself.se) == (0, 0)


@given(pools_with_n(), st.sampled_from([0.1, 0.3, 1 / 3]))
def test_rounding_is_no_spread_that_makes_a_constant_difference_certain(given_pool, by):
    found, n = given_pool
    moved = replace(
        found,
        tuning=tuple(v + by for v in found.tuning),
        fresh={k: tuple(v + by for v in values) for k, values in found.fresh.items()},
    )
    constant = gain(moved, n, found, n)
    assert constant.mean == pytest.approx(by, abs=1e-9)
    assert constant.se == 0


@given(st.booleans().flatmap(lambda even: st.tuples(pools_with_n(3, even), pools_with_n(3, even))))
def test_a_difference_is_of_the_two_means_and_turns_round(two):
    (first, n), (second, m) = two
    one, other = gain(first, n, second, m), gain(second, m, first, n)
    assert one.mean == pytest.approx(procedure(first, n).mean - procedure(second, m).mean, abs=1e-9)
    assert (other.mean, other.se, other.df) == pytest.approx((-one.mean, one.se, one.df), abs=1e-9)


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


@pytest.mark.parametrize(("even", "share"), [(True, COVERED), (False, COVERED_INDEPENDENT)])
def test_as_few_are_trained_again_as_win_the_share_that_is_to_be_covered(even, share):
    for size, n in [(75, 25), (75, 5), (33, 5), (17, 3), (12, 4), (7, 2)]:
        ranking = (*range(1, size), 0)
        chosen = to_rerun(ranking, (n,), even=even)
        wins = winning(ranking, n, even=even)
        assert chosen[0] == 0
        assert wins[list(chosen)].sum() >= share - 1e-9, (size, n)
        assert wins[[k for k in chosen if k not in (0, max(chosen))]].sum() < share, (size, n)


def test_pools_of_75_and_of_33_have_as_many_trials_to_train_again_as_by_hand():
    """C(74 - 8, 24) / C(74, 24) is the first below 0.05; (1 - 13/32)^4 the first of an even pool below 0.15."""
    ranking = (*range(1, 40), 0, *range(40, 75))
    assert to_rerun(ranking, (25,), even=False) == tuple(range(9))
    assert set(to_rerun(ranking, (5, 25), even=False)) == {
        *to_rerun(ranking, (5,), even=False),
        *to_rerun(ranking, (25,), even=False),
    }
    assert to_rerun(ranking, (), even=False) == (0, 1)
    assert (1 - 13 / 32) ** 4 < 0.15 < (1 - 12 / 32) ** 4
    assert to_rerun((*range(1, 33), 0), (5,), even=True) == tuple(range(14))


def test_the_share_that_was_trained_again_is_known():
    found = Pool((1, 2, 0), (0.0, 1.0, 2.0), {0: (0.0, 0.1), 1: (1.0, 1.1)})
    assert procedure(found, 2).covered == pytest.approx(0.5)
    full = replace(found, fresh={**found.fresh, 2: (0.5, 0.6)})
    assert procedure(full, 2).covered == pytest.approx(1)
    assert gain(full, 2, found, 2).covered == pytest.approx(0.5)


def test_a_third_of_the_pool_is_the_largest_virtual_study():
    assert [largest_budget(n) for n in (2, 5, 6, 25, 75)] == [0, 1, 2, 8, 25]


def test_an_interval_is_students():
    found = Estimate(1.0, 0.5, 6.0, 0.2, 0.05, 1.0, 1.0, np.zeros(1), np.zeros(2))
    for level in (0.9, 0.95, 0.992):
        assert found.half(level) == pytest.approx(0.5 * student.ppf((1 + level) / 2, 6))


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


def test_a_place_for_each_trial_and_two_seeds_are_needed():
    with pytest.raises(ValueError, match="a pool of 2 trials has 3 places"):
        Pool((1, 0), (1.0, 2.0), {0: (1.0, 2.0)}, (0.1, 0.2, 0.3))
    with pytest.raises(ValueError, match="at least 2 fresh seeds"):
        Pool((1, 0), (1.0, 2.0), {0: (1.0,)})


def test_what_cannot_be_asked_of_a_pool_is_refused_in_words():
    two = Pool((1, 0), (1.0, 2.0), {0: (1.0, 2.0)})
    three = replace(two, fresh={0: (1.0, 2.0, 3.0)})
    for n in (0, 3):
        with pytest.raises(ValueError, match=f"1 to 2 trials, as many as the pool; got {n}"):
            procedure(two, n)
    with pytest.raises(ValueError, match="the same fresh seeds"):
        gain(two, 2, three, 2)


def made(offset=0):
    """A pool of independent trials whose best four were trained again, from whole numbers."""
    rng = np.random.default_rng(17 + offset)
    values = np.round(4 * rng.standard_normal((12, 1)) + 2 * rng.standard_normal((12, 6)))
    ranking = tuple(int(k) for k in rng.permutation(12))
    again = {0, *ranking[:4]}
    return Pool(ranking, tuple(values[:, 0].tolist()), {k: tuple(values[k, 1:].tolist()) for k in sorted(again)})


GOLDEN = [
    (-4.0836363636, 1.6220004314, 4.546156276, 2.1201291093, 0.51075629017, 2.7668981172, 0.79393939394),
    (1.3127272727, 2.0708810964, 4.0956209179, 4.2380823998, 0.050466115702, 1.6224527547, 0.61818181818),
    (-4.9115151515, 3.9948552773, 4.6592786941, 15.368130028, 0.59073865932, 2.2635440853, 0.78787878788),
    (-9.6836363636, 1.9672409396, 7.3444765437, 2.1201291093, 1.7499078053, 2.4449667882, 0.79393939394),
]


def test_independent_pools_give_the_numbers_that_they_gave_before():
    """Mean, standard error, degrees, the two parts of the variance, noise, share: of version 1, to 9 digits."""
    first, second = made(), made(1)
    for found, before in [
        (procedure(first, 4), GOLDEN[0]),
        (procedure(second, 3), GOLDEN[1]),
        (gain(first, 4, second, 4), GOLDEN[2]),
        (gain(first, 4, first, 1), GOLDEN[3]),
    ]:
        parts = (found.mean, found.se, found.df, found.trials_part, found.seeds_part, found.noise, found.covered)
        assert parts == pytest.approx(before, rel=1e-9, abs=1e-12)


# Even pools.


def flat_search(values, places, offset=0.0):
    """Searches of two whose default is the worst: their mean is that of the others, each without noise."""
    values = [float(v) + offset for v in values]
    return Pool((*range(1, len(values) + 1), 0), (-99.0, *values), {0: (-99.0, -99.0)}, (0.5, *places))


def strata(rng, count):
    """One place in each of as many strata, in any order."""
    return (rng.permutation(count) + rng.random(count)) / count


def test_of_a_linear_trend_the_variance_is_that_of_places_in_their_strata():
    """b^2 / (12 M^3), times M / (M - 1) by the jackknife; independent places would have b^2 / (12 M).

    Of this, no noise of re-runs, so much counts as `BEYOND_NOISE` says.
    """
    rng, count, slope = np.random.default_rng(2), 16, 3.0
    every = []
    for _ in range(600):
        places = strata(rng, count)
        every.append(procedure(flat_search(slope * places, places), 2))
    means, variances = np.array([each.mean for each in every]), np.array([each.se**2 for each in every])
    true = slope**2 / (12 * count**3)
    assert means.var() == pytest.approx(true, rel=0.25)
    assert variances.mean() == pytest.approx(
        BEYOND_NOISE * true * count / (count - 1), rel=4 * variances.std() / 600**0.5 / true
    )
    assert variances.std() < 4 * true


def test_of_a_straight_line_with_equal_steps_nothing_is_left():
    places = np.linspace(0, 1, 8)[[3, 1, 7, 0, 5, 2, 6, 4]]
    assert procedure(flat_search(2 * places, places), 2).se == 0


def test_of_independent_noise_the_variance_is_that_of_independent_trials():
    rng, count = np.random.default_rng(3), 16
    ratios = []
    for _ in range(600):
        noise = rng.standard_normal(count)
        even = procedure(flat_search(noise, strata(rng, count)), 2)
        ratios.append(even.se**2 / (BEYOND_NOISE / count))
    assert np.mean(ratios) == pytest.approx(1, abs=4 * np.std(ratios) / 600**0.5)
    assert np.std(ratios) < 1


def test_trials_at_the_same_places_are_paired_and_at_others_are_not():
    rng = np.random.default_rng(4)
    values, places = rng.standard_normal(12), rng.random(12)
    one = flat_search(values, places)
    together = gain(flat_search(values, places, offset=0.5), 2, one, 2)
    assert (together.mean, together.se) == (pytest.approx(0.5), 0)
    assert len(together.terms) == 10
    apart = gain(flat_search(values, rng.random(12), offset=0.5), 2, one, 2)
    assert len(apart.terms) == 20
    assert apart.se**2 > procedure(one, 2).se ** 2


def test_the_order_along_the_first_axis_decides_and_not_the_distance():
    values = np.array([3.0, -1.0, 4.0, 1.0, -5.0])
    one, other = (procedure(flat_search(values, p), 2) for p in ((0.1, 0.2, 0.3, 0.4, 0.5), (0.0, 0.1, 0.6, 0.8, 0.9)))
    assert one.se == other.se
    # Second differences of 3, -1, 4, 1, -5 are 9, -8, -3; terms are values / sqrt(5 * 4).
    assert one.se**2 == pytest.approx(BEYOND_NOISE * (9**2 + 8**2 + 3**2) / 6 * 5 / 3 / 20)


def test_an_even_pool_has_between_the_least_degrees_and_as_many_as_terms():
    rng = np.random.default_rng(5)
    for size in (3, 4, 5, 9, 17, 33):
        values = rng.standard_normal(size - 1)
        df = procedure(flat_search(values, strata(rng, size - 1)), 2).df
        assert LEAST_FREEDOM <= df <= max(size - 3, LEAST_FREEDOM), size


def noisy(rng, size=9, seeds=5, luck=0.0, even=True):
    """Every trial trained again."""
    values = rng.standard_normal((size, seeds)) + rng.standard_normal(seeds) + 2 * rng.standard_normal((size, 1))
    valid = values.mean(1) + rng.standard_normal(size)
    return Pool(
        tuple(int(k) for k in np.argsort(-valid)),
        tuple(values[:, 0].tolist()),
        {k: tuple(values[k].tolist()) for k in range(size)},
        tuple(rng.random(size).tolist()) if even else (),
        {},
        tuple(valid.tolist()),
        luck,
    )


def test_the_standard_error_is_of_terms_and_of_what_seeds_share():
    for seed in range(10):
        pool = noisy(np.random.default_rng(seed))
        found, wins = procedure(pool, 3), winning(pool.ranking, 3, even=True)
        cells = [wins[k] ** 2 * np.var(pool.fresh[k], ddof=1) / 5 for k in range(9)]
        together = np.var(found.by_seed, ddof=1) / 5
        shared = max(together - sum(cells), 0) + cells[0]
        assert found.se**2 == pytest.approx(found.terms @ found.terms + shared)
        assert found.trials_part + found.seeds_part == pytest.approx(found.se**2)
        assert found.mean == pytest.approx(found.by_seed.mean())


def test_the_defaults_luck_is_the_variance_over_new_validation_values():
    """Drawn anew 20,000 times, each time ranked anew."""
    rng = np.random.default_rng(6)
    for even in (True, False):
        pool = noisy(rng, luck=1.3, even=even)
        values, means = pool.values(3), []
        for valid in pool.valid[0] + 1.3 * rng.standard_normal(20_000):
            others = [k for k in pool.ranking if k]
            ahead = sum(pool.valid[k] > valid for k in others)
            ranking = (*others[:ahead], 0, *others[ahead:])
            means.append(ranking)
        known = {each: winning(each, 3, even=even) @ values for each in set(means)}
        variance = np.var([known[each] for each in means])
        with_luck, without = procedure(pool, 3), procedure(replace(pool, luck=0.0), 3)
        assert variance > 0.01
        assert with_luck.se**2 - without.se**2 == pytest.approx(variance, rel=0.05)
        assert with_luck.mean == without.mean
        # Nothing is chosen where the default is all there is, nor is it known without validation values.
        assert procedure(pool, 1).se == procedure(replace(pool, luck=0.0), 1).se
        assert procedure(replace(pool, valid=()), 3).se == without.se


def test_a_default_far_ahead_or_failed_has_no_luck():
    pool = Pool((0, 1, 2), (3.0, 2.0, 1.0), {0: (3.0, 3.5), 1: (2.0, 2.5)}, (), {}, (50.0, 0.0, -np.inf), 0.1)
    assert procedure(pool, 2).se == procedure(replace(pool, luck=0.0), 2).se
    lost = replace(pool, ranking=(1, 0, 2), valid=(-np.inf, 0.0, -np.inf))
    assert procedure(lost, 2).se == procedure(replace(lost, luck=0.0), 2).se


FAILING = Pool(
    (1, 2, 3, 0),
    (1.0, 8.0, 6.0, 4.0),
    {0: (1.0, 1.0), 1: (9.0, 0.0), 2: (5.0, 7.0)},
    (0.5, 0.1, 0.2, 0.3),
    {1: (False, True)},
)


def test_what_was_not_trained_again_fails_as_often_as_what_was():
    """Searches of two: each of the three others wins a third; of the runs of 1 and 2 a quarter failed, with 0."""
    assert FAILING.values(2) == pytest.approx([1.0, 4.5, 6.0, 0.75 * 4.0])
    # Searches of three: 5/9 and 3/9 of the wins, so the share is 5/16.
    assert winning(FAILING.ranking, 3, even=True) == pytest.approx([0, 5 / 9, 3 / 9, 1 / 9])
    assert FAILING.values(3)[3] == pytest.approx((1 - 5 / 16) * 4.0)
    # The default alone does not fail.
    assert FAILING.values(1)[3] == 4.0


def test_failures_of_what_never_wins_are_nobodys():
    """The default is the worst: its own failure says nothing of searches that it does not win."""
    pool = replace(FAILING, failed={0: (True, True)})
    assert pool.values(2)[3] == 4.0


def test_of_runs_that_did_not_fail_the_failed_are_as_the_others():
    trained = FAILING.trained()
    assert trained.fresh == {0: (1.0, 1.0), 1: (9.0, 9.0), 2: (5.0, 7.0)}
    assert (trained.failed, trained.places, trained.ranking) == ({}, FAILING.places, FAILING.ranking)
    assert trained.values(2)[3] == 4.0
    # A trial whose every run failed is as the pool's others: (1 + 1 + 5 + 7) / 4.
    assert replace(FAILING, failed={1: (True, True)}).trained().fresh[1] == (3.5, 3.5)
    assert replace(FAILING, failed=dict.fromkeys(range(3), (True, True))).trained() is None
    none = replace(FAILING, failed={})
    assert none.trained() == none


def test_where_nothing_is_searched_a_search_is_its_default():
    """All trials are one configuration, with one training."""
    fresh = (0.3, 0.5, 0.1, 0.9)
    found = Pool(tuple(range(6)), (0.4,) * 6, {0: fresh}, tuple(k / 6 for k in range(6)))
    assert to_rerun(found.ranking, (3,), even=True) == (0,)
    usual, alone = t_interval(fresh), procedure(found, 3)
    assert (alone.mean, alone.mean - alone.half(), alone.df) == pytest.approx((usual.mean, usual.low, 3))
    assert (alone.trials_part, alone.covered) == (0, 1)
    assert gain(found, 3, found, 1).se == 0
    searched = noisy(np.random.default_rng(0), size=6, seeds=4)
    against = gain(searched, 3, found, 3)
    assert against.mean == pytest.approx(procedure(searched, 3).mean - usual.mean)
    assert against.se > 0


def test_standard_errors_that_rounding_makes_are_none():
    """Losses of 1000 in float32: neighbours are 6e-5 apart."""
    rng = np.random.default_rng(7)
    values = 1000 + 6e-5 * rng.integers(-2, 3, (5, 4))
    pool = Pool((1, 2, 3, 4, 0), tuple(values[:, 0]), {k: tuple(values[k]) for k in range(5)}, (0.1,) * 5)
    assert procedure(pool, 3).se > 0
    known = replace(pool, rounding=1e-3)
    assert procedure(known, 3).se == 0
    zero = gain(known, 3, replace(known, ranking=(4, 3, 2, 1, 0)), 3)
    assert (zero.mean, zero.se) == (0, 0)


def contrasts(k, rng, shared=True):
    """k pools, each against a first one, of 33 trials whose noise is theirs."""

    def one():
        return noisy(rng, size=17, seeds=5)

    first = one()
    pools = [replace(one(), places=first.places) for _ in range(k)]
    return [gain(pool, 4, first if shared else replace(one(), places=first.places), 4) for pool in pools]


def test_the_share_of_misses_is_between_that_of_one_and_bonferronis():
    rng = np.random.default_rng(8)
    for k in (1, 2, 5):
        found = contrasts(k, rng)
        share = share_of_misses(found, 0.04)
        assert 0.04 / k <= share <= 0.04
        # In another order other draws decide.
        assert share_of_misses(found[::-1], 0.04) == pytest.approx(share, rel=0.12)
        # One without a spread has no interval that could miss.
        still = replace(found[0], se=0.0)
        assert share_of_misses([*found, still], 0.04) == share
    assert share_of_misses([], 0.04) == 0.04
    assert share_of_misses(contrasts(1, rng), 0.04) == 0.04


def test_contrasts_that_share_the_reference_need_less_than_those_that_share_nothing():
    rng = np.random.default_rng(9)
    shared = np.mean([share_of_misses(contrasts(5, rng), 0.04) for _ in range(10)])
    apart = np.mean([share_of_misses(contrasts(5, rng, shared=False), 0.04) for _ in range(10)])
    assert 0.04 / 5 < apart < shared < 0.04
    one = contrasts(1, rng)[0]
    # The same contrast five times is one.
    assert share_of_misses([one] * 5, 0.04) == pytest.approx(0.04, rel=0.01)


@pytest.mark.slow
def test_five_contrasts_of_few_seeds_hold_their_level(monkeypatch):
    """Six equal rules whose defaults nothing beats, so that seeds are all there is. Standard error 0.6%."""
    rng = np.random.default_rng(11)
    drawn = rng.standard_normal((4096, 5))
    monkeypatch.setattr(simultaneous, "_normal", lambda count: drawn)  # an eighth of the draws, for time
    for seeds in (3, 5):
        claims = 0
        for _ in range(1500):
            first, *others = (
                Pool(tuple(range(4)), (0.0,) * 4, {0: tuple(fresh)}, (0.1, 0.2, 0.3, 0.4))
                for fresh in rng.standard_normal((6, seeds)).tolist()
            )
            against = [gain(each, 3, first, 3) for each in others]
            share = share_of_misses(against, 0.05)
            claims += any(abs(each.mean) > each.half(1 - share) for each in against)
        assert claims / 1500 < 0.07, seeds


def search(rng, n, count):
    """Results of new searches in a smooth world: a valley in one axis, a default beside it, noise of 0.1 everywhere."""

    def quality(places):
        return -4 * (places - 0.6) ** 2

    places = np.concatenate([np.full((count, 1), 0.3), rng.random((count, n - 1))], axis=1)
    best = np.argmax(quality(places) + 0.1 * rng.standard_normal(places.shape), axis=1)
    return quality(places[np.arange(count), best]) + 0.1 * rng.standard_normal(count)


def smooth_pool(rng, n, size, seeds, even):
    places = np.concatenate([[0.3], strata(rng, size - 1) if even else rng.random(size - 1)])
    level = -4 * (places - 0.6) ** 2
    valid = level + 0.1 * rng.standard_normal(size)
    ranking = tuple(int(k) for k in np.argsort(-valid))
    fresh = level[:, None] + 0.1 * rng.standard_normal((size, seeds))
    again = to_rerun(ranking, (n,), even=even)
    tuning = tuple((level + 0.1 * rng.standard_normal(size)).tolist())
    fresh_of = {k: tuple(fresh[k].tolist()) for k in again}
    return Pool(ranking, tuning, fresh_of, tuple(places.tolist()) if even else (), {}, tuple(valid.tolist()), 0.1)


@pytest.mark.slow
@pytest.mark.parametrize("even", [True, False])
def test_it_is_unbiased_for_new_searches_and_covers_them(even):
    """500 pools of 33, searches of 5: the mean, the variance that it states, and the interval."""
    rng = np.random.default_rng(10)
    truth = search(rng, 5, 400_000).mean()
    found = [procedure(smooth_pool(rng, 5, 33, 5, even), 5) for _ in range(500)]
    means, errors = np.array([each.mean for each in found]), np.array([each.se for each in found])
    # An even pool's plug-in has a bias that is small beside its error.
    assert abs(means.mean() - truth) < (0.5 * errors.mean() if even else 4 * means.std() / 500**0.5)
    # Of an even pool it is overstated here, as the best trials' terms are no line.
    assert 0.8 < np.mean(errors**2) / means.var() < (3 if even else 1.8)
    covered = np.mean([abs(each.mean - truth) <= each.half() for each in found])
    assert covered >= 0.92


def rarely_failing(failed):
    """A default that loses, and four trials of equal values whose re-runs have failed so often."""
    rng = np.random.default_rng(7)
    fresh = {trial: tuple(1 + 0.1 * rng.standard_normal(5)) for trial in range(5)}
    flags = {1: tuple(place < failed for place in range(5))} if failed else {}
    fresh[1] = tuple(0.0 if lost else v for v, lost in zip(fresh[1], flags.get(1, (False,) * 5), strict=True))
    return Pool((1, 2, 3, 4, 0), (0.5, 1.0, 1.0, 1.0, 1.0), fresh, (0.5, 0.1, 0.4, 0.6, 0.9), flags)


def test_one_failure_of_few_runs_widens_the_interval_by_what_so_few_can_say():
    one = rarely_failing(1)
    found = procedure(one, 2)
    # 1 of 20 runs of winners: the variance of a share is 0.0475 / 20, with two more of each 0.125 * 0.875 / 24.
    winners = [
        v
        for trial in (1, 2, 3, 4)
        for v, lost in zip(one.fresh[trial], one.failed.get(trial, (False,) * 5), strict=True)
        if not lost
    ]
    lacking = (0.125 * 0.875 / 24 - 0.05 * 0.95 / 20) * np.mean(winners) ** 2
    bare = Pool(one.ranking, one.tuning, one.fresh, one.places, {}, one.valid, one.luck)
    # Without the flags nothing else changes: every trial was trained again.
    assert found.se**2 - procedure(bare, 2).se ** 2 == pytest.approx(lacking)
    assert procedure(rarely_failing(0), 2).se < found.se
