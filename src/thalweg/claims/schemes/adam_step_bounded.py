"""Nearly every step of Adam is at most the learning rate."""

from typing import TYPE_CHECKING

import numpy as np

from thalweg.claims.claim import Bound, Claim, Measurement, Panel, Seeds
from thalweg.claims.drawing import STEP, over_seeds
from thalweg.languages import Words

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.stacks import Lockstep

LR, STEPS = 1e-3, 300
# Weights are float32: a step of the learning rate may seem a little longer.
ROUNDING = 1e-3


def measure(seeds: Seeds) -> Measurement:
    """Of all weights, and all steps from the second on: of the first all are of one length."""
    from thalweg.claims.experiments.gradients import weights_of
    from thalweg.claims.experiments.training import mlp, train

    longer, longest = [], []
    last: list[Tensor] = []

    def look(stack: "Lockstep", _: int) -> None:
        now = weights_of(stack)
        if last:
            length = (now - last.pop()).abs() / LR
            longer.append((length > 1 + ROUNDING).double().mean(1).tolist())
            longest.append(length.max(1).values.tolist())
        last.append(now)

    train(mlp, "adam", [{"lr": LR}], seeds.judged, steps=STEPS, each_step=look)
    each = np.array(longer).T
    x = [float(t) for t in range(2, STEPS + 1)]
    return Measurement(
        {"longer": each.mean(1).tolist()},
        (
            Panel(
                Words("Steps longer than lr", "Pas plus longs que lr"),
                STEP,
                Words("share of the weights", "part des poids"),
                (over_seeds(Words("Adam", "Adam"), x, each),),
            ),
            Panel(
                Words("The longest step of all weights", "Le plus long pas de tous les poids"),
                STEP,
                Words("|step| / lr", "|pas| / lr"),
                (over_seeds(Words("Adam", "Adam"), x, np.array(longest).T),),
            ),
        ),
    )


CLAIM = Claim(
    name="adam-step-bounded",
    slide="Adam : interprétation du learning rate",
    statement=Words(
        "In a training nearly every step of Adam, of every weight, is at most lr.",
        "Pendant un entraînement, presque tous les pas d'Adam, de chaque poids, sont d'au plus lr.",
    ),
    measured=Words(
        "Adam with its usual settings (learning rate 0.001, betas 0.9 and 0.999) on the digits, a network 64-64-10 "
        "with 4,810 weights, batches of 64, 300 steps, 12 trainings: of all weights and steps, the share in which a "
        "weight moves by more than lr (and a thousandth of it, for rounding). The first step is left out: it is lr "
        "long for all that have a gradient.",
        "Adam avec ses réglages usuels (taux d'apprentissage 0,001, bêtas 0,9 et 0,999) sur les chiffres manuscrits, "
        "un réseau 64-64-10 de 4 810 poids, des batchs de 64, 300 pas, 12 entraînements : parmi tous les poids et "
        "tous les pas, la part où un poids se déplace de plus de lr (et d'un millième en plus, pour les arrondis). Le "
        "premier pas est laissé de côté : il vaut lr pour tous ceux qui ont un gradient.",
    ),
    why=Words(
        "Where gradients are of one size, |m| is about sqrt(v) at most, as Jensen's inequality says of what they "
        "estimate; where gradients shrink, v remembers the larger ones, and steps are shorter still (Kingma & Ba 2015, "
        "section 2.1). Longer ones come where gradients grow, and with sparse gradients: that no step is ever longer "
        "is another claim.",
        "Là où les gradients gardent la même taille, |m| vaut au plus environ sqrt(v), comme l'inégalité de Jensen le "
        "dit de ce qu'ils estiment ; là où les gradients diminuent, v se souvient des plus grands, et les pas sont "
        "encore plus courts (Kingma et Ba 2015, section 2). De plus longs viennent là où les gradients augmentent, et "
        "avec des gradients rares : qu'aucun pas ne soit jamais plus long est une autre affirmation.",
    ),
    bounds=(
        Bound(
            "longer",
            Words("share of weights and steps that are longer than lr", "part des poids et des pas plus longs que lr"),
            at_most=0.05,
            share=True,
        ),
    ),
    seeds=12,
    measure=measure,
    figure="bias",
)
