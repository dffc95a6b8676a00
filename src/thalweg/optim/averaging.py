"""The weights to test and keep, for a while in the place of those that are trained."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any

import torch

from thalweg.formula import Rule, Scalar
from thalweg.formula.compose import evaluated, live_states, start_value
from thalweg.formula.rule import layers, parts
from thalweg.formula.torch_reader import of_tensor

from . import surface
from .settings import Group, GroupNumbers, RuleOf
from .watched import WatchedState

Pairs = Sequence[tuple[torch.Tensor, torch.Tensor]]
"""Parameters, each with the weights that are to stand in its place."""


@torch.no_grad()
def to_test(
    rule_of: RuleOf, groups: Sequence[Group], numbers: Sequence[GroupNumbers], states: WatchedState
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Each parameter that has been stepped, with the weights to test, where these are not the parameter itself."""
    found = []
    for group, given in zip(groups, numbers, strict=True):
        rule = rule_of(group)
        values = {**given, **surface.switches(rule, group)}
        asked = {name for own in layers(rule) if "evaluate" in own for name in own["evaluate"].parameters}
        for param in group["params"]:
            known = {**values, **of_tensor(rule, param)}
            live = {name: declared for name, declared in live_states(rule, known).items() if name in asked}
            state = states.own(param) if states.has(param) else {}
            if not all(declared.key in state for declared in live.values()) or not state:
                continue
            tensors = {name: state[declared.key] for name, declared in live.items()}
            own = param.detach()
            weights = evaluated(rule, {**known, **_own_scalars(rule, state, values), **tensors, "w": own})
            if weights is not own:
                found.append((param, weights))
    return found


def _own_scalars(rule: type[Rule], state: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, float]:
    own = {name: s for name, s in parts(rule, Scalar).items() if s.scope == "tensor"}
    kept = {name: float(state.get(name, start_value(scalar.start, values))) for name, scalar in own.items()}
    return {**kept, "t": max(float(state["step"]), 1.0)}


@contextmanager
def swapped(pairs: Pairs) -> Iterator[None]:
    """Within, every parameter of ``pairs`` holds the weights beside it; then its own again, whatever happens."""
    own = [param.detach().clone() for param, _ in pairs]
    try:
        _copy([param for param, _ in pairs], [weights for _, weights in pairs])
        yield
    finally:
        _copy([param for param, _ in pairs], own)


@contextmanager
def refreshed(model: torch.nn.Module, batches: Iterable[Any]) -> Iterator[None]:
    """Within, the running statistics of every BatchNorm in ``model`` are those of ``batches`` under its weights.

    Raises ValueError where there are some, and no batches.
    """
    buffers = running_statistics(model)
    own = [buffer.clone() for buffer in buffers]
    try:
        if buffers:
            left = iter(batches)
            if not (first := [*islice(left, 1)]):
                raise ValueError(
                    "there are no batches to take BatchNorm's statistics of: give a list or a loader, which can be "
                    "gone through again, and no iterator"
                )
            torch.optim.swa_utils.update_bn(chain(first, left), model)
        yield
    finally:
        _copy(buffers, own)


def running_statistics(model: torch.nn.Module) -> list[torch.Tensor]:
    """Those of every BatchNorm in it, with their counts of batches; they belong to the weights they are taken under."""
    norms = [module for module in model.modules() if isinstance(module, torch.nn.modules.batchnorm._BatchNorm)]
    return [buffer for norm in norms for buffer in norm.buffers(recurse=False)]


@torch.no_grad()
def _copy(targets: Sequence[torch.Tensor], sources: Sequence[torch.Tensor]) -> None:
    for target, source in zip(targets, sources, strict=True):
        target.copy_(source)
