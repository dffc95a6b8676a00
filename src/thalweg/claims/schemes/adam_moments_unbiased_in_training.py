"""In a training Adam's corrected second average is that of gradients long gone."""

from typing import TYPE_CHECKING

import numpy as np

from thalweg.claims.claim import Bound, Claim, Curve, Measurement, Panel, Seeds
from thalweg.claims.drawing import STEP, over_seeds
from thalweg.languages import Words

if TYPE_CHECKING:
    from thalweg.stacks import Lockstep

BATCH = 64
LOOKS = (1, 3, 10, 30, 100, 200, 300, 500, 700, 1000)


def measure(seeds: Seeds) -> Measurement:
    """The average against the mean square itself, computed from all examples at the weights of the moment."""
    from thalweg.claims.experiments.gradients import corrections, moments_of, states
    from thalweg.claims.experiments.training import mlp, train

    ratios = []

    def look(stack: "Lockstep", step: int) -> None:
        if (t := step + 1) not in LOOKS:
            return
        kept = states(stack, "exp_avg_sq").sum(1) / corrections(t)[1]
        now = [float(moments_of(model, BATCH)[1].sum()) for model in stack.members]
        ratios.append(kept.numpy() / now)

    train(mlp, "adam", [{}], seeds.judged, steps=LOOKS[-1], batch=BATCH, each_step=look)
    each = np.array(ratios, dtype=np.float64).T
    x = [float(t) for t in LOOKS]
    unbiased = Curve(Words("unbiased", "sans biais"), x, [1.0] * len(x), dashed=True)
    return Measurement(
        {"ratio": each[:, -1].tolist()},
        (
            Panel(
                Words("Adam's v in a training", "La moyenne v d'Adam pendant un entraînement"),
                STEP,
                Words("v, corrected, / E[g²] now", "v corrigée / E[g²] actuel"),
                (over_seeds(Words("Adam", "Adam"), x, each, kind="both"), unbiased),
                log_x=True,
                log_y=True,
            ),
        ),
    )


CLAIM = Claim(
    name="adam-moments-unbiased-in-training",
    slide="Adam : correction du biais de l'initialisation",
    statement=Words(
        "In a training too, Adam's corrected v is an unbiased estimate of the gradient's mean square.",
        "Pendant un entraînement aussi, la moyenne v corrigée d'Adam est un estimateur sans biais du carré moyen du "
        "gradient.",
    ),
    measured=Words(
        "Adam with its usual settings (learning rate 0.001, betas 0.9 and 0.999) on the digits, a network 64-64-10, "
        "1,000 steps with batches of 64, 12 trainings. In the end v, corrected and summed over all weights, is divided "
        "by the mean square of a batch's gradient at the weights of that moment: the exact one, over all batches.",
        "Adam avec ses réglages usuels (taux d'apprentissage 0,001, bêtas 0,9 et 0,999) sur les chiffres manuscrits, "
        "un réseau 64-64-10, 1 000 pas avec des batchs de 64, 12 entraînements. À la fin, v, corrigée et sommée sur "
        "tous les poids, est divisée par le carré moyen du gradient d'un batch pour les poids de ce moment : le carré "
        "moyen exact, sur tous les batchs.",
    ),
    why=Words(
        "The correction supposes gradients of one distribution, as the slide says. In a training the distribution "
        "changes with the weights: gradients shrink, and with beta2 = 0.999 v remembers the last thousand of them "
        "(Kingma & Ba 2015, section 3, call what is left an error to be kept small by a suitable beta). Where "
        "gradients have stopped shrinking, as under much noise, v catches up.",
        "La correction suppose des gradients d'une même loi, comme le dit la diapositive. Pendant un entraînement, la "
        "loi change avec les poids : les gradients diminuent, et avec beta2 = 0,999 v se souvient des mille derniers "
        "(Kingma et Ba 2015, section 3, y voient une erreur à garder petite par un bêta convenable). Là où les "
        "gradients ne diminuent plus, par exemple sous un bruit fort, v les rattrape.",
    ),
    bounds=(
        Bound(
            "ratio",
            Words("v, corrected, / E[g²] at the weights of the moment", "v corrigée / E[g²] pour les poids du moment"),
            at_least=0.8,
            at_most=1.25,
            ratio=True,
        ),
    ),
    seeds=12,
    measure=measure,
    figure="bias",
)
