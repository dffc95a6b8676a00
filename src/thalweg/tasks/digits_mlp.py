"""digits-mlp: a small fully connected network on handwritten digits."""

from .digits import METRICS, STATEMENT, batches, evaluate, load
from .task import Task, Trial

EPOCHS, BATCH = 30, 64


def train(trial: Trial) -> None:
    """One training; about half a second on one core."""
    import torch
    from torch import nn

    data = load()
    torch.manual_seed(trial.seed("init"))
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
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
    name="digits-mlp",
    summary="handwritten digits 8x8, fully connected 64-64-10",
    statement=(
        f"Model: dense 64-64, ReLU, dense 64-10, with biases, PyTorch's initialisation. {EPOCHS} epochs. {STATEMENT}"
    ),
    version="1",
    metrics=METRICS,
    epochs=EPOCHS,
    train=train,
)
