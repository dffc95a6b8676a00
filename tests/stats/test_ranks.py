from itertools import combinations
from math import inf, nan, sqrt

import numpy as np
import pytest
import scikit_posthocs
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from thalweg.stats.ranks import ENOUGH_TASKS, critical_difference, enough_tasks

# Demšar 2006, table 5: q for 2 ... 10 rules.
DEMSAR = {
    0.05: (1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164),
    0.10: (1.645, 2.052, 2.291, 2.459, 2.589, 2.693, 2.780, 2.855, 2.920),
}


def named(array):
    return {f"t{i}": {f"r{j}": float(v) for j, v in enumerate(row)} for i, row in enumerate(array)}


@st.composite
def scores(draw, fewest=2):
    k = draw(st.integers(fewest, 6))
    # Whole numbers, so that ties are common.
    row = st.lists(st.integers(0, 5), min_size=k, max_size=k)
    return np.array(draw(st.lists(row, min_size=2, max_size=12)), dtype=float)


def find(array, up=True, **more):
    return critical_difference(named(array), higher_is_better=up, **more)


@settings(max_examples=40)
@given(scores(), st.booleans())
def test_average_ranks_are_those_of_scipy_the_best_first(array, up):
    found = find(array, up)
    theirs = stats.rankdata(-array if up else array, axis=1).mean(axis=0)
    assert dict(zip(found.rules, found.average_ranks, strict=True)) == pytest.approx(
        {f"r{j}": rank for j, rank in enumerate(theirs)}
    )
    assert list(found.average_ranks) == sorted(found.average_ranks)


@settings(max_examples=40)
@given(scores(fewest=3))
def test_friedmans_test_is_scipys(array):
    found = find(array)
    if all(len(set(row)) == 1 for row in array):
        assert (found.friedman, found.p_value) == (0, 1)
        return
    theirs = stats.friedmanchisquare(*array.T)
    assert found.friedman == pytest.approx(theirs.statistic, abs=1e-9)
    assert found.p_value == pytest.approx(theirs.pvalue, abs=1e-9)


def test_two_rules_that_never_differ_are_not_told_apart():
    found = find(np.ones((12, 2)))
    assert (found.friedman, found.p_value, found.groups) == (0, 1, (("r0", "r1"),))


@pytest.mark.parametrize("level", DEMSAR)
def test_the_quantiles_are_demsars(level):
    for k, published in enumerate(DEMSAR[level], start=2):
        cd = find(np.tile(np.arange(k), (7, 1)), level=level).critical_difference
        assert cd / sqrt(k * (k + 1) / (6 * 7)) == pytest.approx(published, abs=1.5e-3)


def test_demsars_example():
    # Demšar 2006, section 3.2.2: 4 rules on 14 data sets, CD = 2.569 sqrt(4 * 5 / (6 * 14)) = 1.25.
    assert find(np.tile(np.arange(4), (14, 1))).critical_difference == pytest.approx(1.25, abs=0.005)


def test_fifteen_rules_on_eight_tasks_are_hardly_told_apart():
    assert find(np.tile(np.arange(15), (8, 1))).critical_difference == pytest.approx(7.6, abs=0.05)


@settings(max_examples=40)
@given(scores(), st.sampled_from([0.01, 0.05, 0.1]))
def test_who_is_separated_is_as_scikit_posthocs_says(array, level):
    found = find(array, level=level)
    p = scikit_posthocs.posthoc_nemenyi_friedman(array)
    for i, j in combinations(range(array.shape[1]), 2):
        if abs(p.iloc[i, j] - level) > 1e-6:
            assert found.separated(f"r{i}", f"r{j}") == (p.iloc[i, j] <= level)


