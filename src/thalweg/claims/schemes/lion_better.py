"""Whether Lion is better than AdamW, on one small task after the other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.claims.claim import Bound, Claim, Curve, Measurement, Panel, Seeds
from thalweg.languages import Words

if TYPE_CHECKING:
    from torch import Tensor, nn

    from thalweg.claims.experiments.training import Array

DECAYS = {"adamw": (0.01, 0.1, 1.0), "lion": (0.1, 1.0, 10.0)}
RATES = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
STEPS, BATCH = 200, 32
AUTOENCODER = "autoencoder"


@dataclass(frozen=True)
class Task:
    """A classification of the digits."""

    title: Words
    hidden: int = 1
    batch: int = BATCH
    examples: int | None = None
    steps: int = STEPS


TASKS = {
    "shallow": Task(Words("one hidden layer", "une couche cachée")),
    "deep": Task(Words("three hidden layers", "trois couches cachées"), hidden=3),
    "few": Task(Words("100 examples", "100 exemples"), examples=100),
    "batches": Task(Words("batches of 8", "batchs de 8"), batch=8, steps=300),
}
TITLES = {**{name: task.title for name, task in TASKS.items()}, AUTOENCODER: Words("autoencoder", "autoencodeur")}


def measure(seeds: Seeds) -> Measurement:
    """Of each task the test loss of both, each with the learning rate and decay that are best on other seeds."""
    ratios = {name: _ratio(_of_digits(task), seeds) for name, task in TASKS.items()}
    ratios[AUTOENCODER] = _ratio(_of_autoencoder, seeds)
    low, middle, high = np.quantile(np.array([*ratios.values()]), (0.25, 0.5, 0.75), axis=1).tolist()
    places = [float(k) for k in range(len(ratios))]
    return Measurement(
        {name: each.tolist() for name, each in ratios.items()},
        (
            Panel(
                Words("Test loss of Lion, against AdamW's", "Perte en test de Lion, face à celle d'AdamW"),
                Words("task", "tâche"),
                Words("ratio of the losses", "rapport des pertes"),
                (
                    Curve(Words("Lion", "Lion"), places, middle, low, high, kind="dots"),
                    Curve(Words("AdamW", "AdamW"), places, [1.0] * len(places), dashed=True),
                ),
                log_y=True,
                ticks=tuple(TITLES[name] for name in ratios),
            ),
        ),
    )


Losses = Callable[[str, Sequence[dict[str, Any]], Sequence[int]], "Array"]


def _ratio(losses: Losses, seeds: Seeds) -> "Array":
    """Lion's losses divided by AdamW's, (seeds,)."""
    from thalweg.claims.experiments.training import best

    judged = {}
    for rule in ("lion", "adamw"):
        grid = [{"lr": lr, "weight_decay": decay} for lr in RATES for decay in DECAYS[rule]]
        judged[rule] = losses(rule, [grid[best(losses(rule, grid, seeds.tuning))]], seeds.judged)[0]
    ratio: Array = judged["lion"] / judged["adamw"]
    return ratio


def _of_digits(task: Task) -> Losses:
    """Test losses, (settings, seeds)."""
    from thalweg.claims.experiments.training import mlp, to_zero, train

    def losses(rule: str, settings: Sequence[dict[str, Any]], seeds: Sequence[int]) -> "Array":
        return train(
            lambda: mlp(width=32, hidden=task.hidden),
            rule,
            settings,
            seeds,
            steps=task.steps,
            batch=task.batch,
            examples=task.examples,
            each_step=to_zero(task.steps),
        ).test_loss

    return losses


def _of_autoencoder(rule: str, settings: Sequence[dict[str, Any]], seeds: Sequence[int]) -> "Array":
    """Mean squared errors of a pixel on test, (settings, seeds)."""
    import torch
    from torch import nn
    from torch.nn.functional import mse_loss

    from thalweg.claims.experiments.training import digits, to_zero
    from thalweg.stacks import lockstep, rows

    def make() -> "nn.Module":
        return nn.Sequential(
            nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 8), nn.Tanh(), nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 64)
        )

    def loss(model: "nn.Module", images: "Tensor") -> "Tensor":
        return mse_loss(model(images), images)

    images, tested = digits().train.images, digits().test.images
    members = [(setting, seed) for setting in settings for seed in seeds]
    stack = lockstep(make, rule, settings=[one for one, _ in members], seeds=[seed for _, seed in members])
    chances = [torch.Generator().manual_seed(seed) for _, seed in members]
    slower = to_zero(STEPS)
    for step in range(STEPS):
        index = torch.stack([torch.randint(len(images), (BATCH,), generator=chance) for chance in chances])
        stack.step(loss, rows(images, index))
        slower(stack, step)
    errors: Tensor = stack.evaluate(loss, tested.expand(len(stack), -1, -1))
    return errors.double().numpy().reshape(len(settings), len(seeds))


def _bound(name: str) -> Bound:
    words = Words(f"Lion's loss / AdamW's, {TITLES[name].en}", f"perte de Lion / d'AdamW, {TITLES[name].fr}")
    return Bound(name, words, at_most=1.0, ratio=True)


CLAIM = Claim(
    name="lion-better",
    slide="Optimizer Lion",
    statement=Words(
        "Lion is consistently better than AdamW.",
        "Lion est meilleur qu'AdamW de manière consistante.",
    ),
    measured=Words(
        "The test loss of both on five tasks: the digits with one hidden layer of 32, with three, with 100 examples, "
        "with batches of 8 in place of 32, and an autoencoder of them, 64-32-8-32-64. 200 steps (300 with batches of "
        "8), the learning rate lowered to 0 along a line, 24 trainings each, at the best of five learning rates and "
        "three decays, chosen on 4 other seeds; Lion's decays are ten times AdamW's.",
        "La perte en test des deux sur cinq tâches : les chiffres manuscrits avec une couche cachée de 32, avec "
        "trois, avec 100 exemples, avec des batchs de 8 au lieu de 32, et leur autoencodeur, 64-32-8-32-64. 200 pas "
        "(300 avec des batchs de 8), le taux d'apprentissage abaissé à 0 en ligne droite, 24 entraînements chacun, au "
        "meilleur de cinq taux d'apprentissage et de trois weight decays, choisi sur 4 autres graines ; les weight "
        "decays de Lion sont dix fois ceux d'AdamW.",
    ),
    why=Words(
        "Chen et al. (2023) report better results than AdamW's on large vision and language models, with large "
        "batches, and smaller gains with small ones: with a gradient's size, a sign throws away what tells signal "
        "from noise. Such small networks, batches and short trainings are not where Lion is to shine; but consistent "
        "would be everywhere, and Schmidt et al. (2021) found no optimizer to be that.",
        "Chen et al. (2023) rapportent de meilleurs résultats que ceux d'AdamW sur de grands modèles de vision et de "
        "langage, avec de grands batchs, et de plus petits gains avec de petits : avec la taille d'un gradient, le "
        "signe jette ce qui distingue le signal du bruit. Des réseaux et des batchs si petits, des entraînements si "
        "courts ne sont pas le terrain où Lion doit briller ; mais « de manière consistante » voudrait dire partout, "
        "et Schmidt et al. (2021) n'ont trouvé aucun optimizer qui le soit.",
    ),
    bounds=tuple(_bound(name) for name in TITLES),
    seeds=24,
    tuning=4,
    measure=measure,
    figure="sign",
)
