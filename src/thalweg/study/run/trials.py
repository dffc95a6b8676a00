"""What the trainings of a stack are given, which run at the same time."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import zip_longest
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch

from thalweg.optim.averaging import running_statistics
from thalweg.stacks import Lockstep, models
from thalweg.study.model.errors import StudyError
from thalweg.study.model.readouts import NONE
from thalweg.tasks.task import Choice

from . import read_out
from .reported import Diverged
from .trial import Trial


class Shared(StudyError):
    """What the trainings of a stack have come to depends on who is in it."""


class OneTrial:
    """What may be asked of one trial of a stack; what is done with it is done with all at once, by `Trials`."""

    def __init__(self, trial: Trial) -> None:
        self.options, self.splits, self.device = trial.options, trial.splits, trial.device
        self.run_seed, self.seed, self.file = trial.run_seed, trial.seed, trial.file

    def __getattr__(self, name: str) -> Any:
        if hasattr(Trials, name) and not name.startswith("_"):
            raise StudyError(f"of a trial of a stack there is no {name} by itself: trials.{name} is of all at once")
        if name == "optimizer":
            raise StudyError("the optimizers of a stack are made with its models: trials.lockstep(make_model)")
        raise AttributeError(f"a trial of a stack has no {name!r}")


class Trials(Sequence[OneTrial]):
    """What a function for many trainings at once is given: ``def train_stack(trials): ...``.

    stack = trials.lockstep(Net)
    for epoch in trials.epochs(10, steps=STEPS):
        for index in ...:                                 # of each training's own batch, (len(trials), batch)
            stack.step(loss, images[index], classes[index])
        for _ in trials.evaluations():
            trials.report(train_loss=..., valid_loss=..., valid_accuracy=..., test_accuracy=...)

    They have the same options, and differ in rules, hyperparameters and seeds.
    """

    def __init__(self, trials: Sequence[Trial]) -> None:
        self._trials = tuple(trials)
        for trial in self._trials[1:]:
            trial.share_options(self._trials[0])
        self._stack: _Watched | None = None
        self._begun: Mapping[str, object] = {}

    def __len__(self) -> int:
        return len(self._trials)

    @overload
    def __getitem__(self, index: int) -> OneTrial: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[OneTrial]: ...
    def __getitem__(self, index: int | slice) -> OneTrial | Sequence[OneTrial]:
        some = self._trials[index]
        return OneTrial(some) if isinstance(some, Trial) else [OneTrial(trial) for trial in some]

    @property
    def options(self) -> Mapping[str, Choice]:
        """As those of each trial: they are the same for all."""
        return self._trials[0].options

    @property
    def device(self) -> torch.device:
        """The CPU: on a graphics card trainings run side by side."""
        return self._trials[0].device

    @property
    def splits(self) -> bool:
        """As `Trial.splits`."""
        return self._trials[0].splits

    def seeds(self, axis: str) -> list[int]:
        """`Trial.seed` of each."""
        return [trial.seed(axis) for trial in self._trials]

    def file(self, path: str, /) -> Path:
        """As `Trial.file`."""
        return self._trials[0].file(path)

    def lockstep(self, make_model: Callable[[], torch.nn.Module], **options: Any) -> Lockstep:
        """A model for each trial, made after ``torch.manual_seed(trial.seed("init"))``, and the optimizers under trial.

        ``options`` as of `Trial.optimizer`. Raises `StudyError` where averages of the weights of a model with BatchNorm
        are to be tested.
        """
        if self._stack is not None:
            raise StudyError("trials.lockstep is called once: several networks of one training are parts of one module")
        members, generators = models(make_model, self.seeds("init"))
        averages = [readout for trial in self._trials for readout in trial.readouts if readout != NONE]
        if averages and running_statistics(members[0]):
            raise StudyError(
                f"readout={averages[0]} cannot be tested in a stack of models with BatchNorm, whose running statistics "
                "would be those of the weights that are trained: train with --single, where "
                "trial.evaluations(model, batches) takes them anew"
            )
        self._stack = _Watched(self._trials, members, generators, options)
        self._begun = _common_generators()
        return self._stack

    def epochs(self, count: int, steps: int | None = None) -> Iterator[int]:
        """0, 1, ..., count - 1, as `Trial.epochs`, until all trainings have diverged."""
        walks = [trial.epochs(count, steps) for trial in self._trials]
        for epoch in range(count):
            # One that has diverged has no more epochs.
            left = [next(walk, None) for walk in walks]
            if all(each is None for each in left):
                return
            yield epoch
        for walk in walks:
            next(walk, None)

    @contextmanager
    def evaluation(self) -> Iterator[None]:
        """As `Trial.evaluation`, of all."""
        for trial in self._trials:
            trial.serve_first()
        with self._in_place(0):
            yield

    def evaluations(self) -> Iterator[list[str]]:
        """As `Trial.evaluations`, of all: as often as the one has averages to be tested that has most of them.

        Gives what is in place, of each trial; "none" of one that has no more.
        """
        for place, readouts in enumerate(zip_longest(*(trial.readouts for trial in self._trials), fillvalue=NONE)):
            shown = [trial.serve(place) for trial in self._trials]
            if any(shown):
                with self._in_place(place):
                    yield [*readouts]
        for trial in self._trials:
            trial.serve(None)

    @contextmanager
    def _in_place(self, place: int) -> Iterator[None]:
        readouts = {group: readout for trial in self._trials for group, readout in trial.in_place(place).items()}
        with ExitStack() as inside:
            for optimizer in self._stack.stepped if self._stack else ():
                inside.enter_context(read_out.in_place(optimizer, readouts))
            yield

    def report(
        self,
        *unnamed: object,
        higher: str | Sequence[str] = (),
        lower: str | Sequence[str] = (),
        tests: int | None = None,
        positive: str | Sequence[str] = (),
        **metrics: Any,
    ) -> None:
        """As `Trial.report`, each metric with a value for each trial: a tensor or array (trials,), or a list.

        A training with a value that is not finite has diverged: its model keeps its weights from there on, and what is
        reported of it later is dropped. `Diverged` is raised when all have.
        """
        values = {name: self._each("report", name, given) for name, given in metrics.items()}
        for k, trial in enumerate(self._trials):
            if not trial.diverged:
                with suppress(Diverged):
                    trial.report(
                        *unnamed, higher=higher, lower=lower, tests=tests, positive=positive,
                        **{name: of[k] for name, of in values.items()},
                    )  # fmt: skip
        self._leave_out()

    def check(self, losses: Any) -> None:
        """As `Trial.check`: trainings whose loss, of (trials,), is not finite have diverged."""
        for trial, loss in zip(self._trials, self._each("check", "the loss", losses), strict=True):
            if not trial.diverged:
                with suppress(Diverged):
                    trial.check(loss)
        self._leave_out()

    def _each(self, by: str, name: str, given: Any) -> list[Any]:
        values = given.tolist() if hasattr(given, "tolist") else given
        if not isinstance(values, list | tuple) or len(values) != len(self):
            has = f"it has {len(values)}" if isinstance(values, list | tuple) else f"got {values!r}"
            raise StudyError(f"trials.{by}: {name} must have a value for each of the {len(self)} trials; {has}")
        return list(values)

    def _leave_out(self) -> None:
        """Those that have diverged learn no more."""
        ended = [k for k, trial in enumerate(self._trials) if trial.diverged]
        if self._stack:
            self._stack.freeze(ended)
        if len(ended) == len(self):
            raise Diverged(self._trials[0].diverged)

    def finish(self) -> None:
        """Give the optimizers what the stack has kept for them. Raises `Shared` where trainings are not their own."""
        if self._stack:
            self._stack.hand_back()
        now = _common_generators()
        if drawn := [name for name, state in self._begun.items() if state != now[name]]:
            raise Shared(
                f"it draws from {drawn[0]}'s common generator, or seeds it, which all trainings of a stack share, so "
                "each would depend on the others: give each a generator of its own, seeded by trials.seeds('data')"
            )


class _Watched(Lockstep):
    """A stack whose trials know what becomes of their optimizers."""

    def __init__(
        self,
        trials: Sequence[Trial],
        members: Sequence[torch.nn.Module],
        generators: Sequence[torch.Generator],
        options: Mapping[str, Any],
    ) -> None:
        self._trials = trials
        super().__init__(members, lambda k, model: trials[k].built(model, options)[0], generators)

    def step(self, loss: Callable[..., torch.Tensor], *inputs: torch.Tensor) -> torch.Tensor:
        """As that of every stack."""
        if not self.seconds:
            for trial in self._trials:
                trial.at_first_step()
        for trial in self._trials:
            if not trial.diverged:
                trial.before_step()
        losses = super().step(loss, *inputs)
        if self.alone:
            raise StudyError(
                "torch computes this model in a way that depends on how many there are, so all would be trained one by "
                "one, more slowly than without a stack: leave the function for stacks out, or train with --single"
            )
        for trial in self._trials:
            if not trial.diverged:
                trial.stepped(self.seconds[-1] / len(self))
        return losses


def _common_generators() -> dict[str, object]:
    """Where the generators stand that a whole process shares, by whose they are."""
    numpys = [x.tobytes() if isinstance(x, np.ndarray) else x for x in np.random.get_state(legacy=True)]
    return {"torch": torch.get_rng_state().numpy().tobytes(), "numpy": numpys, "Python": random.getstate()}
