"""BatchNorm accelerates training: fewer steps to the same loss."""

from functools import partial

from thalweg.claims.claim import Bound, Claim, Measurement, Panel, Seeds
from thalweg.claims.drawing import BATCH_LOSS, LOSS, STEP, at_rate, over_seeds, steps_of
from thalweg.claims.experiments.with_and_without import WITH, WITHOUT, norms
from thalweg.languages import Words

RATES = (0.03, 0.1, 0.3, 1.0, 3.0)
STEPS, GOAL = 300, 0.3


def measure(seeds: Seeds) -> Measurement:
    """Each with its own best learning rate, chosen on other seeds."""
    from thalweg.claims.experiments.training import best, mlp, train

    curves, steps = [], {}
    for name, norm in norms().items():
        model = partial(mlp, hidden=2, norm=norm)
        grid = [{"lr": lr} for lr in RATES]
        chosen = grid[best(train(model, "sgd", grid, seeds.tuning, steps=STEPS).steps_to(GOAL))]
        trained = train(model, "sgd", [chosen], seeds.judged, steps=STEPS)
        steps[name] = trained.steps_to(GOAL)[0]
        curves.append(over_seeds(at_rate(name, chosen["lr"]), steps_of(trained.batch_loss), trained.batch_loss[0]))
    return Measurement(
        {"speedup": steps[WITHOUT] / steps[WITH]},
        (Panel(BATCH_LOSS, STEP, LOSS, tuple(curves), log_y=True),),
    )


CLAIM = Claim(
    name="batchnorm-faster",
    slide="Couche Batch Normalization : en pratique",
    statement=Words(
        "BatchNorm accelerates training, where the learning rate is chosen anew.",
        "BatchNorm accélère l'entraînement, si le taux d'apprentissage est choisi à nouveau.",
    ),
    measured=Words(
        "Steps until the loss of the last ten batches is 0.3, at most 300, on the digits, a network 64-64-64-10 of "
        "ReLU, batches of 64, plain descent: without BatchNorm and with it before each ReLU, each at the best of five "
        "learning rates from 0.03 to 3, chosen on 8 others.",
        "Nombre de pas jusqu'à ce que la perte des dix derniers batchs soit de 0,3, au plus 300, sur les chiffres "
        "manuscrits, un réseau 64-64-64-10 de ReLU, des batchs de 64, descente simple : sans BatchNorm et avec, avant "
        "chaque ReLU, chacun au meilleur de cinq taux d'apprentissage de 0,03 à 3, choisi sur 8 autres graines.",
    ),
    why=Words(
        "Ioffe & Szegedy 2015 need 14 times fewer steps on ImageNet with it, a larger rate and other changes. "
        "Santurkar et al. 2018 find that with BatchNorm loss and gradient change less along a step, so that longer "
        "ones are borne. Steps are counted, not seconds: a step costs more with it; and an initialisation made for "
        "ReLU, in place of torch's, closes part of the gap.",
        "Ioffe & Szegedy 2015 ont besoin de 14 fois moins de pas sur ImageNet avec elle, un taux plus grand et "
        "d'autres changements. Santurkar et al. 2018 trouvent qu'avec BatchNorm la perte et le gradient changent moins "
        "le long d'un pas, et que de plus longs pas sont supportés. On compte des pas, non des secondes : un pas coûte "
        "plus cher avec elle ; et une initialisation faite pour ReLU, au lieu de celle de torch, réduit une partie de "
        "l'écart.",
    ),
    bounds=(
        Bound(
            "speedup",
            Words("steps without BatchNorm / steps with it", "pas sans BatchNorm / pas avec"),
            at_least=1.2,
            ratio=True,
        ),
    ),
    seeds=24,
    tuning=8,
    measure=measure,
)
