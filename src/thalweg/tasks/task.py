"""What a task is, and what it may ask of a trial."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

Choice = int | bool


class Trial(Protocol):
    """What a training gets from a comparison; a script of your own gets the same.

    def train(trial):
        torch.manual_seed(trial.seed("init"))
        model = Net()
        optimizer = trial.optimizer(model)
        for epoch in trial.epochs(10):
            ...
            with trial.evaluation():
                trial.report(train_loss=..., valid_loss=..., valid_accuracy=..., test_accuracy=...)
    """

    @property
    def options(self) -> Mapping[str, Choice]:
        """What was chosen of the task's options, all of them by name."""

    @property
    def run_seed(self) -> int:
        """The run's seed itself, for what another library drew from it; anything else takes `seed`."""

    def seed(self, axis: str) -> int:
        """A seed for one source of chance (``init``, ``data``, ``dropout``), the same for every rule compared."""

    def optimizer(self, model_or_params: Any, **options: Any) -> Any:
        """The optimizer under trial, a ``torch.optim.Optimizer``: rule and hyperparameters come from the trial."""

    def epochs(self, count: int) -> Iterator[int]:
        """0, 1, ..., count - 1; sets the learning rate's schedule at the start of each."""

    def evaluation(self) -> AbstractContextManager[None]:
        """Within, the parameters hold the weights to test, where these are not the ones that are trained."""

    def report(self, **metrics: float) -> None:
        """Values at the end of an epoch, or, before the first step, at initialisation."""

    def check(self, loss: Any) -> None:
        """End the training as diverged if this loss is not finite. Optional: saves the rest of an epoch."""


@dataclass(frozen=True)
class Option:
    """Something a task leaves open: a switch when its default is one, else a whole number from ``least`` on."""

    default: Choice
    meaning: str
    least: int = 0

    def problem(self, value: object) -> str:
        """What is wrong with a value, in words; "" if nothing is."""
        if isinstance(self.default, bool):
            return "" if isinstance(value, bool) else f"is a switch, true or false; got {value!r}"
        if isinstance(value, bool) or not isinstance(value, int) or value < self.least:
            return f"must be a whole number, at least {self.least}; got {value!r}"
        return ""


@dataclass(frozen=True)
class Task:
    """A training problem that comes with thalweg.

    ``summary``    one line; ``statement`` precise enough to build it again.
    ``version``    changes whenever its results may change; part of every run's key.
    ``metrics``    what it reports.
    ``train``      one training; called in a worker, since it imports torch.
    ``options``    what it leaves open, by name.
    """

    name: str
    summary: str
    statement: str
    version: str
    metrics: tuple[str, ...]
    epochs: int
    train: Callable[[Trial], None]
    options: Mapping[str, Option] = field(default_factory=dict)
