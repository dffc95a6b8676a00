"""RMSProp's average of squared gradients can shrink in training; AdaGrad's sum never does."""

from typing import TYPE_CHECKING

from thalweg.claims.claim import Bound, Claim, Measurement, Panel, Seeds
from thalweg.claims.drawing import STEP, over_seeds, steps_of
from thalweg.languages import Words

if TYPE_CHECKING:
    from torch import Tensor, nn

    from thalweg.stacks import Lockstep

WIDTH, BATCH, STEPS = 32, 32, 300
RATES = {"adagrad": (0.03, 0.05, 0.1, 0.17, 0.3, 0.5), "rmsprop": (0.001, 0.002, 0.005, 0.01, 0.02, 0.05)}
# What g is called among the states.
G = {"adagrad": "sum", "rmsprop": "square_avg"}
TITLES = {"adagrad": Words("AdaGrad", "AdaGrad"), "rmsprop": Words("RMSProp", "RMSProp")}


def measure(seeds: Seeds) -> Measurement:
    """The norm of g after each step, each at its own best learning rate, chosen on other seeds."""
    import torch

    from thalweg.claims.experiments.gradients import states
    from thalweg.claims.experiments.training import best, mlp, train

    def small() -> "nn.Module":
        return mlp(width=WIDTH)

    norms = {}
    for rule, rates in RATES.items():
        grid = [{"lr": lr} for lr in rates]
        chosen = grid[best(train(small, rule, grid, seeds.tuning, steps=STEPS, batch=BATCH).train_loss)]
        after: list[Tensor] = []

        def note(stack: "Lockstep", _: int, own: "list[Tensor]" = after, g: str = G[rule]) -> None:
            own.append(states(stack, g).norm(dim=1))

        train(small, rule, [chosen], seeds.judged, steps=STEPS, batch=BATCH, each_step=note)
        norms[rule] = torch.stack(after, 1).double().numpy()
    return Measurement(
        {
            "rmsprop": norms["rmsprop"][:, -1] / norms["rmsprop"].max(1),
            "adagrad": (norms["adagrad"][:, 1:] < norms["adagrad"][:, :-1]).sum(1).tolist(),
        },
        (
            Panel(
                Words("Norm of g", "Norme de g"),
                STEP,
                Words("norm", "norme"),
                tuple(over_seeds(TITLES[rule], steps_of(each), each) for rule, each in norms.items()),
                log_y=True,
            ),
        ),
    )


CLAIM = Claim(
    name="rmsprop-can-shrink",
    slide="RMSProp : deuxième réponse",
    statement=Words(
        "RMSProp's moving average lets g shrink in training, which AdaGrad's sum never does.",
        "La moyenne mobile de RMSProp permet à g de décroître pendant l'entraînement, ce que la somme d'AdaGrad ne "
        "fait jamais.",
    ),
    measured=Words(
        "The norm of g, over all weights, after each of 300 steps, on the digits, a network 64-32-10, batches of 32: "
        "RMSProp's last one over its highest, and in how many steps AdaGrad's fell. Each at the best of six learning "
        "rates, 0.001 to 0.05 and 0.03 to 0.5, chosen on 4 other seeds; 16 trainings.",
        "La norme de g, sur tous les poids, après chacun des 300 pas, sur les chiffres manuscrits, un réseau "
        "64-32-10, des batchs de 32 : la dernière de RMSProp sur sa plus haute, et en combien de pas celle d'AdaGrad "
        "a décru. Chacun au meilleur de six taux d'apprentissage, de 0,001 à 0,05 et de 0,03 à 0,5, choisi sur 4 "
        "autres graines ; 16 entraînements.",
    ),
    why=Words(
        "A sum of squares can only grow. A moving average follows the gradients' size, and falls with it as the loss "
        "comes down (Hinton, Srivastava and Swersky 2012); where gradients grow, or noise keeps them up, it does not "
        "fall. That it can shrink has a price: the rate η / √g may rise again, and RMSProp need not converge even on "
        "convex problems (Reddi, Kale and Kumar 2018).",
        "Une somme de carrés ne peut que croître. Une moyenne mobile suit la taille des gradients, et diminue avec "
        "elle quand la perte descend (Hinton, Srivastava et Swersky 2012) ; là où les gradients croissent, ou que le "
        "bruit les maintient, elle ne décroît pas. Pouvoir décroître a un prix : le taux η / √g peut remonter, et "
        "RMSProp ne converge pas toujours, même sur des problèmes convexes (Reddi, Kale et Kumar 2018).",
    ),
    bounds=(
        Bound(
            "rmsprop",
            Words("RMSProp: last norm of g / highest", "RMSProp : dernière norme de g / la plus haute"),
            at_most=0.5,
        ),
        Bound(
            "adagrad",
            Words("AdaGrad: steps in which the norm fell", "AdaGrad : pas où la norme a décru"),
            at_most=0.0,
        ),
    ),
    seeds=16,
    tuning=4,
    measure=measure,
    figure="accumulator",
)
