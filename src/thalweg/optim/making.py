"""Optimizer classes, made from rules and from wrappers around them."""

import copyreg
import importlib
import inspect
import operator
import pickle
import re
import sys
from abc import ABCMeta
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from typing import Any

from thalweg.formula import Rule, Wrapper, like, wrapped
from thalweg.formula.check import check
from thalweg.formula.rule import derived, inner, once
from thalweg.wrappers import WeightAverage

from . import scheduling, surface
from .optimizer import Optimizer


def optimizer(rule: type[Rule]) -> type[Optimizer]:
    """The optimizer class of a rule, with the rule's name and documentation.

    Also a class decorator: above ``class SignMomentum(Rule)`` it makes ``SignMomentum(model.parameters(), lr=1e-3)``
    work, and ``SignMomentum.rule`` is the rule.
    """
    if not (isinstance(rule, type) and issubclass(rule, Rule)):
        raise TypeError(f"thalweg.optimizer takes a Rule, got {rule!r}")
    own = {*rule.declared} - ({*WeightAverage.declared} if WeightAverage in rule.wrappers else set())
    names = {"params", "like", "others", "readouts", "rule", "schedule", scheduling.COUNT}
    if taken := {*names, *surface.CHAIN, *surface.WHOLE, *surface.IMPLEMENTATION} & own:
        raise TypeError(
            f"{rule.__name__}.{taken.pop()} has the name of an argument every optimizer takes, or a group; rename it"
        )
    check(rule)
    return made_of(rule)


class _Made(ABCMeta):
    """The type of the classes made here, for pickle: not all of them stand in a module under their own name.

    A kind of `ABCMeta`, so that a class may inherit from an optimizer and from abstract ones.
    """

    def __repr__(cls: Any) -> str:
        if cls.__module__ != __name__:
            return super().__repr__()
        return f"<class '{cls.rule.__module__}.{cls.__name__}'>"


@once
def made_of(rule: type[Rule]) -> type[Optimizer]:
    """The optimizer class of a rule that is known to be sound, as the catalogue's are."""
    averaged = rule.wrappers[-1:] == (WeightAverage,)  # asked for by name, as a comparison does
    whole = rule if averaged else wrapped(rule, WeightAverage)
    module, name = _place(rule)
    members = {
        "rule": rule,
        "whole": whole,
        "__doc__": rule.__doc__,
        "__module__": module,
        "__qualname__": name,
        "__init__": _initialiser(surface.signature(rule)),
    }
    made: Any = _Made(rule.__name__, (Optimizer,), members)
    found: type[Optimizer] = made
    return found


def _initialiser(signature: inspect.Signature) -> Callable[..., None]:
    """`Optimizer.__init__` with a rule's own signature: some libraries read that of ``__init__``, not of the class."""

    def __init__(self: Optimizer, *arguments: Any, **options: Any) -> None:
        if not arguments and "params" not in options:
            name = type(self).__name__
            raise TypeError(f"{name}() got no parameters: write {name}(model.parameters(), ...)")
        Optimizer.__init__(self, *arguments, **options)

    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    __init__.__signature__ = signature.replace(parameters=[own, *signature.parameters.values()])  # type: ignore[attr-defined]
    return __init__


def _place(rule: type[Rule]) -> tuple[str, str]:
    """The module and name of a rule's optimizer: the rule's own, where it is about to replace it; else these.

    Of a rule with something around it a name of this module, where `__getattr__` makes the class again: pickle, dill
    and joblib look for classes so. What was written in a session's ``__main__`` no other process would find.
    """
    own, made_by = inner(rule), _made_by(rule)
    written = (own, *(step for step in made_by if not isinstance(step, str)))
    if any(c.__module__ == "__main__" or not _stands(c) for c in written):
        return rule.__module__, rule.__qualname__
    steps = (f"={step}" if isinstance(step, str) else f"+{step.__module__}:{step.__qualname__}" for step in made_by)
    return __name__, f"{own.__module__}:{own.__qualname__}{''.join(steps)}".replace(".", "/")


def _made_by(rule: type[Rule]) -> tuple[type[Wrapper] | str, ...]:
    """The wrappers and conventions by which a rule was made of the one that its author wrote, in their order."""
    made: list[Any] = [*takewhile(derived, rule.__mro__)]
    return tuple(c.wrappers[-1] if "wrappers" in vars(c) else c.followed for c in reversed(made))


def __getattr__(name: str) -> type[Optimizer]:
    """The class that `_place` has given this name."""
    path, *steps = re.findall(r"(?:^|[+=])[^+=]+", name)
    if ":" not in path:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def written(path: str) -> tuple[str, str]:
        module, _, own = path.replace("/", ".").partition(":")
        importlib.import_module(module)
        return module, own

    made_by = [step[1:] if step[0] == "=" else _standing(*written(step[1:])) for step in steps]
    return _unpickled(*written(path), made_by)


def _pickled(made: Any) -> Any:
    """By its name where that is what it is called; else by the rule, or the optimizer, that it is made of."""
    if _standing(made.__module__, made.__qualname__) is made or not issubclass(made, Optimizer):
        return str(made.__qualname__)
    own = inner(made.rule)
    if not _stands(own):
        raise pickle.PicklingError(
            f"{own.__module__}.{own.__qualname__} cannot be found under this name; write the rule in a module"
        )
    return _unpickled, (own.__module__, own.__qualname__, _made_by(made.rule))


def _unpickled(
    module: str, name: str, made_by: Sequence[type[Wrapper] | str], convention: str | None = None
) -> type[Optimizer]:
    """The optimizer of a rule that stands in a module. ``convention``: the last step, in pickles of version 0.1.0."""
    importlib.import_module(module)
    rule = _standing(module, name)
    rule = rule.rule if issubclass(rule, Optimizer) else rule
    for step in (*made_by, *([] if convention is None else [convention])):
        rule = like(rule, step) if isinstance(step, str) else wrapped(rule, step)
    return made_of(rule)


def _stands(written: type) -> bool:
    """Whether a rule or wrapper, or the optimizer made of it, stands in its module under its name."""
    found = _standing(written.__module__, written.__qualname__)
    return found is written or getattr(found, "rule", None) is written


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
