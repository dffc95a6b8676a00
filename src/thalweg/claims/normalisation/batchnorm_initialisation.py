"""With BatchNorm initialisation needs less care."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from thalweg.claims.claim import Bound, Claim, Measurement, Panel, Seeds
from thalweg.claims.drawing import LOSS, over_seeds
from thalweg.claims.experiments.with_and_without import WITH, WITHOUT, norms
from thalweg.languages import Words

if TYPE_CHECKING:  # claims are listed without torch
    from collections.abc import Callable

    from torch import nn

# Of He's weights; half decades.
FACTORS = 10 ** np.linspace(-1, 1, 5)
AS_THEY_ARE = 2
RATES = 10 ** np.linspace(-3, 0.5, 8)
STEPS = 150


def measure(seeds: Seeds) -> Measurement:
    """At each factor with its own best learning rate, chosen on other seeds."""
    from thalweg.claims.experiments.training import best, to_zero, train

    curves, worsening = [], {}
    grid = [{"lr": float(lr)} for lr in RATES]
    for name, norm in norms().items():
        losses = []
        for factor in FACTORS:
            model = partial(_started, norm, factor)
            trained = partial(train, model, "sgd", steps=STEPS, each_step=to_zero(STEPS))
            chosen = grid[best(np.log(trained(grid, seeds.tuning).test_loss))]
            losses.append(trained([chosen], seeds.judged).test_loss[0])
        ratios = np.delete(losses, AS_THEY_ARE, 0) / losses[AS_THEY_ARE]
        worsening[name] = np.exp(np.log(ratios).mean(0))
        curves.append(over_seeds(name, FACTORS.tolist(), np.transpose(losses), kind="both"))
    title = Words("Test loss after training", "Perte en test après l'entraînement")
    factor = Words("factor of the initial weights", "facteur des poids initiaux")
    return Measurement(
        {"care": worsening[WITHOUT] / worsening[WITH]},
        (Panel(title, factor, LOSS, tuple(curves), log_x=True, log_y=True),),
    )


def _started(norm: "Callable[[int], nn.Module] | None", factor: float) -> "nn.Module":
    """A network with He's weights, times a factor, and without biases at the start."""
    from torch import nn

    from thalweg.claims.experiments.training import mlp

    model = mlp(width=32, hidden=3, norm=norm)
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
            layer.weight.data.mul_(factor)
    return model


CLAIM = Claim(
    name="batchnorm-initialisation",
    slide="Couche Batch Normalization",
    statement=Words(
        "With BatchNorm the initial weights need less care.",
        "Avec BatchNorm, les poids initiaux demandent moins de soin.",
    ),
    measured=Words(
        "By which factor the test loss is larger from He's weights times 0.1, 0.32, 3.2 and 10, in all layers, than "
        "from He's weights: the geometric mean over the four, without BatchNorm divided by with it. On the digits, a "
        "network 64-32-32-32-10 of ReLU, 150 steps of plain descent on batches of 64 with a rate that falls to 0, "
        "BatchNorm before each ReLU; each, at each factor, at the best of eight learning rates from 0.001 to 3.2, "
        "chosen on 4 others. No loss counts as more than ln 10, that of a network that says nothing.",
        "De quel facteur la perte en test est plus grande depuis les poids de He fois 0,1, 0,32, 3,2 et 10, dans "
        "toutes les couches, que depuis les poids de He : moyenne géométrique sur les quatre, celle sans BatchNorm "
        "divisée par celle avec. Sur les chiffres manuscrits, un réseau 64-32-32-32-10 de ReLU, 150 pas de descente "
        "simple sur des batchs de 64 avec un taux qui descend jusqu'à 0, BatchNorm avant chaque ReLU ; chacun, à "
        "chaque facteur, au meilleur de huit taux d'apprentissage de 0,001 à 3,2, choisi sur 4 autres graines. Aucune "
        "perte ne compte pour plus de ln 10, celle d'un réseau qui ne dit rien.",
    ),
    why=Words(
        "Without a norm a factor c of all weights makes the scores of L layers c^L times as large, or small, and the "
        "gradients with them: He et al. 2015 choose weights so that this does not happen. BatchNorm's output does not "
        "depend on the scale of the weights before it (Ioffe & Szegedy 2015, section 3). Their scale only sets how "
        "fast they turn, which a learning rate makes good; the last layer's scale is not undone.",
        "Sans normalisation, un facteur c de tous les poids rend les scores de L couches c^L fois plus grands, ou plus "
        "petits, et les gradients avec eux : He et al. 2015 choisissent des poids qui l'évitent. La sortie de "
        "BatchNorm ne dépend pas de l'échelle des poids qui la précèdent (Ioffe & Szegedy 2015, section 3). Leur "
        "échelle ne règle que la vitesse à laquelle ils tournent, ce qu'un taux d'apprentissage compense ; l'échelle "
        "de la dernière couche n'est pas annulée.",
    ),
    bounds=(
        Bound(
            "care",
            Words(
                "test loss with scaled weights / with He's: without BatchNorm / with it",
                "perte en test avec des poids mis à l'échelle / avec ceux de He : sans BatchNorm / avec",
            ),
            at_least=2,
            ratio=True,
        ),
    ),
    seeds=12,
    tuning=4,
    measure=measure,
)
