"""In which element type matrices are multiplied, and which parameters are matrices."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch.nn.parameter import is_lazy

from thalweg.formula import Rule, State
from thalweg.formula.choices import check_split_sizes
from thalweg.formula.compose import live_states
from thalweg.formula.geometry import BY_ROWS, seen
from thalweg.formula.rule import inner, parts

# Instructions that multiply bfloat16: with them products took a quarter of float32's time, without they take longer.
_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # the last is ARM's name


def decided(rule: type[Rule], group: dict[str, Any]) -> None:
    """Write into a group, where nobody has said it, in which element type its products are computed.

    It is told by what the parameters' device can do, never by a timing, so that it is the same at every start. Every
    process decides for itself: a collective here would hang where processes make unlike numbers of optimizers or
    groups. Who trains together on unlike processors says ``products``.
    """
    if group.get("products", "") is None:
        quick = all(map(_has_bfloat16, {param.device for param in group["params"]}))
        by_device = "bfloat16" if quick else "float32"
        group["products"] = by_device if "bfloat16" in rule.products else rule.products[0]


def element_type(param: torch.Tensor, products: str) -> torch.dtype:
    """The element type in which the matrices of a parameter are multiplied: float64 weights keep theirs."""
    found: torch.dtype = torch.float64 if param.dtype == torch.float64 else getattr(torch, products)
    return found


def refuse(rule: type[Rule], name: str, called: str, param: torch.Tensor, values: Mapping[str, Any]) -> None:
    """Raise ValueError for a parameter that a rule of matrices cannot take.

    ``name`` is what the user called, of matrices too; ``values`` are the group's, as `surface.settings` has them.
    """
    if is_lazy(param):  # its shape is not known yet
        return
    if param.dim() < 2:
        of = "a single number" if param.dim() == 0 else f"a vector of {param.numel()}"
        raise ValueError(
            f"{inner(rule).__name__} steps matrices, and {called} is {of}: give {name} the model itself, whose "
            f"matrices it then finds, {name}(model, others=thalweg.AdamW(lr=3e-4)); or give vectors and single numbers "
            '(biases, gains) a group with "rule": "AdamW"'
        )
    check_split_sizes(
        name, called, param.shape, values, "put parameters that are split otherwise into a group of their own"
    )
    if values["split_sizes"] is None:
        return
    live = live_states(rule, values)
    whole = [key for key, state in live.items() if state.shape not in BY_ROWS]
    how = seen(param.shape, values)
    if whole and len(how.blocks) > 1:
        what = "blocks of columns" if how.transposed else "blocks of unequal rows"
        raise ValueError(
            f"{name}: {what} have no {parts(rule, State)[whole[0]].key!r} each, which "
            f"{inner(rule).__name__} keeps by {live[whole[0]].shape}: leave split_sizes out"
        )


def _has_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 by instructions of its own; of one that is not asked, no."""
    if device.type == "cuda":  # Ampere is the first that has them
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu" and _of_processor() == "bfloat16"


@cache
def _of_processor() -> str:
    """bfloat16 where the processor multiplies it, else float32."""
    asked = [getattr(torch.cpu, f"_is_{name}_supported", None) for name in ("avx512_bf16", "amx_tile")]
    if any(ask() for ask in asked if ask is not None):
        return "bfloat16"
    try:
        known = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:  # not Linux
        known = ""
    return "bfloat16" if _FLAGS & {*known.split()} else "float32"
