"""A smaller learning rate keeps momentum from passing the minimum as far."""

from typing import TYPE_CHECKING

from thalweg.claims.claim import Bound, Claim, Curve, Measurement, Panel, Seeds
from thalweg.claims.drawing import filled
from thalweg.languages import Words

if TYPE_CHECKING:
    from torch import Tensor

MOMENTUM, SMALLER = 0.9, 0.1
# The learning rate times the curvature, before it is made smaller.
SLOW, FAST, LR = 0.01, 1.0, 0.1
DIRECTIONS, STEPS = 40, 2000
SHOWN, POINTS = (0.5, 0.9, 0.97), 50
# Arrived, and stays: of the start's distance.
NEAR = 0.01
NAME = Words("momentum {}", "momentum {}")


def measure(seeds: Seeds) -> Measurement:
    """The same directions at both rates."""
    import torch

    from thalweg.claims.experiments.paths import generators, log_uniform

    drawn = [log_uniform(SLOW, FAST, (DIRECTIONS,), chance) for chance in generators(seeds.judged)]
    curvature = torch.stack(drawn) / LR
    usual, smaller = (_beyond(_left(curvature, MOMENTUM, lr)).mean(1) for lr in (LR, SMALLER * LR))
    rates = torch.logspace(-2.5, 0, POINTS, dtype=torch.float64)
    left = {momentum: _left(rates / LR, momentum, LR) for momentum in SHOWN}
    amplitude = [
        Curve(filled(NAME, momentum), rates.tolist(), _beyond(each).tolist()) for momentum, each in left.items()
    ]
    arrival = [Curve(filled(NAME, momentum), rates.tolist(), _steps(each).tolist()) for momentum, each in left.items()]
    return Measurement(
        {"share": (smaller / usual).tolist()},
        (
            Panel(
                Words("Farthest point beyond the minimum", "Point le plus loin au-delà du minimum"),
                _RATE,
                Words("share of the start's distance", "part de la distance du départ"),
                tuple(amplitude),
                log_x=True,
            ),
            Panel(
                Words("Steps until 1% of the distance is left", "Pas jusqu'à ce qu'il reste 1 % de la distance"),
                _RATE,
                Words("steps", "pas"),
                tuple(arrival),
                log_x=True,
                log_y=True,
            ),
        ),
    )


def _left(curvature: "Tensor", momentum: float, lr: float) -> "Tensor":
    """Where x is after 0, 1, ... steps, from 1, on curvature x^2 / 2: (STEPS + 1, *curvature's shape)."""
    import torch

    from thalweg.claims.experiments.paths import path

    start = torch.ones_like(curvature)
    return path("momentum", start, lambda x: curvature * x, steps=STEPS, lr=lr, momentum=momentum)


def _beyond(left: "Tensor") -> "Tensor":
    """How far beyond the minimum it comes; 0 where it never does."""
    return (-left).amax(0).clamp(min=0)


def _steps(left: "Tensor") -> "Tensor":
    """After how many steps it is, and stays, near; STEPS where that is later."""
    return (left.abs() > NEAR).double().cumsum(0).argmax(0).add(1).clamp(max=STEPS)


_RATE = Words("learning rate × curvature", "taux d'apprentissage × courbure")

CLAIM = Claim(
    name="momentum-smaller-rate",
    slide="Avec momentum",
    statement=Words(
        "A smaller learning rate mitigates the overshoot of momentum.",
        "Un taux d'apprentissage plus petit atténue le dépassement du minimum par le momentum.",
    ),
    measured=Words(
        "On quadratics with 40 directions, whose learning rate × curvature is drawn log-uniformly from 0.01 to 1 by "
        "each of 24 seeds: how far momentum 0.9 comes beyond the minimum in 2,000 steps, relative to the start's "
        "distance, on average over the directions, at that rate and at a tenth of it.",
        "Sur des quadratiques à 40 directions, dont le produit taux d'apprentissage × courbure est tiré "
        "log-uniformément de 0,01 à 1 par chacune des 24 graines : jusqu'où le momentum 0,9 va au-delà du minimum en "
        "2 000 pas, relativement à la distance du départ, en moyenne sur les directions, à ce taux et à un dixième de "
        "ce taux.",
    ),
    why=Words(
        "With curvature h the slide's form is an oscillator whose damping is nearly sqrt((1 - γ) / (4 × lr × h)): the "
        "smaller the rate, the stronger; from lr × h = (1 - sqrt(γ)) / (1 + sqrt(γ)) down nothing passes (Qian 1999). "
        "The price: in flat directions, where nothing passed before, a smaller rate only makes the way longer. The "
        "larger γ is, the smaller the rate has to be.",
        "Avec une courbure h, la forme de la diapositive est un oscillateur dont l'amortissement vaut à peu près "
        "sqrt((1 - γ) / (4 × lr × h)) : plus le taux est petit, plus il est fort ; à partir de lr × h = (1 - sqrt(γ)) "
        "/ (1 + sqrt(γ)) et en deçà, plus rien ne dépasse (Qian 1999). Le prix : dans les directions plates, où rien "
        "ne dépassait, un taux plus petit ne fait qu'allonger le chemin. Plus γ est grand, plus le taux doit être "
        "petit.",
    ),
    bounds=(
        Bound(
            "share",
            Words(
                "overshoot at a tenth of the learning rate / overshoot at the whole",
                "dépassement à un dixième du taux d'apprentissage / dépassement au taux entier",
            ),
            at_most=0.5,
        ),
    ),
    seeds=24,
    measure=measure,
    figure="momentum",
)
