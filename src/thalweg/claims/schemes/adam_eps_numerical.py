"""Whether Adam's epsilon does more than keep from dividing by zero."""

import numpy as np

from thalweg.claims.claim import Bound, Claim, Measurement, Panel, Seeds
from thalweg.claims.drawing import BATCH_LOSS, LOSS, STEP, over_seeds, steps_of
from thalweg.languages import Words

# 1e-8 is the usual one; below, what libraries have; above, what recipes have had.
USUAL, SMALL, TINY, RECIPE = 1e-8, 1e-6, 1e-12, 1e-2
DRAWN = (1e-12, 1e-8, 1e-6, 1e-4, 1e-2, 1e-1)
LR, STEPS = 1e-3, 300


def measure(seeds: Seeds) -> Measurement:
    """The same learning rate, starts and batches for each epsilon."""
    from thalweg.claims.experiments.training import mlp, train

    trained = train(mlp, "adam", [{"lr": LR, "eps": eps} for eps in DRAWN], seeds.judged, steps=STEPS)
    loss = dict(zip(DRAWN, trained.train_loss, strict=True))
    curves = [
        over_seeds(Words(f"eps {eps:.0e}", f"eps {eps:.0e}"), steps_of(each), each, dashed=eps == TINY)
        for eps, each in zip(DRAWN, trained.batch_loss, strict=True)
    ]
    ends = np.array([loss[eps] / loss[USUAL] for eps in DRAWN]).T
    return Measurement(
        {"small": loss[SMALL] / loss[TINY], "recipe": loss[RECIPE] / loss[USUAL]},
        (
            Panel(BATCH_LOSS, STEP, LOSS, tuple(curves), log_y=True),
            Panel(
                Words("Loss in the end, against that of 1e-8", "Perte à la fin, face à celle de 1e-8"),
                Words("eps", "eps"),
                Words("ratio of the losses", "rapport des pertes"),
                (over_seeds(Words("Adam", "Adam"), DRAWN, ends, kind="both"),),
                log_x=True,
                log_y=True,
            ),
        ),
    )


CLAIM = Claim(
    name="adam-eps-numerical",
    slide="AdaGrad : une première réponse",
    statement=Words(
        "Adam's epsilon is there for numerical reasons alone: its value changes nothing else.",
        "L'epsilon d'Adam n'est là que pour des raisons numériques : sa valeur ne change rien d'autre.",
    ),
    measured=Words(
        "The training loss after 300 steps at the usual learning rate, 0.001, on the digits, a network 64-64-10, "
        "batches of 64, 16 trainings for each epsilon: 1e-6 against 1e-12, between which those of libraries lie, and "
        "0.01, less than some recipes have had, against the usual 1e-8.",
        "La perte d'entraînement après 300 pas au taux d'apprentissage usuel, 0,001, sur les chiffres manuscrits, un "
        "réseau 64-64-10, des batchs de 64, 16 entraînements pour chaque epsilon : 1e-6 face à 1e-12, entre lesquels "
        "se trouvent ceux des bibliothèques, et 0,01, moins que dans certaines recettes, face au 1e-8 usuel.",
    ),
    why=Words(
        "What counts is epsilon against sqrt(v), the size of a weight's gradients. Far below it changes nothing; "
        "where it is of their size, it shortens the steps of weights with small gradients, and where it is far "
        "larger, Adam becomes momentum with a rate of lr / eps. So epsilon is to be tuned as others are, lr with it "
        "(Choi et al. 2019); recipes had it at 0.1 and at 1. With gradients that shrink far enough any epsilon counts "
        "in the end.",
        "Ce qui compte est epsilon face à sqrt(v), la taille des gradients d'un poids. Bien en dessous, il ne change "
        "rien ; là où il est de leur taille, il raccourcit les pas des poids à petits gradients, et là où il est bien "
        "plus grand, Adam devient un momentum de taux lr / eps. Il se règle donc comme les autres, et lr avec lui "
        "(Choi et al. 2019) ; des recettes l'ont eu à 0,1 et à 1. Si les gradients diminuent assez, tout epsilon "
        "finit par compter.",
    ),
    bounds=(
        Bound(
            "small",
            Words("loss with 1e-6 / loss with 1e-12", "perte avec 1e-6 / perte avec 1e-12"),
            at_least=1 / 1.1,
            at_most=1.1,
            ratio=True,
        ),
        Bound(
            "recipe",
            Words("loss with 0.01 / loss with 1e-8", "perte avec 0,01 / perte avec 1e-8"),
            at_least=1 / 1.1,
            at_most=1.1,
            ratio=True,
        ),
    ),
    seeds=16,
    measure=measure,
)
