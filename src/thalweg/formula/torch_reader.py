"""The `torch` reader: a rule as plain tensor operations, differentiable, on any device.

In float64 it is the oracle that every compiled reader is tested against. It calls the rule's own functions on
tensors, so nothing of the compiled readers' tracing and code generation is shared with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from . import chain, compose
from .compose import own_numbers
from .declare import Scalar, State, Sum, Switch
from .geometry import kept_shape, matrices, seen, summed
from .rule import Rule, by_lines, hypers, of_matrices, parts, shaped
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
    for name, state in compose.live_states(rule, {**values, **shaped(rule, weight)}).items():
        if state.start == "w":
            states[name] = weight.clone()
            continue
        how = seen(weight.shape, values) if of_matrices(rule) else None
        like = weight if state.shape == "weight" else weight.new_empty(kept_shape(weight.shape, state.shape, how))
        states[name] = torch.full_like(like, compose.start_value(state.start, values))
    scalars = {name: compose.start_value(scalar.start, values) for name, scalar in parts(rule, Scalar).items()}
    return Trained(weight, states, scalars)


def step(rule: type[Rule], now: Trained, gradient: torch.Tensor, values: Mapping[str, Any]) -> Trained:
    """After one step. ``values`` as `values_of` gives them; totals are over this parameter alone."""
    known = known_of(rule, now, gradient, values)
    stage = staged(rule, known)
    known |= stage
    for layer in compose.summing(rule):
        added = compose.layer_totals(rule, known, layer)
        known |= {
            name: summed(torch.as_tensor(each).expand_as(known["g"]), parts(rule, Sum)[name].scope)
            for name, each in added.items()
        }
    return stepped(rule, now, known, stage)


def of_tensor(rule: type[Rule], weight: torch.Tensor) -> dict[str, Any]:
    """What formulas ask of a parameter itself, and the switches that its shape decides."""
    own = compose.of_parameter(rule, weight.shape, torch.finfo(weight.dtype).eps) if own_numbers(rule) else {}
    return {**own, **shaped(rule, weight)}


def known_of(rule: type[Rule], now: Trained, gradient: torch.Tensor, values: Mapping[str, Any]) -> dict[str, Any]:
    """What a step of one parameter knows before its totals are taken."""
    known = {
        **of_tensor(rule, now.weight), **values, **now.scalars, **now.states,
        "w": now.weight, "g": gradient, "t": now.steps + 1,
    }  # fmt: skip
    return known | {name: matrices(known[name]) for name in _of_weights(rule, known)} if by_lines(rule) else known


def stepped(rule: type[Rule], now: Trained, known: Mapping[str, Any], stage: Mapping[str, torch.Tensor]) -> Trained:
    """After a step whose totals are among what is ``known``, and what the ``stage`` of matrices has made."""
    after = compose.updated(rule, known)
    after.pop("g", None)
    settled = compose.settled(rule, known)
    if by_lines(rule):
        after |= {name: after[name].reshape(now.weight.shape) for name in _of_weights(rule, after)}
    return Trained(
        after.pop("w"),
        {**now.states, **{name: stage[name] for name in stage.keys() & now.states.keys()}, **after},
        {name: settled[name] for name in now.scalars},
        now.steps + 1,
    )


def _of_weights(rule: type[Rule], values: Mapping[str, Any]) -> list[str]:
    """The names of what there is one of by weight."""
    kept = [name for name, state in parts(rule, State).items() if state.shape == "weight"]
    return [name for name in ("w", "g", *kept) if name in values]
