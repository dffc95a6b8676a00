from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest
from scipy.stats.qmc import Sobol

from thalweg.formula import Hyper, Rule, choice, log_uniform, one_minus_log_uniform
from thalweg.formula.rule import hypers
from thalweg.rules import CATALOGUE, SGD, Adam, AdamW, Momentum, RMSprop
from thalweg.study.ask import draws
from thalweg.study.ask.draws import AXES, BITS, LISTED, OTHERS, dimension, nested, run_seed, trial_seed, uniform
from thalweg.study.ask.methods import method_of_rule
from thalweg.wrappers import WRAPPERS


def at_an_edge(rule, *given):
    return draws.at_an_edge(method_of_rule(rule), *given)


def configuration(rule, fixed, trial, size, seed, draw=nested):
    return draws.configuration(method_of_rule(rule), fixed, trial, size, partial(draw, seed))


def place(rule, fixed, trial, size, seed):
    return draws.place(method_of_rule(rule), fixed, trial, size, partial(nested, seed))


def defaults(rule, *given):
    return draws.defaults(method_of_rule(rule), *given)


def searched(rule, *given):
    return draws.searched(method_of_rule(rule), *given)


trial = st.integers(1, 500)
study_seed = st.integers(0, 10**6)


class Circular(Rule):
    """Depends on itself only through a hyperparameter that is searched too, declared after it."""

    lr = Hyper(0.1, log_uniform(1e-3, 1.0, over="memory"))
    memory = Hyper(0.5, one_minus_log_uniform(0.1, 0.9), below=1.0)
    kind = Hyper(1, choice(1, 2, 3))

    @staticmethod
    def step(g, lr, memory, kind):
        return lr * g * memory * kind


def test_trial_0_is_the_default():
    assert configuration(AdamW, {}, 0, 50, 3) == defaults(AdamW, {}) == {
        "lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 1e-2, "eps_root": 0.0,
        "amsgrad": False, "eps_hat": False, "correct_first": False, "bias_correction": True,
    }  # fmt: skip


@given(trial, study_seed)
def test_draws_are_shared_across_rules_by_axis(k, seed):
    adam, adamw = (configuration(rule, {}, k, 50, seed) for rule in (Adam, AdamW))
    assert {n: adam[n] for n in ("lr", "beta1", "beta2")} == {n: adamw[n] for n in ("lr", "beta1", "beta2")}
    # RMSprop's alpha is beta2's memory in another box: the same place in it.
    rmsprop = configuration(RMSprop, {}, k, 50, seed)
    side, other = searched(RMSprop, {}, 50)["alpha"], searched(Adam, {}, 50)["beta2"]
    assert abs(side.position(rmsprop["alpha"], rmsprop) - other.position(adam["beta2"], adam)) < 1e-9


@given(trial, study_seed)
def test_a_larger_box_has_the_draws_of_the_smaller_one(k, seed):
    assert configuration(Adam, {}, k, 25, seed) == configuration(Adam, {}, k, 1000, seed)
    assert configuration(Adam, {}, k, 5, seed)["lr"] == configuration(Adam, {}, k, 25, seed)["lr"]


@pytest.mark.parametrize("draw", [uniform, nested])
def test_draws_of_trials_axes_and_studies_are_apart(draw):
    draws = {draw(s, k, axis) for s in range(10) for k in range(1, 11) for axis in ("lr", "beta1", "beta2", "h.lr")}
    assert len(draws) == 400
    assert 0 <= min(draws) < 0.02
    assert 0.98 < max(draws) < 1


def test_before_scrambling_the_points_are_scipy_s(monkeypatch):
    """With chance that turns no digit over, and whatever number of points and dimensions it is asked for at once."""

    class Never:
        def __init__(self, text):
            pass

        def digest(self):
            return bytes(32)

    points = Sobol(LISTED + OTHERS, scramble=False, bits=BITS).random_base2(10)
    other = dimension("head.lr")
    assert other >= LISTED
    with monkeypatch.context() as patched:
        patched.setattr(draws.hashlib, "sha256", Never)
        for name, number in (("lr", 0), ("beta1", 1), ("slow_step", AXES.index("slow_step"))):
            found = [nested.__wrapped__(0, k, name) for k in (1, 2, 3, 100, 256, 257, 1000)]
            expected = [points[k - 1, number] + 0.5 / 2**BITS for k in (1, 2, 3, 100, 256, 257, 1000)]
            assert found == expected, name
    own = draws._point(99, other)
    assert own == int(points[99, other] * 2**BITS)


@given(study_seed)
def test_every_equal_part_of_an_axis_has_one_of_the_first_points(seed):
    """Of 2^m parts, of the first 2^m points, so also of the m that are smaller: a longer search begins with it."""
    for axis in ("lr", "beta1", "head.lr"):
        found = [nested(seed, k, axis) for k in range(1, 65)]
        for m in range(7):
            assert sorted(int(2**m * u) for u in found[: 2**m]) == list(range(2**m)), (axis, m)


