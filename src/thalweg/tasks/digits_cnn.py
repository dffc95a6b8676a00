"""digits-cnn: a small convolutional network on handwritten digits."""

from .digits import METRICS, STATEMENT, batches, evaluate, load
from .task import Task, Trial

EPOCHS, BATCH = 15, 64


def train(trial: Trial) -> None:
    """One training; about two seconds on one core."""
    import torch
    from torch import nn

    data = load()
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
    optimizer = trial.optimizer(model)
    shuffled = batches(data.train, BATCH, trial.seed("data"))
    trial.report(**evaluate(model, data))
    for _ in trial.epochs(EPOCHS):
        for images, classes in next(shuffled):
            loss = nn.functional.cross_entropy(model(images), classes)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        with trial.evaluation():
            trial.report(**evaluate(model, data))


TASK = Task(
    name="digits-cnn",
    summary="handwritten digits 8x8, two convolutions and a dense layer",
    statement=(
        "Model: convolution 3x3 of 1 to 16 channels, ReLU, convolution 3x3 of 16 to 32 channels, ReLU (both padded "
        "by 1), maximum over 2x2, dense 512-10; with biases, PyTorch's initialisation. "
        f"{EPOCHS} epochs. {STATEMENT}"
    ),
    version="1",
    metrics=METRICS,
    epochs=EPOCHS,
    train=train,
)
