"""Clipped by norm, descent on a parabola stays bounded at a rate at which it diverges otherwise."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from thalweg.claims.claim import Bound, Claim, Measurement, Panel, Seeds
from thalweg.claims.drawing import STEP, over_seeds
from thalweg.languages import Words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LR, LIMIT = 1.05, 1.0
FREE_STEPS, STEPS = 100, 300
SHOWN = 60
DISTANCE = Words("|x - 1|", "|x - 1|")
CLIPPED = Words("clipped by norm", "clipping par norme")


def measure(seeds: Seeds) -> Measurement:
    """From a start for each seed, with clipping and without."""
    free = distances(seeds.judged, FREE_STEPS)
    clipped = distances(seeds.judged, STEPS, clip_norm=LIMIT, clip_eps=0.0)
    curves = tuple(
        over_seeds(name, range(SHOWN), each[:, :SHOWN])
        for name, each in ((Words("not clipped", "sans clipping"), free), (CLIPPED, clipped))
    )
    return Measurement(
        {"growth": (free[:, -1] / free[:, 0]).tolist(), "band": clipped[:, -100:].max(1).tolist()},
        (Panel(Words("Distance to the minimum", "Distance au minimum"), STEP, DISTANCE, curves, log_y=True),),
    )


def distances(seeds: Sequence[int], steps: int, lr: float = LR, **clipping: float) -> "NDArray[np.float64]":
    """How far from the minimum of (x - 1)^2 descent is, from a start in [-4, 6] by each seed: (seeds, steps + 1)."""
    import torch

    from thalweg.claims.experiments.paths import generators, path

    # One at a time: a norm over all starts would clip them together.
    walks = [
        path(
            "sgd",
            torch.rand(1, generator=chance, dtype=torch.float64) * 10 - 4,
            lambda x: 2 * (x - 1),
            steps=steps,
            lr=lr,
            **clipping,
        )
        for chance in generators(seeds)
    ]
    return (torch.stack(walks)[..., 0] - 1).abs().numpy()


CLAIM = Claim(
    name="clipped-stays-bounded",
    slide="Gradient clipping - exemple",
    statement=Words(
        "At a learning rate of 1.05, gradient descent on (x - 1)² diverges; clipped by norm it stays bounded.",
        "Avec un taux d'apprentissage de 1,05, la descente de gradient sur (x - 1)² diverge ; avec le clipping par "
        "norme, elle reste bornée.",
    ),
    measured=Words(
        "From 24 starts in [-4, 6]: how much farther from the minimum descent is after 100 steps, and how far it "
        "comes from it in the last 100 of 300 steps, clipped by norm at α = 1.",
        "Depuis 24 départs dans [-4, 6] : de combien la distance au minimum croît en 100 pas, et jusqu'où la descente "
        "s'en éloigne dans les 100 derniers des 300 pas, avec le clipping par norme à α = 1.",
    ),
    why=Words(
        "Each step multiplies the distance by |1 - 2 lr| = 1.1. A clipped step is lr α long, and is taken only from a "
        "distance of α/2 on: so the weight never ends up farther away than (lr - 1/2) α = 0.55, once it has been that "
        "near. Bounded is not convergent: see clipped-converges.",
        "Chaque pas multiplie la distance par |1 - 2 lr| = 1,1. Un pas clippé est long de lr α, et n'a lieu qu'à "
        "partir d'une distance de α/2 : une fois à moins de (lr - 1/2) α = 0,55 du minimum, le poids ne s'en éloigne "
        "plus davantage. Borné ne veut pas dire convergent : voir clipped-converges.",
    ),
    bounds=(
        Bound(
            "growth",
            Words(
                "distance after 100 steps / at the start, not clipped",
                "distance après 100 pas / au départ, sans clipping",
            ),
            at_least=1000,
            ratio=True,
        ),
        Bound(
            "band",
            Words("largest distance in the end, clipped", "plus grande distance à la fin, avec clipping"),
            at_most=0.55,
        ),
    ),
    seeds=24,
    measure=measure,
    figure="explosion",
)
