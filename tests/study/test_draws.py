from hypothesis import given
from hypothesis import strategies as st

from thalweg.formula import Hyper, Rule, choice, log_uniform, one_minus_log_uniform
from thalweg.rules import SGD, Adam, AdamW, Momentum, RMSprop
from thalweg.study.ask import draws
from thalweg.study.ask.draws import run_seed, uniform
from thalweg.study.ask.methods import method_of_rule


def at_an_edge(rule, *given):
    return draws.at_an_edge(method_of_rule(rule), *given)


def configuration(rule, *given):
    return draws.configuration(method_of_rule(rule), *given)


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
def test_a_longer_search_begins_with_the_shorter_one(k, seed):
    assert configuration(Adam, {}, k, 25, seed) == configuration(Adam, {}, k, 1000, seed)


def test_draws_of_trials_axes_and_studies_are_apart():
    draws = {uniform(s, k, axis) for s in range(10) for k in range(10) for axis in ("lr", "beta1", "beta2")}
    assert len(draws) == 300
    assert 0 <= min(draws) < 0.02
    assert 0.98 < max(draws) < 1


def test_sides_join_with_the_number_of_trials():
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
        plain = side.low * (side.high / side.low) ** uniform(seed, k, "lr")
        assert abs(values["lr"] * (1 - values[memory]) / plain - 1) < 1e-9


def test_every_number_is_a_float_so_that_keys_survive_json():
    values = configuration(Circular, {}, 1, 50, 0)
    assert all(type(value) is float for value in values.values())


def test_the_edges_of_the_box_are_noticed():
    values = {**defaults(Adam, {}), "lr": 1.1e-5}
    assert at_an_edge(Adam, {}, values, 5) == ("lr",)
    assert at_an_edge(Adam, {}, {**values, "lr": 1e-3}, 5) == ()


def test_run_seeds_do_not_repeat():
    assert len({run_seed(s, i) for s in range(20) for i in range(50)}) == 1000
