"""Between `torch.optim.Muon` and ours, whose checkpoints each can load: torch says in four keys what we say in five."""

from collections.abc import Mapping
from typing import Any

from thalweg.formula import Rule
from thalweg.formula.rule import entries
from thalweg.rules import Muon

from .catalogued import unwrapped

# torch's keys of a group that ours has not, with torch's name for each scale.
KEYS = ("ns_coefficients", "ns_steps", "adjust_lr_fn")
_SCALES = {"original": "original", "rms": "match_rms_adamw"}
_OURS = {theirs: ours for ours, theirs in _SCALES.items()}


def with_torchs(rule: type[Rule], group: Mapping[str, Any]) -> dict[str, Any]:
    """A saved group that also says what torch's class asks, where it can be said: all steps alike, a scale it has."""
    if unwrapped(rule) != "Muon" or group["scale"] not in _SCALES:
        return dict(group)
    steps = [tuple(each) for each in entries(rule, "coefficients", group["coefficients"])]
    if len({*steps}) > 1:
        return dict(group)
    return {
        **group, "ns_coefficients": steps[0], "ns_steps": len(steps), "adjust_lr_fn": _SCALES[group["scale"]],
    }  # fmt: skip


def without_torchs(rule: type[Rule], group: Mapping[str, Any]) -> dict[str, Any]:
    """The reverse: a loaded group as ours; what torch has saved alone becomes the form that torch computes."""
    found = {key: value for key, value in group.items() if key not in KEYS}
    if unwrapped(rule) != "Muon" or "coefficients" in group or "ns_coefficients" not in group:
        return found if unwrapped(rule) == "Muon" else dict(group)
    scale = _OURS.get(group["adjust_lr_fn"] or "original", "none")
    form = {"safety": 1.0, "floor": "floored", "scale": scale, "gram": False, "heavy_ball": False}
    return {**found, "coefficients": (tuple(group["ns_coefficients"]),) * group["ns_steps"], **form}


def refuse_torchs(rule: type[Rule], name: str, given: Mapping[str, Any]) -> None:
    """Raise TypeError for torch's arguments of Muon, which choose of its one form what is several choices here.

    ``name`` is what the user called, ``given`` its arguments or a group.
    """
    if not issubclass(rule, Muon):
        return
    for key in (key for key in KEYS if key in given):
        if key == "adjust_lr_fn":
            instead = f"scale={_OURS.get(given[key] or 'original', 'none')!r}"
        elif key == "ns_steps":
            instead = "one entry of coefficients a step, coefficients=((3.4445, -4.775, 2.0315),) * steps"
        else:
            instead = "coefficients=((a, b, c),) * steps"
        raise TypeError(
            f"{name} takes no {key!r}, an argument of torch.optim.Muon: it is {instead}; "
            "thalweg.Muon(..., like='torch') has torch's defaults too"
        )
