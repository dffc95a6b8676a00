"""Optimizer classes, made from rules and from wrappers around them."""

import copyreg
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

from thalweg.formula import Rule, Wrapper, wrapped
from thalweg.formula.compose import summing
from thalweg.formula.rule import once
from thalweg.wrappers import WeightAverage

from . import surface
from .optimizer import Optimizer


def optimizer(rule: type[Rule]) -> type[Optimizer]:
    """The optimizer class of a rule, with the rule's name and documentation.

    Also a class decorator: above ``class SignMomentum(Rule)`` it makes ``SignMomentum(model.parameters(), lr=1e-3)``
    work, and ``SignMomentum.rule`` is the rule.
    """
    if not (isinstance(rule, type) and issubclass(rule, Rule)):
        raise TypeError(f"thalweg.optimizer takes a Rule, got {rule!r}")
    if taken := {"params", *surface.CHAIN, *surface.WHOLE, *surface.IMPLEMENTATION} & {*rule.declared}:
        raise TypeError(f"{rule.__name__}.{taken.pop()} has the name of an argument every optimizer takes; rename it")
    whole = wrapped(rule, WeightAverage)
    members = {
        "rule": rule,
        "whole": whole,
        "stages": summing(whole),
        "__doc__": rule.__doc__,
        "__module__": rule.__module__,
        "__qualname__": rule.__qualname__,
        "__signature__": surface.signature(rule),
    }
    return type(rule.__name__, (Optimizer,), members)


def wrap(made: type[Optimizer] | type[Rule], wrapper: type[Wrapper]) -> type[Optimizer]:
    """The optimizer class with a wrapper around its rule: ``wrap(AdamW, Cautious)(model.parameters(), lr=1e-3)``.

    Wrappers may be put around one another; the hyperparameters of each are further arguments.
    """
    if not (isinstance(wrapper, type) and issubclass(wrapper, Wrapper)):
        raise TypeError(f"thalweg.wrap takes an optimizer and a Wrapper, got {wrapper!r}")
    if not (isinstance(made, type) and issubclass(made, Optimizer | Rule)):
        raise TypeError(f"thalweg.wrap takes a thalweg optimizer, or a Rule, as a class; got {made!r}")
    rule = made.rule if issubclass(made, Optimizer) else made
    return _wrapping(wrapped(rule, wrapper))


class _Wrapping(type):
    """The type of classes that `wrap` makes: they stand in no module, so a pickle says how they were made."""


@once
def _wrapping(rule: type[Rule]) -> type[Optimizer]:
    made = optimizer(rule)
    members = {name: value for name, value in vars(made).items() if name != "__dict__"}
    remade: Any = _Wrapping(made.__name__, (Optimizer,), members)
    found: type[Optimizer] = remade
    return found


def _unpickled(rule: type[Rule], wrappers: Sequence[type[Wrapper]]) -> type[Optimizer]:
    return _wrapping(reduce(wrapped, wrappers, rule))


def _pickled(made: Any) -> Any:
    inner = next(c for c in made.rule.__mro__ if "wrappers" not in vars(c))
    return _unpickled, (inner, made.rule.wrappers)


copyreg.pickle(_Wrapping, _pickled)


def build(
    rule: type[Rule] | type[Optimizer], params: Any, values: Mapping[str, Any] | None = None, **options: Any
) -> Optimizer:
    """An optimizer from a rule and its own names: ``build(rules.AdamW, params, {"beta1": 0.95}, clip_norm=1.0)``."""
    made = rule if issubclass(rule, Optimizer) else optimizer(rule)
    return made(params, **{**surface.at_surface(made.rule, values or {}), **options})
