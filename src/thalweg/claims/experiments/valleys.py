"""Valleys: quadratics of two directions, a flat one and a steep one, and how much of each a scheme leaves."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi
from typing import Any, Self

import torch
from torch import Tensor

from thalweg.claims.claim import Measurement, Panel
from thalweg.claims.drawing import STEP, over_seeds
from thalweg.languages import Words

from .paths import generators, log_uniform, path

# How many times as steep as the flat direction the steep one is; the slide's valley has 3.
LEAST, MOST = 3.0, 100.0
# Of a start, in each direction: the distance to the minimum.
NEAR, FAR = 1.0, 3.0
STARTS, STEPS = 200, 10
# Halves the steep direction's distance at each step.
DESCENT = 0.25
LEFT = Words("share of the distance left", "part de la distance qui reste")


@dataclass(frozen=True)
class Valleys:
    """The loss is flat² / condition + steep², of the distances from the minimum in the two directions.

    ``condition``  of each seed's valley; ``angle``: by how much it is turned, in radians: (seeds).
    ``starts``     flat and steep: (seeds, starts, 2).
    """

    condition: Tensor
    angle: Tensor
    starts: Tensor

    @classmethod
    def drawn(cls, seeds: Sequence[int], *, turned: bool = False) -> Self:
        """A valley for each seed, with its starts: as far away in one direction as in the other, on average."""
        chances = generators(seeds)
        condition = torch.cat([log_uniform(LEAST, MOST, (1,), chance) for chance in chances])
        angle = torch.cat([torch.rand(1, generator=chance, dtype=torch.float64) for chance in chances]) * pi / 2
        uniform = torch.stack([torch.rand(2, STARTS, 2, generator=chance, dtype=torch.float64) for chance in chances])
        side = (uniform[:, 1] - 0.5).sign()
        return cls(
            condition, angle if turned else torch.zeros_like(angle), side * (NEAR + (FAR - NEAR) * uniform[:, 0])
        )

    def left(self, rule: str, **settings: Any) -> Tensor:
        """The share of the starts' distance that is left after 0, 1, ... steps: (STEPS + 1, seeds, 2), flat, steep.

        Distances are root mean squares over the starts.
        """
        cos, sin = self.angle.cos(), self.angle.sin()
        # From the valley's directions to the coordinates of the weights, (seeds, 2, 2).
        turn = torch.stack([cos, -sin, sin, cos], 1).view(-1, 2, 2)
        slope = 2 * torch.stack([1 / self.condition, torch.ones_like(self.condition)], 1)[:, None]

        def gradient(point: Tensor) -> Tensor:
            return (point @ turn * slope) @ turn.mT

        away = (path(rule, self.starts @ turn.mT, gradient, steps=STEPS, **settings) @ turn).square().mean(2).sqrt()
        return away / away[0]


def ratio(left: Tensor) -> list[float]:
    """What is left of the flat direction in the end over what is left of the steep one: of each seed."""
    return (left[-1, :, 0] / left[-1, :, 1]).tolist()


def beside_descent(seeds: Sequence[int], title: str, rule: str, **settings: Any) -> Measurement:
    """A scheme and plain descent in valleys along the coordinates: the values "descent", and the rule's name."""
    valleys = Valleys.drawn(seeds)
    descent, own = valleys.left("sgd", lr=DESCENT), valleys.left(rule, **settings)
    curves = [
        over_seeds(Words(f"{en}, {way_en}", f"{fr}, {way_fr}"), range(STEPS + 1), left[:, :, k].T, dashed=k == 0)
        for (en, fr), left in ((("descent", "descente"), descent), ((title, title), own))
        for k, (way_en, way_fr) in enumerate((("flat", "direction plate"), ("steep", "direction raide")))
    ]
    panel = Panel(Words("Ten steps in a valley", "Dix pas dans une vallée"), STEP, LEFT, tuple(curves), log_y=True)
    return Measurement({"descent": ratio(descent), rule: ratio(own)}, (panel,))
