"""With small batches BatchNorm's estimates are wrong, and its network the worse; LayerNorm's is not."""

from functools import partial

import numpy as np

from thalweg.claims.claim import Bound, Claim, Measurement, Panel, Seeds
from thalweg.claims.drawing import over_seeds
from thalweg.languages import Words

# Steps of either size: the same number of examples. Small batches ask for smaller rates.
RATES = {64: (0.1, 0.3, 1.0, 3.0), 4: (0.01, 0.03, 0.1, 0.3)}
STEPS = {64: 64, 4: 1024}


def measure(seeds: Seeds) -> Measurement:
    """Each norm at each size with its own best learning rate, chosen on other seeds."""
    from torch.nn import BatchNorm1d, LayerNorm

    from thalweg.claims.experiments.training import best, mlp, to_zero, train

    curves, worse = [], {}
    for norm in (BatchNorm1d, LayerNorm):
        model = partial(mlp, width=32, hidden=2, norm=norm)
        losses = {}
        for batch, steps in STEPS.items():
            trained = partial(train, model, "sgd", steps=steps, batch=batch, each_step=to_zero(steps))
            grid = [{"lr": lr} for lr in RATES[batch]]
            chosen = grid[best(trained(grid, seeds.tuning).test_loss)]
            losses[batch] = trained([chosen], seeds.judged).test_loss[0]
        worse[norm] = losses[4] / losses[64]
        name = norm.__name__.removesuffix("1d")
        each = np.transpose([losses[batch] for batch in STEPS])
        curves.append(over_seeds(Words(name, name), range(len(STEPS)), each, kind="both"))
    title = Words("Test loss after 4,096 examples", "Perte en test après 4 096 exemples")
    size, loss = Words("examples in a batch", "exemples d'un batch"), Words("test loss", "perte en test")
    ticks = tuple(Words(str(batch), str(batch)) for batch in STEPS)
    return Measurement(
        {"batch": worse[BatchNorm1d], "layer": worse[LayerNorm]},
        (Panel(title, size, loss, tuple(curves), log_y=True, ticks=ticks),),
    )


CLAIM = Claim(
    name="batchnorm-small-batches",
    slide="Layer Normalization",
    statement=Words(
        "Small batches give wrong estimates: a network with BatchNorm suffers from them, one with LayerNorm does not.",
        "De petits batchs donnent des estimations erronées : un réseau avec BatchNorm en souffre, un réseau avec "
        "LayerNorm non.",
    ),
    measured=Words(
        "Test loss on the digits after 4,096 examples in batches of 4, divided by that in batches of 64, of a network "
        "64-32-32-10 of ReLU with a norm before each ReLU, plain descent: each norm, at each size, at the best of "
        "four learning rates, from 0.01 to 0.3 and from 0.1 to 3, which fall to 0; chosen on 3 others.",
        "Perte en test sur les chiffres manuscrits après 4 096 exemples par batchs de 4, divisée par celle par batchs "
        "de 64, d'un réseau 64-32-32-10 de ReLU avec une normalisation avant chaque ReLU, descente simple : chaque "
        "normalisation, à chaque taille, au meilleur de quatre taux d'apprentissage, de 0,01 à 0,3 et de 0,1 à 3, qui "
        "descendent jusqu'à 0 ; choisi sur 3 autres graines.",
    ),
    why=Words(
        "BatchNorm takes mean and variance of a feature from the batch: the mean of m examples is off by a deviation "
        "over the root of m, half a deviation for 4. Training sees that noise, and the averages that are used in test "
        "are not what it was trained with (Ioffe 2017). LayerNorm takes both from one example, the same in training "
        "and in test (Ba et al. 2016). A mild noise also regularises: in between, smaller is not always worse.",
        "BatchNorm prend la moyenne et la variance d'une feature dans le batch : l'erreur de la moyenne de m exemples "
        "est d'un écart-type divisé par la racine de m, un demi-écart-type pour 4. L'entraînement voit ce bruit, et "
        "les moyennes utilisées en test ne sont pas celles avec lesquelles il s'est fait (Ioffe 2017). LayerNorm prend "
        "les deux dans un seul exemple, de même à l'entraînement et en test (Ba et al. 2016). Un bruit modéré "
        "régularise aussi : entre les deux, plus petit n'est pas toujours pire.",
    ),
    bounds=(
        Bound(
            "batch",
            Words(
                "BatchNorm: test loss with batches of 4 / of 64", "BatchNorm : perte en test par batchs de 4 / de 64"
            ),
            at_least=1.2,
            ratio=True,
        ),
        Bound(
            "layer",
            Words(
                "LayerNorm: test loss with batches of 4 / of 64", "LayerNorm : perte en test par batchs de 4 / de 64"
            ),
            at_most=1.2,
            ratio=True,
        ),
    ),
    seeds=12,
    tuning=3,
    measure=measure,
    figure="batchsize",
)
