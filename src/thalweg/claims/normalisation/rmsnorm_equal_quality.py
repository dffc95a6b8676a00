"""A transformer trains as well with RMSNorm as with LayerNorm."""

from functools import partial

from thalweg.claims.claim import Bound, Claim, Measurement, Panel, Seeds
from thalweg.claims.drawing import BATCH_LOSS, LOSS, STEP, filled, over_seeds, steps_of
from thalweg.languages import Words

RATES = (2e-3, 4e-3, 8e-3, 1.6e-2)
BLOCKS, BATCH, STEPS = 2, 16, 200
MARGIN = 1.1


def measure(seeds: Seeds) -> Measurement:
    """Each with its own best learning rate, chosen on other seeds."""
    from torch import nn

    from thalweg.claims.experiments.sequences import Transformer
    from thalweg.claims.experiments.training import best, train

    norms = {
        Words("LayerNorm, lr {}", "LayerNorm, lr {}"): nn.LayerNorm,
        Words("RMSNorm, lr {}", "RMSNorm, lr {}"): nn.RMSNorm,
    }
    curves, losses = [], []
    for name, norm in norms.items():
        model = partial(Transformer, "pre", norm, layers=BLOCKS)
        grid = [{"lr": lr} for lr in RATES]
        chosen = grid[best(train(model, "adam", grid, seeds.tuning, steps=STEPS, batch=BATCH).batch_loss.mean(-1))]
        trained = train(model, "adam", [chosen], seeds.judged, steps=STEPS, batch=BATCH)
        losses.append(trained.batch_loss[0].mean(-1))
        named = filled(name, chosen["lr"])
        curves.append(over_seeds(named, steps_of(trained.batch_loss), trained.batch_loss[0]))
    layer, rms = losses
    return Measurement({"loss": rms / layer}, (Panel(BATCH_LOSS, STEP, LOSS, tuple(curves), log_y=True),))


CLAIM = Claim(
    name="rmsnorm-equal-quality",
    slide="RMSNorm",
    statement=Words(
        "A transformer trains as well with RMSNorm as with LayerNorm.",
        "Un transformer s'entraîne aussi bien avec RMSNorm qu'avec LayerNorm.",
    ),
    measured=Words(
        "Mean loss over 200 steps of Adam in batches of 16, a transformer of 2 blocks, width 16 and 2 heads, that "
        "reads a digit as four pairs of rows, with the norm before each sub-layer. Each norm at the best of four "
        "learning rates from 0.002 to 0.016, chosen on 4 other seeds. As well: a factor of at most 1.1, either way.",
        "Perte moyenne sur 200 pas d'Adam par batchs de 16, pour un transformer de 2 blocs, de largeur 16 et à 2 "
        "têtes, qui lit un chiffre comme quatre paires de lignes, la normalisation avant chaque sous-couche. Chaque "
        "normalisation au meilleur de quatre taux d'apprentissage de 0,002 à 0,016, choisi sur 4 autres graines. Aussi "
        "bien : un facteur de 1,1 au plus, dans les deux sens.",
    ),
    why=Words(
        "RMSNorm sets the scale, which Zhang and Sennrich 2019 hold to be what counts. To take off the mean is a "
        "linear map, which the weights behind the norm can learn; to divide by the size is not. This is a small "
        "network; that the same goes for large language models is seen in those that use it, not here.",
        "RMSNorm met à l'échelle, ce qui seul compte selon Zhang et Sennrich 2019. Retirer la moyenne est une "
        "application linéaire, que les poids qui suivent la normalisation peuvent apprendre ; diviser par la taille "
        "n'en est pas une. C'est un petit réseau ; qu'il en aille de même des grands modèles de langue se voit chez "
        "ceux qui l'emploient, pas ici.",
    ),
    bounds=(
        Bound(
            "loss",
            Words("mean loss with RMSNorm / with LayerNorm", "perte moyenne avec RMSNorm / avec LayerNorm"),
            at_least=1 / MARGIN,
            at_most=MARGIN,
            ratio=True,
        ),
    ),
    seeds=16,
    tuning=4,
    measure=measure,
)
