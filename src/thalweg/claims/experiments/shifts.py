"""Trainings in which what the activations take is moved by noise, and looked at after each step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from thalweg.claims.experiments.training import Array, cut, digits, mlp
from thalweg.stacks import lockstep, rows

HIDDEN, WIDTH, BATCH = 2, 64, 64
# The first of the training part: the same at all steps, so that what moves is the network.
LOOKED_AT = 128


@dataclass(frozen=True)
class Shifted:
    """Of trainings, (members, steps): ``losses`` of the batches, and the ``shifts`` from each step to the next.

    The shift of a unit is how far mean and deviation of what it takes have moved, in deviations: between normal
    distributions that is Wasserstein's distance. Here its mean over the units of all layers. Empty where nobody looks.
    """

    losses: Array
    shifts: Array


def train_shifted(
    norm: Callable[[int], nn.Module] | None,
    noise: float,
    rates: Sequence[float],
    seeds: Sequence[int],
    *,
    steps: int,
    look: bool = False,
) -> Shifted:
    """Train `mlp` by plain descent, a member for each rate and seed, with a ``norm`` before each activation.

    ``noise``  behind the norm what a unit gives is multiplied by a factor within this of 1, and a number within this
               of 0 is added: both drawn uniformly for each unit and step, the same for all examples of a batch.

    Batches are drawn with replacement. They and the noise are a seed's own, whatever norm, noise and rate are.
    """
    data = digits().train
    members = [({"lr": lr}, seed) for lr in rates for seed in seeds]
    settings, own = zip(*members, strict=True)
    stack = lockstep(partial(mlp, width=WIDTH, hidden=HIDDEN, norm=norm), "sgd", settings=settings, seeds=own)
    chances = [torch.Generator().manual_seed(seed) for seed in own]
    looked_at = data.images[:LOOKED_AT].expand(len(own), -1, -1)
    losses, moments = [], []
    for _ in range(steps):
        index = torch.stack([torch.randint(len(data.classes), (BATCH,), generator=chance) for chance in chances])
        uniform = torch.stack([torch.rand(HIDDEN, 2, 1, WIDTH, generator=chance) for chance in chances])
        moved = torch.tensor([1.0, 0.0]).view(2, 1, 1) + noise * (2 * uniform - 1)
        if look:
            moments.append(stack.evaluate(_moments, looked_at, moved))
        losses.append(stack.step(_loss, rows(data.images, index), rows(data.classes, index), moved))
    return Shifted(cut(torch.stack(losses, 1)), shifts_of(moments) if look else cut(torch.empty(len(own), 0)))


def _through(model: nn.Sequential, images: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """A model's scores, (n, 10), and what its activations take, (hidden, n, width), moved by noise."""
    x = images
    taken: list[Tensor] = []
    for layer in model:
        if isinstance(layer, nn.ReLU):
            factor, number = noise[len(taken)]
            x = factor * x + number
            taken.append(x)
        x = layer(x)
    return x, torch.stack(taken)


def _loss(model: nn.Sequential, images: Tensor, classes: Tensor, noise: Tensor) -> Tensor:
    return cross_entropy(_through(model, images, noise)[0], classes)


def _moments(model: nn.Sequential, images: Tensor, noise: Tensor) -> Tensor:
    """Mean and deviation of what each unit takes, (2, hidden, width)."""
    taken = _through(model, images, noise)[1]
    return torch.stack([taken.mean(1), taken.std(1)])


def shifts_of(moments: Sequence[Tensor]) -> Array:
    """From means and deviations, (members, 2, hidden, width) at each step."""
    every = torch.stack([*moments], 1).double()
    distance = every.diff(dim=1).square().sum(2).sqrt()
    shifts: Array = (distance / every[:, :-1, 1]).mean((2, 3)).numpy()
    return shifts
