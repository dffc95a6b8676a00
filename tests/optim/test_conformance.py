"""Every rule and wrapped rules against the conformance suite that users' own rules inherit."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch

import thalweg
from thalweg.formula import State, Switch, compose
from thalweg.formula.rule import parts
from thalweg.optim import OPTIMIZERS, Optimizer
from thalweg.testing import Conformance
from thalweg.testing.agreement import Agreement
from thalweg.testing.bad_gradients import BadGradients
from thalweg.testing.chain import Chain
from thalweg.testing.contract import Contract
from thalweg.testing.copies import Copies
from thalweg.testing.memory import Memory
from thalweg.testing.reference import Reference
from thalweg.testing.subject import Subject, default_settings
from thalweg.wrappers import Cautious, Lookahead

Settings = Sequence[Mapping[str, Any]]
# What is asked of every setting's arithmetic, and of every set of states.
OTHERS = (Memory, Chain, BadGradients)
OF_STATES = (Contract, Copies)

# For each rule first the setting that gives it every state, then the others. A rule that is not here is tried with its
# defaults and each switch flipped.
SETTINGS: dict[str, Settings] = {
    "sgd": [
        {"lr": 0.01, "momentum": 0.9, "dampening": 0.5, "weight_decay": 0.01},
        {"lr": 0.01, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
        {"lr": 0.01, "momentum": 0.9, "nesterov": True, "lr_inside": True},
        {"lr": 0.01, "weight_decay": 0.1, "maximize": True},
        {"lr": 0.01},
    ],
    "nag": [{}, {"nesterov": False, "lr_inside": True, "maximize": True}, {"momentum": 0.0, "nesterov": False}],
    "momentum": [{"lr": 0.1}, {"lr": 0.1, "momentum": 0.5, "heavy_ball": True, "weight_decay": 0.1, "maximize": True}],
    "adagrad": [
        {"lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.1, "maximize": True},
        {"eps_inside": True, "eps": 1e-4},
        {},
    ],
    "rmsprop": [
        {"lr": 1e-3, "centered": True, "momentum": 0.9, "eps": 1e-4},
        {"lr": 1e-3, "momentum": 0.9, "weight_decay": 0.1},
        {"lr": 1e-3, "momentum": 0.9, "eps_inside": True, "lr_inside": True, "initial_accumulator_value": 1.0},
        {"centered": True, "alpha": 0.9, "maximize": True},
        {},
    ],
    "adam": [
        {"amsgrad": True, "betas": (0.9, 0.5)},
        {"weight_decay": 0.1, "betas": (0.8, 0.999), "maximize": True},
        {"amsgrad": True, "betas": (0.9, 0.5), "correct_first": True, "eps_root": 1e-6, "eps_hat": True, "eps": 1e-5},
        {"bias_correction": False},
        {},
    ],
    "adamw": [
        {"weight_decay": 0.3, "amsgrad": True, "betas": (0.9, 0.5), "maximize": True},
        {"lr": 1e-4},
        {"amsgrad": True, "betas": (0.9, 0.5), "correct_first": True, "eps_root": 1e-6, "eps_hat": True},
        {"bias_correction": False, "decay": "independent"},
        {},
    ],
    "amsgrad": [
        {"betas": (0.9, 0.5)},
        {"betas": (0.9, 0.5), "correct_first": True, "eps_root": 1e-6, "eps_hat": True, "bias_correction": False},
        {"amsgrad": False},
    ],
    "adamax": [{"weight_decay": 0.1, "maximize": True}, {"eps_added": True, "eps": 1e-4}, {}],
    "nadam": [
        {"weight_decay": 0.1},
        {"momentum_decay": 1.0, "maximize": True},
        {"constant_momentum": True, "eps_hat": True, "eps": 1e-4},
        {},
    ],
    "radam": [{"weight_decay": 0.1, "betas": (0.9, 0.99)}, {"eps_hat": False, "threshold": 4.0}, {}],
    "adabound": [{"amsbound": True, "betas": (0.9, 0.5)}, {"weight_decay": 0.1, "gamma": 0.1, "maximize": True}],
    "amsbound": [{"betas": (0.9, 0.5)}, {"amsbound": False}],
    "adabelief": [{"weight_decay": 0.1, "betas": (0.9, 0.99), "eps": 1e-8}, {"rectify": False, "eps": 1e-8}],
    "laprop": [{"weight_decay": 0.1}, {"betas": (0.8, 0.99), "eps": 1e-4, "maximize": True}],
    "grams": [{"weight_decay": 0.1}, {"betas": (0.8, 0.99), "eps": 1e-4, "maximize": True}],
    "adan": [{"weight_decay": 0.1}, {"maximize": True}],
    "ademamix": [{"weight_decay": 0.1}, {"warmup": 50.0, "maximize": True}],
    "lamb": [{"weight_decay": 0.1}, {"weight_decay": 0.0, "always_adapt": True}],
    "lars": [{"weight_decay": 0.1, "trust": 0.1}, {"lr": 0.01, "weight_decay": 0.0, "maximize": True}],
    "prodigy": [{"d0": 1e-3}, {"d0": 1e-3, "weight_decay": 0.1, "maximize": True}],
    "schedulefreesgd": [{"lr": 0.05, "warmup_steps": 5.0, "r": 1.0}, {"lr": 0.05, "weight_decay": 0.1}],
    "schedulefreeadamw": [{"warmup_steps": 5.0, "weight_decay": 0.1}, {"maximize": True}],
    "lion": [{"lr": 1e-3, "weight_decay": 0.5, "maximize": True}, {}],
    "adafactor": [
        {"lr": 0.05, "beta1": 0.9, "weight_decay": 0.1},
        {"lr": 0.05, "maximize": True, "eps": (1e-3, 0.1)},
        {"lr": 0.05, "eps_added": True, "eps": (1e-6, 1e-3), "decay_scaled": True, "weight_decay": 0.1},
        {"lr": 0.01, "relative_step": False, "scale_parameter": False},
        {"warmup_init": True, "eps": (1e-3, 100.0)},
        {},
    ],
    "came": [{"lr": 0.02, "weight_decay": 0.1}, {"lr": 0.02, "betas": (0.8, 0.9, 0.95), "maximize": True}],
    "signum": [{"lr": 1e-3, "weight_decay": 0.5, "maximize": True}, {}],
    # In bfloat16 products are another matter: tests/optim/test_muon.py.
    "muon": [
        {"products": "float32", "neuron_wise": True, "longer_side": True, "full_norm": True, "equilibrate": True},
        {"products": "float32", "gram": False, "coefficients": "keller", "floor": "floored", "scale": "original"},
        {
            "products": "float32",
            "heavy_ball": True,
            "nesterov": False,
            "scale": "spectral",
            "weight_decay": 0.0,
            "lr": 0.05,
        },
    ],
    "normuon": [
        {"products": "float32"},
        {"products": "float32", "longer_side": True, "neuron_wise": False, "nesterov": False, "heavy_ball": True},
        {"products": "float32", "equilibrate": True, "full_norm": True, "gram": False, "divisor": "added"},
    ],
}


def settings_of(name: str) -> Settings:
    return SETTINGS.get(name) or default_settings(OPTIMIZERS[name].rule)


def keeping_others(made: type[Optimizer], first: Mapping[str, Any], settings: Settings) -> Settings:
    """Of these settings those with which a rule keeps other states than with any before."""

    def kept(arguments: Mapping[str, Any]) -> frozenset[str]:
        values = Subject(made, arguments).values()
        return frozenset(
            name for name, state in parts(made.rule, State).items() if state.when is None or values.get(state.when, 1)
        )

    seen, found = {kept(first)}, []
    for each in settings:
        if kept(each) not in seen:
            found.append(each)
            seen.add(kept(each))
    return found


# torch keeps the product of NAdam's schedule in float32.
REFERENCE_TOLERANCE = {"nadam": 1e-6}
# Prodigy's moments are multiples of d and d * d, and d sums up how far float32 weights are from where they started.
TOLERANCE = {"prodigy": {**Conformance.tolerance, torch.float32: 1e-4}}
# Small singular values are raised a thousandfold, and what float32 has rounded in them too; of Shampoo's eigenvalues it
# decides which are 0.
TOLERANCE |= {name: {torch.float64: 1e-10, torch.float32: 2e-3} for name in ("muon", "normuon")}
TOLERANCE["shampoo"] = {torch.float64: 1e-10, torch.float32: 1e-2}
# The eigenvectors of equal eigenvalues are any, and SOAP's step depends on them: a matrix that is far from square has
# many at 0. Its numbers are in tests/rules/test_matrix_rules.py.
ANY = dict.fromkeys(
    (
        "test_agrees_with_the_oracle", "test_size", "test_half_precision", "test_numbers_are_read_at_each_step",
        "test_weight_decay", "test_layout", "test_fallback_is_the_kernel",
    )
)  # fmt: skip


class TestCautiousAdafactor(Conformance):
    optimizer = thalweg.wrap(thalweg.Adafactor, Cautious)
    settings = ({"lr": 0.05, "weight_decay": 0.1},)


class TestCautiousAdamW(Conformance):
    optimizer = thalweg.wrap(thalweg.AdamW, Cautious)


class TestLookaheadSGD(Conformance):
    """A wrapper that moves the weight again after the step."""

    optimizer = thalweg.wrap(thalweg.SGD, Lookahead)
    settings = ({"lr": 0.1, "momentum": 0.9},)


class TestCautiousLookaheadMARS(Conformance):
    optimizer = thalweg.wrap(thalweg.wrap(thalweg.MARS, Lookahead), Cautious)
    settings = ({"k": 3},)


class TestCautiousLAMB(Conformance):
    """A wrapper that takes totals, around a rule that takes its own."""

    optimizer = thalweg.wrap(thalweg.LAMB, Cautious)
    settings = ({},)


for _name, _made in OPTIMIZERS.items():
    _first, *_others = settings_of(_name)
    _common: dict[str, Any] = {"optimizer": _made}
    if _name in REFERENCE_TOLERANCE:
        _common["reference_tolerance"] = REFERENCE_TOLERANCE[_name]
    if _name in TOLERANCE:
        _common["tolerance"] = TOLERANCE[_name]
    if _name == "soap":
        _common |= ANY
    _about: dict[str, Any] = {**_common, "settings": [_first]}
    globals()[f"Test{_made.__name__}"] = type(f"Test{_made.__name__}", (Conformance,), _about)
    # The numbers of every other setting each time, its other properties in the slow tests.
    for _what, _bases, _settings, _marks in (
        ("Numbers", (Agreement, Reference), _others, []),
        ("Others", OTHERS, _others, [pytest.mark.slow]),
        ("States", OF_STATES, keeping_others(_made, _first, _others), [pytest.mark.slow]),
    ):
        if _settings:
            _grid = f"Test{_made.__name__}{_what}"
            globals()[_grid] = type(_grid, _bases, {**_common, "settings": _settings, "pytestmark": _marks})


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_form_is_tried(name: str) -> None:
    """Each switch both ways, and each hyperparameter that an `if` tests 0 and not 0."""
    made: type[Optimizer] = OPTIMIZERS[name]
    tried = [Subject(made, arguments).values() for arguments in settings_of(name)]
    for switch in (*parts(made.rule, Switch), *compose.tested(made.rule)):
        assert {bool(values[switch]) for values in tried} == {False, True}, switch
