"""Adam as an accelerated RMSProp: fewer steps to the same loss."""

from thalweg.claims.claim import Bound, Claim, Measurement, Panel, Seeds
from thalweg.claims.drawing import BATCH_LOSS, LOSS, STEP, filled, over_seeds, steps_of
from thalweg.languages import Words

RATES = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1)
STEPS, GOAL = 250, 0.05
RULES = {"rmsprop": "RMSProp, lr {}", "adam": "Adam, lr {}"}


def measure(seeds: Seeds) -> Measurement:
    """Each with its own best learning rate, chosen on other seeds; all else as it usually is."""
    from thalweg.claims.experiments.training import best, mlp, train

    curves, steps = [], []
    for rule, called in RULES.items():
        grid = [{"lr": lr} for lr in RATES]
        chosen = grid[best(train(mlp, rule, grid, seeds.tuning, steps=STEPS).steps_to(GOAL))]
        trained = train(mlp, rule, [chosen], seeds.judged, steps=STEPS)
        steps.append(trained.steps_to(GOAL)[0])
        name = filled(Words(called, called), chosen["lr"])
        curves.append(over_seeds(name, steps_of(trained.batch_loss), trained.batch_loss[0]))
    return Measurement(
        {"speedup": steps[0] / steps[1]},
        (Panel(BATCH_LOSS, STEP, LOSS, tuple(curves), log_y=True),),
    )


CLAIM = Claim(
    name="adam-accelerates-rmsprop",
    slide="Adam : combiner AdaGrad et RMSProp",
    statement=Words(
        "Adam is an accelerated RMSProp.",
        "Adam est une version accélérée de RMSProp.",
    ),
    measured=Words(
        "Steps until the mean loss of the last ten batches is at most 0.05, 250 where it never is, on the digits, a "
        "network 64-64-10, batches of 64: RMSProp (alpha 0.99) and Adam (betas 0.9 and 0.999), 24 trainings each, at "
        "the best of six learning rates from 0.005 to 0.1, chosen on 8 other seeds.",
        "Nombre de pas jusqu'à ce que la perte moyenne des dix derniers batchs soit d'au plus 0,05, 250 si cela "
        "n'arrive pas, sur les chiffres manuscrits, un réseau 64-64-10, des batchs de 64 : RMSProp (alpha 0,99) et "
        "Adam (bêtas 0,9 et 0,999), 24 entraînements chacun, au meilleur de six taux d'apprentissage de 0,005 à 0,1, "
        "choisi sur 8 autres graines.",
    ),
    why=Words(
        "Adam adds to RMSProp an average of the gradient, which is momentum, and the correction of both averages "
        "(Kingma & Ba 2015, section 5). As with momentum, a larger rate is borne where gradients turn from side to "
        "side; RMSProp, not corrected, also begins with steps of 1 / sqrt(1 - alpha) = 10 learning rates, which keeps "
        "its rate small. Where the noise of batches is the limit, there is less to gain; and fewer steps to a "
        "training loss say nothing of the test.",
        "Adam ajoute à RMSProp une moyenne du gradient, qui est un momentum, et la correction des deux moyennes "
        "(Kingma et Ba 2015, section 5). Comme avec le momentum, un taux plus grand est supporté là où les gradients "
        "oscillent ; RMSProp, sans correction, commence de plus par des pas de 1 / sqrt(1 - alpha) = 10 taux "
        "d'apprentissage, ce qui garde son taux petit. Là où le bruit des batchs est la limite, il y a moins à "
        "gagner ; et moins de pas jusqu'à une perte d'entraînement ne disent rien du test.",
    ),
    bounds=(
        Bound(
            "speedup",
            Words("steps of RMSProp / steps of Adam", "pas de RMSProp / pas d'Adam"),
            at_least=1.2,
            ratio=True,
        ),
    ),
    seeds=24,
    tuning=8,
    measure=measure,
    figure="race",
)
