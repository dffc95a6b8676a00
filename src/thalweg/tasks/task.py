"""What a task is, and what it may ask of a trial."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol


class Trial(Protocol):
    """What a training gets from a comparison; a script of your own gets the same.

    def train(trial):
        torch.manual_seed(trial.seed("init"))
        model = Net()
        optimizer = trial.optimizer(model)
        for epoch in trial.epochs(10):
            ...
            trial.report(train_loss=..., valid_loss=..., valid_accuracy=..., test_accuracy=...)
    """

    def seed(self, axis: str) -> int:
        """A seed for one source of chance (``init``, ``data``, ``dropout``), the same for every rule compared."""

    def optimizer(self, model_or_params: Any, **options: Any) -> Any:
        """The optimizer under trial, a ``torch.optim.Optimizer``: rule and hyperparameters come from the trial."""

    def epochs(self, count: int) -> Iterator[int]:
        """0, 1, ..., count - 1."""

    def report(self, **metrics: float) -> None:
        """Values at the end of an epoch, or, before the first step, at initialisation."""

    def check(self, loss: Any) -> None:
        """End the training as diverged if this loss is not finite. Optional: saves the rest of an epoch."""


@dataclass(frozen=True)
class Task:
    """A training problem that comes with thalweg.

    ``summary``    one line; ``statement`` precise enough to build it again.
    ``version``    changes whenever its results may change; part of every run's key.
    ``metrics``    what it reports.
    ``train``      one training; called in a worker, since it imports torch.
    """

    name: str
    summary: str
    statement: str
    version: str
    metrics: tuple[str, ...]
    epochs: int
    train: Callable[[Trial], None]
