"""An optimizer class under one setting of its arguments, and what the oracle has to know of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from thalweg.formula import Rule, Switch, chain, torch_reader
from thalweg.formula.declared import CHAIN_DECAYS
from thalweg.formula.rule import decay_kind, hypers, parts
from thalweg.optim import Optimizer, surface

# Options that the tests turn on themselves, and compare with their being off.
_TESTED = (*surface.WHOLE, "clip_value", "ema")


@dataclass(frozen=True)
class Subject:
    """``subject(params, lr=0.1)`` makes the optimizer with its setting, and what is given besides."""

    made: type[Optimizer]
    arguments: Mapping[str, Any]

    def __post_init__(self) -> None:
        if taken := [key for key in self.arguments if key in _TESTED]:
            raise pytest.UsageError(f"settings: leave out {taken[0]!r}, which is tested with every setting")

    def __call__(self, params: Any, **more: Any) -> Optimizer:
        return self.made(params, **{**self.arguments, **more})

    @property
    def name(self) -> str:
        """The setting, for the test's id."""
        return "-".join(f"{key}={value}" for key, value in self.arguments.items()) or "defaults"

    @property
    def rule(self) -> type[Rule]:
        return self.made.rule

    @property
    def lr(self) -> float:
        """The learning rate; the test is skipped if the rule has none."""
        if "lr" not in hypers(self.rule):
            pytest.skip(f"{self.rule.__name__} has no lr")
        return self.numbers()["lr"]

    def numbers(self, **more: Any) -> dict[str, float]:
        """The hyperparameters by the rule's names."""
        return surface.numbers(self.rule, {**surface.defaults(self.rule), **self.arguments, **more})

    def values(
        self, *, first_lr: float | None = None, precision: torch.dtype | None = None, **more: Any
    ) -> dict[str, Any]:
        """What the oracle is given: hyperparameters, switches, and what the chain does with decay and sign.

        ``first_lr`` is what lr was when the group was made, if it is another now; ``precision`` the element type whose
        epsilon formulas see, if it is not that of the weights.
        """
        group = {**surface.defaults(self.rule), **self.arguments, **more}
        switches = surface.switches(self.rule, group)
        known = torch_reader.values_of(self.rule, **self.numbers(**more), **switches)
        if precision is not None:
            known["precision"] = torch.finfo(precision).eps
        known["unscale"] = -1.0 if group["maximize"] else 1.0
        for scale, name in surface.SCALES.items():
            known |= {name: group[scale] * known[name]} if name in known else {}
        known["first_lr"] = group.get("lr_scale", 1.0) * first_lr if first_lr else known.get("lr", 1.0)
        kind = group.get("decay", decay_kind(self.rule))
        if kind in CHAIN_DECAYS:
            known |= chain.decay(kind, known["lr"], known["first_lr"] or 1.0, known["weight_decay"])
        return known

    def shifted(self, factor: float) -> dict[str, Any]:
        """Its arguments with every number multiplied by ``factor``, where the rule allows that."""
        numbers = {}
        for name, value in self.numbers().items():
            changed = value * factor
            numbers[name] = value if hypers(self.rule)[name].problem(changed) else changed
        surfaced = surface.at_surface(self.rule, numbers)
        return {**self.arguments, **{key: surfaced[key] for key in arguments_of(self.rule)}}


def arguments_of(rule: type[Rule]) -> tuple[str, ...]:
    """The arguments at the surface that are the rule's numbers."""
    return tuple(dict.fromkeys(hyper.of or name for name, hyper in hypers(rule).items()))


def default_settings(rule: type[Rule]) -> Sequence[Mapping[str, Any]]:
    """The defaults, and each switch flipped."""
    return [{}, *({name: not switch.default} for name, switch in parts(rule, Switch).items())]


def params_of(made: torch.optim.Optimizer) -> list[torch.Tensor]:
    """All parameters, in the order of the groups."""
    return [p for group in made.param_groups for p in group["params"]]
