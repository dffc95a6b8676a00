"""What an optimizer's class is given besides parameters: sorted by what it belongs to, and checked."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from . import surface
from .catalogued import unwrapped

APART = ("schedule", "readouts", "others")
"""What is said once of an optimizer, and is neither an option of groups nor an attribute."""
OF_THE_WHOLE = frozenset((*surface.WHOLE, *APART))


@dataclass(frozen=True)
class Asked:
    """The arguments of an optimizer's class.

    ``usual``   what a group has that says nothing else: every option of groups.
    ``chosen``  of these, those that were given.
    ``whole``   the options of the whole optimizer (`surface.WHOLE`).
    ``apart``   `APART`, None where nothing was given.
    """

    usual: Mapping[str, Any]
    chosen: dict[str, Any]
    whole: Mapping[str, Any]
    apart: Mapping[str, Any]


def read(made: Any, arguments: Sequence[Any], options: dict[str, Any]) -> Asked:
    """Sort what came after the parameters, by place and by name. TypeError and ValueError for what is not taken.

    ``made``  the optimizer's class, with its ``rule``, and ``whole``, the rule with what goes around it.
    """
    name, rule, whole = made.__name__, made.rule, made.whole
    apart = {key: options.pop(key, None) for key in APART}
    known = surface.defaults(whole)
    conventional: dict[str, Any] = {}
    if (convention := options.pop("like", None)) is not None:
        usual, known = known, surface.conventional(whole, name, convention)
        conventional = {key: value for key, value in known.items() if value != usual[key]}
        options = surface.chosen(whole, options)
    positional = surface.by_place(rule, known)
    if len(arguments) > len(positional):
        raise TypeError(
            f"{name} takes at most {len(positional)} arguments after the parameters, got {len(arguments)}; "
            "the others are given by name"
        )
    by_place = dict(zip(positional, arguments, strict=False))
    if twice := by_place.keys() & options.keys():
        raise TypeError(f"{name} got {twice.pop()!r} twice, by place and by name")
    options = surface.without_implementation(name, {**by_place, **options})
    options = surface.plain(surface.torchs_decay(whole, name, options), known)
    of_whole = {key: options.pop(key, value) for key, value in surface.WHOLE.items()}
    surface.check(whole, name, {**known, **options})
    surface.check_whole(name, of_whole)
    return Asked({**known, **options}, {**conventional, **options}, of_whole, apart)


def parameters(made: Any, params: Any) -> Any:
    """What an optimizer's class is given to update, if it may be that: torch says of other things what they are not.

    Raises TypeError for a model, of which there are parameters to give, and for what holds none.
    """
    name = made.__name__
    if isinstance(params, nn.Module) and not isinstance(params, nn.ParameterList):
        asked = repr(unwrapped(made.rule).lower()) if unwrapped(made.rule) else name
        raise TypeError(
            f"{name} takes parameters, and {type(params).__name__} is a model: give {name}(model.parameters(), ...), "
            f"or thalweg.create({asked}, model, ...), which leaves biases and norms without weight decay"
        )
    if not isinstance(params, torch.Tensor | Iterable):
        raise TypeError(
            f"{name} takes parameters first, got {params!r}: write {name}(model.parameters(), lr=1e-3), each option by "
            "its name"
        )
    return params
