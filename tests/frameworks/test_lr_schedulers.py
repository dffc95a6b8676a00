"""Every learning rate scheduler that torch has, on our optimizers and on torch's: the same weights at each step."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from small_training import EVERY, MADE, SHARED, distance, each_rule, network, train, weights
from torch.optim import lr_scheduler, swa_utils

import thalweg
from thalweg.testing.judging import case

EXACT = 1e-10


def schedulers() -> dict[str, type[lr_scheduler.LRScheduler]]:
    """The scheduler classes of this torch, by name."""
    found = {**vars(lr_scheduler), **vars(swa_utils)}
    bases = (lr_scheduler.LRScheduler, lr_scheduler._LRScheduler)
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, type) and issubclass(value, lr_scheduler.LRScheduler) and value not in bases
    }


def cycles(made: torch.optim.Optimizer) -> bool:
    return "momentum" in made.defaults or "betas" in made.defaults


def start_of(made: torch.optim.Optimizer) -> float:
    return float(made.param_groups[0]["lr"])


# From an optimizer to each scheduler, so that learning rate (and momentum) change within the 8 steps below.
RECIPES: Mapping[str, Callable[[Any], Any]] = {
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, lambda epoch: 1 / (1 + epoch)),
    "MultiplicativeLR": lambda o: lr_scheduler.MultiplicativeLR(o, lambda epoch: 1.3 if epoch % 2 else 0.5),
    "StepLR": lambda o: lr_scheduler.StepLR(o, 2, 0.5),
    "MultiStepLR": lambda o: lr_scheduler.MultiStepLR(o, [1, 4], 0.3),
    "ConstantLR": lambda o: lr_scheduler.ConstantLR(o, 0.25, 3),
    "LinearLR": lambda o: lr_scheduler.LinearLR(o, 0.1, 1.0, 4),
    "ExponentialLR": lambda o: lr_scheduler.ExponentialLR(o, 0.8),
    "SequentialLR": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.LinearLR(o, 0.1, 1.0, 3), lr_scheduler.CosineAnnealingLR(o, 5)], [3]
    ),
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, 6, 1e-4),
    "ChainedScheduler": lambda o: lr_scheduler.ChainedScheduler(
        [lr_scheduler.ConstantLR(o, 0.5, 3), lr_scheduler.ExponentialLR(o, 0.9)], o
    ),
    "ReduceLROnPlateau": lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=1, factor=0.3),
    "CyclicLR": lambda o: lr_scheduler.CyclicLR(o, start_of(o) / 10, start_of(o), 2, cycle_momentum=cycles(o)),
    "CosineAnnealingWarmRestarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 3),
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, start_of(o), total_steps=8, cycle_momentum=cycles(o)),
    "PolynomialLR": lambda o: lr_scheduler.PolynomialLR(o, 6, 2.0),
    "SWALR": lambda o: swa_utils.SWALR(o, start_of(o) / 5, anneal_epochs=4),
}


def advance(scheduler: Any) -> None:
    """A scheduler's step; one that watches a loss is told one that does not improve."""
    scheduler.step(1.0) if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau) else scheduler.step()


def settings(made: torch.optim.Optimizer) -> list[tuple[float, float]]:
    """Learning rate and momentum of each group."""
    groups = made.param_groups
    return [(float(g["lr"]), float(g.get("betas", (g.get("momentum", 0.0),))[0])) for g in groups]


def compared(
    ours: torch.optim.Optimizer,
    theirs: torch.optim.Optimizer,
    models: tuple[torch.nn.Module, torch.nn.Module],
    recipe: Callable[[Any], Any],
) -> list[list[tuple[float, float]]]:
    """Train both for 8 steps, comparing weights at each; the settings that were seen."""
    watched = [(model, made, recipe(made)) for model, made in zip(models, (ours, theirs), strict=True)]
    seen = []
    for number in range(8):
        seen.append(settings(ours))
        assert seen[-1] == settings(theirs)
        for model, made, scheduler in watched:
            train(model, made, [number])
            advance(scheduler)
        assert distance(weights(models[0]), weights(models[1])) < EXACT, f"step {number + 1}"
    return seen


def test_every_scheduler_is_here() -> None:
    assert RECIPES.keys() == schedulers().keys()
    for name, made_by in schedulers().items():
        made = RECIPES[name](torch.optim.SGD(network().parameters(), lr=0.1, momentum=0.9))
        assert type(made) is made_by


@pytest.mark.parametrize(
    ("name", "lr_is"), [*((name, "float") for name in SHARED), ("SGD", "tensor"), ("AdamW", "tensor")]
)
def test_as_torch(name: str, lr_is: str) -> None:
    for scheduler in schedulers():
        with case(scheduler):
            as_torch(name, scheduler, lr_is)


