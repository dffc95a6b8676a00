import sys
from importlib.util import find_spec
from math import inf, nan
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thalweg.stats.profile import performance_profile

TIMES = {
    "digits": {"adam": 10.0, "sgd": 20.0, "lion": 40.0},
    "spiral": {"adam": 30.0, "sgd": 10.0, "lion": inf},
}
TAUS = (1.0, 1.9, 2.0, 3.0, 4.0, 100.0)


@st.composite
def costs(draw, smallest=0.01):
    tasks, rules = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    cost = st.floats(smallest, 100) | st.sampled_from([1.0, 2.0, inf])
    return {f"t{i}": {f"r{j}": draw(cost) for j in range(rules)} for i in range(tasks)}


def by_rule(found, values):
    return dict(zip(found.rules, values, strict=True))


def test_an_example_by_hand():
    found = performance_profile(TIMES, TAUS)
    assert (found.tasks, found.rules) == (("digits", "spiral"), ("adam", "sgd", "lion"))
    assert by_rule(found, found.shares) == {
        "adam": (0.5, 0.5, 0.5, 1, 1, 1),
        "sgd": (0.5, 0.5, 1, 1, 1, 1),
        "lion": (0, 0, 0, 0, 0.5, 0.5),
    }
    # Ratios 1 and 3, 2 and 1, 4 and none: the means of (4 - ratio) / 3.
    assert found.areas == pytest.approx((2 / 3, 5 / 6, 0))
    assert found.notes == ()


@settings(max_examples=40)
@given(costs(), st.floats(1.1, 20))
def test_the_area_is_the_integral_of_the_curve(values, up_to):
    grid = np.linspace(1, up_to, 4001)
    found = performance_profile(values, grid, up_to=up_to)
    for curve, area in zip(found.shares, found.areas, strict=True):
        middle = (np.array(curve[1:]) + curve[:-1]) / 2
        assert middle.mean() == pytest.approx(area, abs=1e-3)


@given(costs(smallest=0.0))
def test_curves_rise_and_somebody_is_best_wherever_anybody_got_there(values):
    found = performance_profile(values, TAUS)
    shares = np.array(found.shares)
    assert (np.diff(shares, axis=1) >= 0).all()
    assert ((shares >= 0) & (shares <= 1)).all()
    finished = np.mean([min(row.values()) < inf for row in values.values()])
    assert shares[:, 0].sum() >= finished - 1e-12
    assert (shares[:, -1] <= finished + 1e-12).all()
    assert all(0 <= area <= finished + 1e-12 for area in found.areas)


@settings(max_examples=40)
@given(costs(), st.randoms())
def test_neither_the_order_nor_the_unit_matters(values, chance):
    tasks, rules = list(values), list(values["t0"])
    chance.shuffle(tasks)
    chance.shuffle(rules)
    # Powers of 2 are exact.
    moved = {t: {r: values[t][r] * 2.0 ** len(t + tasks[0]) for r in rules} for t in tasks}
    before, after = performance_profile(values, TAUS), performance_profile(moved, TAUS)
    assert by_rule(before, before.shares) == by_rule(after, after.shares)
    assert by_rule(before, before.areas) == pytest.approx(by_rule(after, after.areas), abs=1e-12)


@given(costs(), st.floats(0.1, 1))
def test_a_lower_cost_never_hurts_the_rule(values, factor):
    cheaper = {t: {r: v * factor if r == "r0" else v for r, v in row.items()} for t, row in values.items()}
    before, after = performance_profile(values, TAUS), performance_profile(cheaper, TAUS)
    assert after.areas[0] >= before.areas[0] - 1e-12
    assert (np.array(after.shares[0]) >= before.shares[0]).all()


@pytest.fixture(scope="module")
def rliable_library():
    """rliable needs arch.bootstrap only; some versions of arch cannot import the rest of arch beside a new pandas."""
    spec = find_spec("arch")
    bare = ModuleType("arch")
    bare.__path__ = list(spec.submodule_search_locations)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "arch", bare)
        import rliable.library

        yield rliable.library


