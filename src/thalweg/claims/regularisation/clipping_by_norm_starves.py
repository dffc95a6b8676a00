"""Where one coordinate dominates the gradient, clipping by norm leaves the others next to nothing."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from thalweg.claims.claim import Bound, Claim, Measurement, Panel, Seeds
from thalweg.claims.drawing import STEP, over_seeds
from thalweg.languages import Words

if TYPE_CHECKING:
    import torch

    from thalweg.claims.experiments.training import Array

STEEP, OTHERS = 100.0, 10
LR, LIMIT, STEPS = 0.015, 1.0, 60
WAYS = {
    "free": (Words("not clipped", "sans clipping"), {}),
    "value": (Words("by value", "par valeur"), {"clip_value": LIMIT}),
    "norm": (Words("by norm", "par norme"), {"clip_norm": LIMIT, "clip_eps": 0.0}),
}


def measure(seeds: Seeds) -> Measurement:
    """Three descents from the same start for each seed."""
    import torch

    from thalweg.claims.experiments.paths import generators, path

    curvature = torch.ones(1 + OTHERS, dtype=torch.float64)
    curvature[0] = STEEP
    others, steep = {}, {}
    for way, (_, clipping) in WAYS.items():
        walks = [
            path("sgd", _start(chance), lambda x: curvature * x, steps=STEPS, lr=LR, **clipping)
            for chance in generators(seeds.judged)
        ]
        every = torch.stack(walks)
        others[way] = every[..., 1:].norm(dim=-1).numpy()
        steep[way] = every[..., 0].abs().numpy()
    covered = {way: 1 - each[:, -1] / each[:, 0] for way, each in others.items()}

    return Measurement(
        {"starved": covered["norm"] / covered["value"], "unhindered": covered["value"] / covered["free"]},
        (
            _panel(Words("The other coordinates", "Les autres coordonnées"), others),
            _panel(Words("The dominating coordinate", "La coordonnée dominante"), steep),
        ),
    )


def _panel(title: Words, distances: "Mapping[str, Array]") -> Panel:
    """A curve for each way, over its start."""
    steps = range(STEPS + 1)
    curves = [
        over_seeds(WAYS[way][0], steps, each / each[:, :1], dashed=way == "value") for way, each in distances.items()
    ]
    return Panel(title, STEP, Words("distance / at the start", "distance / au départ"), tuple(curves))


def _start(chance: "torch.Generator") -> "torch.Tensor":
    """The steep coordinate from 1 to 2, the others from -1 to 1: (1 + OTHERS,)."""
    import torch

    start = torch.rand(1 + OTHERS, generator=chance, dtype=torch.float64) * 2 - 1
    start[0] = 1.5 + start[0] / 2
    return start


CLAIM = Claim(
    name="clipping-by-norm-starves",
    slide="Gradient clipping",
    statement=Words(
        "Clipped by norm, a gradient that one coordinate dominates hardly trains the others.",
        "Avec le clipping par norme, un gradient dominé par une coordonnée n'entraîne guère les autres.",
    ),
    measured=Words(
        "On a quadratic with curvature 100 in one coordinate and 1 in ten others, from 24 starts: how much of their "
        "way the ten cover in 60 steps at a learning rate of 0.015 and α = 1. The others begin within [-1, 1], where "
        "their own gradients are not cut.",
        "Sur une quadratique de courbure 100 dans une coordonnée et 1 dans dix autres, depuis 24 départs : quelle "
        "part de leur chemin les dix parcourent en 60 pas, avec un taux d'apprentissage de 0,015 et α = 1. Les autres "
        "partent dans [-1, 1], où leurs propres gradients ne sont pas coupés.",
    ),
    why=Words(
        "By norm all coordinates are multiplied by α / ||g||: where one of them makes up the norm, that is the share "
        "the others keep, here 1/200 to 1/10. By value it alone is cut, and without clipping none is. It lasts as "
        "long as the coordinate dominates: once it is down, the others go on as usual.",
        "Par norme, toutes les coordonnées sont multipliées par α / ||g|| : là où une seule fait la norme, c'est la "
        "part que gardent les autres, ici de 1/200 à 1/10. Par valeur, elle seule est coupée, et sans clipping aucune "
        "ne l'est. Cela dure tant que la coordonnée domine : une fois qu'elle est descendue, les autres avancent "
        "comme d'habitude.",
    ),
    bounds=(
        Bound(
            "starved",
            Words("way of the others, by norm / by value", "chemin des autres, par norme / par valeur"),
            at_most=0.5,
            ratio=True,
        ),
        Bound(
            "unhindered",
            Words("way of the others, by value / not clipped", "chemin des autres, par valeur / sans clipping"),
            at_least=0.9,
            ratio=True,
        ),
    ),
    seeds=24,
    measure=measure,
    figure="clipping",
)
