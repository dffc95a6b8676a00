"""Momentum accelerates the descent: fewer steps to the same loss."""

from thalweg.claims.claim import Bound, Claim, Measurement, Panel, Seeds
from thalweg.claims.drawing import BATCH_LOSS, LOSS, STEP, filled, over_seeds, steps_of
from thalweg.languages import Words

RATES = (0.03, 0.1, 0.3, 1.0, 3.0)
MOMENTUM = 0.9
STEPS, GOAL = 300, 0.3
NAMES = {0.0: Words("descent, lr {}", "descente, lr {}"), MOMENTUM: Words("momentum {}, lr {}", "momentum {}, lr {}")}


def measure(seeds: Seeds) -> Measurement:
    """Each with its own best learning rate, chosen on other seeds."""
    from thalweg.claims.experiments.training import best, mlp, train

    curves, steps = [], []
    for momentum in (0.0, MOMENTUM):
        # The slide's form: the same rate, the same length of step where gradients do not change.
        grid = [{"lr": lr, "momentum": momentum} for lr in RATES]
        chosen = grid[best(train(mlp, "momentum", grid, seeds.tuning, steps=STEPS).steps_to(GOAL))]
        trained = train(mlp, "momentum", [chosen], seeds.judged, steps=STEPS)
        steps.append(trained.steps_to(GOAL)[0])
        name = filled(NAMES[momentum], *([momentum] if momentum else []), chosen["lr"])
        curves.append(over_seeds(name, steps_of(trained.batch_loss), trained.batch_loss[0]))
    return Measurement(
        {"speedup": steps[0] / steps[1]},
        (Panel(BATCH_LOSS, STEP, LOSS, tuple(curves), log_y=True),),
    )


CLAIM = Claim(
    name="momentum-accelerates",
    slide="Avec momentum",
    statement=Words(
        "Momentum accelerates the descent.",
        "Le momentum accélère la descente.",
    ),
    measured=Words(
        "Steps until the mean loss of the last ten batches is at most 0.3, 300 where it never is, on the digits, a "
        "network 64-64-10, batches of 64: without momentum and with 0.9, 24 trainings each, at the best of five "
        "learning rates from 0.03 to 3, chosen on 8 other seeds.",
        "Nombre de pas jusqu'à ce que la perte moyenne des dix derniers batchs soit d'au plus 0,3, 300 si cela "
        "n'arrive pas, sur les chiffres manuscrits, un réseau 64-64-10, des batchs de 64 : sans momentum et avec 0,9, "
        "24 entraînements chacun, au meilleur de cinq taux d'apprentissage de 0,03 à 3, choisi sur 8 autres graines.",
    ),
    why=Words(
        "Where the gradient keeps its direction, the average keeps its length; where it turns from side to side, its "
        "turns cancel, so that a larger rate is borne. On a quadratic with condition k the best momentum needs about "
        "sqrt(k) steps in place of k (Polyak 1964). Where the noise of batches is the limit, there is less to gain.",
        "Là où le gradient garde sa direction, la moyenne garde sa longueur ; là où il oscille, ses oscillations se "
        "compensent, et un taux plus grand est supporté. Sur une quadratique de conditionnement k, le meilleur "
        "momentum demande environ sqrt(k) pas au lieu de k (Polyak 1964). Là où le bruit des batchs est la limite, il "
        "y a moins à gagner.",
    ),
    bounds=(
        Bound(
            "speedup",
            Words("steps without momentum / steps with it", "pas sans momentum / pas avec"),
            at_least=1.2,
            ratio=True,
        ),
    ),
    seeds=24,
    tuning=8,
    measure=measure,
    figure="momentum",
)
