"""With BatchNorm larger learning rates are borne."""

from functools import partial

import numpy as np

from thalweg.claims.claim import Bound, Claim, Measurement, Panel, Seeds
from thalweg.claims.drawing import LOSS, RATE, over_seeds
from thalweg.claims.experiments.with_and_without import WITH, WITHOUT, norms
from thalweg.languages import Words

RATES = 2 ** np.arange(-1, 4, 0.5)
STEPS = 100


def measure(seeds: Seeds) -> Measurement:
    """Of each seed the largest rate at which training gets anywhere."""
    from thalweg.claims.experiments.training import CHANCE, mlp, train

    curves, largest = [], {}
    for name, norm in norms().items():
        grid = [{"lr": float(lr)} for lr in RATES]
        losses = train(partial(mlp, hidden=2, norm=norm), "sgd", grid, seeds.judged, steps=STEPS).train_loss
        # The smallest of them is borne by all.
        largest[name] = np.where(losses <= CHANCE / 2, RATES[:, None], RATES[0]).max(0)
        curves.append(over_seeds(name, RATES.tolist(), losses.T, kind="both"))
    title = Words("Loss after training", "Perte après l'entraînement")
    return Measurement(
        {"rates": largest[WITH] / largest[WITHOUT]},
        (Panel(title, RATE, LOSS, tuple(curves), log_x=True, log_y=True),),
    )


CLAIM = Claim(
    name="batchnorm-larger-rates",
    slide="Couche Batch Normalization : en pratique",
    statement=Words(
        "With BatchNorm a network bears learning rates at least three times as large.",
        "Avec BatchNorm, un réseau supporte des taux d'apprentissage au moins trois fois plus grands.",
    ),
    measured=Words(
        "The largest of ten learning rates from 1/2 to 11.3 at which the loss on the training part, after 100 steps, "
        "is at most half of ln 10, that of a network that says nothing: on the digits, a network 64-64-64-10 of ReLU, "
        "batches of 64, plain descent; without BatchNorm and with it before each ReLU, from the same 16 seeds.",
        "Le plus grand de dix taux d'apprentissage, de 1/2 à 11,3, auquel la perte sur la partie d'entraînement est, "
        "après 100 pas, au plus la moitié de ln 10, celle d'un réseau qui ne dit rien : sur les chiffres manuscrits, "
        "un réseau 64-64-64-10 de ReLU, des batchs de 64, descente simple ; sans BatchNorm et avec, avant chaque ReLU, "
        "depuis les mêmes 16 graines.",
    ),
    why=Words(
        "BatchNorm undoes the scale of the weights before it: where they grow by too long a step, their gradient "
        "shrinks by as much, and the next steps turn them less (Ioffe & Szegedy 2015, section 3). The last layer, "
        "which no norm follows, is not protected so, and there is a limit with BatchNorm too. That a rate is borne "
        "does not make it the best one.",
        "BatchNorm annule l'échelle des poids qui la précèdent : là où un pas trop long les fait croître, leur "
        "gradient diminue d'autant, et les pas suivants les tournent moins (Ioffe & Szegedy 2015, section 3). La "
        "dernière couche, que rien ne normalise ensuite, n'est pas protégée ainsi, et il y a une limite avec "
        "BatchNorm aussi. Qu'un taux soit supporté n'en fait pas le meilleur.",
    ),
    bounds=(
        Bound(
            "rates",
            Words("largest rate with BatchNorm / without", "plus grand taux avec BatchNorm / sans"),
            at_least=3,
            ratio=True,
        ),
    ),
    seeds=16,
    measure=measure,
)
