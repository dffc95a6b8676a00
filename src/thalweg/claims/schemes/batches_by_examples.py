"""At the same number of examples seen, batches come lower than the full gradient."""

from thalweg.claims.claim import Bound, Claim, Measurement, Panel, Seeds
from thalweg.claims.drawing import LOSS, filled, over_seeds
from thalweg.languages import Words

RATES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
EXAMPLES, EPOCHS, BATCH = 1078, 10, 32
FULL, BATCHES = EPOCHS, EPOCHS * EXAMPLES // BATCH


def measure(seeds: Seeds) -> Measurement:
    """Each at its own best learning rate, chosen on other seeds."""
    from thalweg.claims.experiments.training import OnTheWay, best, mlp, train

    grid = [{"lr": lr} for lr in RATES]
    curves, losses = [], []
    for name, batch, steps, every in (
        (Words("full gradient, lr {}", "gradient complet, lr {}"), EXAMPLES, FULL, 1),
        (Words("batches, lr {}", "batchs, lr {}"), BATCH, BATCHES, 7),
    ):
        chosen = grid[best(train(mlp, "sgd", grid, seeds.tuning, steps=steps, batch=batch).train_loss)]
        way = OnTheWay(every)
        trained = train(mlp, "sgd", [chosen], seeds.judged, steps=steps, batch=batch, each_step=way)
        losses.append(trained.train_loss[0])
        curves.append(
            over_seeds(filled(name, chosen["lr"]), [step * batch for step in way.steps], way.losses, kind="both")
        )
    full, batches = losses
    return Measurement(
        {"ratio": full / batches},
        (
            Panel(
                Words("Loss over the training part", "Perte sur la partie d'entraînement"),
                Words("examples seen", "observations vues"),
                LOSS,
                tuple(curves),
                log_y=True,
            ),
        ),
    )


CLAIM = Claim(
    name="batches-by-examples",
    slide="Formulation d'un problème de Machine Learning",
    statement=Words(
        "For the same number of examples seen, batches come to a lower loss than the full gradient.",
        "Pour le même nombre d'observations vues, les batchs atteignent une perte plus basse que le gradient complet.",
    ),
    measured=Words(
        "Loss over the training part, 1,078 digits, after 10 epochs of plain descent with a network 64-64-10: the "
        "full gradient, 10 steps, against batches of 32, 336 steps. Each at the best of seven learning rates from "
        "0.01 to 10, chosen on 4 other seeds; 12 trainings.",
        "Perte sur la partie d'entraînement, 1 078 chiffres manuscrits, après 10 époques de descente simple avec un "
        "réseau 64-64-10 : le gradient complet, 10 pas, face à des batchs de 32, 336 pas. Chacun au meilleur de sept "
        "taux d'apprentissage de 0,01 à 10, choisi sur 4 autres graines ; 12 entraînements.",
    ),
    why=Words(
        "The gradient of a batch points the same way as the full one on average, and costs as much less as it is "
        "smaller; its noise falls only with the root of its size (Bottou, Curtis and Nocedal 2018). Far from the "
        "minimum many rough steps are worth more than a few exact ones. Near it the noise keeps a descent at a fixed "
        "learning rate from settling, unless the network can fit every example.",
        "Le gradient d'un batch a en moyenne la direction du gradient complet, et coûte d'autant moins qu'il est "
        "petit ; son bruit ne décroît qu'avec la racine de sa taille (Bottou, Curtis et Nocedal 2018). Loin du "
        "minimum, beaucoup de pas grossiers valent mieux que quelques pas exacts. Près de lui, le bruit empêche une "
        "descente à taux d'apprentissage fixe de se stabiliser, sauf si le réseau peut apprendre chaque observation.",
    ),
    bounds=(
        Bound(
            "ratio",
            Words("loss with the full gradient / with batches", "perte avec le gradient complet / avec les batchs"),
            at_least=2.0,
            ratio=True,
        ),
    ),
    seeds=12,
    tuning=4,
    measure=measure,
    figure="batches",
)
