"""Optimizers of many small models, each with its own numbers, stepped together.

Where a rule treats each weight by itself, all models' parameters are one launch: a kernel with a row of numbers for
each model. A rule that adds up over tensors, and a clip by norm, do so in an order that depends on all sizes in a
launch, so these are stepped one by one: what a model gets may not depend on how many there are.
"""

from collections.abc import Sequence
from typing import Any

import torch

from thalweg.formula import Scalar, Sum
from thalweg.formula.rule import parts

from . import surface
from .optimizer import Optimizer


def together(optimizers: Sequence[torch.optim.Optimizer]) -> tuple[torch.optim.Optimizer, ...]:
    """The fewest optimizers that take the steps of these, of different parameters: one, or they themselves.

    The one has their groups, the very dictionaries, so that what is changed in them counts; `hand_back` gives them
    the states.
    """
    first = optimizers[0]
    if len(optimizers) == 1 or not all(_joins(each, first) for each in optimizers):
        return tuple(optimizers)
    kind: Any = type(first)
    return (kind([group for each in optimizers for group in each.param_groups]),)


def hand_back(one: torch.optim.Optimizer, optimizers: Sequence[torch.optim.Optimizer]) -> None:
    """Give each optimizer the states of its parameters, which one in their place has kept."""
    for each in optimizers:
        params = [param for group in each.param_groups for param in group["params"]]
        each.state.update({param: one.state[param] for param in params if param in one.state})


def _joins(optimizer: torch.optim.Optimizer, first: torch.optim.Optimizer) -> bool:
    """Whether a launch may hold both optimizers' parameters, and give each what it would have alone."""
    if not isinstance(optimizer, Optimizer) or type(optimizer) is not type(first):
        return False
    usual = all(getattr(optimizer, name) == default for name, default in surface.WHOLE.items())
    return usual and not parts(optimizer.whole, Sum) and not parts(optimizer.whole, Scalar)
