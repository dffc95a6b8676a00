"""Training by the torch reader in the element type of the weights (float64: the oracle), over several parameters.

Scalars and totals have the scopes they are declared with: a tensor, a parameter group, all.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from thalweg.formula import Rule, Scalar, Sum, compose
from thalweg.formula.geometry import summed
from thalweg.formula.rule import parts
from thalweg.formula.stages import staged
from thalweg.formula.torch_reader import Trained, begin, known_of, stepped

from .cases import Row

Values = Mapping[str, Any]


def begun(rule: type[Rule], weights: Iterable[torch.Tensor], values: Values) -> list[Trained]:
    """Every parameter before its first step."""
    return [begin(rule, weight.detach().clone(), values) for weight in weights]


def joined(rule: type[Rule], now: Sequence[Trained], late: Sequence[Trained]) -> list[Trained]:
    """Parameters that come later take part in what all have reached."""
    overall = {name: value for name, value in now[0].scalars.items() if parts(rule, Scalar)[name].scope == "all"}
    return [*now, *(replace(each, scalars={**each.scalars, **overall}) for each in late)]


def step(
    rule: type[Rule],
    now: Sequence[Trained],
    gradients: Row,
    values: Values | Sequence[Values],
    groups: Sequence[int] | None = None,
) -> list[Trained]:
    """After one step of those that have a gradient. ``values``, ``groups``: each parameter's, or one for all."""
    each = [values] * len(now) if isinstance(values, Mapping) else values
    group = groups or [0] * len(now)
    present = [i for i, gradient in enumerate(gradients) if gradient is not None]
    known = {
        i: known_of(rule, now[i], gradient, each[i]) for i, gradient in enumerate(gradients) if gradient is not None
    }
    stages = {i: staged(rule, known[i]) for i in present}
    for i in present:
        known[i] |= stages[i]
    for layer in compose.summing(rule):
        own = {i: _totals(rule, known[i], layer) for i in present}
        for name in next(iter(own.values()), ()):
            if parts(rule, Sum)[name].scope == "all":
                overall = torch.stack([total[name] for total in own.values()]).sum()
                own = {i: {**total, name: overall} for i, total in own.items()}
            for i in present:
                known[i][name] = own[i][name]
    after = list(now)
    for i in present:
        after[i] = stepped(rule, now[i], known[i], stages[i])
    return _shared(rule, after, present, group)


def trained(
    rule: type[Rule], weights: Sequence[torch.Tensor], rows: Iterable[Row], values: Values | Callable[[int], Values]
) -> list[Trained]:
    """After a step for each row of gradients; ``values`` of each step, or of all."""
    at = values if callable(values) else lambda _step: values
    now = begun(rule, [weight.double() for weight in weights], at(0))
    for number, row in enumerate(rows):
        now = step(rule, now, [None if g is None else g.double() for g in row], at(number))
    return now


def weights_of(now: Sequence[Trained]) -> list[torch.Tensor]:
    """The weights, without the rest."""
    return [each.weight for each in now]


def _totals(rule: type[Rule], known: Values, layer: int) -> dict[str, torch.Tensor]:
    added = compose.layer_totals(rule, known, layer)
    scopes = {name: parts(rule, Sum)[name].scope for name in added}
    totals = {
        name: summed(torch.as_tensor(one).double().expand(known["g"].shape), scopes[name])
        for name, one in added.items()
    }
    # What there is one of by row or column is computed in the type of the weights.
    return {name: one.to(known["g"].dtype) if one.dim() else one for name, one in totals.items()}


def _shared(rule: type[Rule], after: list[Trained], present: Sequence[int], group: Sequence[int]) -> list[Trained]:
    """Scalars of a group, or of all, are those of its furthest parameter that took part."""
    for name, scalar in parts(rule, Scalar).items():
        if scalar.scope == "tensor":
            continue
        for members in [range(len(after))] if scalar.scope == "all" else _by_group(group):
            stepped = [i for i in members if i in present]
            if stepped:
                furthest = max(stepped, key=lambda i: after[i].steps)
                value = after[furthest].scalars[name]
                for i in members:
                    after[i] = replace(after[i], scalars={**after[i].scalars, name: value})
    return after


def _by_group(group: Sequence[int]) -> list[list[int]]:
    return [[i for i, g in enumerate(group) if g == which] for which in sorted({*group})]
