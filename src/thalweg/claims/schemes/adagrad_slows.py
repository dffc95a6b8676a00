"""AdaGrad slows down in the course of training, since its sum of squared gradients grows."""

from typing import TYPE_CHECKING

from thalweg.claims.claim import Bound, Claim, Measurement, Panel, Seeds
from thalweg.claims.drawing import LOSS, STEP, over_seeds
from thalweg.languages import Words

if TYPE_CHECKING:
    from torch import Tensor, nn

    from thalweg.claims.experiments.training import OnTheWay
    from thalweg.stacks import Lockstep

WIDTH, BATCH = 32, 32
# 30 epochs; g is noted every so many steps, first shortly after the end of an epoch.
STEPS, EPOCH, EVERY = 1000, 33, 40
RATES = {"adagrad": (0.03, 0.05, 0.1, 0.17, 0.3, 0.5), "rmsprop": (0.002, 0.005, 0.01, 0.02, 0.05)}
# What g is called among the states; ε is far below its root.
G = {"adagrad": "sum", "rmsprop": "square_avg"}


def measure(seeds: Seeds) -> Measurement:
    """AdaGrad as it is, and with g held after the first epoch: the same learning rate, batches and start."""
    import torch

    from thalweg.claims.experiments.training import OnTheWay, best, mlp, train

    def small() -> "nn.Module":
        return mlp(width=WIDTH)

    settings = {}
    for rule, rates in RATES.items():
        grid = [{"lr": lr} for lr in rates]
        settings[rule] = grid[best(train(small, rule, grid, seeds.tuning, steps=STEPS, batch=BATCH).train_loss)]
    losses, ways, slopes = {}, {}, {}
    for name, rule in (("adagrad", "adagrad"), ("held", "adagrad"), ("rmsprop", "rmsprop")):
        ways[name] = OnTheWay(EVERY)
        watched = _Watched(ways[name], G[rule], held=name == "held")
        one = [settings[rule]]
        trained = train(small, rule, one, seeds.judged, steps=STEPS, batch=BATCH, each_step=watched)
        losses[name] = trained.train_loss[0]
        slopes[name] = torch.stack(watched.rates, 1).double() / watched.rates[0][:, None]
    names = {
        "adagrad": Words("AdaGrad", "AdaGrad"),
        "held": Words("AdaGrad, g held after an epoch", "AdaGrad, g figé après une époque"),
        "rmsprop": Words("RMSProp", "RMSProp"),
    }
    return Measurement(
        {"ratio": losses["adagrad"] / losses["held"]},
        (
            Panel(
                Words("Loss over the training part", "Perte sur la partie d'entraînement"),
                STEP,
                LOSS,
                tuple(over_seeds(names[name], way.steps, way.losses) for name, way in ways.items()),
                log_y=True,
            ),
            Panel(
                Words("1 / √g of the median weight", "1 / √g du poids médian"),
                STEP,
                Words("relative to step 40", "relatif au pas 40"),
                tuple(over_seeds(names[name], ways[name].steps, slopes[name]) for name in names),
                log_y=True,
            ),
        ),
    )


class _Watched:
    """An ``each_step`` that notes 1 / √g of the median weight, and may hold g from the first epoch's end on.

    ``way``  what else looks at each step.
    """

    def __init__(self, way: "OnTheWay", g: str, *, held: bool) -> None:
        self._way, self._g, self._held = way, g, held
        self._kept: list[tuple[Tensor, Tensor]] = []
        self.rates: list[Tensor] = []

    def __call__(self, stack: "Lockstep", step: int) -> None:
        from thalweg.claims.experiments.gradients import states

        self._way(stack, step)
        if self._held and step + 1 == EPOCH:
            own = [state[self._g] for each in stack.stepped for state in each.state.values()]
            self._kept = [(now, now.clone()) for now in own]
        for now, then in self._kept:
            now.copy_(then)
        if (step + 1) % EVERY == 0:
            self.rates.append(states(stack, self._g).sqrt().reciprocal().median(1).values)


CLAIM = Claim(
    name="adagrad-slows",
    slide="AdaGrad : réponse imparfaite",
    statement=Words(
        "AdaGrad's learning slows down in the course of training, since g grows.",
        "L'apprentissage d'AdaGrad ralentit au fil de l'entraînement, puisque g est croissante.",
    ),
    measured=Words(
        "Loss over the training part after 1,000 steps (30 epochs), on the digits, a network 64-32-10, batches of 32: "
        "AdaGrad at the best of six learning rates from 0.03 to 0.5, chosen on 3 other seeds, over the same training "
        "in which g is set back, after each step, to what it was at the end of the first epoch. RMSProp, for the "
        "figure, at the best of five from 0.002 to 0.05. 12 trainings each.",
        "Perte sur la partie d'entraînement après 1 000 pas (30 époques), sur les chiffres manuscrits, un réseau "
        "64-32-10, des batchs de 32 : AdaGrad au meilleur de six taux d'apprentissage de 0,03 à 0,5, choisi sur 3 "
        "autres graines, sur le même entraînement où g est remis, après chaque pas, à ce qu'il était à la fin de la "
        "première époque. RMSProp, pour la figure, au meilleur de cinq, de 0,002 à 0,05. 12 entraînements chacun.",
    ),
    why=Words(
        "g only adds up, so the rate η / √g of a weight never rises; with gradients of constant size it falls as 1 / "
        "√t, which is what a convex problem with noise asks for (Duchi, Hazan and Singer 2011). The slowing ends where "
        "gradients vanish: on data that the network can fit, g hardly grows any more, and a learning rate chosen for a "
        "long training makes up for much of it.",
        "g est une somme qui ne peut que croître, donc le taux η / √g d'un poids ne remonte jamais ; avec des "
        "gradients de taille constante il décroît en 1 / √t, ce que demande un problème convexe bruité (Duchi, Hazan "
        "et Singer 2011). Le ralentissement s'arrête là où les gradients s'annulent : sur des données que le réseau "
        "peut apprendre, g ne croît presque plus, et un taux d'apprentissage choisi pour un long entraînement en "
        "compense une bonne part.",
    ),
    bounds=(
        Bound(
            "ratio",
            Words("loss with AdaGrad / with g held", "perte avec AdaGrad / avec g figé"),
            at_least=1.2,
            ratio=True,
        ),
    ),
    seeds=12,
    tuning=3,
    measure=measure,
    figure="accumulator",
)
