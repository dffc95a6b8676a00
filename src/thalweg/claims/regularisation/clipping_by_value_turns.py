"""Clipping by value turns a gradient, clipping by norm does not."""

from typing import TYPE_CHECKING

import numpy as np

from thalweg.claims.claim import Bound, Claim, Measurement, Panel, Seeds
from thalweg.claims.drawing import over_seeds
from thalweg.formula import chain
from thalweg.languages import Words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

COORDINATES, BATCH = 1000, 64
# What clipping leaves of the norm. Both are compared where they leave as much.
KEPT, SHOWN = 0.5, tuple(float(kept) for kept in np.linspace(0.05, 1.0, 20))
NAMES = {
    "random": Words("by value, random gradients", "par valeur, gradients aléatoires"),
    "network": Words("by value, a network's gradients", "par valeur, gradients d'un réseau"),
    "norm": Words("by norm, both", "par norme, les deux"),
}


def measure(seeds: Seeds) -> Measurement:
    """For each seed a random gradient and one of a network."""
    drawn = [(np.random.default_rng(seed).standard_normal(COORDINATES), of_network(seed)) for seed in seeds.judged]

    def turned(kept: float) -> dict[str, list[float]]:
        return {
            "random": [angle(g, by_value(g, kept)) for g, _ in drawn],
            "network": [angle(g, by_value(g, kept)) for _, g in drawn],
            "norm": [max(angle(g, by_norm(g, kept)) for g in each) for each in drawn],
        }

    shown = [turned(kept) for kept in SHOWN]
    curves = tuple(
        over_seeds(title, SHOWN, np.array([each[name] for each in shown]).T, dashed=name == "norm")
        for name, title in NAMES.items()
    )
    x = Words("norm after clipping / before", "norme après clipping / avant")
    y = Words("angle, in degrees", "angle, en degrés")
    return Measurement(
        turned(KEPT), (Panel(Words("How far clipping turns", "De combien le clipping tourne"), x, y, curves),)
    )


def by_value(g: "Vector", kept: float) -> "Vector":
    """A gradient, (n,), whose coordinates are limited so that ``kept`` of its norm is left, above 0 and at most 1."""
    from scipy.optimize import brentq

    def too_long(limit: float) -> float:
        return float(np.linalg.norm(chain.limited(g, 1.0, limit)) - kept * np.linalg.norm(g))

    largest = float(np.abs(g).max())
    limit = largest if kept == 1 else brentq(too_long, 0.0, largest, xtol=1e-15, rtol=1e-12)
    return np.asarray(chain.limited(g, 1.0, limit))


def by_norm(g: "Vector", kept: float) -> "Vector":
    """A gradient, (n,), clipped to ``kept`` of its norm."""
    return np.asarray(chain.norm_scale(np.sum(g * g), kept * np.linalg.norm(g), 0.0) * g)


def angle(a: "Vector", b: "Vector") -> float:
    """Between two vectors, in degrees; exact near 0, where the arc cosine is not (Kahan 2006)."""
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    return float(np.degrees(2 * np.arctan2(np.linalg.norm(a - b), np.linalg.norm(a + b))))


def of_network(seed: int) -> "Vector":
    """The gradient of a network at its start, on a batch of the digits."""
    import torch
    from torch.nn.functional import cross_entropy

    from thalweg.claims.experiments.training import digits, mlp

    data = digits().train
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model, chosen = mlp(), torch.randperm(len(data.classes))[:BATCH]
    loss = cross_entropy(model(data.images[chosen]), data.classes[chosen])
    gradients = torch.autograd.grad(loss, [*model.parameters()])
    return torch.cat([each.flatten() for each in gradients]).double().numpy()


CLAIM = Claim(
    name="clipping-by-value-turns",
    slide="Gradient clipping",
    statement=Words(
        "Clipping by value changes the direction of the gradient; clipping by norm keeps it.",
        "Le clipping par valeur change la direction du gradient ; le clipping par norme la conserve.",
    ),
    measured=Words(
        "The angle between the gradient and what clipping leaves of it, where that has half of its norm: for each of "
        "24 seeds a gradient of 1,000 normal coordinates, and that of a network 64-64-10 at its start on 64 of the "
        "digits.",
        "Angle entre le gradient et ce que le clipping en laisse, là où la norme est réduite de moitié : pour chacune "
        "de 24 graines, un gradient de 1 000 coordonnées normales, et celui d'un réseau 64-64-10 à son départ sur 64 "
        "chiffres manuscrits.",
    ),
    why=Words(
        "By value only the large coordinates are cut, so that the small ones weigh more; by norm all are multiplied "
        "by one number. The heavier the tails of the coordinates, the farther the vector turns. It remains a "
        "direction of descent: no coordinate changes its sign, so the angle is below 90 degrees.",
        "Par valeur, seules les grandes coordonnées sont coupées, et les petites pèsent davantage ; par norme, toutes "
        "sont multipliées par un même nombre. Plus les coordonnées ont des queues épaisses, plus le vecteur tourne. "
        "Il reste une direction de descente : aucune coordonnée ne change de signe, l'angle est donc inférieur à 90 "
        "degrés.",
    ),
    bounds=(
        Bound(
            "random",
            Words("angle by value in degrees, random gradients", "angle par valeur en degrés, gradients aléatoires"),
            at_least=5,
        ),
        Bound(
            "network",
            Words(
                "angle by value in degrees, a network's gradients", "angle par valeur en degrés, gradients d'un réseau"
            ),
            at_least=5,
        ),
        Bound(
            "norm",
            Words("angle by norm in degrees, the larger", "angle par norme en degrés, le plus grand"),
            at_most=1e-6,
        ),
    ),
    seeds=24,
    measure=measure,
    figure="clipping",
)
