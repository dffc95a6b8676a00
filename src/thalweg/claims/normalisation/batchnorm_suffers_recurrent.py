"""BatchNorm in a recurrent cell, a layer like any other, does worse on test than LayerNorm."""

from collections.abc import Callable, Sequence
from functools import partial

from thalweg.claims.claim import Bound, Claim, Curve, Measurement, Panel, Seeds
from thalweg.languages import Words

RATES = (3e-3, 1e-2, 3e-2, 1e-1)
WIDTH, STEPS = 32, 150


def measure(seeds: Seeds) -> Measurement:
    """Each norm with its own best learning rate, chosen on other seeds."""
    import numpy as np
    from torch import nn

    from thalweg.claims.experiments.sequences import ROWS, Recurrent
    from thalweg.claims.experiments.training import best, train

    norms: dict[str, Callable[[int], Sequence[nn.Module]]] = {
        "layer": lambda width: [nn.LayerNorm(width)],
        "batch": lambda width: [nn.BatchNorm1d(width)],
        "own": lambda width: [nn.BatchNorm1d(width) for _ in range(ROWS)],
    }
    test = {}
    for name, make in norms.items():
        model = partial(Recurrent, WIDTH, make)
        grid = [{"lr": lr} for lr in RATES]
        chosen = grid[best(train(model, "adam", grid, seeds.tuning, steps=STEPS).test_loss)]
        test[name] = train(model, "adam", [chosen], seeds.judged, steps=STEPS).test_loss[0]
    quartiles = np.quantile([*test.values()], (0.25, 0.5, 0.75), axis=1).tolist()
    low, middle, high = quartiles
    return Measurement(
        {"loss": test["batch"] / test["layer"]},
        (
            Panel(
                Words("Loss on test", "Perte en test"),
                Words("norm in the cell", "normalisation dans la cellule"),
                Words("loss", "perte"),
                (Curve(Words("recurrent net", "réseau récurrent"), range(3), middle, low, high, "bars"),),
                ticks=(
                    Words("LayerNorm", "LayerNorm"),
                    Words("BatchNorm", "BatchNorm"),
                    Words("BatchNorm, one a step", "BatchNorm, une par pas"),
                ),
            ),
        ),
    )


CLAIM = Claim(
    name="batchnorm-suffers-recurrent",
    slide="Layer Normalization",
    statement=Words(
        "In a recurrent net BatchNorm, a layer of the cell like any other, is worse than LayerNorm.",
        "Dans un réseau récurrent, BatchNorm, couche de la cellule comme une autre, est moins bonne que LayerNorm.",
    ),
    measured=Words(
        "Loss on test of a recurrent net of width 32 that reads a digit row by row, after 150 steps of Adam in batches "
        "of 64. The norm stands on the summed inputs and is one layer for all steps. Each at the best of four learning "
        "rates from 0.003 to 0.1, chosen on 4 other seeds. Worse: a loss at least 1.2 times that with LayerNorm.",
        "Perte en test d'un réseau récurrent de largeur 32 qui lit un chiffre ligne par ligne, après 150 pas d'Adam "
        "par batchs de 64. La normalisation porte sur les sommes d'entrée, une seule couche pour tous les pas de "
        "temps. Chacune au meilleur de quatre taux d'apprentissage de 0,003 à 0,1, choisi sur 4 autres graines. Moins "
        "bonne : une perte d'au moins 1,2 fois celle avec LayerNorm.",
    ),
    why=Words(
        "The sums change from step to step: in evaluation one running mean and variance, of all steps together, fit "
        "none of them. Cooijmans et al. 2017 keep statistics of each step's own (the last bar), for as many steps as "
        "are fixed before. LayerNorm has no running statistics (Ba et al. 2016).",
        "Les sommes changent d'un pas de temps à l'autre : en évaluation, une seule moyenne et une seule variance, de "
        "tous les pas ensemble, ne conviennent à aucun. Cooijmans et al. 2017 gardent des statistiques propres à "
        "chaque pas (dernière barre), pour un nombre de pas fixé d'avance. LayerNorm n'a pas de statistiques courantes "
        "(Ba et al. 2016).",
    ),
    bounds=(
        Bound(
            "loss",
            Words("loss with BatchNorm / with LayerNorm", "perte avec BatchNorm / avec LayerNorm"),
            at_least=1.2,
            ratio=True,
        ),
    ),
    seeds=32,
    tuning=4,
    measure=measure,
)
