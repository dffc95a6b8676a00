"""digits-mlp: a small fully connected network on handwritten digits."""

from .digits import METRICS, fit, statement
from .task import Task, Trial

EPOCHS, BATCH = 30, 64


def train(trial: Trial) -> None:
    """One training; about half a second on one core."""
    import torch
    from torch import nn

    torch.manual_seed(trial.seed("init"))
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    fit(trial, model, EPOCHS, BATCH)


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
)
