"""What a task is, and what it may ask of a trial."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from thalweg.closest import did_you_mean

Choice = int | bool | str


class Trial(Protocol):
    """What a training gets from a comparison; a script of your own gets the same.

    def train(trial):
        torch.manual_seed(trial.seed("init"))
        model = Net()
        optimizer = trial.optimizer(model)
        for epoch in trial.epochs(10, steps=len(loader)):
            ...
            for _ in trial.evaluations():
                trial.report(train_loss=..., valid_loss=..., valid_accuracy=..., test_accuracy=...)
    """

    @property
    def options(self) -> Mapping[str, Choice]:
        """What was chosen of the task's options, by name: all of them, but later ones only where they were chosen."""

    @property
    def splits(self) -> bool:
        """Whether training and validation data are to be divided by ``seed("split")``, where a task divides them."""

    @property
    def run_seed(self) -> int:
        """The run's seed itself, for what another library drew from it; anything else takes `seed`."""

    def seed(self, axis: str) -> int:
        """A seed for one source of chance (``init``, ``data``, ``dropout``), the same for every rule compared."""

    def optimizer(self, model_or_params: Any, **options: Any) -> Any:
        """The optimizer under trial, a ``torch.optim.Optimizer``: rule and hyperparameters come from the trial."""

    def epochs(self, count: int, steps: int | None = None) -> Iterator[int]:
        """0, 1, ..., count - 1; sets the learning rate's schedule at the start of each. ``steps``: of an epoch."""

    def evaluation(self) -> AbstractContextManager[None]:
        """Within, the parameters hold the weights to test, where these are not the ones that are trained."""

    def evaluations(self, model: Any = None, batches: Any = None) -> Iterator[str]:
        """As `evaluation`, once for each average of the weights that is compared; usually once.

        With ``model`` and ``batches`` of inputs BatchNorm's statistics are those of the average.
        """

    def report(self, **metrics: Any) -> None:
        """Values at the end of an epoch, or, before the first step, at initialisation; ``tests=``: test examples."""

    def check(self, loss: Any) -> None:
        """End the training as diverged if this loss is not finite. Optional: saves the rest of an epoch."""


class Trials(Protocol):
    """What trainings at the same time get from a comparison: trials with the same options, of other rules and seeds.

    def train_stack(trials):
        stack = trials.lockstep(Net)
        for epoch in trials.epochs(10, steps=STEPS):
            ...
            stack.step(loss, images, classes)
            for _ in trials.evaluations():
                trials.report(train_loss=..., valid_loss=..., valid_accuracy=..., test_accuracy=...)
    """

    def __len__(self) -> int:
        """How many there are."""

    def __iter__(self) -> Iterator[Trial]:
        """Each by itself, for its seeds."""

    def __getitem__(self, index: int) -> Trial:
        """One, for its seeds."""

    @property
    def options(self) -> Mapping[str, Choice]:
        """As those of each trial: they are the same for all."""

    @property
    def splits(self) -> bool:
        """As `Trial.splits`."""

    def seeds(self, axis: str) -> list[int]:
        """`Trial.seed` of each."""

    def lockstep(self, make_model: Callable[[], Any], **options: Any) -> Any:
        """A `thalweg.stacks.Lockstep` of a model for each trial, with the optimizers under trial."""

    def epochs(self, count: int, steps: int | None = None) -> Iterator[int]:
        """As `Trial.epochs`; ends when all have diverged."""

    def evaluation(self) -> AbstractContextManager[None]:
        """As `Trial.evaluation`, of all."""

    def evaluations(self) -> Iterator[list[str]]:
        """As `Trial.evaluations`, of all."""

    def report(self, **metrics: Any) -> None:
        """As `Trial.report`, each metric a tensor with a value for each trial."""

    def check(self, losses: Any) -> None:
        """As `Trial.check`, of a loss for each trial."""


def take_step(optimizer: Any, loss: Callable[[], Any]) -> None:
    """One step of an optimizer on a loss. By a closure, since some ask for it more than once (SAM, LBFGS)."""

    def closure() -> Any:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    optimizer.step(closure)


@dataclass(frozen=True)
class Option:
    """Something a task leaves open: a switch or a word when its default is one, else a whole number.

    ``least``    of a whole number; ``multiple``  what divides it.
    ``choices``  of a word: all that it may be.
    ``later``    whether the task had results before it had the option: its default is what they were made with, and no
                 part of a run's key.
    """

    default: Choice
    meaning: str
    least: int = 0
    choices: tuple[str, ...] = ()
    multiple: int = 1
    later: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.default, str) and self.default not in self.choices:
            raise ValueError(f"the default {self.default!r} must be one of the choices {self.choices}")

    def problem(self, value: object) -> str:
        """What is wrong with a value, in words; "" if nothing is."""
        if isinstance(self.default, bool):
            return "" if isinstance(value, bool) else f"is a switch, true or false; got {value!r}"
        if isinstance(self.default, str):
            if value in self.choices:
                return ""
            meant = did_you_mean(value.lower(), self.choices) if isinstance(value, str) else ""
            return f"must be one of {', '.join(self.choices)}; got {value!r}{meant}"
        problem = whole_number_problem(value, self.least)
        if problem or not isinstance(value, int) or value % self.multiple == 0:
            return problem
        below = value - value % self.multiple
        return f"must be a multiple of {self.multiple}, such as {below} or {below + self.multiple}; got {value}"


def whole_number_problem(value: object, least: int | None = None) -> str:
    """What is wrong with a whole number of at most 64 bits, which is what results are stored with; "" if nothing is."""
    above = "" if least is None else f", at least {least}"
    if isinstance(value, bool) or not isinstance(value, int):
        return f"must be a whole number{above}; got {value!r}"
    if value.bit_length() > 63:
        return f"must be a whole number of at most 64 bits{above}; got one of {value.bit_length() + 1}"
    return f"must be a whole number{above}; got {value}" if least is not None and value < least else ""


@dataclass(frozen=True)
class Task:
    """A training problem that comes with thalweg.

    ``summary``    one line; ``statement`` precise enough to build it again.
    ``version``    changes whenever its results may change; part of every run's key.
    ``metrics``    what it reports.
    ``train``      one training; called in a worker, since it imports torch.
    ``train_stack``  many trainings at once, where that is faster: each as ``train``, but for rounding.
    ``options``    what it leaves open, by name.

    An option that is added later is `Option.later`, with a default that leaves results what they were; ``train`` reads
    it with that default, since runs of before have none.
    """

    name: str
    summary: str
    statement: str
    version: str
    metrics: tuple[str, ...]
    epochs: int
    train: Callable[[Trial], None]
    options: Mapping[str, Option] = field(default_factory=dict)
    train_stack: Callable[[Trials], None] | None = None