@settings(max_examples=40)
@given(values=costs())
def test_the_curve_is_rliables_of_the_ratios(rliable_library, values):
    taus = np.array([1.0003, 1.5003, 2.0003, 50.0003])
    found = performance_profile(values, taus)
    best = {task: min(row.values()) for task, row in values.items()}
    ratios = {
        rule: np.array([[values[t][rule] / best[t] if values[t][rule] < inf else inf for t in values]])
        for rule in found.rules
    }
    # Theirs is the share above a threshold, of scores; ours within a factor, of costs.
    theirs, _ = rliable_library.create_performance_profile({r: -v for r, v in ratios.items()}, -taus, reps=2)
    for rule, curve in by_rule(found, found.shares).items():
        assert curve == pytest.approx(list(theirs[rule]), abs=1e-12)


def test_rounding_does_not_push_a_ratio_over_its_factor():
    assert 2.1 / 0.7 > 3
    assert performance_profile({"t": {"a": 0.7, "b": 2.1}}, [3.0]).shares == ((1.0,), (1.0,))


def test_a_best_cost_of_0_is_told():
    found = performance_profile({"t": {"a": 0.0, "b": 0.0, "c": 0.1}, "u": {"a": 2.0, "b": 1.0, "c": 1.0}}, [1.0, 1e9])
    assert by_rule(found, found.shares) == {"a": (0.5, 1), "b": (1, 1), "c": (0.5, 0.5)}
    assert found.notes == ("On t the best cost is 0, so that every other is beyond any factor of it.",)


def test_a_task_that_all_solve_perfectly_needs_no_note():
    found = performance_profile({"t": {"a": 0.0, "b": 0.0}}, [1.0])
    assert (found.shares, found.areas, found.notes) == (((1.0,), (1.0,)), (1, 1), ())


def test_a_task_that_nobody_finished_counts_against_all():
    found = performance_profile({"t": {"a": inf, "b": inf}, "u": {"a": 1.0, "b": 1.0}}, [1.0, inf])
    assert found.shares == ((0.5, 0.5), (0.5, 0.5))
    assert found.areas == (0.5, 0.5)
    assert found.notes == ("On t no rule has a finite cost, so that it counts against all.",)


def test_another_rule_moves_the_others():
    joined = {task: {**row, "shampoo": 5.0} for task, row in TIMES.items()}
    assert performance_profile(joined, TAUS).areas[0] < performance_profile(TIMES, TAUS).areas[0]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "at least one task"),
        ({"t": {}}, "at least one task"),
        ({"t": {"a": 1.0, "b": 1.0}, "u": {"a": 1.0}}, "b is on one of t and u only"),
        ({"t": {"a": 1.0}, "u": {"a": 1.0, "b": 1.0}}, "b is on one of t and u only"),
        ({"t": {"a": nan}}, "a on t is not a number"),
        ({"t": {"a": 1.0, "b": -0.9}}, "b on t is -0.9; of an accuracy give the error"),
        ({"adam": {"digits": 1.0}, "sgd": {"digit": 1.0}}, "outer names are tasks"),
    ],
)
def test_costs_that_cannot_be_meant_are_refused(values, words):
    with pytest.raises(ValueError, match=words):
        performance_profile(values, TAUS)


@pytest.mark.parametrize("taus", [[0.5], [2.0, 1.0], [nan], [[1.0]]])
def test_factors_that_are_none_are_refused(taus):
    with pytest.raises(ValueError, match="taus are factors"):
        performance_profile(TIMES, taus)


@pytest.mark.parametrize("up_to", [1.0, inf, nan])
def test_an_area_needs_an_end(up_to):
    with pytest.raises(ValueError, match="finite factor above 1"):
        performance_profile(TIMES, TAUS, up_to=up_to)
