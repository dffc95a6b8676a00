"""Normalised inputs keep a sigmoid near its linear part."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from thalweg.claims.claim import Bound, Claim, Curve, Measurement, Panel, Seeds
from thalweg.languages import Words

if TYPE_CHECKING:  # claims are listed without torch
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from thalweg.stacks import Lockstep

    Array = NDArray[np.float64]

RATES, STEPS = (0.3, 1.0, 3.0, 10.0), 300
# Shown: what units of the first network take, and how linear a sigmoid is on normal numbers with mean 0.
UNITS = 40
DEVIATIONS = np.linspace(0.1, 5, 50)


def measure(seeds: Seeds) -> Measurement:
    """Of what each unit of a trained network takes over the training part, as it is and normalised."""
    from torch import nn

    from thalweg.claims.experiments.training import best, digits, mlp, train

    taken: list[Array] = []

    def look(stack: "Lockstep", step: int) -> None:
        if step == STEPS - 1:
            images = digits().train.images.expand(len(stack), -1, -1)
            taken.append(stack.evaluate(_taken, images).double().numpy())

    model, grid = partial(mlp, activation=nn.Sigmoid), [{"lr": lr} for lr in RATES]
    chosen = grid[best(train(model, "sgd", grid, seeds.tuning, steps=STEPS).test_loss)]
    train(model, "sgd", [chosen], seeds.judged, steps=STEPS, each_step=look)
    x = taken[0]
    deviations = x.std(1)
    raw, normalised = linear_share(x), linear_share((x - x.mean(1, keepdims=True)) / deviations[:, None])
    values = {"normalised": normalised.mean(1), "kept": (1 - raw).mean(1) / (1 - normalised).mean(1)}
    return Measurement(values, (_panel(deviations[0, :UNITS], raw[0, :UNITS], normalised[0, :UNITS]),))


def linear_share(x: "Array") -> "Array":
    """Which share of the variance of sigmoid(x) the best line in x explains: (..., examples, units) to (..., units)."""
    line, curve = (each - each.mean(-2, keepdims=True) for each in (x, 1 / (1 + np.exp(-x))))
    share: Array = (line * curve).sum(-2) ** 2 / ((line**2).sum(-2) * (curve**2).sum(-2))
    return share


def normal_linear_share(deviations: "Array") -> "Array":
    """`linear_share` of normal numbers with mean 0 and these deviations, by Gauss and Hermite's quadrature."""
    points, weights = np.polynomial.hermite_e.hermegauss(200)
    x = deviations[:, None] * points
    curve = 1 / (1 + np.exp(-x)) - 0.5
    share: Array = ((curve * x) @ weights) ** 2 / (((curve**2) @ weights) * ((x**2) @ weights))
    return share


def _taken(model: "nn.Sequential", images: "Tensor") -> "Tensor":
    """What the hidden layer's activations take, (n, width)."""
    taken: Tensor = model[0](images)
    return taken


def _panel(deviations: "Array", raw: "Array", normalised: "Array") -> Panel:
    def dots(name: Words, x: "Array", y: "Array") -> Curve:
        return Curve(name, x.tolist(), y.tolist(), kind="dots")

    line = Words("normal numbers with mean 0", "nombres normaux de moyenne 0")
    return Panel(
        Words("How linear a sigmoid is on its inputs", "Linéarité d'une sigmoïde sur ses entrées"),
        Words("deviation of the inputs", "écart-type des entrées"),
        Words("share that a line explains", "part expliquée par une droite"),
        (
            Curve(line, DEVIATIONS.tolist(), normal_linear_share(DEVIATIONS).tolist()),
            dots(Words("units, as they are", "unités, telles quelles"), deviations, raw),
            dots(Words("units, normalised", "unités, normalisées"), np.ones_like(deviations), normalised),
        ),
    )


CLAIM = Claim(
    name="normalised-sigmoid-linear",
    slide="Couche Batch Normalization : première approximation",
    statement=Words(
        "Normalised inputs keep a sigmoid near its almost linear part.",
        "Des entrées normalisées contraignent la sigmoïde à son régime presque linéaire.",
    ),
    measured=Words(
        "Which share of the variance of sigmoid(x) the best line in x explains, over the 1,078 training images, for "
        "what each of 64 sigmoids of a trained network 64-64-10 takes: as it is, and brought to mean 0 and deviation "
        "1. The digits, 300 steps of plain descent on batches of 64 at the best of four learning rates from 0.3 to "
        "10, chosen on 4 others.",
        "Quelle part de la variance de sigmoid(x) est expliquée par la meilleure droite en x, sur les 1 078 images "
        "d'entraînement, pour ce que prend chacune des 64 sigmoïdes d'un réseau 64-64-10 entraîné : tel quel, et "
        "ramené à une moyenne de 0 et un écart-type de 1. Les chiffres manuscrits, 300 pas de descente simple sur des "
        "batchs de 64 au meilleur de quatre taux d'apprentissage de 0,3 à 10, choisi sur 4 autres graines.",
    ),
    why=Words(
        "Near 0 a sigmoid is x/4 + 1/2 less x³/48, of which the last is small up to a deviation of 1: for normal x "
        "with mean 0 and deviation 1 a line explains 98.4%, with deviation 3 it is 87.8%. Without γ and β a layer "
        "could hardly use the bends, which is why the paper adds them (Ioffe & Szegedy 2015, section 3). A norm behind "
        "the activation has no such effect.",
        "Près de 0, une sigmoïde vaut x/4 + 1/2 moins x³/48, dont le dernier terme est petit jusqu'à un écart-type de "
        "1 : pour x normal de moyenne 0 et d'écart-type 1, une droite explique 98,4 % ; d'écart-type 3, 87,8 %. Sans γ "
        "et β, une couche ne pourrait guère se servir des courbures, et c'est pourquoi l'article les ajoute (Ioffe & "
        "Szegedy 2015, section 3). Une normalisation après l'activation n'a pas cet effet.",
    ),
    bounds=(
        Bound(
            "normalised",
            Words("share that a line explains, normalised", "part expliquée par une droite, entrées normalisées"),
            at_least=0.98,
            share=True,
        ),
        Bound(
            "kept",
            Words(
                "what a line leaves unexplained: inputs as they are / normalised",
                "part non expliquée par une droite : entrées telles quelles / normalisées",
            ),
            at_least=2,
            ratio=True,
        ),
    ),
    seeds=12,
    tuning=4,
    measure=measure,
    figure="sigmoid",
)
