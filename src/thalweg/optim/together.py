"""Optimizers of many small models, each with its own numbers, stepped together.

Where a rule treats each weight by itself, all models' parameters are one launch: a kernel with a row of numbers for
each model. A rule that adds up over tensors, and a clip by norm, do so in an order that depends on all sizes in a
launch, so these are stepped one by one: what a model gets may not depend on how many there are. So are rules of
matrices, whose products torch may add up otherwise in a larger stack.
"""

from collections.abc import Sequence
from typing import Any

import torch

from thalweg.formula import Scalar, Sum
from thalweg.formula.rule import of_matrices, parts

from . import surface
from .optimizer import Optimizer


def together(optimizers: Sequence[torch.optim.Optimizer]) -> tuple[torch.optim.Optimizer, ...]:
    """The fewest optimizers that take the steps of these, of different parameters.

    One that stands for several has their groups, the very dictionaries, so that what is changed in them counts;
    `hand_back` gives them their states.
    """
    joined: dict[object, list[torch.optim.Optimizer]] = {}
    for each in optimizers:
        key = (type(each), each.whole) if isinstance(each, Optimizer) and _joins(each) else id(each)
        joined.setdefault(key, []).append(each)
    return tuple(own[0] if len(own) == 1 else _one(own) for own in joined.values())


def _one(optimizers: Sequence[torch.optim.Optimizer]) -> torch.optim.Optimizer:
    kind: Any = type(optimizers[0])
    one: torch.optim.Optimizer = kind([group for each in optimizers for group in each.param_groups])
    for each in optimizers:
        each.register_load_state_dict_pre_hook(_refuse_to_load)
        each._opt_called = True  # type: ignore[attr-defined]  # a scheduler asks whether its optimizer has been stepped
    return one


def _refuse_to_load(*_: Any) -> None:
    raise RuntimeError("this optimizer is stepped with others as one: load its state before it is made part of a stack")


def hand_back(stepped: Sequence[torch.optim.Optimizer], optimizers: Sequence[torch.optim.Optimizer]) -> None:
    """Give each optimizer the states of its parameters, which those that were stepped in their place have kept."""
    for one in set(stepped) - set(optimizers):
        kept = dict(one.state)
        for each in optimizers:
            params = [param for group in each.param_groups for param in group["params"]]
            each.state.update({param: kept[param] for param in params if param in kept})


def _joins(optimizer: Optimizer) -> bool:
    """Whether a launch may hold its parameters with those of others, and give it what it would have alone."""
    usual = all(getattr(optimizer, name) == default for name, default in surface.WHOLE.items())
    usual = usual and not optimizer.schedule and not optimizer._rules.beside
    usual = usual and not of_matrices(optimizer.whole)
    return usual and not parts(optimizer.whole, Sum) and not parts(optimizer.whole, Scalar)
