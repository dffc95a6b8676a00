"""The `torch` reader: a rule as plain tensor operations, differentiable, on any device.

In float64 it is the oracle that every compiled reader is tested against. It calls the rule's own functions on
tensors, so nothing of the compiled readers' tracing and code generation is shared with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from . import chain, compose
from .declare import Scalar, Switch
from .geometry import flattened, kept_shape
from .rule import Rule, hypers, of_matrices, parts
from .stages import staged


@dataclass(frozen=True)
class Trained:
    """One parameter in training: its weight, its states and scalars by the rule's names, and steps taken."""

    weight: torch.Tensor
    states: Mapping[str, torch.Tensor]
    scalars: Mapping[str, Any]
    steps: int = 0


def values_of(rule: type[Rule], **given: Any) -> dict[str, Any]:
    """The rule's hyperparameters, switches and the chain's numbers: defaults, with what is given.

    The learning rate before any schedule, ``first_lr``, is the present one.
    """
    numbers = {name: hyper.default for name, hyper in hypers(rule).items()}
    switches: dict[str, Any] = {name: switch.default for name, switch in parts(rule, Switch).items()}
    switches |= compose.usual_choices(rule)
    first = {"first_lr": given["lr"] if "lr" in given else numbers["lr"]} if "lr" in numbers else {}
    return {**chain.NUMBERS, **chain.SWITCHES, **numbers, **switches, **first, **given}


def begin(rule: type[Rule], weight: torch.Tensor, values: Mapping[str, Any]) -> Trained:
    """Before the first step."""
    states = {}
    for name, state in compose.live_states(rule, values).items():
        if state.start == "w":
            states[name] = weight.clone()
            continue
        flat = of_matrices(rule) and flattened(weight.shape, bool(values.get("flatten")))
        like = weight if state.shape == "weight" else weight.new_empty(kept_shape(weight.shape, state.shape, flat))
        states[name] = torch.full_like(like, compose.start_value(state.start, values))
    scalars = {name: compose.start_value(scalar.start, values) for name, scalar in parts(rule, Scalar).items()}
    return Trained(weight, states, scalars)


def step(rule: type[Rule], now: Trained, gradient: torch.Tensor, values: Mapping[str, Any]) -> Trained:
    """After one step. ``values`` as `values_of` gives them; totals are over this parameter alone."""
    known = {**values, **now.scalars, **now.states, "w": now.weight, "g": gradient, "t": now.steps + 1}
    stage = staged(rule, known)
    known |= stage
    for layer in compose.summing(rule):
        added = compose.layer_totals(rule, known, layer)
        known |= {name: torch.as_tensor(each).expand_as(gradient).sum() for name, each in added.items()}
    after = compose.updated(rule, known)
    after.pop("g", None)
    settled = compose.settled(rule, known)
    return Trained(
        after.pop("w"),
        {**now.states, **{name: stage[name] for name in stage.keys() & now.states.keys()}, **after},
        {name: settled[name] for name in now.scalars},
        now.steps + 1,
    )
