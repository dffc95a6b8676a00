"""BatchNorm works better behind the activation than before it."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from thalweg.claims.claim import Bound, Claim, Measurement, Panel, Seeds
from thalweg.claims.drawing import over_seeds
from thalweg.languages import Words

if TYPE_CHECKING:  # claims are listed without torch
    from torch import nn

RATES = (0.1, 0.3, 1.0, 3.0)
STEPS, EXAMPLES = 200, 300
NAMES = {
    "before": Words("BatchNorm, then ReLU", "BatchNorm, puis ReLU"),
    "after": Words("ReLU, then BatchNorm", "ReLU, puis BatchNorm"),
}


def measure(seeds: Seeds) -> Measurement:
    """Each place with its own best learning rate, chosen on other seeds."""
    from thalweg.claims.experiments.training import best, to_zero, train

    curves, losses = [], {}
    grid = [{"lr": lr} for lr in RATES]
    for place, name in NAMES.items():
        model = partial(_blocks, place)
        trained = partial(train, model, "sgd", steps=STEPS, examples=EXAMPLES, each_step=to_zero(STEPS))
        tried = trained(grid, seeds.tuning).test_loss
        losses[place] = trained([grid[best(np.log(tried))]], seeds.judged).test_loss[0]
        curves.append(over_seeds(name, RATES, tried.T, kind="both"))
    title = Words("Test loss of the trainings to choose by", "Perte en test des entraînements qui servent à choisir")
    rate = Words("learning rate at the start", "taux d'apprentissage au départ")
    loss = Words("test loss", "perte en test")
    return Measurement(
        {"loss": losses["after"] / losses["before"]},
        (Panel(title, rate, loss, tuple(curves), log_x=True, log_y=True),),
    )


def _blocks(place: str) -> "nn.Module":
    from torch import nn

    from thalweg.nn import DenseBlock

    first, second = (DenseBlock(64, 64, layer=nn.BatchNorm1d, placement=place) for _ in range(2))
    return nn.Sequential(first, second, nn.Linear(64, 10))


CLAIM = Claim(
    name="batchnorm-after-activation",
    slide="Couche Batch Normalization : position de la couche",
    statement=Words(
        "BatchNorm works better behind the activation than before it.",
        "BatchNorm fonctionne mieux après l'activation qu'avant.",
    ),
    measured=Words(
        "Test loss on the digits of a network 64-64-64-10 of ReLU, trained on 300 examples: 200 steps on batches of "
        "64, plain descent with a rate that falls to 0. BatchNorm behind each ReLU, divided by BatchNorm before it, "
        "from the same 64 seeds; each at the best of four learning rates from 0.1 to 3, chosen on 12 others.",
        "Perte en test sur les chiffres manuscrits d'un réseau 64-64-64-10 de ReLU, entraîné sur 300 exemples : 200 "
        "pas sur des batchs de 64, descente simple avec un taux qui descend jusqu'à 0. BatchNorm après chaque ReLU, "
        "divisée par BatchNorm avant, depuis les mêmes 64 graines ; chacune au meilleur de quatre taux "
        "d'apprentissage de 0,1 à 3, choisi sur 12 autres graines.",
    ),
    why=Words(
        "Ioffe & Szegedy 2015 (section 3) put it before: there values are more symmetric and less sparse, so that mean "
        "and deviation say more of them. Behind ReLU, a unit that is rarely above 0 is divided by a small deviation, "
        "and its rare values become large. In favour of behind: the next layer takes inputs of mean 0 and deviation 1. "
        "The advice comes from large convolutional networks (Chollet 2016); what is measured here is small and fully "
        "connected.",
        "Ioffe & Szegedy 2015 (section 3) la placent avant : les valeurs y sont plus symétriques et moins souvent "
        "nulles, et moyenne et écart-type en disent davantage. Après ReLU, une unité rarement au-dessus de 0 est "
        "divisée par un petit écart-type, et ses rares valeurs deviennent grandes. En faveur d'après : la couche "
        "suivante prend des entrées de moyenne 0 et d'écart-type 1. Le conseil vient de grands réseaux convolutifs "
        "(Chollet 2016) ; ce qui est mesuré ici est petit et entièrement connecté.",
    ),
    bounds=(
        Bound(
            "loss",
            Words("test loss, BatchNorm behind ReLU / before it", "perte en test, BatchNorm après ReLU / avant"),
            at_most=1,
            ratio=True,
        ),
    ),
    seeds=64,
    tuning=12,
    measure=measure,
    figure="sigmoid",
)
