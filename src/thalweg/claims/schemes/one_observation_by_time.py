"""In the same time, one observation a step against a batch a step."""

from collections.abc import Callable

from thalweg.claims.claim import Bound, Claim, Measurement, Panel, Seeds
from thalweg.claims.drawing import LOSS, filled, over_seeds
from thalweg.languages import Words

RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
ONE, BATCH = 1, 32
# The time is that of so many steps with a batch; with one observation there may be twice as many in it, no more.
STEPS, LONGEST, EVERY = 300, 600, 20
ROUNDS, TIMED = 30, 5


def measure(seeds: Seeds) -> Measurement:
    """Each at its own best learning rate, chosen on other seeds; the time of a step anew for each seed."""
    import numpy as np

    from thalweg.claims.experiments.training import OnTheWay, best, mlp, train

    # How many steps with one observation take the time of one with a batch.
    worth = np.array([min(_worth(seed), LONGEST / STEPS) for seed in seeds.judged])
    grid = [{"lr": lr} for lr in RATES]
    ways, curves = [], []
    for name, size, steps, pace in (
        (Words("one observation, lr {}", "une observation, lr {}"), ONE, LONGEST, float(np.median(worth))),
        (Words("batches of 32, lr {}", "batchs de 32, lr {}"), BATCH, STEPS, 1.0),
    ):
        chosen = grid[best(train(mlp, "sgd", grid, seeds.tuning, steps=STEPS, batch=size).train_loss)]
        way = OnTheWay(EVERY)
        train(mlp, "sgd", [chosen], seeds.judged, steps=steps, batch=size, each_step=way)
        ways.append(way)
        in_time = [step / pace for step in way.steps if step / pace <= STEPS]
        curves.append(over_seeds(filled(name, chosen["lr"]), in_time, way.losses[:, : len(in_time)]))
    one, batches = ways
    reached = [np.interp(STEPS * each, one.steps, losses) for each, losses in zip(worth, one.losses, strict=True)]
    return Measurement(
        {"ratio": (batches.losses[:, -1] / reached).tolist()},
        (
            Panel(
                Words("Loss over the training part", "Perte sur la partie d'entraînement"),
                Words("time, in steps with a batch", "temps, en pas avec un batch"),
                LOSS,
                tuple(curves),
                log_y=True,
            ),
        ),
    )


def _worth(seed: int) -> float:
    """The time of a step with a batch over that with one observation, in turns, of a training as one writes it."""
    from statistics import median
    from time import perf_counter

    steppers = [_stepper(size, seed) for size in (ONE, BATCH)]
    seconds: list[list[float]] = [[], []]
    for _ in range(ROUNDS):
        for own, step in zip(seconds, steppers, strict=True):
            started = perf_counter()
            for _ in range(TIMED):
                step()
            own.append(perf_counter() - started)
    one, batch = map(median, seconds)
    return batch / one


def _stepper(size: int, seed: int) -> Callable[[], None]:
    """A single training, step by step."""
    import torch
    from torch.nn.functional import cross_entropy

    from thalweg.claims.experiments.training import digits, mlp
    from thalweg.optim import OPTIMIZERS

    torch.manual_seed(seed)
    chance = torch.Generator().manual_seed(seed)
    model, data = mlp(), digits().train
    optimizer = OPTIMIZERS["sgd"](model.parameters(), lr=RATES[0])

    def step() -> None:
        index = torch.randint(len(data.classes), (size,), generator=chance)
        optimizer.zero_grad()
        torch.autograd.backward(cross_entropy(model(data.images[index]), data.classes[index]))
        optimizer.step()

    return step


CLAIM = Claim(
    name="one-observation-by-time",
    slide="Formulation d'un problème de Machine Learning",
    statement=Words(
        "In the same time, one observation a step comes to a lower loss than a batch a step.",
        "Dans le même temps, une observation par pas atteint une perte plus basse qu'un batch par pas.",
    ),
    measured=Words(
        "Loss over the training part of the digits in the time of 300 steps with batches of 32: plain descent, a "
        "network 64-64-10, one thread of a processor. How long a step takes with one observation and with a batch is "
        "measured in turns, for each of 12 seeds; no more than twice as many steps with one observation count. Each "
        "at the best of eight learning rates from 0.001 to 3, chosen in 300 steps on 4 other seeds.",
        "Perte sur la partie d'entraînement des chiffres manuscrits dans le temps de 300 pas avec des batchs de 32 : "
        "descente simple, un réseau 64-64-10, un seul fil d'exécution. La durée d'un pas avec une observation et avec "
        "un batch est mesurée en alternance, pour chacune des 12 graines ; au plus deux fois autant de pas avec une "
        "observation sont comptés. Chacun au meilleur de huit taux d'apprentissage de 0,001 à 3, choisi en 300 pas "
        "sur 4 autres graines.",
    ),
    why=Words(
        "A step's arithmetic is a product of matrices, and hardware makes that of a batch nearly in the time of one "
        "row; the rest of a step, calls and the update of all weights, costs the same for both. So one observation "
        "saves little time, and its noise asks for a smaller learning rate (Bottou, Curtis and Nocedal 2018). Counted "
        "in examples seen, not in time, small batches look better.",
        "L'arithmétique d'un pas est un produit de matrices, et le matériel fait celui d'un batch presque dans le "
        "temps d'une seule ligne ; le reste d'un pas, les appels et la mise à jour de tous les poids, coûte autant "
        "pour les deux. Une observation fait donc gagner peu de temps, et son bruit demande un taux d'apprentissage "
        "plus petit (Bottou, Curtis et Nocedal 2018). En comptant les observations vues, et non le temps, les petits "
        "batchs font meilleure figure.",
    ),
    bounds=(
        Bound(
            "ratio",
            Words("loss with batches / with one observation", "perte avec les batchs / avec une observation"),
            at_least=1.2,
            ratio=True,
        ),
    ),
    seeds=12,
    tuning=4,
    measure=measure,
    figure="batches",
)
