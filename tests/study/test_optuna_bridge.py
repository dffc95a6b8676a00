"""Optuna: search spaces there, trials back."""

from dataclasses import replace
from functools import partial

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.samplers import RandomSampler, TPESampler
from optuna.trial import FixedTrial

from thalweg.formula import Hyper, Rule, Search
from thalweg.rules import CATALOGUE
from thalweg.stats.tuning_curve import expected_best
from thalweg.study.ask.draws import configuration, defaults, searched, uniform
from thalweg.study.ask.method_references import resolve_method
from thalweg.study.ask.methods import method_of_rule
from thalweg.study.bridges.optuna_bridge import distributions, from_optuna, suggest
from thalweg.study.model.errors import StudyError


class Both(Rule):
    """A memory that is drawn by its distance to 1 and divided too."""

    lr = Hyper(0.1, Search("log", 1e-3, 1.0, over="memory"))
    memory = Hyper(0.5, Search("one minus log", 0.1, 0.9, over="kind"), below=1.0)
    kind = Hyper(0.1, Search("choice", choices=(0.0, 0.1)))

    @staticmethod
    def step(g, lr, memory, kind):
        return lr * g * memory * kind


@pytest.fixture(autouse=True)
def _quiet():
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


def test_a_box_is_exported_by_what_is_drawn():
    assert distributions("adamw", 50) == {
        "lr": FloatDistribution(1e-5, 1e-1, log=True),
        "1 - beta1": FloatDistribution(4e-3, 0.5, log=True),
        "1 - beta2": FloatDistribution(1e-4, 0.2, log=True),
        "weight_decay": FloatDistribution(1e-3, 1.0, log=True),
    }
    assert distributions("lion", 10)["beta1"] == CategoricalDistribution((0.9, 0.95))
    assert set(distributions("momentum", 10)) == {"lr * (1 - momentum)", "1 - momentum"}
    assert set(distributions(Both, 1)) == {"lr * (1 - memory)", "1 - memory * (1 - kind)", "kind"}


def test_sides_join_with_the_number_of_trials_and_fixed_ones_never():
    assert list(distributions("adam", 9)) == ["lr"]
    assert "weight_decay" not in distributions("adam:weight_decay=0.1", 100)
    assert suggest(FixedTrial({"lr": 0.01}), "adam:weight_decay=0.1", 9)["weight_decay"] == 0.1
    values = suggest(FixedTrial({"lr * (1 - momentum)": 0.1}), "momentum:momentum=0.5", 1)
    assert (values["lr"], values["momentum"]) == (0.2, 0.5)


@given(
    st.sampled_from([*sorted(CATALOGUE), Both]), st.integers(1, 500), st.integers(0, 10**6), st.sampled_from([5, 60])
)
def test_the_same_draws_give_exactly_the_same_values(rule, trial, study_seed, trials):
    method = resolve_method(rule).method
    expected = configuration(method, {}, trial, trials, partial(uniform, study_seed))
    drawn = {}
    for name, side in searched(method, {}, trials).items():
        draw = uniform(study_seed, trial, side.axis or name)
        divided = f"{name} * (1 - {side.over})" if side.over else name
        parameter = f"1 - {divided}" if side.kind == "one minus log" else divided
        plain = side if side.kind == "choice" else replace(side, kind="log", over=None)
        drawn[parameter] = plain.value(draw, {})
    assert drawn.keys() == distributions(rule, trials).keys()
    assert suggest(FixedTrial(drawn), rule, trials) == expected
    assert list(expected) == list(defaults(method, {}))


def test_a_random_sampler_searches_the_box():
    study = optuna.create_study(sampler=RandomSampler(seed=3))
    sides = searched(method_of_rule(CATALOGUE["momentum"]), {}, 30)

    def objective(trial):
        values = suggest(trial, "momentum", 30)
        assert all(0 <= side.position(values[name], values) <= 1 for name, side in sides.items())
        trial.set_user_attr("lr", values["lr"])
        return values["lr"]

    study.optimize(objective, n_trials=30)
    params = study.trials[0].params
    assert study.trials[0].user_attrs["lr"] == params["lr * (1 - momentum)"] / (1 - (1 - params["1 - momentum"]))
    assert max(t.value for t in study.trials) > 0.5
    assert from_optuna({"momentum": study})["momentum"].independent


def simple(trial):
    return trial.suggest_float("x", 0.0, 1.0)


def studied(sampler=None, objective=simple, n=12, direction="minimize", **settings):
    study = optuna.create_study(sampler=sampler or RandomSampler(seed=1), direction=direction)
    study.optimize(objective, n_trials=n, **settings)
    return study


def test_random_trials_come_back_in_their_order():
    study = studied()
    found = from_optuna({"x": study}, higher_is_better=False)["x"]
    assert found.values == tuple(trial.value for trial in study.trials)
    assert (found.label, found.independent, found.why, found.failed) == ("x", True, "", 0)
    curve = found.expected_best()
    assert curve == expected_best(found.values, higher_is_better=False)
    assert curve[-1] == min(found.values)
    up = from_optuna({"x": studied(direction="maximize")})["x"]
    assert up.expected_best()[-1] == max(up.values)


