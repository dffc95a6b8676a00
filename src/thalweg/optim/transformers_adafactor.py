"""Checkpoints of transformers' Adafactor (and fairseq's, whose keys are the same), as ours has them."""

from collections.abc import Mapping
from typing import Any

import torch

from thalweg.formula import Rule

from .catalogued import catalogued

# What a state there holds, with our key, and the dimension that ours keeps with a size of 1.
_STATES = {
    "step": ("step", None), "exp_avg": ("exp_avg", None), "exp_avg_sq": ("variance", None),
    "exp_avg_sq_row": ("row_var", -1), "exp_avg_sq_col": ("col_var", -2),
}  # fmt: skip
# By this a state is told to be from there: the root mean square of the weights at the last step, which is found anew.
_SIZE = "RMS"
# What the relative rate is at most, there without a name.
_RELATIVE_LR = 1e-2


def state(rule: type[Rule], kept: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter's saved state; one that is not from there, or is of another rule, as it is."""
    if catalogued(rule) != "Adafactor" or _SIZE not in kept or not kept.keys() <= {*_STATES, _SIZE}:
        return dict(kept)
    return {ours: _kept(kept[key], dim) for key, (ours, dim) in _STATES.items() if key in kept}


def group(rule: type[Rule], saved: Mapping[str, Any]) -> dict[str, Any]:
    """A saved group; one that is not from there, or is of another rule, as it is.

    With ``relative_step`` the group's lr counts for nothing there: it is None, or what a scheduler has written.
    """
    if catalogued(rule) != "Adafactor" or "decay_rate" not in saved or "beta2_decay" in saved:
        return dict(saved)
    found = {key: value for key, value in saved.items() if key != "decay_rate"}
    lr = _RELATIVE_LR if saved["relative_step"] else saved["lr"]
    beta1 = 0.0 if saved["beta1"] is None else saved["beta1"]
    form = {"eps_added": True, "decay_scaled": True}
    return {**found, **form, "lr": lr, "beta1": beta1, "beta2_decay": saved["decay_rate"]}


def _kept(value: Any, dim: int | None) -> Any:
    return value.unsqueeze(dim) if dim is not None and isinstance(value, torch.Tensor) else value
