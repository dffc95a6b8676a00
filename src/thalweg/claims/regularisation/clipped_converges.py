"""Clipped by norm, descent at a rate beyond the stable ones does not converge: it circles the minimum."""

from thalweg.claims.claim import Bound, Claim, Measurement, Panel, Seeds
from thalweg.claims.drawing import STEP, filled, over_seeds
from thalweg.languages import Words

from .clipped_stays_bounded import DISTANCE, LIMIT, LR, SHOWN, STEPS, distances

STABLE = 0.9


def measure(seeds: Seeds) -> Measurement:
    """The slide's rate; and for the picture one at which it would converge without clipping too."""
    shown, steps = [], range(SHOWN)
    ends = {}
    for lr in (LR, STABLE):
        each = distances(seeds.judged, STEPS, lr, clip_norm=LIMIT, clip_eps=0.0)
        ends[lr] = each[:, -2:].mean(1)
        name = filled(Words("lr {}", "lr {}"), lr)
        shown.append(over_seeds(name, steps, each[:, :SHOWN], dashed=lr == STABLE))
    title = Words("Distance to the minimum, clipped by norm", "Distance au minimum, avec clipping par norme")
    return Measurement({"distance": ends[LR]}, (Panel(title, STEP, DISTANCE, tuple(shown), log_y=True),))


CLAIM = Claim(
    name="clipped-converges",
    slide="Gradient clipping - exemple",
    statement=Words(
        "Clipped by norm, gradient descent on (x - 1)² converges at a learning rate of 1.05.",
        "Avec le clipping par norme, la descente de gradient sur (x - 1)² converge avec un taux d'apprentissage de "
        "1,05.",
    ),
    measured=Words(
        "The mean distance to the minimum at the last two of 300 steps, clipped at α = 1, from 24 starts in [-4, 6].",
        "Distance moyenne au minimum aux deux derniers des 300 pas, avec un clipping à α = 1, depuis 24 départs dans "
        "[-4, 6].",
    ),
    why=Words(
        "Nearer than α/2 nothing is clipped, and each step multiplies the distance by 1.1; from there on each step is "
        "lr α long. In the end two such steps lead to and fro, between m on one side of the minimum and lr α - m on "
        "the other, both from α/2 to (lr - 1/2) α: the mean is lr α / 2 = 0.525. A rate below 1 converges, with "
        "clipping as without; a smaller α makes the cycle smaller, and does not end it.",
        "À moins de α/2 du minimum rien n'est clippé, et chaque pas multiplie la distance par 1,1 ; au-delà, chaque "
        "pas a la longueur lr α. À la fin, deux tels pas vont et viennent, entre m d'un côté du minimum et lr α - m "
        "de l'autre, tous deux entre α/2 et (lr - 1/2) α : la moyenne est lr α / 2 = 0,525. Un taux inférieur à 1 "
        "converge, avec clipping comme sans ; un α plus petit réduit le cycle, sans y mettre fin.",
    ),
    bounds=(
        Bound(
            "distance",
            Words("mean distance to the minimum in the end", "distance moyenne au minimum à la fin"),
            at_most=0.01,
        ),
    ),
    seeds=24,
    measure=measure,
    figure="explosion",
)
