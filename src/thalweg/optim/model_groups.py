"""A model's parameters in groups by rule: its matrices by the optimizer's own, the others by one beside it."""

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from thalweg.closest import did_you_mean
from thalweg.formula.rule import exempt as exempt_from
from thalweg.formula.rule import of_matrices

from . import joined, surface
from .configured import Configured
from .divided import divided
from .groups import ParamGroups, param_groups
from .routing import Routing, routed

_BY_HAND = "[{'params': matrices}, {'params': others, 'rule': 'AdamW', 'lr': 3e-4}]"


def given(made: type[Any], params: Any, others: object) -> Any:
    """What the optimizer's class is to take as its parameters: of a model for a matrix rule, groups by rule.

    Anything else is as it was given. TypeError where ``others`` are asked for that there cannot be.
    """
    if of_matrices(made.rule) and isinstance(params, nn.Module | Routing):
        return by_rule(made, params, others)
    if isinstance(params, Routing):
        refuse_routing(made)
    if others is not None:
        refuse_others(made)
    return params


def refuse_others(made: type[Any]) -> NoReturn:
    """Raise TypeError, since of what the class was given there are no others than it updates."""
    name = made.__name__
    if of_matrices(made.rule):
        raise TypeError(
            f"{name}: others= is of a model, whose matrices are told from its other parameters: give {name} the model "
            f"itself, or say by hand which is which: {name}({_BY_HAND})"
        )
    raise TypeError(
        f"{name} is no rule for matrices, so there are no others that it leaves alone: leave others= out, or say by "
        f"hand what another rule updates: {name}({_BY_HAND})"
    )


def refuse_routing(made: type[Any]) -> NoReturn:
    """Raise TypeError for a routing in place of the model, of a rule that has no use for it."""
    name = made.__name__
    raise TypeError(
        f"{name} is no rule for matrices, so it has no use for a routing: give it the model's parameters, or what the "
        f"routing says in groups: matrices, others = thalweg.routed_groups(routing); {name}([*matrices, *others])"
    )


def by_rule(
    made: type[Any],
    model: nn.Module | Routing,
    others: object,
    *,
    lr: float | torch.Tensor | None = None,
    layer_decay: float | None = None,
    exempt: Mapping[str, Any] | None = None,
    frozen: bool | None = None,
    **grouping: Any,
) -> ParamGroups:
    """The groups of `param_groups`, each divided into the matrices, which ``made`` updates, and the ``others``.

    ``model``   or its routing, which then says what is trained, too.
    ``others``  an optimizer's class with options, as `Configured`; the class; or its name.
    ``lr``      of the matrices; each depth of ``layer_decay`` multiplies the rates of both.
    ``exempt``  as of `param_groups`; each rule gets what it knows.

    Raises ValueError for a model without matrices to train, and for vectors that another matrix rule would have to
    take; TypeError where it has others and nobody takes them, and for what is exempt and neither rule knows; and what
    `param_groups` raises.
    """
    name = made.__name__
    beside = None if others is None else joined.named(name, others, "others=")
    _check_exempt([made] if beside is None else [made, beside.made], exempt or {})
    if isinstance(model, Routing) and frozen is not None:
        raise TypeError("a routing says whether frozen parameters are trained: thalweg.routed(model, frozen=True)")
    routing = model if isinstance(model, Routing) else routed(model, frozen=bool(frozen))
    # With a rate of 1 groups say what their depth multiplies. Those that are not trained have no route.
    rate = None if lr is None else 1.0
    every = param_groups(routing.model, lr=rate, layer_decay=layer_decay, frozen=True, **grouping)
    own, rest = divided(every, routing)
    if not own:
        raise ValueError(f"{name}: this {type(routing.model).__name__} {_without_matrices(routing.model)}")
    found = ParamGroups(_of(group, made, lr, exempt) for group in own)
    if not rest:
        return found
    if beside is None:
        left = [called for group in rest for called, _ in group["params"]]
        raise TypeError(
            f"{name} updates the model's matrices, and nothing updates {_first_of(left)}: say what does, as "
            f"{name}(model, others=thalweg.AdamW(lr=3e-4))"
        )
    _refuse_vectors(name, beside, rest)
    usual = {**surface.defaults(beside.made.whole), **beside.options}.get("lr")
    rate = None if layer_decay is None else usual
    found += [{**_of(group, beside.made, rate, exempt), "rule": beside} for group in rest]
    return found


def _without_matrices(model: nn.Module) -> str:
    """What is the matter with a model of which no matrix is trained, and what to do."""
    matrices = routed(model, frozen=True).matrices
    if waiting := [route.name for route in matrices if not route.param.requires_grad]:
        return (
            f"has matrices, but they are frozen, {_first_of(waiting)} (requires_grad=False): unfreeze them first, or "
            "give thalweg.routed(model, frozen=True) in the model's place, to train them later; to train the rest "
            "alone, use another rule"
        )
    return "has no matrices to train; use another rule for it"


def _refuse_vectors(name: str, beside: Configured, groups: Sequence[Mapping[str, Any]]) -> None:
    """Raise ValueError where what is left by one matrix rule is no matrix, and is to be updated by another such."""
    if not of_matrices(beside.made.rule):
        return
    left = [called for group in groups for called, param in group["params"] if not is_lazy(param) and param.dim() < 2]
    if left:
        raise ValueError(
            f"{name}: others= is {beside.made.__name__}, which steps matrices alone too, and vectors and single "
            f"numbers are left to it: {_first_of(left)}. What is beside a matrix rule has to take these as well: write "
            f"{name}(model, others=thalweg.AdamW(lr=3e-4))"
        )


def _first_of(names: Sequence[str]) -> str:
    return f"{names[0]!r}" + (f", and {len(names) - 1} more" if len(names) > 1 else "")


def _check_exempt(known_to: Sequence[type[Any]], exempt: Mapping[str, Any]) -> None:
    """Raise TypeError for an option of exempt groups that none of these optimizers knows."""
    known = {key: None for made in known_to for key in surface.defaults(made.whole)}
    if unknown := [key for key in exempt if key not in known]:
        called = " nor ".join(made.__name__ for made in known_to)
        meant = did_you_mean(unknown[0], known)
        raise TypeError(f"exempt: {unknown[0]!r} is no option of {called}{meant}")


def _of(
    group: Mapping[str, Any], made: type[Any], lr: float | torch.Tensor | None, exempt: Mapping[str, Any] | None
) -> dict[str, Any]:
    """A group as the optimizer's class takes it, which may know no decay, and has options of its own for the exempt."""
    found = {**group}
    factor = found.pop("lr", 1.0)
    if lr is not None:
        found["lr"] = lr * factor  # a product, so that no two groups share one tensor
    if "weight_decay" in group:
        known = surface.defaults(made.whole)
        asked = {key: value for key, value in (exempt or {}).items() if key in known}
        found |= {**exempt_from(made.rule), **asked}
        if "weight_decay" not in known:
            del found["weight_decay"]
    return found
