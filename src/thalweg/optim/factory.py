"""An optimizer from the name of its rule, on a model's named groups."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from thalweg.formula import Rule
from thalweg.formula.rule import exempt, of_matrices

from . import model_groups, surface
from .catalogue import OPTIMIZERS
from .groups import param_groups
from .making import optimizer
from .named import optimizer_named
from .optimizer import Optimizer
from .routing import Routing, routed

# What param_groups is asked, rather than the optimizer.
_GROUPING = ("no_decay", "exempt", "depth", "frozen")


def create(
    rule: str | type[Rule] | type[Optimizer],
    model: Any,
    *,
    lr: float | torch.Tensor | None = None,
    weight_decay: float | None = None,
    layer_decay: float | None = None,
    others: Any = None,
    **options: Any,
) -> Optimizer:
    """The optimizer of a rule, on a model whose biases, norms and embeddings are exempt from weight decay.

    ``rule``     a name of the catalogue, in capitals or not (``"adamw"``), a `Rule`, or an optimizer class made of one.
    ``model``    a torch.nn.Module, which is grouped by `param_groups`, or of a rule for matrices its `routed`; or
                 parameters, named parameters or groups, which are taken as they are.
    ``others``   of a rule for matrices, what updates the model's other parameters: ``thalweg.AdamW(lr=3e-4)``.
    ``options``  what the rule's optimizer takes besides (``betas``, ``clip_norm``), and for a model ``no_decay``,
                 ``exempt``, ``depth`` and ``frozen``, which like ``layer_decay`` are those of `param_groups`; of a
                 rule for matrices also ``matrices`` and ``split_sizes`` by patterns of names, those of `routed`.

    What goes around the rule and is meant for matrices (Hyperball) leaves alone what is exempt from weight decay.

    ``lr`` and ``weight_decay`` that are not given are the rule's own; ``layer_decay`` needs an ``lr``.

    Raises ValueError for a name that the catalogue does not have, and what `param_groups` and the optimizer raise.
    """
    made = optimizer_class(rule)
    options |= {name: value for name, value in (("lr", lr), ("weight_decay", weight_decay)) if value is not None}
    grouping = {name: options.pop(name) for name in _GROUPING if name in options}
    if layer_decay is not None:
        grouping["layer_decay"] = layer_decay
    if of_matrices(made.rule) and isinstance(model, nn.Module | Routing):
        routing = _overruled(model, options, grouping)
        return made(model_groups.by_rule(made, routing, others, lr=lr, **grouping), **options)
    if isinstance(model, Routing):
        model_groups.refuse_routing(made)
    if others is not None:
        model_groups.refuse_others(made)
    if not isinstance(model, nn.Module):
        if grouping:
            asked = next(iter(grouping))
            raise TypeError(f"{asked} needs to know the model: give create the model itself, not its parameters")
        return made(model, **options)
    left_out = exempt(made.rule)
    if left_out:
        grouping["exempt"] = {**left_out, **grouping.get("exempt", {})}
    decays = "weight_decay" in surface.defaults(made.rule)
    if not decays and "exempt" not in grouping:
        grouping.setdefault("no_decay", ())
    groups = param_groups(model, lr=lr, **grouping)
    for group in groups if not decays else ():
        group.pop("weight_decay", None)
    return made(groups, **options)


def _overruled(model: nn.Module | Routing, options: dict[str, Any], grouping: dict[str, Any]) -> nn.Module | Routing:
    """The model's routing with the patterns among the options in force, which are taken out of them."""
    patterns = {"matrices": options.pop("matrices")} if "matrices" in options else {}
    if isinstance(options.get("split_sizes"), Mapping):
        patterns["split_sizes"] = options.pop("split_sizes")
    if not patterns:
        return model
    if isinstance(model, Routing):
        asked = next(iter(patterns))
        raise TypeError(f"{asked} is said to thalweg.routed, where create is given a routing")
    return routed(model, **patterns, frozen=grouping.pop("frozen", False))


def optimizer_class(rule: object) -> type[Optimizer]:
    if isinstance(rule, str):
        found: type[Optimizer] = optimizer_named(rule)
        return found
    if isinstance(rule, type) and issubclass(rule, Optimizer) and hasattr(rule, "rule"):
        return rule
    if isinstance(rule, type) and issubclass(rule, Rule) and rule is not Rule:
        # The catalogue's class where there is one: it can be pickled, and isinstance finds it.
        return next((known for known in OPTIMIZERS.values() if known.rule is rule), None) or optimizer(rule)
    raise TypeError(
        f"create takes the name of a rule, a Rule, or an optimizer class made of one, got {rule!r}; another library's "
        "optimizer is made from the groups: Other(thalweg.param_groups(model, ...))"
    )
