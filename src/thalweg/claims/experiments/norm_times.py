"""How long LayerNorm and RMSNorm take, forward and backward, in several ways to compute them."""

from collections.abc import Callable, Sequence
from random import Random

import numpy as np
import torch
from torch import Tensor, nn

import thalweg.nn
from thalweg.claims.claim import Curve, Panel
from thalweg.languages import Words

from .timing import cpu_seconds

# What a norm in a language model has: so many features; of tokens as many as make up 2^18 numbers.
WIDTHS, NUMBERS = (256, 512, 768, 1024), 2**18
ROUNDS = 5
WAYS = {
    "written": Words("operation by operation", "opération par opération"),
    "torch": Words("torch.nn", "torch.nn"),
    "thalweg": Words("thalweg.nn", "thalweg.nn"),
}


class _LayerNorm(nn.LayerNorm):
    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        variance = (centred * centred).mean(-1, keepdim=True)
        return centred * torch.rsqrt(variance + self.eps) * self.weight + self.bias


class _RMSNorm(nn.RMSNorm):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-5) * self.weight


LAYERS: dict[str, dict[str, Callable[[int], nn.Module]]] = {
    "layer": {"written": _LayerNorm, "torch": nn.LayerNorm, "thalweg": thalweg.nn.LayerNorm},
    "rms": {"written": _RMSNorm, "torch": nn.RMSNorm, "thalweg": thalweg.nn.RMSNorm},
}


def ratios(seeds: Sequence[int]) -> tuple[dict[str, list[float]], Panel]:
    """RMSNorm's time / LayerNorm's, in each of `WAYS`, for each seed, and a figure of both times."""
    every = [_seconds(seed) for seed in seeds]
    curves = tuple(
        Curve(Words(name, name), range(len(WAYS)), middle, low, high, "bars")
        for norm, name in (("layer", "LayerNorm"), ("rms", "RMSNorm"))
        for low, middle, high in [
            np.quantile([[1e3 * one[norm, way] for way in WAYS] for one in every], (0.25, 0.5, 0.75), axis=0).tolist()
        ]
    )
    panel = Panel(
        Words("Forward and backward, 262,144 numbers", "Passes avant et arrière, 262 144 nombres"),
        Words("how it is computed", "façon de calculer"),
        Words("milliseconds", "millisecondes"),
        curves,
        ticks=tuple(WAYS.values()),
    )
    return {way: [one["rms", way] / one["layer", way] for one in every] for way in WAYS}, panel


def _seconds(seed: int) -> dict[tuple[str, str], float]:
    """Of each norm in each way, on inputs of a width that the seed draws."""
    width = Random(seed).choice(WIDTHS)
    chance = torch.Generator().manual_seed(seed)
    x, dy = (torch.randn(NUMBERS // width, width, generator=chance) for _ in range(2))
    x.requires_grad_()

    def call(layer: nn.Module) -> Callable[[], object]:
        return lambda: torch.autograd.grad(layer(x), [x, *layer.parameters()], dy)

    calls = {(norm, way): call(layers[way](width)) for norm, layers in LAYERS.items() for way in WAYS}
    return cpu_seconds(calls, ROUNDS, seed)