def test_trials_chosen_by_earlier_ones_are_not_independent():
    found = from_optuna({"tpe": studied(TPESampler(seed=1))})["tpe"]
    assert not found.independent
    assert "its sampler is TPESampler, which chooses by what was tried before" in found.why
    assert len(found.values) == 12
    with pytest.raises(StudyError, match=r"tpe: the expected best of n trials needs independent .*TPESampler"):
        found.expected_best()
    grid = optuna.samplers.GridSampler({"x": [0.1, 0.2]})
    assert "GridSampler, not RandomSampler" in from_optuna({"x": studied(grid, n=2)})["x"].why


def test_a_sampler_that_is_only_named_is_found_out():
    """Optuna stores no sampler: whoever loads a study names one."""
    storage = optuna.storages.InMemoryStorage()
    made = optuna.create_study(storage=storage, sampler=TPESampler(seed=1), study_name="s")
    made.optimize(simple, n_trials=12)
    loaded = optuna.load_study(study_name="s", storage=storage, sampler=RandomSampler())
    found = from_optuna({"s": loaded})["s"]
    assert not found.independent
    assert "it left 'tpe'" in found.why
    # The other way round: random trials under Optuna's default sampler are not taken for random, but how to is told.
    random = optuna.create_study(storage=storage, sampler=RandomSampler(seed=1), study_name="r")
    random.optimize(simple, n_trials=5)
    named = from_optuna({"r": optuna.load_study(study_name="r", storage=storage)})["r"]
    assert not named.independent
    assert "if RandomSampler made these trials, load the study with it" in named.why
    again = optuna.load_study(study_name="r", storage=storage, sampler=RandomSampler())
    assert from_optuna({"r": again})["r"].independent


def test_pruned_trials_are_left_out_and_told():
    def pruning(trial):
        x = simple(trial)
        trial.report(x, 0)
        if trial.number % 4 == 3:
            raise optuna.TrialPruned
        return x

    study = studied(objective=pruning)
    found = from_optuna({"x": study})["x"]
    assert found.values == tuple(t.value for t in study.trials if t.number % 4 != 3)
    assert not found.independent
    assert found.why.startswith("3 trials pruned, left out")


def test_a_pruner_that_prunes_nothing_does_not_matter():
    study = optuna.create_study(sampler=RandomSampler(seed=1), pruner=optuna.pruners.SuccessiveHalvingPruner())

    def objective(trial):
        x = simple(trial)
        trial.report(x, 1)
        trial.should_prune()
        return x

    study.optimize(objective, n_trials=5)
    assert any(trial.system_attrs for trial in study.trials)
    assert from_optuna({"x": study})["x"].independent


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_failures_count_with_the_worst_of_all(direction):
    def failing(trial):
        x = simple(trial)
        if trial.number == 2:
            raise RuntimeError
        if trial.number == 4:
            return float("nan")
        return float("inf") if trial.number == 5 else x

    def worse(trial):
        return simple(trial) + (10 if direction == "minimize" else -10)

    studies = {
        "a": studied(objective=failing, n=7, catch=(RuntimeError,), direction=direction),
        "b": studied(objective=worse, n=3, direction=direction),
    }
    found = from_optuna(studies)
    pick = max if direction == "minimize" else min
    worst = pick(found["b"].values)
    assert found["a"].failed == 3
    assert [found["a"].values[i] for i in (2, 4, 5)] == [worst] * 3
    assert len(found["a"].values) == 7
    assert found["a"].independent
    assert found["a"].why == f"3 trials failed and count with the worst value, {worst:g}"
    assert found["b"].failed == 0


def test_what_is_not_drawn_or_not_ended_is_told():
    study = optuna.create_study(sampler=RandomSampler(seed=1))
    study.enqueue_trial({"x": 0.5})
    study.optimize(simple, n_trials=3)
    study.ask()
    found = from_optuna({"x": study})["x"]
    assert len(found.values) == 3
    assert not found.independent
    assert found.why == "1 trial enqueued with given values, not drawn; 1 trial not ended, left out"

    changed = studied(n=3)
    changed.optimize(lambda trial: trial.suggest_float("x", 0.0, 2.0), n_trials=1)
    assert from_optuna({"x": changed})["x"].why == "the box of x was changed between trials"


def test_mistakes_are_answered_in_words():
    with pytest.raises(StudyError, match="the study b maximizes, where one that minimizes is wanted"):
        from_optuna({"a": studied(), "b": studied(direction="maximize")})
    with pytest.raises(StudyError, match="the study a minimizes, where one that maximizes is wanted"):
        from_optuna({"a": studied()}, higher_is_better=True)
    several = optuna.create_study(directions=["minimize", "maximize"])
    with pytest.raises(StudyError, match="the study a has 2 objectives"):
        from_optuna({"a": several})
    with pytest.raises(StudyError, match="the study a has no trial that ended with a value"):
        from_optuna({"a": optuna.create_study()})
    with pytest.raises(StudyError, match="did you mean adam"):
        distributions("adamm", 5)
    with pytest.raises(StudyError, match="trials must be a whole number, at least 1; got 0"):
        distributions("adam", 0)
