"""With BatchNorm dropout helps less."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from thalweg.claims.claim import Bound, Claim, Measurement, Panel, Seeds
from thalweg.claims.drawing import TEST_ERROR, over_seeds
from thalweg.claims.experiments.with_and_without import WITH, WITHOUT, norms
from thalweg.languages import Words

if TYPE_CHECKING:  # claims are listed without torch
    from collections.abc import Callable, Sequence

    from torch import nn

    from thalweg.claims.experiments.training import Trained

RATES = (0.3, 0.6, 1.2)
DROPOUTS = (0.2, 0.4)
# So few examples that a network learns them by heart.
EXAMPLES, WIDTH = 200, 32
STEPS, BATCH = 200, 32


def measure(seeds: Seeds) -> Measurement:
    """With the dropout that is best without BatchNorm; each at its own best learning rate. Both from other seeds."""
    from thalweg.claims.experiments.training import best

    grid = [{"lr": lr} for lr in RATES]
    without = [_train(None, dropout, grid, seeds.tuning).test_error.mean(1).min() for dropout in DROPOUTS]
    chosen = DROPOUTS[int(np.argmin(without))]
    curves, gain = [], {}
    for name, norm in norms().items():
        errors = []
        for dropout in (0.0, chosen):
            lr = grid[best(_train(norm, dropout, grid, seeds.tuning).test_error)]
            errors.append(_train(norm, dropout, [lr], seeds.judged).test_error[0])
        gain[name] = errors[0] - errors[1]
        curves.append(over_seeds(name, range(2), np.transpose(errors), kind="both"))
    title = Words("Errors with and without dropout", "Erreurs avec et sans dropout")
    ticks = Words("none", "aucun"), Words(f"{chosen}", f"{chosen}".replace(".", ","))
    return Measurement(
        {"less": gain[WITHOUT] - gain[WITH]},
        (Panel(title, Words("dropout", "dropout"), TEST_ERROR, tuple(curves), ticks=ticks),),
    )


def _train(
    norm: "Callable[[int], nn.Module] | None",
    dropout: float,
    grid: "Sequence[dict[str, float]]",
    seeds: "Sequence[int]",
) -> "Trained":
    from thalweg.claims.experiments.training import mlp, to_zero, train

    model = partial(mlp, width=WIDTH, hidden=2, norm=norm, activation=partial(_dropped, dropout))
    return train(model, "sgd", grid, seeds, steps=STEPS, batch=BATCH, examples=EXAMPLES, each_step=to_zero(STEPS))


def _dropped(dropout: float) -> "nn.Module":
    from torch import nn

    return nn.Sequential(nn.ReLU(), nn.Dropout(dropout))


CLAIM = Claim(
    name="batchnorm-less-dropout",
    slide="Couche Batch Normalization : en pratique",
    statement=Words(
        "With BatchNorm dropout helps less.",
        "Avec BatchNorm, le dropout aide moins.",
    ),
    measured=Words(
        "By how much dropout lowers the share of errors on test without BatchNorm, less by how much with it before "
        "each ReLU: a network 64-32-32-10 trained on 200 digits, 200 steps on batches of 32, plain descent with a "
        "rate that falls to 0, from 128 seeds. Dropout behind each ReLU, of 0.2 or 0.4: the better one without "
        "BatchNorm. This, and for each of the four networks the best of three learning rates from 0.3 to 1.2, is "
        "chosen on 16 other seeds.",
        "De combien le dropout réduit la part d'erreurs en test sans BatchNorm, moins de combien avec elle avant "
        "chaque ReLU : un réseau 64-32-32-10 entraîné sur 200 chiffres manuscrits, 200 pas sur des batchs de 32, "
        "descente simple avec un taux qui descend jusqu'à 0, depuis 128 graines. Le dropout suit chaque ReLU, à 0,2 "
        "ou 0,4 : le meilleur sans BatchNorm. Cela, et pour chacun des quatre réseaux le meilleur de trois taux "
        "d'apprentissage de 0,3 à 1,2, est choisi sur 16 autres graines.",
    ),
    why=Words(
        "The advice to reduce dropout, or to leave it out, rests on this. With BatchNorm an example's output depends "
        "on which others are in its batch: that is noise, and regularises as dropout does (Ioffe & Szegedy 2015, "
        "section 3). Besides, dropout makes the variance of what a norm takes larger in training than in test, for "
        "which the norm's averages are then wrong (Li et al. 2019). What dropout is worth depends on how few examples "
        "there are, and the noise of BatchNorm on how small the batches are.",
        "Le conseil de réduire le dropout, ou de le supprimer, repose là-dessus. Avec BatchNorm, la sortie d'un "
        "exemple dépend des autres exemples de son batch : c'est un bruit, qui régularise comme le dropout (Ioffe & "
        "Szegedy 2015, section 3). De plus, le dropout rend la variance de ce que prend une normalisation plus grande "
        "à l'entraînement qu'en test, où les moyennes qu'elle a gardées sont alors fausses (Li et al. 2019). Ce que "
        "vaut le dropout dépend du nombre d'exemples, et le bruit de BatchNorm de la taille des batchs.",
    ),
    bounds=(
        Bound(
            "less",
            Words(
                "fewer errors by dropout: without BatchNorm less with it",
                "erreurs en moins par le dropout : sans BatchNorm moins avec",
            ),
            at_least=0,
            share=True,
        ),
    ),
    seeds=128,
    tuning=16,
    measure=measure,
)
