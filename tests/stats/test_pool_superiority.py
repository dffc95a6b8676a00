from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest

from simulated import generator
from thalweg.stats.pool import Pool
from thalweg.stats.pool_superiority import superiority
from worlds import fresh_studies, pool, published

WORLDS = {world.name: world for world in published()}


def random_pool(seed, size=6, seeds=3, by=0.0):
    """Rounded, so that there are ties; some trials with fresh seeds and some without."""
    rng = np.random.default_rng(seed)
    values = np.round(rng.standard_normal((size, 1 + seeds)), 1) + by
    again = {0, *(int(i) for i in rng.choice(size, 3, replace=False))}
    return Pool(
        tuple(int(i) for i in rng.permutation(size)),
        tuple(values[:, 0].tolist()),
        {k: tuple(values[k, 1:].tolist()) for k in again},
    )


def trainings(found, n):
    """What every virtual study of n trials can give, each with the same weight."""
    every = []
    for others in combinations(range(1, found.size), n - 1):
        best = min((0, *others), key=found.ranking.index)
        every.append(found.fresh.get(best, (found.tuning[best],) * found.seeds))
    return [value for values in every for value in values]


def walked(a, n, b, m, up=True):
    """P(better) + P(tie) / 2 over every two trainings."""
    pairs = list(product(trainings(a, n), trainings(b, m)))
    return sum((x > y if up else x < y) + (x == y) / 2 for x, y in pairs) / len(pairs)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("n", "m"), [(1, 1), (2, 2), (3, 2), (1, 6)])
def test_the_estimate_is_that_of_every_two_trainings_of_virtual_studies(seed, n, m):
    a, b = random_pool(seed), random_pool(100 + seed, size=7)
    for up in (True, False):
        found = superiority(a, n, b, m, higher_is_better=up)
        assert found.estimate == pytest.approx(walked(a, n, b, m, up), abs=1e-12)
        assert 0 <= found.low <= found.estimate <= found.high <= 1


@pytest.mark.parametrize("seed", range(4))
def test_the_other_way_round_it_is_the_rest(seed):
    a, b = random_pool(seed), random_pool(50 + seed)
    one, other = (superiority(*each, higher_is_better=True) for each in ((a, 2, b, 3), (b, 3, a, 2)))
    assert (other.estimate, other.low, other.high) == pytest.approx((1 - one.estimate, 1 - one.high, 1 - one.low))
    assert other.p_value == pytest.approx(one.p_value)


def test_an_equal_pool_is_neither_better_nor_worse():
    found = superiority(random_pool(3), 2, random_pool(3), 2, higher_is_better=True)
    assert found.estimate == pytest.approx(0.5)
    assert found.low <= 0.5 + 1e-9
    assert found.high >= 0.5 - 1e-9


def test_an_equal_pool_leaves_the_interval_wide():
    found = superiority(random_pool(3), 2, random_pool(3), 2, higher_is_better=True)
    assert found.low < 0.4
    assert found.high > 0.6
    assert found.p_value == pytest.approx(1)


def test_a_clean_sweep_is_not_certain():
    """Two pools of three disjoint studies each cannot show more than so many wins of so many."""
    found = superiority(random_pool(1, by=100), 2, random_pool(2), 2, higher_is_better=True)
    assert (found.estimate, found.high) == pytest.approx((1, 1))
    assert 0.2 < found.low < 0.9


def test_only_the_order_of_the_values_counts():
    a, b = random_pool(5), random_pool(6)

    def there(found):
        return replace(
            found,
            tuning=tuple(np.exp(found.tuning).tolist()),
            fresh={k: tuple(np.exp(v).tolist()) for k, v in found.fresh.items()},
        )

    plain, moved = (superiority(*each, higher_is_better=True) for each in ((a, 2, b, 2), (there(a), 2, there(b), 2)))
    assert moved == plain


@pytest.mark.slow
@pytest.mark.parametrize("n", [5, 25])
def test_its_interval_holds_the_truth_of_new_studies(n):
    """80 comparisons: 0.95 would be inside 76 times, give or take 2; fewer than 70 has a chance of 1 in 400."""
    first, second = WORLDS["fmnist_2c2d Adam"], WORLDS["fmnist_2c2d SGD"]
    rng = generator("superiority", n)
    truth = float((fresh_studies(first, rng, n, 50_000) > fresh_studies(second, rng, n, 50_000)).mean())
    inside, estimates = 0, []
    for _ in range(80):
        a, b = (pool(world, rng, budgets=(n,)) for world in (first, second))
        found = superiority(a, n, b, n, higher_is_better=True)
        estimates.append(found.estimate)
        inside += found.low <= truth <= found.high
    assert inside >= 70
    error = float(np.std(estimates)) / 80**0.5
    assert abs(np.mean(estimates) - truth) < 4 * error + 0.02
