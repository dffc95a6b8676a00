"""What the frameworks train here: a network of 160 weights, its batches, and the plain loop to compare with."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import thalweg
from rule_kinds import kind
from thalweg.optim import OPTIMIZERS, Optimizer
from thalweg.rules import BY_WEIGHT


class Joined(thalweg.LAMB):
    """Of parameters that are not in groups the second half is updated by SGD."""

    def __init__(self, params: Any, *arguments: Any, **options: Any) -> None:
        given = list(params)
        half = len(given) // 2
        if all(isinstance(each, Tensor) for each in given):
            given = [{"params": given[:half]}, {"params": given[half:], "rule": thalweg.SGD(lr=0.01, momentum=0.9)}]
        super().__init__(given, *arguments, **options)


# Every optimizer of the catalogue that takes vectors too, a wrapped one, one without any state, and one of two rules;
# the others have options that give them all of their states.
MADE: dict[str, type[Optimizer]] = {
    **{name: OPTIMIZERS[name] for name in BY_WEIGHT},
    "cautious": thalweg.wrap(thalweg.LAMB, thalweg.Cautious),
    "plain": thalweg.SGD,
    "joined": Joined,
}
EVERY: dict[str, dict[str, Any]] = {name: {} for name in MADE} | {
    "sgd": {"momentum": 0.9},
    "rmsprop": {"momentum": 0.9, "centered": True},
    "adam": {"amsgrad": True},
    "adamw": {"ema": 0.9},
}
# What a framework does to an optimizer does not depend on its formula, but on what it keeps and how it is stepped: no
# state; states and a step count; sums of the rule's and of a wrapper's; scalars, and other weights to test.
SPAN = ("plain", "adam", "cautious", "schedulefreeadamw")


def divided(names: Iterable[str], fast: Sequence[str] = SPAN) -> list[Any]:
    """Those that span the ways of a step are run with the fast tests; with the slow ones one of each other kind."""
    seen: set[object] = set()
    found = []
    for name in sorted(names, key=lambda name: name not in fast):
        known = kind(MADE[name].rule) if name in BY_WEIGHT else name
        if name in fast or known not in seen or EVERY.get(name):
            found.append(pytest.param(name, marks=() if name in fast else pytest.mark.slow))
        seen.add(known)
    return found


_EACH = divided(EVERY)
each_rule = pytest.mark.parametrize("name", _EACH)
# Those alone, for tests that are slow all of them.
KINDS = {case.values[0]: EVERY[case.values[0]] for case in _EACH}
# Rules of matrices with AdamW beside them, made of a whole model: `layered`. SOAP gets the square alone: of the axes of
# the others a gradient leaves some open, which are then anybody's.
MATRICES: dict[str, Callable[[nn.Module], Optimizer]] = {
    "muon": lambda model: thalweg.Muon(model, lr=0.02, others=thalweg.AdamW(lr=3e-3)),
    "soap": lambda model: thalweg.SOAP(
        thalweg.routed(model, others=("*0.weight", "*3.weight")), lr=0.02, frequency=2, others=thalweg.AdamW(lr=3e-3)
    ),
}
each_matrix_rule = pytest.mark.parametrize("name", divided(MATRICES, ("muon",)))
# Those that torch has as well, under torch's name.
SHARED = {
    "SGD": {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01},
    "Adagrad": {"lr": 0.05},
    "RMSprop": {"lr": 0.01, "momentum": 0.5},
    "Adam": {"lr": 0.02, "amsgrad": True},
    "AdamW": {"lr": 0.02, "weight_decay": 0.1},
}


def network(dtype: torch.dtype = torch.float32) -> nn.Module:
    """5 features to 3 numbers, with matrices, biases and a normalisation; the same weights each time."""
    return _seeded(nn.Sequential(nn.Linear(5, 16), nn.LayerNorm(16), nn.Tanh(), nn.Linear(16, 3)), dtype)


def layered(dtype: torch.dtype = torch.float32) -> nn.Module:
    """The same through matrices that are tall, wide and square, of which two do not divide evenly among two ranks."""
    wide, square = (nn.Linear(16, 3), nn.Tanh()), (nn.Linear(3, 3), nn.Tanh())
    return _seeded(nn.Sequential(nn.Linear(5, 16), nn.LayerNorm(16), nn.Tanh(), *wide, *square, nn.Linear(3, 3)), dtype)


def _seeded(layers: nn.Sequential, dtype: torch.dtype) -> nn.Module:
    # With a generator of their own: threads make networks at the same time.
    seeded = torch.Generator().manual_seed(0)
    for linear in layers:
        for p in linear.parameters() if isinstance(linear, nn.Linear) else ():
            nn.init.uniform_(p, -0.4, 0.4, generator=seeded)
    return layers.to(dtype)


def batch(number: int, dtype: torch.dtype = torch.float32, size: int = 8) -> tuple[Tensor, Tensor]:
    """Inputs (size, 5) and targets (size, 3), the same for the same number."""
    seeded = torch.Generator().manual_seed(1000 + number)
    x = torch.randn(size, 5, generator=seeded, dtype=torch.float64)
    return x.to(dtype), torch.sin(2 * x[:, :3] + x[:, 2:]).to(dtype)


def loss_of(model: nn.Module, number: int) -> Tensor:
    """The loss on a batch of the model's element type."""
    x, y = batch(number, next(model.parameters()).dtype)
    loss: Tensor = nn.functional.mse_loss(model(x), y)
    return loss


def train(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    numbers: Iterable[int] = range(6),
    after: Callable[[], Any] = lambda: None,
) -> Tensor:
    """The plain loop, a step for each batch number and ``after`` each step; the weights it ends with."""
    for number in numbers:
        optimizer.zero_grad()
        loss_of(model, number).backward()
        optimizer.step()
        after()
    return weights(model)


def weights(model: nn.Module) -> Tensor:
    """All weights in one float64 vector."""
    return torch.cat([p.detach().double().reshape(-1) for p in model.parameters()])


def distance(a: Tensor, b: Tensor, begun: Callable[[], nn.Module] = network) -> float:
    """How far apart two trained networks are, relative to how far training moved the second; nan if it did not."""
    return float((a - b).norm() / (b - weights(begun())).norm())
