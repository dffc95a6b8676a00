"""A training that is stopped early: by its first reports one sees whether a learning rate is of the right size."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from math import ceil
from typing import Any

from thalweg.study.ask.method_references import find_method
from thalweg.study.ask.methods import Method
from thalweg.study.ask.task_references import own_path, training_of
from thalweg.study.model.cells import WITHOUT_RESULT, Cell, Curve, Value
from thalweg.study.model.errors import StudyError
from thalweg.study.model.schedules import ByStep, Schedule, find_schedule
from thalweg.tasks.task import Choice

from .conduct import Ending, conduct, conduct_stack
from .devices import device_of
from .stacking import LARGEST
from .trial import Trial
from .trials import Trials

WHOLE = 10**9  # more epochs than any training has
LEAST = 3  # epochs; fewer are mostly the first steps' noise


class _Enough(BaseException):
    """Ends a training from within its report. No `Exception`, which a script's own `except` might swallow."""


class ShortTrial(Trial):
    """A trial that ends its training after ``limit`` epochs. ``planned``: how many it was to have, once that is known.

    Schedules are those of the whole training: what is cut short is the training, not its plan.
    """

    def __init__(self, *arguments: Any, asked: int | None, **named: Any) -> None:
        super().__init__(*arguments, on_report=self._reported, **named)
        self._asked = asked
        self.planned: int | None = None

    @property
    def limit(self) -> int:
        """The epochs asked for; else a tenth of the training, and where its length is not known, the least."""
        return self._asked or max(LEAST, ceil((self.planned or 0) / 10))

    def epochs(self, count: int, steps: int | None = None) -> Iterator[int]:
        """As in every trial."""
        self.planned = count
        return super().epochs(count, steps)

    def unfollowed(self) -> str:
        """As in every trial, but that it ends early is on purpose."""
        return self._unfollowed

    def _reported(self, epoch: int, values: Mapping[str, float]) -> None:
        if epoch >= self.limit and any(name.startswith("valid_") for name in values):
            raise _Enough


def train_short(
    source: str | Callable[[Any], object],
    method: Method,
    values: Mapping[str, Value],
    *,
    seed: int,
    options: Mapping[str, Choice],
    schedule: Schedule | ByStep,
    epochs: int | None,
    device: str,
    arguments: Sequence[str] = (),
    stack: int = 0,
) -> tuple[Ending, Mapping[str, Curve], int | None]:
    """Train for ``epochs`` epochs, or a tenth: how it ended, its curves, and how many epochs the whole has.

    ``stack``  0, or how many of it to train in lockstep, of which this is said of the first.
    """
    path = None if callable(source) else own_path(source)
    to_read = options if path or callable(source) else ()
    training = training_of(source, arguments, bool(stack))
    trials = [
        ShortTrial(
            seed,
            method,
            values,
            asked=epochs,
            options=options,
            to_read=to_read,
            schedule=schedule,
            device=device_of(device),
            script=path,
        )
        for _ in range(max(stack, 1))
    ]

    def run(given: Trial | Trials) -> None:
        with suppress(_Enough):
            training(given)

    first = trials[0]
    ending = conduct_stack(trials, run, path, arguments)[0] if stack else conduct(first, run, path, arguments)
    return ending, first.outcome()["curves"], first.planned


def seconds_of(cell: Cell) -> float:
    """About how long a training takes: from short ones of one epoch and of three, after one that loads what it needs.

    Raises `StudyError` where it fails.
    """
    method = find_method(cell.rule_source, tuple(cell.values)).method

    def short(epochs: int) -> tuple[float, int | None]:
        ending, _, planned = train_short(
            cell.task_source,
            method,
            cell.values,
            seed=cell.seed,
            options=cell.options,
            schedule=find_schedule(cell.schedule),
            epochs=epochs,
            device="cpu",
            arguments=cell.arguments,
            stack=LARGEST // 2 if cell.lockstep else 0,
        )
        if ending.status in WITHOUT_RESULT:
            raise StudyError(f"the training of {cell.task} ({cell.called}) failed: {ending.message}")
        return ending.seconds, planned

    _, planned = short(1)
    if planned is None:  # it counts no epochs: how long it takes, only all of it says
        return short(WHOLE)[0]
    (one, _), (three, _) = short(1), short(3)
    return one + (planned - 1) * max(three - one, 0.0) / 2
