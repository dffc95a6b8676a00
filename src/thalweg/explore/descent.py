"""A run of a rule on a surface, by the torch reader in float64: what the figures show, for notebooks and tests."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from thalweg.formula import Rule, chain
from thalweg.formula.compose import limited_norm_totals
from thalweg.formula.rule import decay_kind, hypers
from thalweg.formula.torch_reader import Trained, begin, step, values_of

from .chance import normal
from .surfaces import SURFACES, Surface


@dataclass(frozen=True)
class Path:
    """Where a run was: ``weights`` of shape (steps + 1, weights), ``losses`` of shape (steps + 1,), float64.

    ``last`` holds the rule's states and scalars after the last step.
    """

    weights: np.ndarray
    losses: np.ndarray
    last: Trained


def descend(
    rule: type[Rule],
    surface: str | Surface,
    start: tuple[float, ...] | None = None,
    steps: int = 100,
    *,
    decay: str | None = None,
    seed: int = 0,
    **settings: Any,
) -> Path:
    """Go down a surface.

    ``rule``      a rule, such as ``thalweg.rules.Adam``.
    ``surface``   a `Surface`, or the name of one in `SURFACES`.
    ``start``     the weights at first; the surface's own, unless given.
    ``decay``     the kind of weight decay, unless the rule's own.
    ``seed``      of the noise, where the surface has any.
    ``settings``  hyperparameters and switches of the rule, ``clip_value``, ``clip_norm`` and ``clip_eps`` (else 1e-6).

    ValueError for an unknown surface, another number of weights, or an unknown setting.
    """
    ground = _found(surface)
    at = ground.start if start is None else tuple(start)
    if len(at) != len(ground.weights):
        raise ValueError(f"{ground.name} has {len(ground.weights)} weights, the start has {len(at)}")
    clip_norm, clip_eps = settings.pop("clip_norm", None), settings.pop("clip_eps", 1e-6)
    known = values_of(rule)
    if unknown := [name for name in settings if name not in known]:
        raise ValueError(f"{rule.__name__} has no setting {unknown[0]!r}; it has {', '.join(hypers(rule))}")
    values = values_of(rule, **settings)
    if (kind := decay or decay_kind(rule)) not in ("own", "none"):
        values |= chain.decay(kind, values["lr"], values["lr"], values["weight_decay"])
    draws = normal(seed)
    now = begin(rule, torch.tensor(at, dtype=torch.float64), values)
    weights, losses = [now.weight], []
    for _ in range(steps):
        loss, g = _slope(ground, now.weight)
        losses.append(loss)
        if ground.noise:
            g = g + torch.tensor([ground.noise * next(draws) for _ in at], dtype=torch.float64)
        scale = 1.0
        if clip_norm is not None:
            squares = limited_norm_totals({**values, "g": g})["squares"].sum()
            scale = chain.norm_scale(squares, clip_norm, clip_eps)
        now = step(rule, now, g, {**values, "clip_scale": scale})
        weights.append(now.weight)
    losses.append(_slope(ground, now.weight)[0])
    return Path(torch.stack(weights).numpy(), np.array(losses), now)


def _found(surface: str | Surface) -> Surface:
    if isinstance(surface, Surface):
        return surface
    if surface not in SURFACES:
        raise ValueError(f"there is no surface {surface!r}; there are {', '.join(SURFACES)}")
    return SURFACES[surface]


def _slope(surface: Surface, weight: torch.Tensor) -> tuple[float, torch.Tensor]:
    at = weight.clone().requires_grad_()
    loss = surface.formula(*at)
    (gradient,) = torch.autograd.grad(loss, at)
    return float(loss.detach()), gradient
