"""torch's own optimizer inputs and error inputs, with which it tests its optimizers, on every class that both have."""

import copy
import itertools
import warnings
from typing import Any

import pytest
import torch

from thalweg.formula.rule import of_matrices
from thalweg.optim import OPTIMIZERS
from thalweg.rules import CATALOGUE

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # torch's testing package asks for parts of torch that are on their way out
    from torch.testing._internal.common_optimizers import OptimizerErrorEnum, optim_db

# Ways to take a step of which there is one here.
IMPLEMENTATIONS = ("foreach", "fused", "capturable", "differentiable")
# Its Muon takes no vectors, and has other arguments: test_muon.py.
INFOS = {
    info.optim_cls.__name__: info
    for info in optim_db
    if (rule := CATALOGUE.get(info.optim_cls.__name__.lower())) is not None and not of_matrices(rule)
}
# What torch itself keeps in float32, or a constant it writes with fewer digits.
NEAR = {"NAdam": 1e-6}


def ours_of(name: str) -> Any:
    return OPTIMIZERS[name.lower()]


def inputs(name: str) -> list[Any]:
    """The arguments to be tried, without those that ask for another implementation."""
    found = INFOS[name].optim_inputs_func(device="cpu", dtype=torch.float64)
    return [each for each in found if not any(each.kwargs.get(key) for key in IMPLEMENTATIONS)]


CASES = [pytest.param(name, i, id=f"{name} {each.desc}") for name in INFOS for i, each in enumerate(inputs(name))]


def trained(made: torch.optim.Optimizer, steps: range) -> list[torch.Tensor]:
    params = [p for group in made.param_groups for p in group["params"]]
    for step in steps:
        chance = torch.Generator().manual_seed(step)
        for p in params:
            p.grad = torch.randn(p.shape, generator=chance, dtype=p.dtype)
        made.step()
    return [p.detach().clone() for p in params]


def weights() -> list[torch.nn.Parameter]:
    chance = torch.Generator().manual_seed(3)
    return [torch.nn.Parameter(torch.randn(s, generator=chance, dtype=torch.float64)) for s in ((3, 5), (7,), ())]


@pytest.mark.parametrize(("name", "number"), CASES)
def test_same_numbers_and_checkpoints_both_ways(name: str, number: int) -> None:
    given = inputs(name)[number].kwargs
    made, theirs = (by(weights(), **copy.deepcopy(given)) for by in (ours_of(name), INFOS[name].optim_cls))
    near = NEAR.get(name, 1e-10)
    for a, b in zip(trained(made, range(6)), trained(theirs, range(6)), strict=True):
        torch.testing.assert_close(a, b, rtol=near, atol=near)
    for first, second in itertools.permutations((made, theirs)):
        params = [torch.nn.Parameter(p.detach().clone()) for group in first.param_groups for p in group["params"]]
        goes_on = type(second)(params, **copy.deepcopy(given))
        goes_on.load_state_dict(copy.deepcopy(first.state_dict()))
        begun = copy.deepcopy(first)
        for a, b in zip(trained(goes_on, range(6, 9)), trained(begun, range(6, 9)), strict=True):
            torch.testing.assert_close(a, b, rtol=near, atol=near)


ERRORS = [
    pytest.param(name, i, id=f"{name} {each.optimizer_error_input.desc}")
    for name, info in INFOS.items()
    for i, each in enumerate(info.optim_error_inputs_func(device="cpu", dtype=torch.float64))
    if not any(each.optimizer_error_input.kwargs.get(key) for key in IMPLEMENTATIONS)
]


@pytest.mark.filterwarnings("ignore:optimizer contains a parameter group with duplicate parameters:UserWarning")
@pytest.mark.parametrize(("name", "number"), ERRORS)
def test_what_torch_refuses_is_refused_alike(name: str, number: int) -> None:
    error = INFOS[name].optim_error_inputs_func(device="cpu", dtype=torch.float64)[number]
    given = error.optimizer_error_input
    params = weights() if given.params is None else given.params
    if error.error_on == OptimizerErrorEnum.CONSTRUCTION_ERROR:
        # Of a parameter that stands twice in a group torch warns, and means to refuse it.
        only_warned = issubclass(error.error_type, Warning)
        with pytest.raises(ValueError if only_warned else error.error_type):
            ours_of(name)(params, **given.kwargs)
        return
    made = ours_of(name)(params, **given.kwargs)
    # torch's Adafactor is the one class that takes no complex parameters; here no rule does.
    refused = TypeError if any(p.is_complex() for p in params) else error.error_type
    with pytest.raises(refused):
        trained(made, range(1))


def test_every_class_that_both_have_is_here() -> None:
    assert {*INFOS} == {
        "Adadelta",
        "Adafactor",
        "Adagrad",
        "Adam",
        "Adamax",
        "AdamW",
        "NAdam",
        "RAdam",
        "RMSprop",
        "Rprop",
        "SGD",
    }
