"""A model's parameters in groups: which are decayed, and how fast each depth learns."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from numbers import Real
from typing import Any

import torch
from torch import nn

from .depth import Depth, depths
from .kinds import KINDS, ModelParameter, model_parameters, trained
from .patterns import check_patterns, matches
from .tables import html_table, text_table

# What takes no weight decay: kinds and patterns of names, or a function that decides.
NoDecay = Collection[str] | Callable[[ModelParameter], bool]

NO_DECAY = KINDS

_HEADINGS = ("group", "lr", "weight_decay", "tensors", "weights", "names")
_RIGHT = ("lr", "weight_decay", "tensors", "weights")


class ParamGroups(list[dict[str, Any]]):
    """Parameter groups for any optimizer of torch's kind, which print as a table.

    ``ParamGroups(optimizer.param_groups)`` shows those of an optimizer as they are now.
    """

    def __repr__(self) -> str:
        return text_table(_HEADINGS, _rows(self), _RIGHT)

    def _repr_html_(self) -> str:
        return html_table(_HEADINGS, _rows(self))


def param_groups(
    model: nn.Module,
    *,
    lr: float | torch.Tensor | None = None,
    weight_decay: float | None = None,
    no_decay: NoDecay = NO_DECAY,
    exempt: Mapping[str, Any] | None = None,
    layer_decay: float | None = None,
    depth: Depth | None = None,
    frozen: bool = False,
) -> ParamGroups:
    """The model's parameters as named groups: weight decay only where it belongs, each parameter exactly once.

    ``lr``, ``weight_decay``  of the groups; what is not given is the optimizer's own. A group that is exempt from
                              decay always has ``weight_decay`` 0.
    ``no_decay``              what is exempt: kinds (``"bias"``, ``"norm"``, ``"embedding"``, ``"vector"``,
                              ``"declared"``; all five by default) and patterns of whole names (``"*.pos_embed"``),
                              or a function of a `ModelParameter` that returns whether it is.
    ``exempt``                further options of the groups that are exempt: ``{"lr_scale": 0.1}``,
                              ``{"hold_norm": False}``.
    ``layer_decay``           what the learning rate is multiplied with for each step of depth away from the deepest
                              parameters, whose rate is ``lr``: above 0, at most 1. Without it, one rate for all.
    ``depth``                 the names of the lists of blocks, in their order, or a function from a parameter's name
                              to its depth, from 0. Not needed when the model has one list of repeated blocks.
    ``frozen``                whether to take parameters with ``requires_grad=False`` too, to train them later.

    Each group has ``params`` as (name, parameter) pairs, a ``name``, and what else was decided. The deepest come
    first, so that ``param_groups[0]["lr"]`` of the optimizer is ``lr``. torch adds an optimizer's defaults to the
    very dictionaries that it is given: make the groups anew for a second optimizer.

    Raises ValueError for numbers out of their range, patterns that match nothing, parameters without a shape, models
    without parameters to train, and where the depth cannot be told; TypeError for arguments of the wrong kind.
    The rules in full: docs/groups.md.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"param_groups takes a model (a torch.nn.Module), got {type(model).__name__}")
    _check(lr, weight_decay, layer_decay, depth)
    everything = model_parameters(model)
    is_exempt = exemption(no_decay, everything)
    at = depths(model, everything, depth) if layer_decay is not None else {}
    taken = trained(model, everything, frozen)
    members: dict[tuple[int, bool], list[tuple[str, nn.Parameter]]] = {}
    for p in taken:
        members.setdefault((at.get(p.param, 0), is_exempt(p)), []).append((p.name, p.param))
    deepest = max(at.values(), default=0)
    groups = ParamGroups()
    for (here, spared), params in sorted(members.items(), key=lambda item: (-item[0][0], item[0][1])):
        name = "no_decay" if spared else "decay"
        group: dict[str, Any] = {"params": params, "name": name if layer_decay is None else f"depth_{here}_{name}"}
        if lr is not None:
            # A product, so that no two groups share one tensor: schedulers write into it.
            group["lr"] = lr * (1.0 if layer_decay is None else layer_decay ** (deepest - here))
        if spared or weight_decay is not None:
            group["weight_decay"] = 0.0 if spared else weight_decay
        group |= exempt or {} if spared else {}
        groups.append(group)
    return groups


def _check(
    lr: float | torch.Tensor | None, weight_decay: float | None, layer_decay: float | None, depth: Depth | None
) -> None:
    for name, value in (("lr", lr), ("weight_decay", weight_decay), ("layer_decay", layer_decay)):
        if value is not None and not isinstance(value, Real | torch.Tensor):
            raise TypeError(f"{name} must be a number, got {value!r}")
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise ValueError(f"{name} must be a finite number from 0, got {value!r}")
    if layer_decay is None:
        if depth is not None:
            raise ValueError("depth is used by layer_decay alone: give layer_decay too, or leave depth out")
        return
    if not 0 < layer_decay <= 1:
        raise ValueError(f"layer_decay must be above 0 and at most 1 (1: the same rate for all), got {layer_decay!r}")
    if lr is None:
        raise ValueError("layer_decay multiplies the learning rate of each depth: give lr too, for instance lr=1e-3")


def exemption(no_decay: NoDecay, parameters: Sequence[ModelParameter]) -> Callable[[ModelParameter], bool]:
    """Whether a parameter takes no decay."""
    if callable(no_decay):
        decides = no_decay
        return lambda p: bool(decides(p))
    check_patterns("no_decay", no_decay, parameters, KINDS)
    kinds = frozenset(no_decay) & frozenset(KINDS)
    patterns = [word for word in no_decay if word not in kinds]
    return lambda p: bool(p.kinds & kinds) or matches(p, patterns)


def _rows(groups: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    """The table's cells, with a last line for all groups together."""
    rows = []
    tensors = weights = 0
    for number, group in enumerate(groups):
        # An optimizer that was given the groups has taken the pairs apart.
        members = [item if isinstance(item, tuple) else (None, item) for item in group["params"]]
        names = group.get("param_names", [name for name, _ in members if name is not None])
        size = sum(param.numel() for _, param in members)
        numbers = [_number(group, key, scale) for key, scale in (("lr", "lr_scale"), ("weight_decay", "decay_scale"))]
        rows.append((str(group.get("name", number)), *numbers, str(len(members)), f"{size:,}", _some(names)))
        tensors += len(members)
        weights += size
    return [*rows, ("all", "", "", str(tensors), f"{weights:,}", "")]


def _number(group: Mapping[str, Any], key: str, scale: str) -> str:
    """What a group says of a number, and of what it is multiplied by."""
    by = float(group.get(scale, 1.0))
    said = f"{float(group[key]):.4g}" if key in group else "default"
    return said if by == 1 else f"{said} * {by:.4g}"


def _some(names: Sequence[str]) -> str:
    more = f", and {len(names) - 2} more" if len(names) > 2 else ""
    return ", ".join(names[:2]) + more
