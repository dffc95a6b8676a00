"""digits-mlp: a small fully connected network on handwritten digits."""

from typing import TYPE_CHECKING

from .digits import METRICS, fit, fit_stack, statement
from .task import Task, Trial, Trials

if TYPE_CHECKING:  # tasks are listed without torch
    from torch import nn

EPOCHS, BATCH = 30, 64


def model() -> "nn.Module":
    """With its starting weights, of torch's generator."""
    from torch import nn

    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def train(trial: Trial) -> None:
    """One training; about half a second on one core."""
    import torch

    torch.manual_seed(trial.seed("init"))
    fit(trial, model(), EPOCHS, BATCH)


def train_stack(trials: Trials) -> None:
    """Many trainings at once."""
    fit_stack(trials, model, EPOCHS, BATCH)


TASK = Task(
    name="digits-mlp",
    summary="handwritten digits 8x8, fully connected 64-64-10",
    statement=(
        f"Model: dense 64-64, ReLU, dense 64-10, with biases, PyTorch's initialisation. {EPOCHS} epochs. "
        f"{statement(str(BATCH))}"
    ),
    version="1",
    metrics=METRICS,
    epochs=EPOCHS,
    train=train,
    train_stack=train_stack,
)
