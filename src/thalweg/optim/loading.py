"""What a checkpoint is to an optimizer: states by parameter, found by name where both sides know names."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from thalweg.formula import Rule, Scalar, State
from thalweg.formula.compose import live_states
from thalweg.formula.rule import parts

from . import surface

Saved = dict[str, Any]


def by_name(saved: Saved, groups: Sequence[Mapping[str, Any]]) -> Saved:
    """The checkpoint in the order of the optimizer's groups and parameters, if both have names; else as it is.

    Where not one name is the same (``module.`` before each of them, say) names tell nothing, and torch's way,
    by position, remains. Raises ValueError if some names are the same and some are not, or if the parameters are
    grouped otherwise.
    """
    own = [group.get("param_names") for group in groups]
    theirs = [group.get("param_names") for group in saved["param_groups"]]
    if None in own or None in theirs or own == theirs:
        return saved
    here, there = ({name for names in side for name in names or ()} for side in (own, theirs))
    if not here & there:
        return saved
    if here != there:
        missing, more = sorted(here - there), sorted(there - here)
        raise ValueError(
            "the checkpoint is of other parameters:"
            + (f" it has nothing for {_some(missing)}" if missing else "")
            + (";" if missing and more else "")
            + (f" it has {_some(more)}, which the optimizer has not" if more else "")
        )
    places = {frozenset(names or ()): i for i, names in enumerate(theirs)}
    ordered = []
    for i, names in enumerate(own):
        place = places.get(frozenset(names or ()))
        if place is None:
            raise ValueError(
                f"the checkpoint groups its parameters otherwise: none of its groups has just those of group {i} "
                f"({_some(names or ())}); make the optimizer with the groups it was saved with"
            )
        group = saved["param_groups"][place]
        number = dict(zip(group["param_names"], group["params"], strict=True))
        ordered.append({**group, "params": [number[name] for name in names or ()], "param_names": names})
    return {**saved, "param_groups": ordered}


def with_options(saved: Saved, groups: Sequence[Mapping[str, Any]], options: Sequence[str]) -> Saved:
    """The checkpoint with the optimizer's own options where it says nothing of them: torch knows nothing of them."""
    pairs = zip(saved["param_groups"], groups, strict=False)
    filled = [{**{key: own[key] for key in options if key in own}, **theirs} for theirs, own in pairs]
    return {**saved, "param_groups": [*filled, *saved["param_groups"][len(filled) :]]}


def refuse(saved: Saved, groups: Sequence[Mapping[str, Any]], rule: type[Rule]) -> None:
    """Raise ValueError for the states of another optimizer, or of parameters of another shape.

    A state that is missing alone is created when it is needed, as when momentum is switched on; one that is there
    alone does no harm. Both together mean that the averages are there, under names that nobody reads.
    """
    known = {state.key for state in parts(rule, State).values()} | {"step"}
    known |= {name for name, scalar in parts(rule, Scalar).items() if scalar.scope == "tensor"}
    for theirs, own in zip(saved["param_groups"], groups, strict=False):
        said = {**surface.defaults(rule), **own, **theirs}
        values = {**surface.numbers(rule, said), **surface.switches(rule, said)}
        needed = {state.key for state in live_states(rule, values).values()}
        for number, param in zip(theirs["params"], own["params"], strict=False):
            kept = saved["state"].get(number, {})
            kept = {key: value for key, value in kept.items() if isinstance(value, torch.Tensor)}
            strange, missing = sorted(kept.keys() - known), sorted(needed - kept.keys())
            if strange and missing:
                raise ValueError(
                    f"the checkpoint is of another optimizer: its states are {_some(strange)}, and {_some(missing)} "
                    f"of {rule.__name__.removeprefix('WeightAverage')} is not among them"
                )
            for key in needed & kept.keys():
                if kept[key].shape != param.shape:
                    raise ValueError(
                        f"the checkpoint's state {key!r} has the shape {tuple(kept[key].shape)}, its parameter "
                        f"{tuple(param.shape)}: was it made for another model?"
                    )


def restored(saved: Saved, groups: Sequence[Mapping[str, Any]]) -> list[tuple[torch.Tensor, dict[str, torch.Tensor]]]:
    """Each parameter with the tensors saved for it: in the types they were saved in, and copies.

    torch casts every state to its parameter's type, which for float32 averages of bfloat16 weights is a loss, and
    keeps the checkpoint's own tensors, so that training would go on inside the checkpoint.
    """
    numbers = [number for group in saved["param_groups"] for number in group["params"]]
    params = [param for group in groups for param in group["params"]]
    return [
        (
            param,
            {
                key: value.detach().to(param.device if value.dim() else "cpu", copy=True)
                for key, value in saved["state"].get(number, {}).items()
                if isinstance(value, torch.Tensor)
            },
        )
        for number, param in zip(numbers, params, strict=True)
    ]


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:3]))
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown
