"""Without γ and β a network of sigmoids loses power of representation: it fits less well."""

from functools import partial

from thalweg.claims.claim import Bound, Claim, Measurement, Panel, Seeds
from thalweg.claims.drawing import BATCH_LOSS, LOSS, STEP, at_rate, over_seeds, steps_of
from thalweg.languages import Words

RATES = (1.0, 3.0, 10.0, 30.0)
STEPS = 300
NAMES = {True: Words("with γ and β", "avec γ et β"), False: Words("without", "sans")}


def measure(seeds: Seeds) -> Measurement:
    """Each with its own best learning rate, chosen on other seeds."""
    from torch.nn import BatchNorm1d

    from thalweg.claims.experiments.training import best, to_zero, train

    from .batchnorm_saturating import sigmoids

    curves, losses = [], {}
    grid = [{"lr": lr} for lr in RATES]
    for affine, name in NAMES.items():
        model = partial(sigmoids, partial(BatchNorm1d, affine=affine), hidden=2)
        trained = partial(train, model, "sgd", steps=STEPS, each_step=to_zero(STEPS))
        chosen = grid[best(trained(grid, seeds.tuning).train_loss)]
        judged = trained([chosen], seeds.judged)
        losses[affine] = judged.train_loss[0]
        curves.append(over_seeds(at_rate(name, chosen["lr"]), steps_of(judged.batch_loss), judged.batch_loss[0]))
    return Measurement(
        {"loss": losses[False] / losses[True]},
        (Panel(BATCH_LOSS, STEP, LOSS, tuple(curves), log_y=True),),
    )


CLAIM = Claim(
    name="gamma-beta-needed",
    slide="Couche Batch Normalization : seconde approximation",
    statement=Words(
        "Without γ and β a network of sigmoids loses power of representation: it fits its examples less well.",
        "Sans γ et β, un réseau de sigmoïdes perd du pouvoir de représentation : il s'ajuste moins bien à ses "
        "exemples.",
    ),
    measured=Words(
        "Loss on the training part of the digits after 300 steps on batches of 64, plain descent with a rate that "
        "falls to 0: a network 64-32-32-10 of sigmoids with Glorot's weights and BatchNorm before each sigmoid, "
        "without γ and β divided by with them; each at the best of four learning rates from 1 to 30, chosen on 6 "
        "others.",
        "Perte sur la partie d'entraînement des chiffres manuscrits après 300 pas sur des batchs de 64, descente "
        "simple avec un taux qui descend jusqu'à 0 : un réseau 64-32-32-10 de sigmoïdes avec les poids de Glorot et "
        "BatchNorm avant chaque sigmoïde, sans γ et β, divisée par celle avec eux ; chacun au meilleur de quatre taux "
        "d'apprentissage de 1 à 30, choisi sur 6 autres graines.",
    ),
    why=Words(
        "Without them every unit takes numbers with mean 0 and deviation 1, where a sigmoid is almost a line; γ lets "
        "it use the bends, β chooses which (Ioffe & Szegedy 2015, section 3). With ReLU a scale of a unit is made "
        "good by the weights behind it, and of the two it is β that can matter.",
        "Sans eux, chaque unité prend des nombres de moyenne 0 et d'écart-type 1, où une sigmoïde est presque une "
        "droite ; γ lui permet d'utiliser les courbures, β choisit lesquelles (Ioffe & Szegedy 2015, section 3). Avec "
        "ReLU, l'échelle d'une unité est compensée par les poids qui la suivent, et des deux c'est β qui peut compter.",
    ),
    bounds=(
        Bound(
            "loss",
            Words("loss without γ and β / with them", "perte sans γ et β / avec eux"),
            at_least=1.2,
            ratio=True,
        ),
    ),
    seeds=16,
    tuning=6,
    measure=measure,
    figure="sigmoid",
)
