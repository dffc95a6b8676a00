"""Optimizer classes, made from rules and from wrappers around them."""

import copyreg
import importlib
import inspect
import operator
import pickle
import sys
from abc import ABCMeta
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

from thalweg.formula import Rule, Scalar, Sum, Wrapper, like, wrapped
from thalweg.formula.check import check
from thalweg.formula.compose import summing
from thalweg.formula.rule import inner, once, parts
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
    own = {*rule.declared} - ({*WeightAverage.declared} if WeightAverage in rule.wrappers else set())
    if taken := {"params", "like", *surface.CHAIN, *surface.WHOLE, *surface.IMPLEMENTATION} & own:
        raise TypeError(f"{rule.__name__}.{taken.pop()} has the name of an argument every optimizer takes; rename it")
    check(rule)
    return made_of(rule)


class _Made(ABCMeta):
    """The type of the classes made here, for pickle: not all of them stand in a module under their own name.

    A kind of `ABCMeta`, so that a class may inherit from an optimizer and from abstract ones.
    """


@once
def made_of(rule: type[Rule]) -> type[Optimizer]:
    """The optimizer class of a rule that is known to be sound, as the catalogue's are."""
    averaged = rule.wrappers[-1:] == (WeightAverage,)  # asked for by name, as a comparison does
    whole = rule if averaged else wrapped(rule, WeightAverage)
    members = {
        "rule": rule,
        "whole": whole,
        "stages": summing(whole),
        "totals_by_tensor": any(total.scope == "tensor" for total in parts(whole, Sum).values()),
        "has_scalars": bool(parts(whole, Scalar)),
        "__doc__": rule.__doc__,
        "__module__": rule.__module__,
        "__qualname__": rule.__qualname__,
        "__init__": _initialiser(surface.signature(rule)),
        "__signature__": surface.signature(rule),
    }
    made: Any = _Made(rule.__name__, (Optimizer,), members)
    found: type[Optimizer] = made
    return found


def _initialiser(signature: inspect.Signature) -> Callable[..., None]:
    """`Optimizer.__init__` with a rule's own signature: some libraries read that of ``__init__``, not of the class."""

    def __init__(self: Optimizer, *arguments: Any, **options: Any) -> None:
        Optimizer.__init__(self, *arguments, **options)

    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    __init__.__signature__ = signature.replace(parameters=[own, *signature.parameters.values()])  # type: ignore[attr-defined]
    return __init__


def _pickled(made: Any) -> Any:
    """By its name where that is what it is called; else by the rule, or the optimizer, that is wrapped."""
    if _standing(made.__module__, made.__qualname__) is made or not issubclass(made, Optimizer):
        return str(made.__qualname__)
    rule = made.rule
    own = inner(rule)
    found = _standing(own.__module__, own.__qualname__)
    if found is not own and getattr(found, "rule", None) is not own:
        raise pickle.PicklingError(
            f"{own.__module__}.{own.__qualname__} cannot be found under this name; write the rule in a module"
        )
    return _unpickled, (own.__module__, own.__qualname__, rule.wrappers, rule.followed)


def _unpickled(
    module: str, name: str, wrappers: Sequence[type[Wrapper]], convention: str | None = None
) -> type[Optimizer]:
    importlib.import_module(module)
    found = _standing(module, name)
    rule = reduce(wrapped, wrappers, found.rule if issubclass(found, Optimizer) else found)
    return made_of(rule if convention is None else like(rule, convention))


def _standing(module: str, name: str) -> Any:
    """What stands in a loaded module under a name, dots included; None if nothing does."""
    try:
        return operator.attrgetter(name)(sys.modules[module])
    except (KeyError, AttributeError):
        return None


copyreg.pickle(_Made, _pickled)


def wrap(made: type[Optimizer] | type[Rule], wrapper: type[Wrapper]) -> type[Optimizer]:
    """The optimizer class with a wrapper around its rule: ``wrap(AdamW, Cautious)(model.parameters(), lr=1e-3)``.

    Wrappers may be put around one another; the hyperparameters of each are further arguments.
    """
    if not (isinstance(wrapper, type) and issubclass(wrapper, Wrapper)):
        raise TypeError(f"thalweg.wrap takes an optimizer and a Wrapper, got {wrapper!r}")
    if not (isinstance(made, type) and issubclass(made, Optimizer | Rule)):
        raise TypeError(f"thalweg.wrap takes a thalweg optimizer, or a Rule, as a class; got {made!r}")
    rule = made.rule if issubclass(made, Optimizer) else made
    whole = wrapped(rule, wrapper)
    check(whole)
    return made_of(whole)


def build(
    rule: type[Rule] | type[Optimizer], params: Any, values: Mapping[str, Any] | None = None, **options: Any
) -> Optimizer:
    """An optimizer from a rule and its own names: ``build(rules.AdamW, params, {"beta1": 0.95}, clip_norm=1.0)``."""
    made = rule if issubclass(rule, Optimizer) else optimizer(rule)
    return made(params, **{**surface.at_surface(made.rule, values or {}), **options})
