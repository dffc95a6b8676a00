"""A model's parameters in groups by rule: its matrices by the optimizer's own, the others by one beside it."""

from collections.abc import Container, Iterator, Mapping
from typing import Any, NoReturn

import torch
from torch import nn

from thalweg.formula.rule import exempt as exempt_from
from thalweg.formula.rule import of_matrices

from . import joined, surface
from .groups import ParamGroups, param_groups
from .routing import routed

_BY_HAND = "[{'params': matrices}, {'params': others, 'rule': 'AdamW', 'lr': 3e-4}]"


def given(made: type[Any], params: Any, others: object) -> Any:
    """What the optimizer's class is to take as its parameters: of a model for a matrix rule, groups by rule.

    Anything else is as it was given. TypeError where ``others`` are asked for that there cannot be.
    """
    if of_matrices(made.rule) and isinstance(params, nn.Module):
        return by_rule(made, params, others)
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


def by_rule(
    made: type[Any],
    model: nn.Module,
    others: object,
    *,
    lr: float | torch.Tensor | None = None,
    layer_decay: float | None = None,
    exempt: Mapping[str, Any] | None = None,
    **grouping: Any,
) -> ParamGroups:
    """The groups of `param_groups`, each divided into the matrices, which ``made`` updates, and the ``others``.

    ``others``  an optimizer's class with options, as `Configured`; the class; or its name.
    ``lr``      of the matrices; each depth of ``layer_decay`` multiplies the rates of both.

    Raises ValueError for a model without matrices, TypeError where it has others and nobody takes them; and what
    `param_groups` raises.
    """
    name = made.__name__
    beside = None if others is None else joined.named(name, others)
    # With a rate of 1 groups say what their depth multiplies.
    every = param_groups(model, lr=None if lr is None else 1.0, layer_decay=layer_decay, **grouping)
    matrices = {route.param: route.read for route in routed(model, frozen=True).matrices}
    own = [part for group in every for part in _matrices_of(group, matrices)]
    rest = [part for group in every if (part := _without(group, matrices))["params"]]
    if not own:
        raise ValueError(f"{name}: this {type(model).__name__} has no matrices to train; use another rule for it")
    found = ParamGroups(_of(group, "matrices", made, lr, exempt) for group in own)
    if not rest:
        return found
    if beside is None:
        left = [called for group in rest for called, _ in group["params"]]
        more = f", and {len(left) - 1} more" if len(left) > 1 else ""
        raise TypeError(
            f"{name} updates the model's matrices, and nothing updates {left[0]!r}{more}: say what does, as "
            f"{name}(model, others=thalweg.AdamW(lr=3e-4))"
        )
    usual = {**surface.defaults(beside.made.whole), **beside.options}.get("lr")
    rate = None if layer_decay is None else usual
    found += [{**_of(group, "others", beside.made, rate, exempt), "rule": beside} for group in rest]
    return found


def _matrices_of(
    group: Mapping[str, Any], matrices: Mapping[nn.Parameter, Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    """The matrices of a group, together where they are read alike."""
    alike: dict[tuple[tuple[str, Any], ...], list[tuple[str, nn.Parameter]]] = {}
    for name, param in group["params"]:
        if param in matrices:
            alike.setdefault(tuple(matrices[param].items()), []).append((name, param))
    for read, members in alike.items():
        yield {**group, **dict(read), "params": members}


def _without(group: Mapping[str, Any], matrices: Container[nn.Parameter]) -> dict[str, Any]:
    """A group without its matrices."""
    return {**group, "params": [pair for pair in group["params"] if pair[1] not in matrices]}


def _of(
    group: Mapping[str, Any],
    what: str,
    made: type[Any],
    lr: float | torch.Tensor | None,
    exempt: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """A group as the optimizer's class takes it, which may know no decay, and has options of its own for the exempt.

    Names are ``matrices`` and ``others``, with what `param_groups` says of the group: ``depth_3_others_no_decay``.
    """
    spared = "weight_decay" in group
    depth = group["name"].removesuffix("no_decay" if spared else "decay")
    found = {**group, "name": f"{depth}{what}{'_no_decay' if spared else ''}"}
    factor = found.pop("lr", 1.0)
    if lr is not None:
        found["lr"] = lr * factor  # a product, so that no two groups share one tensor
    if spared:
        found |= {**exempt_from(made.rule), **(exempt or {})}
        if "weight_decay" not in surface.defaults(made.rule):
            del found["weight_decay"]
    return found
