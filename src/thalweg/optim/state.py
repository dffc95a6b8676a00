"""A parameter's state: created as the rule declares it, in the keys and layout that torch's optimizers use."""

from collections.abc import Mapping
from typing import Any

import torch

from thalweg.formula import Rule, Scalar, State
from thalweg.formula.compose import live_states, start_value
from thalweg.formula.geometry import kept_shape, seen
from thalweg.formula.rule import by_lines, inner, of_matrices, parts, shaped

from . import products, reading
from .modes import ordinary
from .reading import Types


def prepare(
    rule: type[Rule], values: Mapping[str, Any], weight: torch.Tensor, state: dict[str, Any]
) -> dict[str, torch.Tensor]:
    """Create what is missing of a parameter's state, and give it the weight's layout; returns it by the rule's names.

    ``values`` are the group's hyperparameters and switches. A state that a checkpoint brought in another layout
    is copied into the weight's, so that element i of every operand belongs to the same weight.
    """
    fresh = not any(isinstance(v, torch.Tensor) for v in state.values())
    if not isinstance(state.get("step"), torch.Tensor):
        # torch's SGD keeps no count; where it left a buffer, the first step is past.
        with ordinary():
            state["step"] = torch.tensor(float(state.get("step", not fresh)), device="cpu")
    found = {}
    for name, declared in live_states(rule, {**values, **shaped(rule, weight)}).items():
        kept = state.get(declared.key)
        if kept is None:
            shape = shape_of(rule, values, weight, declared)
            state[declared.key] = kept = _started(declared, values, weight, shape)
        elif kept.shape != (shape := shape_of(rule, values, weight, declared)):
            raise ValueError(
                f"the state {declared.key!r} has the shape {tuple(kept.shape)}, its parameter {tuple(weight.shape)}"
                + ("" if declared.shape == "weight" else f", of which it is to have {shape}")
                + ": was the checkpoint made for another model?"
            )
        elif declared.shape != "weight":
            if kept.device != weight.device or not kept.is_contiguous():
                state[declared.key] = kept = kept.to(weight.device).contiguous()
        elif kept.device != weight.device or (kept.stride() != weight.stride() and not _stays(kept, weight)):
            state[declared.key] = kept = torch.empty_like(weight, dtype=kept.dtype).copy_(kept)
        found[name] = kept
    for name, scalar in parts(rule, Scalar).items():
        if scalar.scope == "tensor" and name not in state:
            with ordinary():
                state[name] = torch.tensor(start_value(scalar.start, values), dtype=torch.float64, device="cpu")
    return found


def classified(
    rule: type[Rule],
    values: Mapping[str, Any],
    param: torch.Tensor,
    called: str,
    kept: dict[str, Any],
    real: Mapping[str, Any] | None = None,
) -> tuple[dict[str, torch.Tensor], Types | str]:
    """A parameter's states by the rule's names, prepared in ``kept``, and what serves it; see `reading.kernel_types`.

    ``called`` names it in messages. Where nothing may be created, ``kept`` has states without memory (`blank`), and
    gets such, and ``real`` has what there is. TypeError, RuntimeError and ValueError where nothing serves it.
    """
    reading.refuse(param, called)
    if of_matrices(rule):  # a group may say otherwise than when it was made, and lazy parameters had no shape then
        products.refuse(rule, inner(rule).__name__, called, param, values)
    split = (of_matrices(rule) or by_lines(rule)) and param.dim() > 1 and not param.is_contiguous()
    rows = "its rows do not lie one after the other in memory" if split else ""
    if real is None:
        operands = prepare(rule, values, param, kept)
        return operands, rows or reading.kernel_types(param, operands)
    operands = prepare(rule, values, blank(param), kept)
    keys = {name: declared.key for name, declared in parts(rule, State).items()}
    there = {name: real.get(keys[name], torch.empty(0, dtype=x.dtype)) for name, x in operands.items()}
    return operands, rows or reading.kernel_types(param, there)


def blank(tensor: torch.Tensor) -> torch.Tensor:
    """Of the same shape and element type, but without memory."""
    return torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")


def _stays(kept: torch.Tensor, weight: torch.Tensor) -> bool:
    """Whether a state keeps a layout that is not the weight's: others have it too, or the weight's has gaps."""
    return bool(kept.untyped_storage().is_shared()) or kept.stride() == torch.empty_like(weight).stride()


def shape_of(rule: type[Rule], values: Mapping[str, Any], weight: torch.Tensor, declared: State) -> tuple[int, ...]:
    """The shape that a state is to have beside its weight."""
    return kept_shape(weight.shape, declared.shape, seen(weight.shape, values) if of_matrices(rule) else None)


def _started(declared: State, values: Mapping[str, Any], weight: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    least = getattr(torch, declared.dtype) if declared.dtype else weight.dtype
    dtype = torch.promote_types(weight.dtype, least)
    if declared.start == "w":
        return weight.detach().clone(memory_format=torch.preserve_format).to(dtype)
    start = start_value(declared.start, values)
    if declared.shape != "weight":
        # Of a sharded weight it is whole on every rank, and a tensor of the same kind.
        return weight.new_full(shape, start, dtype=dtype)
    return torch.full_like(weight, start, dtype=dtype, memory_format=torch.preserve_format, requires_grad=False)