@settings(max_examples=40)
@given(scores())
def test_groups_are_the_largest_sets_with_no_two_separated(array):
    found = find(array, level=0.4)  # a small difference, so that there are several groups
    together = [
        set(chosen)
        for size in range(2, len(found.rules) + 1)
        for chosen in combinations(found.rules, size)
        if not any(found.separated(a, b) for a, b in combinations(chosen, 2))
    ]
    largest = [one for one in together if not any(one < other for other in together)]
    assert sorted(map(sorted, found.groups)) == sorted(map(sorted, largest))
    firsts = [found.rules.index(group[0]) for group in found.groups]
    assert firsts == sorted(firsts)


def test_groups_overlap():
    # Average ranks 1, 2, 3, 4 and a critical difference of 1.25: neighbours only.
    found = find(np.tile(np.arange(4), (14, 1)))
    assert found.rules == ("r3", "r2", "r1", "r0")
    assert found.groups == (("r3", "r2"), ("r2", "r1"), ("r1", "r0"))


@settings(max_examples=40)
@given(scores(), st.randoms())
def test_the_order_of_tasks_and_rules_does_not_matter(array, chance):
    values = named(array)
    tasks, rules = list(values), list(values["t0"])
    chance.shuffle(tasks)
    chance.shuffle(rules)
    moved = {t: {r: values[t][r] for r in rules} for t in tasks}
    before, after = find(array), critical_difference(moved, higher_is_better=True)
    assert dict(zip(before.rules, before.average_ranks, strict=True)) == dict(
        zip(after.rules, after.average_ranks, strict=True)
    )
    assert after.p_value == pytest.approx(before.p_value)
    if len(set(before.average_ranks)) == len(before.rules):
        assert after.groups == before.groups


@settings(max_examples=40)
@given(scores(), st.integers(0, 11), st.integers(1, 5))
def test_a_better_score_ranks_no_worse(array, task, gain):
    assume(task < len(array))
    better = array.copy()
    better[task, 0] += gain
    before, after = find(array), find(better)
    assert after.average_ranks[after.rules.index("r0")] <= before.average_ranks[before.rules.index("r0")]


@settings(max_examples=40)
@given(scores())
def test_only_the_order_within_a_task_counts(array):
    assert find(np.exp(array) * np.arange(1, len(array) + 1)[:, None]) == find(array)


def test_each_task_has_its_own_direction():
    mixed = {"digits": {"adam": 0.9, "sgd": 0.8}, "quadratic": {"adam": 87.0, "sgd": 88.0}}
    found = critical_difference(mixed, higher_is_better={"digits": True, "quadratic": False})
    assert (found.rules, found.average_ranks) == (("adam", "sgd"), (1, 2))
    with pytest.raises(ValueError, match="these differ: adam, digits, quadratic, sgd"):
        critical_difference(mixed, higher_is_better={"adam": True, "sgd": True})


def test_a_run_that_diverged_ranks_last():
    found = critical_difference({t: {"a": inf, "b": 1e300, "c": 1.0} for t in "xyz"}, higher_is_better=False)
    assert found.rules == ("c", "b", "a")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([[1.0, 2.0]], "at least 2 tasks and 2 rules, got 1 and 2"),
        ([[1.0], [2.0]], "at least 2 tasks and 2 rules, got 2 and 1"),
        ([[1.0, 2.0], [1.0, nan]], "r1 on t1 is not a number"),
        ([[1.0, 2.0], [1.0]], "r1 is on one of t0 and t1 only; the outer names are tasks"),
        ([], "at least one task"),
    ],
)
def test_scores_that_say_nothing_are_refused(values, words):
    with pytest.raises(ValueError, match=words):
        find(values)


def test_a_confidence_is_not_taken_for_a_level():
    with pytest.raises(ValueError, match=r"such as 0\.05; got 0\.95"):
        find([[1.0, 2.0], [1.0, 2.0]], level=0.95)


def test_ten_tasks_are_enough():
    assert (enough_tasks(ENOUGH_TASKS), enough_tasks(ENOUGH_TASKS - 1), ENOUGH_TASKS) == (True, False, 10)
