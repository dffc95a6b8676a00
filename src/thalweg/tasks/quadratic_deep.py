"""quadratic-deep: a noisy quadratic in 100 dimensions, the first problem of DeepOBS and of Crowded Valley.

Source:  Schneider, Balles & Hennig 2019, "DeepOBS: a deep learning optimizer benchmark suite" (arXiv:1903.05499); the
         rotation by the subgroup algorithm of Diaconis & Shahshahani 1987. Runs published by Schmidt, Schneider &
         Hennig 2021 (arXiv:2007.01547) are repeated from it: docs/verification.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np

from .task import Option, Task, Trial, Trials, take_step
from .tensorflow_shuffle import order

if TYPE_CHECKING:  # tasks are listed without torch
    from numpy.typing import NDArray
    from torch import Tensor

    Array = NDArray[np.float64]

DIMENSIONS, EXAMPLES, NOISE = 100, 1000, 0.6
EPOCHS, BATCH = 100, 128
USED = EXAMPLES // BATCH * BATCH  # the remainder of an epoch, and of a part in evaluation, is dropped
HESSIAN_SEED = 42
DATA_SEEDS = {"train": 42, "valid": 44, "test": 43}
METRICS = ("train_loss", "valid_loss", "test_loss")


def rotation(chance: np.random.RandomState) -> "Array":
    """A random rotation of 100 dimensions, uniform over all of them: one dimension joins after the other."""
    angle = 2 * np.pi * chance.uniform()
    found = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    for size in range(3, DIMENSIONS + 1):
        axis = chance.normal(size=size)
        mirror = -axis / np.linalg.norm(axis)
        mirror[0] += 1.0
        mirror /= np.linalg.norm(mirror)
        grown = np.eye(size)
        grown[1:, 1:] = found
        found = grown - 2.0 * np.outer(mirror, mirror @ grown)
    return found


@lru_cache(maxsize=16)
def hessian(instance: int) -> "Array":
    """The Hessian of the k-th instance: 90 eigenvalues in [0, 1], 10 in [30, 60], rotated. float64, (100, 100).

    The k-th problem made in one process is the k-th draw of one generator; instance 1 is the one usually meant.
    """
    chance = np.random.RandomState(HESSIAN_SEED)
    for _ in range(instance):
        eigenvalues = np.concatenate([chance.uniform(0.0, 1.0, 90), chance.uniform(30.0, 60.0, 10)])
        turned = rotation(chance)
    return turned.T @ np.diag(eigenvalues) @ turned


@lru_cache(maxsize=1)
def examples() -> dict[str, "NDArray[np.float32]"]:
    """The points of each part, float32, (1000, 100)."""
    return {
        part: np.random.RandomState(seed).normal(0.0, NOISE, (EXAMPLES, DIMENSIONS)).astype(np.float32)
        for part, seed in DATA_SEEDS.items()
    }


@dataclass(frozen=True)
class MeanLoss:
    """The mean loss over a part: 0.5 (theta - m)^T H (theta - m) + c, where m is the mean of its points.

    That is the mean of 0.5 (theta - x)^T H (theta - x) over the points x, and ``c`` the same of m - x. In float64,
    so that what is printed is the loss, not the rounding of a long sum.
    """

    hessian: "Array"
    mean: "Array"
    spread: float

    def at(self, theta: "Array") -> float:
        """The mean loss at a point, (100,)."""
        away = theta - self.mean
        return float(0.5 * away @ self.hessian @ away + self.spread)


def mean_loss(curvature: "Array", points: "NDArray[np.float32]") -> MeanLoss:
    """The `MeanLoss` over points of shape (n, 100)."""
    exact = points.astype(np.float64)
    mean = exact.mean(0)
    away = exact - mean
    return MeanLoss(curvature, mean, float(0.5 * np.mean(np.sum(away @ curvature * away, 1))))


def orders(trial: Trial) -> "Iterator[Tensor]":
    """Endless epochs: for each, the order of the examples."""
    import torch

    if not trial.options["reshuffle"]:
        yield from repeat(torch.tensor(order(EXAMPLES, trial.run_seed, int(trial.options["op_seed"]))))
    chance = torch.Generator().manual_seed(trial.seed("data"))
    while True:
        yield torch.randperm(EXAMPLES, generator=chance)


def mean_losses(instance: int) -> dict[str, MeanLoss]:
    """Of each part, by the name in `METRICS`."""
    return {f"{part}_loss": mean_loss(hessian(instance), examples()[part][:USED]) for part in DATA_SEEDS}


def centres(orders: "Tensor") -> "Tensor":
    """The mean of each batch of an epoch, (trainings, 7, 100), from the orders of the examples, (trainings, 1000)."""
    import torch

    from thalweg.stacks import rows

    points = rows(torch.from_numpy(examples()["train"]), orders[:, :USED])
    return points.view(len(orders), -1, BATCH, DIMENSIONS).mean(2)


def batch_loss(theta: "Tensor", centre: "Tensor", curvature: "Tensor") -> "Tensor":
    """The mean over the batch, but for what does not depend on theta: see `MeanLoss`."""
    away = theta - centre
    return 0.5 * away @ curvature @ away


def train(trial: Trial) -> None:
    """One training; about a tenth of a second on one core."""
    import torch

    instance = int(trial.options["instance"])
    curvature = torch.tensor(hessian(instance), dtype=torch.float32)
    losses = mean_losses(instance)
    theta = torch.nn.Parameter(torch.ones(DIMENSIONS))
    optimizer = trial.optimizer([theta])
    shuffled = orders(trial)

    def report() -> None:
        for _ in trial.evaluations():
            tested = theta.detach().numpy().astype(np.float64)
            trial.report(**{name: losses[name].at(tested) for name in METRICS})

    report()
    for _ in trial.epochs(EPOCHS, USED // BATCH):
        for centre in centres(next(shuffled)[None])[0]:
            take_step(optimizer, partial(batch_loss, theta, centre, curvature))
        report()


def train_stack(trials: Trials) -> None:
    """Many trainings at once."""
    import torch
    from torch import nn

    instance = int(trials.options["instance"])
    curvature = torch.tensor(hessian(instance), dtype=torch.float32)
    losses = mean_losses(instance)
    stack = trials.lockstep(lambda: nn.ParameterList([torch.ones(DIMENSIONS)]))
    shuffled = [orders(trial) for trial in trials]

    def report() -> None:
        for _ in trials.evaluations():
            tested = [model[0].detach().numpy().astype(np.float64) for model in stack.members]
            trials.report(**{name: [losses[name].at(theta) for theta in tested] for name in METRICS})

    def loss(model: nn.ParameterList, centre: "Tensor") -> "Tensor":
        return batch_loss(model[0], centre, curvature)

    report()
    for _ in trials.epochs(EPOCHS, USED // BATCH):
        for centre in centres(torch.stack([next(own) for own in shuffled])).unbind(1):
            stack.step(loss, centre)
        report()


TASK = Task(
    name="quadratic-deep",
    summary="a noisy quadratic in 100 dimensions, ten of them steep",
    statement=(
        "Loss of an example x at theta: 0.5 (theta - x)^T H (theta - x); theta starts at 1 everywhere, float32. "
        "H = R^T diag(e) R, from one numpy RandomState(42): 90 eigenvalues uniform in [0, 1], 10 uniform in [30, 60], "
        "then the rotation R by the subgroup algorithm of Diaconis and Shahshahani (1987); instance k takes the k-th "
        "such draw. Data: 1,000 points each, normal with deviation 0.6, from RandomState 42 (train), 44 (validation), "
        "43 (test). 100 epochs of 7 batches of 128; the remainder is dropped, and so it is from the losses, means "
        "over the first 896 points, before training and after each epoch. Batches are reshuffled each epoch; with "
        "reshuffle=false every epoch has the one order that TensorFlow 1 draws from the run's seed and op_seed."
    ),
    version="1",
    metrics=METRICS,
    epochs=EPOCHS,
    train=train,
    train_stack=train_stack,
    options={
        "instance": Option(1, "which draw of Hessian and rotation", least=1),
        "reshuffle": Option(True, "a new order of the data each epoch; false: one order, as the published runs had"),
        "op_seed": Option(
            3, "with reshuffle=false, TensorFlow's second seed: 3 in Crowded Valley's runs, 2 in DeepOBS 1.1's"
        ),
    },
)
