"""What a step does with its plan's launches, pass by pass: functions of launches and their rows of numbers."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from thalweg.formula import Rule, Scalar, Sum, chain
from thalweg.formula.rule import parts

from .launch import added
from .numbers import Rows, rows
from .plan import Planned
from .settings import Group, Numbers

# A launch and its numbers for the step that is being taken.
Step = tuple[Planned, Rows]
# For each launch, one number for each of its parameters.
Squares = Sequence[NDArray[np.float64]]


def begun(launches: Sequence[Planned], numbers: Sequence[Numbers], by_tensor: bool) -> list[Step]:
    """The launches with their numbers for the step that is about to be taken.

    ``numbers`` are the groups'; ``by_tensor`` asks for a row a tensor.
    """
    found = []
    for planned in launches:
        counts = planned.counts
        taken = counts.steps if counts.asked else None
        equal = taken is None or counts.even()
        groups = [numbers[i] for i in planned.members.groups]
        scalars = {name: kept.read() for name, kept in planned.scalars.items()}
        found.append((planned, rows(groups, planned.members.group_of, taken, equal, scalars, by_tensor)))
    return found


def squares_of(steps: Sequence[Step], limited: bool) -> Squares:
    """The sums of the gradients' squares; ``limited``: after the clip by value."""
    return [x.launch.squares(r, limited=limited and r.limited) for x, r in steps]


def scales_of(squares: Squares, clip_norm: float, scope: str, eps: float) -> list[Any]:
    """What the gradients of each launch are multiplied by so that their norm stays within clip_norm."""
    with np.errstate(all="ignore"):
        if scope == "all":
            total = np.array([sum(of.sum() for of in squares)])  # an array divides by 0 as IEEE 754 says
            return [float(chain.norm_scale(total, clip_norm, eps)[0])] * len(squares)
        return [chain.norm_scale(of, clip_norm, eps) for of in squares]


def scaled(steps: Sequence[Step], scales: Sequence[Any]) -> list[Step]:
    """The steps with what their gradients are multiplied by."""
    return [(x, r.joined({"clip_scale": scale})) for (x, r), scale in zip(steps, scales, strict=True)]


def with_totals(rule: type[Rule], stages: int, steps: list[Step]) -> list[Step]:
    """The steps with the totals of the rule and of its wrappers, from the inside out."""
    scopes = {name: total.scope for name, total in parts(rule, Sum).items()}
    for stage in range(stages):
        found = [x.launch.totals(r, stage) for x, r in steps]
        overall = {name: sum(float(f[name].sum()) for f in found) for name in found[0]} if found else {}
        known = [{n: f[n] if scopes[n] == "tensor" else overall[n] for n in f} for f in found]
        steps = [(x, r.joined(totals)) for (x, r), totals in zip(steps, known, strict=True)]
    return steps


def not_finite(launches: Sequence[Planned], squares: Squares) -> list[tuple[int, torch.Tensor, int]]:
    """The parameters whose gradient holds nan or infinity: place among all, parameter, how many values.

    A sum of squares that overflowed while every value is finite does not count.
    """
    if math.isfinite(sum(float(of.sum()) for of in squares)):
        return []
    found = []
    for planned, of in zip(launches, squares, strict=True):
        for i in np.flatnonzero(~np.isfinite(of)).tolist():
            param = planned.members.params[i]
            assert param.grad is not None
            count = added(~torch.isfinite(param.grad))  # nan where nothing is computed (FakeTensorMode)
            if count > 0:
                found.append((planned.members.places[i], param, int(count)))
    return found


def keep_scalars(rule: type[Rule], steps: Sequence[Step], groups: Sequence[Group]) -> None:
    """Store the scalars' next values: in the tensors' memory, or in the groups."""
    scalars = parts(rule, Scalar)
    for planned, row in steps if scalars else ():
        values = planned.next_scalars.many(row.numbers)
        present = planned.counts.present
        for (name, scalar), value in zip(scalars.items(), values, strict=True):
            if scalar.scope == "tensor":
                planned.scalars[name].write(np.broadcast_to(value, len(planned.members.params)), present)
                continue
            for place, i in enumerate(planned.members.groups):
                found = row.last(value, None if scalar.scope == "all" else place, present)
                for group in (groups if scalar.scope == "all" else [groups[i]]) if found is not None else ():
                    group[name] = found
