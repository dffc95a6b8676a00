"""With small weights a network overfits less: decay against none, on few examples."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from thalweg.claims.claim import Bound, Claim, Curve, Measurement, Panel, Seeds
from thalweg.claims.drawing import POINTS, TEST_ERROR, over_seeds
from thalweg.languages import Words

if TYPE_CHECKING:
    from thalweg.claims.experiments.training import Array
    from thalweg.stacks import Lockstep

DECAYS = (0.001, 0.003, 0.01, 0.03, 0.1)
WIDTH, EXAMPLES, BATCH, STEPS = 32, 100, 32, 400
# Shares of the training examples whose class is wrong.
WRONG = {"clean": 0.0, "noisy": 0.1}
NAMES = {
    "clean": Words("true labels", "étiquettes exactes"),
    "noisy": Words("10% of labels wrong", "10 % d'étiquettes fausses"),
}


def measure(seeds: Seeds) -> Measurement:
    """The decay for each share of wrong labels is chosen on other seeds."""
    from thalweg.claims.experiments.training import best

    values, norms, curves = {}, [], []
    for name, wrong in WRONG.items():
        tuned, _ = _trained(DECAYS, seeds.tuning, wrong)
        curves.append(over_seeds(NAMES[name], DECAYS, tuned.T, kind="both"))
        error, norm = _trained((0.0, DECAYS[best(tuned)]), seeds.judged, wrong)
        values[name] = (error[1] / error[0]).tolist()
        norms.append(norm[1] / norm[0])
    values["norm"] = np.maximum(*norms).tolist()
    names = Words("no decay", "sans decay"), Words("with decay", "avec decay")
    # Of the last, those with wrong labels.
    dots = tuple(
        Curve(each, norm[k, :POINTS].tolist(), error[k, :POINTS].tolist(), kind="dots") for k, each in enumerate(names)
    )
    decay = Words("decay λ", "decay λ")
    title = Words("Norm and errors, 10% of labels wrong", "Norme et erreurs, 10 % d'étiquettes fausses")
    return Measurement(
        values,
        (
            Panel(Words("Errors by decay", "Erreurs selon le decay"), decay, TEST_ERROR, tuple(curves), log_x=True),
            Panel(title, Words("norm of the weights", "norme des poids"), TEST_ERROR, dots),
        ),
    )


def _trained(decays: Sequence[float], seeds: Sequence[int], wrong: float) -> "tuple[Array, Array]":
    """Share of errors on test, and norm of the weights in the end: both (decays, seeds)."""
    from torch.nn.utils import parameters_to_vector

    from thalweg.claims.experiments.training import mlp, train

    norms: list[float] = []

    def keep(stack: "Lockstep", step: int) -> None:
        if step == STEPS - 1:
            norms.extend(float(parameters_to_vector(model.parameters()).detach().norm()) for model in stack.members)

    settings = [{"lr": 0.1, "momentum": 0.9, "weight_decay": decay} for decay in decays]
    model = partial(mlp, width=WIDTH)
    trained = train(
        model, "sgd", settings, seeds, steps=STEPS, batch=BATCH, examples=EXAMPLES, wrong=wrong, each_step=keep
    )
    return trained.test_error, np.array(norms).reshape(len(decays), len(seeds))


CLAIM = Claim(
    name="small-weights-generalise",
    slide="Problème de la régularisation",
    statement=Words(
        "A network with small weights overfits less.",
        "Un réseau dont les poids ont une faible magnitude fait moins de sur-apprentissage.",
    ),
    measured=Words(
        "Share of errors on test with weight decay (as L2) over that without, and the norms of the weights: a network "
        "64-32-10, trained on 100 of the digits for 400 steps with momentum 0.9, batches of 32 and a learning rate of "
        "0.1, on true labels and with 10% of them wrong. λ is the best of five from 0.001 to 0.1 on 16 other seeds; "
        "112 seeds.",
        "Part d'erreurs en test avec weight decay (sous forme de L2), rapportée à celle sans, et normes des poids : "
        "réseau 64-32-10 entraîné sur 100 chiffres manuscrits, 400 pas avec un momentum de 0,9, des batchs de 32 et "
        "un taux d'apprentissage de 0,1, avec des étiquettes exactes puis avec 10 % de fausses. λ est le meilleur de "
        "cinq, de 0,001 à 0,1, sur 16 autres graines ; 112 graines.",
    ),
    why=Words(
        "Of all weights that fit the examples, decay takes the smallest: directions that the examples say nothing "
        "about go to 0, and it costs weight to fit what is noise (Krogh and Hertz 1991). So there is most to gain "
        "where labels are wrong. With many examples there is less, and a λ too large does harm: the norm alone "
        "decides nothing.",
        "Parmi tous les poids qui ajustent les exemples, le decay prend les plus petits : les directions dont les "
        "exemples ne disent rien tendent vers 0, et ajuster du bruit coûte du poids (Krogh et Hertz 1991). C'est donc "
        "là où des étiquettes sont fausses qu'il y a le plus à gagner. Avec beaucoup d'exemples il y a moins à "
        "gagner, et un λ trop grand nuit : la norme seule ne décide de rien.",
    ),
    bounds=(
        *(
            Bound(
                name,
                Words(f"errors with decay / without, {each.en}", f"erreurs avec decay / sans, {each.fr}"),
                at_most=0.97,
                ratio=True,
            )
            for name, each in NAMES.items()
        ),
        Bound(
            "norm",
            Words(
                "norm of the weights with decay / without, the larger of the two",
                "norme des poids avec decay / sans, la plus grande des deux",
            ),
            at_most=0.9,
            ratio=True,
        ),
    ),
    seeds=112,
    tuning=16,
    measure=measure,
)