def as_torch(name: str, scheduler: str, lr_is: str) -> None:
    models = network(torch.float64), network(torch.float64)
    lr = SHARED[name]["lr"]
    arguments = [{**SHARED[name], "lr": torch.tensor(lr, dtype=torch.float64) if lr_is == "tensor" else lr}] * 2
    # A scheduler writes into the tensor, so each optimizer has its own.
    ours, theirs = (copy.deepcopy(a) for a in arguments)
    one = getattr(thalweg, name)(models[0].parameters(), **ours)
    other = getattr(torch.optim, name)(models[1].parameters(), foreach=False, **theirs)
    seen = compared(one, other, models, RECIPES[scheduler])
    assert isinstance(one.param_groups[0]["lr"], torch.Tensor) == (lr_is == "tensor")
    assert len({lr for ((lr, _),) in seen}) > 1
    if scheduler in ("OneCycleLR", "CyclicLR") and name != "Adagrad":
        assert len({momentum for ((_, momentum),) in seen}) > 1


@each_rule
def test_as_by_hand(name: str) -> None:
    """A scheduler does what setting its numbers by hand does."""
    for scheduler in schedulers():
        with case(scheduler):
            as_by_hand(name, scheduler)


def as_by_hand(name: str, scheduler: str) -> None:
    models = network(torch.float64), network(torch.float64)
    scheduled, by_hand = (MADE[name](model.parameters(), lr=0.01, **EVERY[name]) for model in models)
    stepped = RECIPES[scheduler](scheduled)
    seen = []
    for number in range(8):
        seen.append(settings(scheduled)[0])
        for own, group in zip(by_hand.param_groups, scheduled.param_groups, strict=True):
            own.update({key: group[key] for key in own if key != "params"})
        assert torch.equal(train(models[0], scheduled, [number]), train(models[1], by_hand, [number]))
        advance(stepped)
    assert len(set(seen)) > 1


@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_groups_of_their_own(name: str) -> None:
    """Two groups with different rates and names; a third is added before the scheduler is made."""

    def grouped(made_by: type[torch.optim.Optimizer], model: Any, **options: Any) -> torch.optim.Optimizer:
        groups = [
            {"params": model[0].parameters(), "name": "first"},
            {"params": model[1].parameters(), "lr": 0.003, "weight_decay": 0.0},
        ]
        made = made_by(groups, **SHARED[name], **options)
        made.add_param_group({"params": model[3].parameters(), "lr": 0.05})
        return made

    for scheduler in schedulers():
        with case(scheduler):
            models = network(torch.float64), network(torch.float64)
            ours = grouped(getattr(thalweg, name), models[0])
            theirs = grouped(getattr(torch.optim, name), models[1], foreach=False)
            compared(ours, theirs, models, RECIPES[scheduler])


@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_several_on_one_optimizer(name: str) -> None:
    """As torch's documentation chains them: both are stepped, one after the other."""

    class Both:
        def __init__(self, made: torch.optim.Optimizer) -> None:
            self.each = lr_scheduler.ExponentialLR(made, 0.9), lr_scheduler.MultiStepLR(made, [2, 5], 0.5)

        def step(self) -> None:
            for scheduler in self.each:
                scheduler.step()

    models = network(torch.float64), network(torch.float64)
    ours = getattr(thalweg, name)(models[0].parameters(), **SHARED[name])
    theirs = getattr(torch.optim, name)(models[1].parameters(), foreach=False, **SHARED[name])
    compared(ours, theirs, models, Both)


def test_resumed() -> None:
    """Optimizer and scheduler saved after 4 steps and loaded into new ones: to the bit the run that went on."""
    for scheduler in schedulers():
        with case(scheduler):
            resumed(scheduler)


def resumed(scheduler: str) -> None:
    def make() -> tuple[torch.nn.Module, torch.optim.Optimizer, Any]:
        model = network()
        made = thalweg.SGD(model.parameters(), lr=0.1, momentum=0.9)
        return model, made, RECIPES[scheduler](made)

    model, made, stepped = make()
    train(model, made, range(4), lambda: advance(stepped))
    saved = copy.deepcopy([part.state_dict() for part in (model, made, stepped)])
    train(model, made, range(4, 8), lambda: advance(stepped))
    again, made_again, stepped_again = make()
    for part, state in zip((again, made_again, stepped_again), saved, strict=True):
        part.load_state_dict(state)
    train(again, made_again, range(4, 8), lambda: advance(stepped_again))
    assert torch.equal(weights(again), weights(model))
    assert settings(made_again) == settings(made)


def test_order_of_calls_is_noticed() -> None:
    """torch patches the optimizer's step to see whether it came first, so it must be an ordinary method."""
    model = network()
    made = thalweg.AdamW(model.parameters())
    scheduler = lr_scheduler.StepLR(made, 1)
    with pytest.warns(UserWarning, match=r"`lr_scheduler.step\(\)` before `optimizer.step\(\)`"):
        scheduler.step()
    right = thalweg.AdamW(model.parameters())
    train(model, right, [0], lr_scheduler.StepLR(right, 1).step)


def test_averaged_weights() -> None:
    """swa_utils' usual loop: an average of the weights, and SWALR for the second half."""
    averages = []
    for made_by in (thalweg.SGD, torch.optim.SGD):
        model = network(torch.float64)
        averaged = swa_utils.AveragedModel(model)
        made = made_by(model.parameters(), lr=0.1, momentum=0.9)
        annealing = swa_utils.SWALR(made, 0.02, anneal_epochs=2)
        train(model, made, range(3))
        for number in range(3, 8):
            train(model, made, [number])
            averaged.update_parameters(model)
            annealing.step()
        averages.append(weights(averaged.module))
    assert distance(*averages) < EXACT
