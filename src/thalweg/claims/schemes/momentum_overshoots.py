"""Momentum passes the minimum and turns back, where descent at the same rate does not."""

from typing import TYPE_CHECKING

from thalweg.claims.claim import Bound, Claim, Curve, Measurement, Panel, Seeds
from thalweg.claims.drawing import STEP, filled
from thalweg.languages import Words

if TYPE_CHECKING:
    from torch import Tensor

MOMENTA = {"plain": 0.0, "momentum": 0.9}
# The learning rate times the curvature: at 1 plain descent arrives in one step, beyond it would pass the minimum too.
SLOW, FAST, LR = 0.01, 1.0, 0.1
DIRECTIONS, STEPS = 40, 400
# Of the distance from the start to the minimum: less is no overshoot that one could see.
SEEN = 0.01
SHOWN, SHOWN_STEPS = (0.02, 0.1, 1.0), 59
NAMES = {
    "plain": Words("descent, lr × curvature {}", "descente, lr × courbure {}"),
    "momentum": Words("momentum, lr × curvature {}", "momentum, lr × courbure {}"),
}


def measure(seeds: Seeds) -> Measurement:
    """In many directions at once: a quadratic's are apart."""
    import torch

    from thalweg.claims.experiments.paths import generators, log_uniform

    drawn = [log_uniform(SLOW, FAST, (DIRECTIONS,), chance) for chance in generators(seeds.judged)]
    curvature = torch.stack(drawn) / LR
    left = {name: _left(curvature, momentum, STEPS) for name, momentum in MOMENTA.items()}
    passed = {name: (each < -SEEN).any(0) for name, each in left.items()}
    # After the farthest point beyond the minimum, nearer to it again.
    beyond = -left["momentum"].amin(0)
    back = passed["momentum"] & (left["momentum"][-1].abs() < beyond / 2)
    shown = torch.tensor(SHOWN, dtype=torch.float64) / LR
    walks = [
        Curve(
            filled(NAMES[name], at),
            [*range(SHOWN_STEPS + 1)],
            _left(shown, momentum, SHOWN_STEPS)[:, k].tolist(),
            dashed=name == "plain",
        )
        for k, at in enumerate(SHOWN)
        for name, momentum in MOMENTA.items()
    ]
    return Measurement(
        {
            "momentum": passed["momentum"].double().mean(1).tolist(),
            "plain": passed["plain"].double().mean(1).tolist(),
            "beyond": beyond.mean(1).tolist(),
            "back": (back.sum(1) / passed["momentum"].sum(1).clamp(min=1)).tolist(),
        },
        (Panel(_PATHS, STEP, Words("x / start", "x / départ"), tuple(walks)),),
    )


def _left(curvature: "Tensor", momentum: float, steps: int) -> "Tensor":
    """Where x is after 0, 1, ... steps, from 1, on curvature x^2 / 2: (steps + 1, *curvature's shape)."""
    import torch

    from thalweg.claims.experiments.paths import path

    start = torch.ones_like(curvature)
    return path("momentum", start, lambda x: curvature * x, steps=steps, lr=LR, momentum=momentum)


_PATHS = Words("x on curvature x² / 2, minimum at 0", "x sur courbure x² / 2, minimum en 0")

CLAIM = Claim(
    name="momentum-overshoots",
    slide="Avec momentum",
    statement=Words(
        "Momentum can miss the minimum and turn back, where plain descent at the same learning rate does not.",
        "Le momentum peut rater le minimum et faire machine arrière, là où la descente simple, au même taux "
        "d'apprentissage, ne le rate pas.",
    ),
    measured=Words(
        "On quadratics with 40 directions, whose learning rate × curvature is drawn log-uniformly from 0.01 to 1 by "
        "each of 24 seeds: in how many directions momentum 0.9 passes the minimum by more than 1% of the start's "
        "distance, how far, on average over all, and whether it comes back by half at least within 400 steps.",
        "Sur des quadratiques à 40 directions, dont le produit taux d'apprentissage × courbure est tiré "
        "log-uniformément de 0,01 à 1 par chacune des 24 graines : dans combien de directions le momentum 0,9 dépasse "
        "le minimum de plus de 1 % de la distance du départ, de combien, en moyenne sur toutes, et s'il en revient "
        "d'au moins la moitié en 400 pas.",
    ),
    why=Words(
        "The velocity remembers gradients from before the minimum: with curvature h the slide's form is a damped "
        "oscillator, which passes the minimum where lr × h > (1 - sqrt(γ)) / (1 + sqrt(γ)), 0.026 at γ = 0.9 (Qian "
        "1999). Below that it does not pass. Descent without momentum passes from lr × h > 1 on.",
        "La vélocité se souvient des gradients d'avant le minimum : avec une courbure h, la forme de la diapositive "
        "est un oscillateur amorti, qui dépasse le minimum si lr × h > (1 - sqrt(γ)) / (1 + sqrt(γ)), soit 0,026 pour "
        "γ = 0,9 (Qian 1999). En deçà il ne le dépasse pas. La descente sans momentum le dépasse dès que lr × h > 1.",
    ),
    bounds=(
        Bound(
            "momentum",
            Words("directions in which momentum passes the minimum", "directions où le momentum dépasse le minimum"),
            at_least=0.1,
            share=True,
        ),
        Bound(
            "plain",
            Words(
                "directions in which plain descent passes the minimum",
                "directions où la descente simple dépasse le minimum",
            ),
            at_most=0.0,
            share=True,
        ),
        Bound(
            "beyond",
            Words(
                "farthest point beyond the minimum / distance of the start, with momentum",
                "point le plus loin au-delà du minimum / distance du départ, avec momentum",
            ),
            at_least=0.1,
            share=True,
        ),
        Bound(
            "back",
            Words(
                "directions in which momentum turns back, of those in which it passes",
                "directions où le momentum fait machine arrière, parmi celles où il dépasse",
            ),
            at_least=0.9,
            share=True,
        ),
    ),
    seeds=24,
    measure=measure,
    figure="momentum",
)
