"""Paths of schemes on functions whose gradient one can write down: what claims without a network are measured on."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from thalweg.optim import OPTIMIZERS


def path(rule: str, start: Tensor, gradient: Callable[[Tensor], Tensor], *, steps: int, **settings: Any) -> Tensor:
    """Where a scheme comes by, from its start: (steps + 1, *start's shape), in float64.

    ``settings``  the rule's hyperparameters. ``gradient`` of a point, in the start's shape: rules that treat each
                  number by itself take many starts at once.
    """
    point = start.double().clone().requires_grad_()
    optimizer = OPTIMIZERS[rule]([point], **settings)
    points = [point.detach().clone()]
    for _ in range(steps):
        point.grad = gradient(point.detach())
        optimizer.step()
        points.append(point.detach().clone())
    return torch.stack(points)


def generators(seeds: Sequence[int]) -> list[torch.Generator]:
    """Of each seed its own."""
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def log_uniform(low: float, high: float, shape: Sequence[int], chance: torch.Generator) -> Tensor:
    """Numbers whose logarithm is uniform between those of two others, in float64."""
    return low * (high / low) ** torch.rand(*shape, generator=chance, dtype=torch.float64)