@given(study_seed)
def test_the_learning_rate_and_its_neighbours_lie_evenly_together(seed):
    """Each box of volume 2^(t - m), with sides that are powers of two, has 2^t of the first 2^m points.

    t of lr with the next ones is Sobol's own: 0 with the first, at most 1 with the one after that.
    """
    lr = [nested(seed, k, "lr") for k in range(1, 65)]
    for axis, t in (("beta1", 0), ("beta2", 1)):
        other = [nested(seed, k, axis) for k in range(1, 65)]
        for m in range(t, 7):
            for a in range(m - t + 1):
                b = m - t - a
                boxes = [(int(2**a * u), int(2**b * v)) for u, v in zip(lr[: 2**m], other[: 2**m], strict=True)]
                counts = {box: boxes.count(box) for box in boxes}
                assert set(counts.values()) == {2**t}, (axis, m, a)


def test_a_point_by_itself_is_uniform_over_studies():
    """And two of one study do not follow each other but as points that lie evenly do."""
    for k, axis in ((1, "lr"), (2, "lr"), (33, "beta1"), (7, "head.lr")):
        found = [nested(seed, k, axis) for seed in range(2000)]
        assert kstest(found, "uniform").pvalue > 1e-3, (k, axis)
    # Two axes of one point: independent, in studies as many as these.
    lr, beta1 = (np.array([nested(seed, 5, axis) for seed in range(2000)]) for axis in ("lr", "beta1"))
    assert abs(np.corrcoef(lr, beta1)[0, 1]) < 4 / np.sqrt(2000)


def test_a_study_has_points_of_its_own_and_keeps_them():
    """Worked by sha256sum from 0, 1/2 and 3/4, digit by digit: what a later version draws must not differ."""
    assert [nested(0, k, "lr") for k in (1, 2, 3)] == [0.6754731009714305, 0.11586692603304982, 0.38478627474978566]
    assert {nested(0, k, "lr") for k in range(1, 65)}.isdisjoint(nested(1, k, "lr") for k in range(1, 65))


def test_every_axis_of_rules_and_wrappers_has_a_dimension_of_its_own():
    every = {**CATALOGUE, **WRAPPERS}.values()
    declared = {
        hyper.search.axis or name for rule in every for name, hyper in hypers(rule).items() if hyper.search is not None
    }
    assert declared <= set(AXES)
    assert len(set(AXES)) == len(AXES) < LISTED
    assert dimension("lr") == 0
    # These stand in stores: another place would be other draws.
    assert AXES[:8] == ("lr", "beta1", "beta2", "weight_decay", "beta3", "gamma", "final_lr", "alpha")
    assert dimension("head.lr") != dimension("body.lr")


def test_a_trial_s_place_is_that_of_its_learning_rate():
    for k in range(6):
        assert 0 <= place(Adam, {}, k, 5, 3) <= 1
        lr = configuration(Adam, {}, k, 5, 3)["lr"]
        assert abs(searched(Adam, {}, 5)["lr"].position(lr, {}) - place(Adam, {}, k, 5, 3)) < 1e-9
    # The first side where the learning rate is fixed; no place where nothing is searched.
    assert place(Adam, {"lr": 0.1}, 4, 10, 3) == nested(3, 4, "beta1")
    assert place(Adam, {"lr": 0.1}, 4, 5, 3) is None
    # A default outside of its range lies at its end.
    narrow = {"lr": log_uniform(0.01, 0.1)}
    assert draws.place(method_of_rule(Adam), {}, 0, 5, partial(nested, 3), narrow) == 0.0


def test_sides_join_with_the_size_of_the_searches():
    assert list(searched(Adam, {}, 9)) == ["lr"]
    assert list(searched(Adam, {}, 10)) == ["lr", "beta1"]
    assert list(searched(Adam, {}, 25)) == ["lr", "beta1", "beta2", "weight_decay"]
    assert configuration(Adam, {}, 3, 9, 0)["beta1"] == 0.9


def test_a_fixed_value_is_neither_searched_nor_default():
    fixed = {"momentum": 0.5, "nesterov": True}
    assert "momentum" not in searched(Momentum, {"momentum": 0.5}, 100)
    for k in range(5):
        values = configuration(SGD, fixed, k, 100, 0)
        assert (values["momentum"], values["nesterov"]) == (0.5, True)


@given(trial, study_seed)
def test_a_value_over_another_is_computed_after_it(k, seed):
    for rule, memory in ((Momentum, "momentum"), (Circular, "memory")):
        values = configuration(rule, {}, k, 50, seed)
        side = searched(rule, {}, 50)["lr"]
        assert 0 <= side.position(values["lr"], values) <= 1
        plain = side.low * (side.high / side.low) ** nested(seed, k, "lr")
        assert abs(values["lr"] * (1 - values[memory]) / plain - 1) < 1e-9


def test_every_number_is_a_float_so_that_keys_survive_json():
    values = configuration(Circular, {}, 1, 50, 0)
    assert all(type(value) is float for value in values.values())


def test_the_edges_of_the_box_are_noticed():
    values = {**defaults(Adam, {}), "lr": 1.1e-5}
    assert at_an_edge(Adam, {}, values, 5) == ("lr",)
    assert at_an_edge(Adam, {}, {**values, "lr": 1e-3}, 5) == ()


def test_run_seeds_do_not_repeat():
    assert len({each(s, i) for each in (run_seed, trial_seed) for s in range(20) for i in range(50)}) == 2000
