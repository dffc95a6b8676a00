"""LayerNorm accelerates a recurrent net."""

from thalweg.claims.claim import Bound, Claim, Measurement, Panel, Seeds
from thalweg.claims.drawing import BATCH_LOSS, LOSS, STEP, filled, over_seeds, steps_of
from thalweg.languages import Words

RATES = (1e-2, 1.7e-2, 3e-2, 5e-2, 1e-1)
WIDTH, STEPS, GOAL = 32, 120, 0.3


def measure(seeds: Seeds) -> Measurement:
    """With LayerNorm and without, each with its own best learning rate, chosen on other seeds."""
    from torch import nn

    from thalweg.claims.experiments.sequences import Recurrent
    from thalweg.claims.experiments.training import best, train

    cells = {
        Words("no norm, lr {}", "sans normalisation, lr {}"): lambda: Recurrent(WIDTH, lambda _: [nn.Identity()]),
        Words("LayerNorm, lr {}", "LayerNorm, lr {}"): lambda: Recurrent(WIDTH, lambda width: [nn.LayerNorm(width)]),
    }
    curves, steps = [], []
    for name, model in cells.items():
        grid = [{"lr": lr} for lr in RATES]
        chosen = grid[best(train(model, "adam", grid, seeds.tuning, steps=STEPS).steps_to(GOAL))]
        trained = train(model, "adam", [chosen], seeds.judged, steps=STEPS)
        steps.append(trained.steps_to(GOAL)[0])
        named = filled(name, chosen["lr"])
        curves.append(over_seeds(named, steps_of(trained.batch_loss), trained.batch_loss[0]))
    return Measurement(
        {"speedup": steps[0] / steps[1]},
        (Panel(BATCH_LOSS, STEP, LOSS, tuple(curves), log_y=True),),
    )


CLAIM = Claim(
    name="layernorm-recurrent",
    slide="Layer Normalization",
    statement=Words(
        "LayerNorm accelerates the training of a recurrent net.",
        "LayerNorm accélère l'entraînement d'un réseau récurrent.",
    ),
    measured=Words(
        "Steps of Adam until the loss of the last ten batches of 64 is 0.3, at most 120, a recurrent net of width 32 "
        "that reads a digit row by row: without a norm, and with LayerNorm on the summed inputs, each at the best of "
        "five learning rates from 0.01 to 0.1, chosen on 4 other seeds. Accelerates: at least 1.2 times fewer steps.",
        "Nombre de pas d'Adam jusqu'à ce que la perte des dix derniers batchs de 64 soit de 0,3, au plus 120, pour un "
        "réseau récurrent de largeur 32 qui lit un chiffre ligne par ligne : sans normalisation, et avec LayerNorm sur "
        "les sommes d'entrée, chacun au meilleur de cinq taux d'apprentissage de 0,01 à 0,1, choisi sur 4 autres "
        "graines. Accélère : au moins 1,2 fois moins de pas.",
    ),
    why=Words(
        "LayerNorm gives the sums the same size at every step, so that the state neither grows nor fades: that counts "
        "most on long sequences (Ba et al. 2016). A sequence of eight rows is short, and each of the two nets has a "
        "rate that suits it.",
        "LayerNorm donne aux sommes la même taille à chaque pas de temps, si bien que l'état ne grandit ni ne s'éteint "
        ": cela compte surtout pour les longues suites (Ba et al. 2016). Une suite de huit lignes est courte, et "
        "chacun des deux réseaux a un taux qui lui convient.",
    ),
    bounds=(
        Bound(
            "speedup",
            Words("steps without LayerNorm / steps with it", "pas sans LayerNorm / pas avec"),
            at_least=1.2,
            ratio=True,
        ),
    ),
    seeds=24,
    tuning=4,
    measure=measure,
)
