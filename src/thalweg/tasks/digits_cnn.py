"""digits-cnn: a small convolutional network on handwritten digits."""

from .digits import METRICS, fit, statement
from .task import Task, Trial

EPOCHS, BATCH = 15, 64


def train(trial: Trial) -> None:
    """One training; about two seconds on one core."""
    import torch
    from torch import nn

    torch.manual_seed(trial.seed("init"))
    model = nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)),
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(512, 10),
    )
    fit(trial, model, EPOCHS, BATCH)


TASK = Task(
    name="digits-cnn",
    summary="handwritten digits 8x8, two convolutions and a dense layer",
    statement=(
        "Model: convolution 3x3 of 1 to 16 channels, ReLU, convolution 3x3 of 16 to 32 channels, ReLU (both padded "
        "by 1), maximum over 2x2, dense 512-10; with biases, PyTorch's initialisation. "
        f"{EPOCHS} epochs. {statement(str(BATCH))}"
    ),
    version="1",
    metrics=METRICS,
    epochs=EPOCHS,
    train=train,
)
