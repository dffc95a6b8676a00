"""Every rule, the miniatures and wrapped rules against the conformance suite that users' own rules inherit."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch

import thalweg
from contract_rules import CONTRACT, LambLike, NAdamLike
from thalweg.formula import Switch, compose
from thalweg.formula.rule import parts
from thalweg.optim import OPTIMIZERS, Optimizer
from thalweg.testing import Conformance
from thalweg.testing.agreement import Agreement
from thalweg.testing.reference import Reference
from thalweg.testing.subject import Subject, default_settings
from thalweg.testing.text import Text
from thalweg.wrappers import Cautious

Settings = Sequence[Mapping[str, Any]]
OTHERS = tuple(base for base in Conformance.__bases__ if base not in (Agreement, Reference, Text))

# For each rule first the setting that gives it every state, then the others. A rule that is not here is tried with its
# defaults and each switch flipped.
SETTINGS: dict[str, Settings] = {
    "sgd": [
        {"lr": 0.01, "momentum": 0.9, "dampening": 0.5, "weight_decay": 0.01},
        {"lr": 0.01, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
        {"lr": 0.01, "weight_decay": 0.1, "maximize": True},
        {"lr": 0.01},
    ],
    "momentum": [{"lr": 0.1}, {"lr": 0.1, "momentum": 0.5, "weight_decay": 0.1, "maximize": True}],
    "adagrad": [{"lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.1, "maximize": True}, {}],
    "rmsprop": [
        {"lr": 1e-3, "centered": True, "momentum": 0.9, "eps": 1e-4},
        {"lr": 1e-3, "momentum": 0.9, "weight_decay": 0.1},
        {"centered": True, "alpha": 0.9, "maximize": True},
        {},
    ],
    "adam": [
        {"amsgrad": True, "betas": (0.9, 0.5)},
        {"weight_decay": 0.1, "betas": (0.8, 0.999), "maximize": True},
        {},
    ],
    "adamw": [
        {"weight_decay": 0.3, "amsgrad": True, "betas": (0.9, 0.5), "maximize": True},
        {"lr": 1e-4},
        {},
    ],
    "lion": [{"lr": 1e-3, "weight_decay": 0.5, "maximize": True}, {}],
}


def settings_of(name: str) -> Settings:
    return SETTINGS.get(name) or default_settings(OPTIMIZERS[name].rule)


class TestNAdamLike(Conformance):
    optimizer = NAdamLike
    reference = torch.optim.NAdam
    reference_tolerance = 1e-6  # torch keeps the product of its schedule in float32


class TestCautiousAdamW(Conformance):
    optimizer = thalweg.wrap(thalweg.AdamW, Cautious)


class TestCautiousLambLike(Conformance):
    """A wrapper that takes totals, around a rule that takes its own."""

    optimizer = thalweg.wrap(LambLike, Cautious)


for _rule in (rule for rule in CONTRACT if rule is not NAdamLike):
    _name = f"Test{_rule.__name__}"
    globals()[_name] = type(_name, (Conformance,), {"optimizer": _rule})

for _name, _made in OPTIMIZERS.items():
    _first, *_others = settings_of(_name)
    _about: dict[str, Any] = {"optimizer": _made, "settings": [_first]}
    globals()[f"Test{_made.__name__}"] = type(f"Test{_made.__name__}", (Conformance,), _about)
    if _others:
        # The numbers of every other setting each time, its other properties in the slow tests.
        _about = {"optimizer": _made, "settings": _others}
        _grid = f"Test{_made.__name__}Numbers"
        globals()[_grid] = type(_grid, (Agreement, Reference), {**_about, "steps": 200})
        _grid = f"Test{_made.__name__}Others"
        globals()[_grid] = type(_grid, OTHERS, {**_about, "pytestmark": pytest.mark.slow})


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_form_is_tried(name: str) -> None:
    """Each switch both ways, and each hyperparameter that an `if` tests 0 and not 0."""
    made: type[Optimizer] = OPTIMIZERS[name]
    tried = [Subject(made, arguments).values() for arguments in settings_of(name)]
    for switch in (*parts(made.rule, Switch), *compose.tested(made.rule)):
        assert {bool(values[switch]) for values in tried} == {False, True}, switch
