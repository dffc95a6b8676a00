"""How near Lion's steps are to Adam's, on the same gradients."""

from typing import TYPE_CHECKING

import numpy as np

from thalweg.claims.claim import Bound, Claim, Measurement, Panel, Seeds
from thalweg.claims.drawing import STEP, over_seeds, steps_of
from thalweg.languages import Words

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.stacks import Lockstep

RATES = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
STEPS = 200
OTHERS = {"lion": "Lion", "momentum": "momentum", "rmsprop": "RMSProp"}


def measure(seeds: Seeds) -> Measurement:
    """Adam trains; the others are given its gradients, and their steps are compared with its own."""
    from torch import cosine_similarity

    from thalweg.claims.experiments.gradients import Fed, gradients_of
    from thalweg.claims.experiments.training import best, mlp, train

    grid = [{"lr": lr} for lr in RATES]
    chosen = grid[best(train(mlp, "adam", grid, seeds.tuning, steps=STEPS).train_loss)]
    fed: dict[str, Fed] = {}
    cosines: dict[str, list[Tensor]] = {rule: [] for rule in OTHERS}

    def look(stack: "Lockstep", _: int) -> None:
        gradients = gradients_of(stack)
        for rule in ("adam", *OTHERS):
            fed.setdefault(rule, Fed(rule, gradients))
        own = fed["adam"].step(gradients)
        for rule in OTHERS:
            cosines[rule].append(cosine_similarity(fed[rule].step(gradients), own))

    train(mlp, "adam", [chosen], seeds.judged, steps=STEPS, each_step=look)
    each = {rule: np.array([x.tolist() for x in of]).T for rule, of in cosines.items()}
    curves = [over_seeds(Words(called, called), steps_of(each[rule]), each[rule]) for rule, called in OTHERS.items()]
    return Measurement(
        {"cosine": each["lion"].mean(1).tolist()},
        (
            Panel(
                Words("Steps on Adam's gradients, against Adam's own", "Pas sur les gradients d'Adam, face aux siens"),
                STEP,
                Words("cosine with Adam's step", "cosinus avec le pas d'Adam"),
                tuple(curves),
            ),
        ),
    )


CLAIM = Claim(
    name="lion-near-adam",
    slide="Optimizer Lion",
    statement=Words(
        "Lion's approach remains very near Adam's: on the same gradients their steps point the same way.",
        "L'approche de Lion reste très proche de celle d'Adam : sur les mêmes gradients, leurs pas vont dans la même "
        "direction.",
    ),
    measured=Words(
        "The cosine of the angle between the steps of Lion (betas 0.9 and 0.99) and of Adam (0.9 and 0.999), both "
        "given the gradients of one training by Adam: on the digits, a network 64-64-10, batches of 64, the mean of "
        "200 steps, 12 trainings, at the best of five learning rates from 0.001 to 0.1, chosen on 4 other seeds. Very "
        "near is an angle of 45 degrees at most, a cosine of 0.7.",
        "Le cosinus de l'angle entre les pas de Lion (bêtas 0,9 et 0,99) et d'Adam (0,9 et 0,999), qui reçoivent les "
        "gradients d'un même entraînement par Adam : sur les chiffres manuscrits, un réseau 64-64-10, des batchs de "
        "64, la moyenne de 200 pas, 12 entraînements, au meilleur de cinq taux d'apprentissage de 0,001 à 0,1, choisi "
        "sur 4 autres graines. Très proche veut dire un angle d'au plus 45 degrés, un cosinus de 0,7.",
    ),
    why=Words(
        "Both divide size out: Lion by the sign (Chen et al. 2023), Adam by the root of the mean square. But where "
        "gradients are noisy, Adam's steps are small and Lion's as long as all others; and Lion's average remembers a "
        "hundred gradients, where Adam's remembers ten. Kept are an average of the gradient for each weight, the "
        "signs of large steps, and the decoupled decay of AdamW. On other gradients, with less noise, the angle is "
        "smaller.",
        "Les deux effacent la taille : Lion par le signe (Chen et al. 2023), Adam par la racine du carré moyen. Mais "
        "là où les gradients sont bruités, les pas d'Adam sont petits et ceux de Lion aussi longs que tous les autres "
        "; et la moyenne de Lion se souvient de cent gradients, celle d'Adam de dix. Restent une moyenne du gradient "
        "par poids, le signe des grands pas et le weight decay découplé d'AdamW. Sur d'autres gradients, moins "
        "bruités, l'angle est plus petit.",
    ),
    bounds=(
        Bound(
            "cosine",
            Words("cosine between the steps of Lion and Adam", "cosinus entre les pas de Lion et d'Adam"),
            at_least=0.7,
        ),
    ),
    seeds=12,
    tuning=4,
    measure=measure,
    figure="sign",
)
