"""With BatchNorm a deep network of sigmoids trains that hardly does without."""

from functools import partial
from typing import TYPE_CHECKING

from thalweg.claims.claim import Bound, Claim, Measurement, Panel, Seeds
from thalweg.claims.drawing import BATCH_LOSS, LOSS, STEP, at_rate, over_seeds, steps_of
from thalweg.claims.experiments.with_and_without import WITH, WITHOUT, norms
from thalweg.languages import Words

if TYPE_CHECKING:  # claims are listed without torch
    from collections.abc import Callable

    from torch import nn

RATES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
STEPS, GOAL = 400, 0.3


def measure(seeds: Seeds) -> Measurement:
    """Each with its own best learning rate, chosen on other seeds: by the loss where the goal is not reached."""
    from thalweg.claims.experiments.training import best, train

    curves, steps = [], {}
    grid = [{"lr": lr} for lr in RATES]
    for name, norm in norms().items():
        model = partial(sigmoids, norm)
        tried = train(model, "sgd", grid, seeds.tuning, steps=STEPS)
        chosen = grid[best(tried.steps_to(GOAL) + tried.train_loss)]
        trained = train(model, "sgd", [chosen], seeds.judged, steps=STEPS)
        steps[name] = trained.steps_to(GOAL)[0]
        curves.append(over_seeds(at_rate(name, chosen["lr"]), steps_of(trained.batch_loss), trained.batch_loss[0]))
    return Measurement(
        {"speedup": steps[WITHOUT] / steps[WITH]},
        (Panel(BATCH_LOSS, STEP, LOSS, tuple(curves), log_y=True),),
    )


def sigmoids(norm: "Callable[[int], nn.Module] | None", hidden: int = 4, width: int = 32) -> "nn.Module":
    """A network of sigmoids with Glorot's weights, which were made for such, and without biases at the start."""
    from torch import nn

    from thalweg.claims.experiments.training import mlp

    model = mlp(width=width, hidden=hidden, activation=nn.Sigmoid, norm=norm)
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    return model


CLAIM = Claim(
    name="batchnorm-saturating",
    slide="Couche Batch Normalization",
    statement=Words(
        "A deep network of sigmoids, notoriously hard to train, does train with BatchNorm.",
        "Un réseau profond de sigmoïdes, notoirement difficile à entraîner, s'entraîne avec BatchNorm.",
    ),
    measured=Words(
        "Steps until the loss of the last ten batches is 0.3, at most 400, on the digits, a network of four hidden "
        "layers of 32 sigmoids with Glorot's weights, batches of 64, plain descent: without BatchNorm and with it "
        "before each sigmoid, each at the best of six learning rates from 0.1 to 30, chosen on 6 others.",
        "Nombre de pas jusqu'à ce que la perte des dix derniers batchs soit de 0,3, au plus 400, sur les chiffres "
        "manuscrits, un réseau de quatre couches cachées de 32 sigmoïdes avec les poids de Glorot, des batchs de 64, "
        "descente simple : sans BatchNorm et avec, avant chaque sigmoïde, chacun au meilleur de six taux "
        "d'apprentissage de 0,1 à 30, choisi sur 6 autres graines.",
    ),
    why=Words(
        "A sigmoid's slope is 1/4 at most, so that gradients shrink from layer to layer, and its mean of 1/2 pushes "
        "the next ones into saturation (Glorot & Bengio 2010). BatchNorm centres what each sigmoid takes and gives it "
        "a deviation of 1. Weights four times as large, which make up for the slope, let such a network train without "
        "it too. ReLU does not saturate above 0.",
        "La pente d'une sigmoïde est d'au plus 1/4, si bien que les gradients diminuent de couche en couche, et sa "
        "moyenne de 1/2 pousse les suivantes vers la saturation (Glorot & Bengio 2010). BatchNorm centre ce que prend "
        "chaque sigmoïde et lui donne un écart-type de 1. Des poids quatre fois plus grands, qui compensent la pente, "
        "permettent à un tel réseau de s'entraîner sans elle aussi. ReLU ne sature pas au-dessus de 0.",
    ),
    bounds=(
        Bound(
            "speedup",
            Words("steps without BatchNorm, or 400 / steps with it", "pas sans BatchNorm, ou 400 / pas avec"),
            at_least=3,
            ratio=True,
        ),
    ),
    seeds=16,
    tuning=6,
    measure=measure,
)
