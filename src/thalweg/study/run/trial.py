"""What a training script is given."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from math import isfinite
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from thalweg.stats.wording import listed
from thalweg.study.ask.data_files import data_file
from thalweg.study.ask.methods import Method
from thalweg.study.model.cells import Argument, Value
from thalweg.study.model.errors import StudyError
from thalweg.study.model.metric import declaration_problem, name_problem, without_split
from thalweg.study.model.readouts import NONE
from thalweg.study.model.schedules import ByStep, Schedule, constant
from thalweg.tasks.task import Choice, whole_number_problem

from . import read_out, stepped
from .following import Following
from .reported import Diverged, Reported

# The largest tensor that is looked at to see whether an optimizer of somebody else updates anything.
WATCHED = 1_000_000


class FirstStep(BaseException):
    """Ends a training that was begun to see with what its first step is taken."""


class _Options(Mapping[str, Choice]):
    """A training's options, which remember which of them it has read."""

    def __init__(self, chosen: Mapping[str, Choice]) -> None:
        self._chosen = dict(chosen)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Choice:
        value = self._chosen[name]
        self.read.add(name)
        return value

    def __contains__(self, name: object) -> bool:
        return name in self._chosen  # to ask whether there is one is not to read it

    def __iter__(self) -> Iterator[str]:
        return iter(self._chosen)

    def __len__(self) -> int:
        return len(self._chosen)

    def __repr__(self) -> str:
        return repr(self._chosen)


class Trial:
    """What a training script is given: ``def train(trial): ...``.

    torch.manual_seed(trial.seed("init"))
    model = Net()
    optimizer = trial.optimizer(model)
    for epoch in trial.epochs(10, steps=len(loader)):
        ...
        for _ in trial.evaluations():
            trial.report(train_loss=..., valid_loss=..., valid_accuracy=..., test_accuracy=...)
    """

    def __init__(
        self,
        seed: int,
        method: Method,
        values: Mapping[str, Value],
        *,
        options: Mapping[str, Choice] | None = None,
        to_read: Iterable[str] = (),
        schedule: Schedule | ByStep = constant,
        by_step: Mapping[str, ByStep] | None = None,
        chain: Mapping[str, Argument] | None = None,
        held: Mapping[str, int] | None = None,
        on_report: Callable[[int, Mapping[str, float]], None] | None = None,
        stops_at_first_step: bool = False,
        device: torch.device | None = None,
        script: Path | None = None,
        splits: bool = False,
        readouts: Sequence[str] = (NONE,),
    ) -> None:
        self._device = device or torch.device("cpu")
        self._stops = stops_at_first_step
        self._script = script
        self._splits = splits
        self._first: dict[str, tuple[float, ...]] = {}
        self._seed = seed
        self._method = method
        self._values = values
        self._options = _Options(options or {})
        self._to_read = tuple(to_read)
        self._schedule = constant if isinstance(schedule, ByStep) else schedule
        self._by_step = {**({"lr": schedule} if isinstance(schedule, ByStep) else {}), **(by_step or {})}
        self._following: list[Following] = []
        self._kept: list[read_out.Kept] = []
        self._unfollowed = ""  # why what goes by the step cannot
        self._chain = dict(chain or {})
        self._held = dict(held or {})
        self._on_report = on_report
        self._optimizers: list[torch.optim.Optimizer] = []
        self._step_seconds: list[float] = []
        self._reports = [Reported(readout) for readout in readouts]
        self._shown: int | None = None  # of which of these reports are now; None: of all
        self._higher: dict[str, bool] = {}
        self._positive: set[str] = set()
        self._tests: int | None = None
        self._epoch = 0
        self._in_epochs = False
        self._last_step: int | None = None
        self._evaluated = False
        self._sent = False
        self._before: list[tuple[torch.Tensor, torch.Tensor]] = []
        self.diverged = ""
        """Why the run has ended as diverged; "" if it has not."""

    def __getstate__(self) -> dict[str, Any]:
        self._sent = True  # what another process does with its copy stays there
        return self.__dict__

    @property
    def options(self) -> Mapping[str, Choice]:
        """What was chosen of the task's options, all of them by name; a script of your own has those it was given."""
        return self._options

    @property
    def device(self) -> torch.device:
        """Where to put model and data: the CPU, unless the comparison was given other devices (``--devices``)."""
        return self._device

    @property
    def splits(self) -> bool:
        """Whether a built-in task divides training and validation data by ``seed("split")``; else as it always did.

        So it does in a comparison: a study has one division for its search, and another for each re-run. A script of
        your own need not ask: it takes ``seed("split")``. Test data are the same in all runs.
        """
        return self._splits

    @property
    def run_seed(self) -> int:
        """The run's seed itself, for what another library drew from it; anything else takes `seed`."""
        return self._seed

    def seed(self, axis: str) -> int:
        """A seed for one source of chance (``init``, ``data``, ``dropout``, ``split``): 63 bits.

        It is the same for every rule and configuration of a run, so that rules start from the same weights and
        see the same batches: their differences are paired. A source that the comparison holds has one seed in all runs.
        """
        digest = hashlib.sha256(f"{self._held.get(axis, self._seed)}/{axis}".encode()).digest()
        return int.from_bytes(digest[:8], "big") >> 1

    def file(self, path: str, /) -> Path:
        """A data file that the script reads, by its path from the script's folder: ``trial.file("data.csv")``.

        What is in it is part of what the result stands for: after a change the file is named, and trained again. It is
        seen by reading the script, so the name stands in the call itself.
        """
        return data_file(self._script, path)

    def optimizer(self, model_or_params: Any, **options: Any) -> torch.optim.Optimizer:
        """The optimizer under trial, for a model, its parameters, or parameter groups.

        Rule and hyperparameters come from the trial; ``options`` is what belongs to the task, not to the rule
        (``clip_norm=1.0``). A group that has a ``name`` can be chosen for by it. Steps may be given a closure, which
        some optimizers need (SAM, LBFGS).
        """
        optimizer, bounds = self.built(model_or_params, options)
        before = partial(self._prepare, self._following[-1:], self._kept[-1:])
        stepped.time_steps(optimizer, self._step_seconds, self.at_first_step, bounds, before)
        return optimizer

    def epochs(self, count: int, steps: int | None = None) -> Iterator[int]:
        """0, 1, ..., count - 1; what is reported inside belongs to the epoch then running.

        At the start of each, every group's learning rate is its first one times the schedule's factor.
        ``steps``: how many an epoch has, ``len(loader)``: what goes by the step must know how many there will be.
        """
        if steps is not None and (wrong := whole_number_problem(steps, 1)):
            raise StudyError(f"trial.epochs: steps, the number of steps of an epoch, {wrong}")
        self._in_epochs = True
        self._last_step = None if steps is None else count * steps
        for epoch in range(count):
            if self.diverged:
                return
            self._epoch = epoch + 1
            if self._schedule is not constant:
                self._set_rates(self._schedule(epoch, count))
            yield epoch

    @contextmanager
    def evaluation(self) -> Iterator[None]:
        """Within, the parameters hold the weights to test, where these are not the ones that are trained.

        So it is with averages (``ema=0.999``) and Schedule-Free; for other rules nothing changes. Evaluate in it,
        and take no steps. Where averages of the weights are compared (``readout=``), it serves one of them, and the
        others are trained by themselves; `evaluations` serves all.
        """
        self.serve_first()
        with ExitStack() as inside:
            for optimizer in self._optimizers:
                inside.enter_context(read_out.in_place(optimizer, self.in_place(0)))
            yield

    def evaluations(self, model: torch.nn.Module | None = None, batches: Iterable[Any] | None = None) -> Iterator[str]:
        """As `evaluation`, once for each average of the weights that is compared, with it in place.

        ``for _ in trial.evaluations(): trial.report(...)``; without ``readout=`` once. With ``model`` and ``batches``
        (a list or loader, which is gone through for each) BatchNorm's statistics are those of the average meanwhile.
        What is drawn from the generators of Python, NumPy and torch is the same in each.

        Raises `StudyError` for one of ``model`` and ``batches`` without the other, and for an iterator where there are
        several to be tested: the first would leave nothing to the others.
        """
        if (model is None) != (batches is None):
            raise StudyError("trial.evaluations takes both the model and batches of its inputs, or neither")
        if len(self._reports) > 1 and isinstance(batches, Iterator):
            raise StudyError(
                "trial.evaluations(model, batches): batches are gone through for each readout, and an iterator can be "
                "only once: give a list or a loader"
            )
        given = (model, batches) if self._step_seconds else (None, None)  # before, the weights are the same in all
        before = read_out.Chance() if self._reads_out else None
        for place, own in enumerate(self._reports):
            if not self.serve(place):
                continue
            if before:
                before.put_back()  # a loader may shuffle the batches
            with ExitStack() as inside:
                for optimizer in self._optimizers:
                    inside.enter_context(read_out.in_place(optimizer, self.in_place(place), *given))
                if before:
                    before.put_back()  # and the weights that are trained are tested without them
                yield own.readout
        self.serve(None)

    def report(
        self,
        *unnamed: object,
        higher: str | Sequence[str] = (),
        lower: str | Sequence[str] = (),
        tests: int | None = None,
        positive: str | Sequence[str] = (),
        **metrics: float,
    ) -> None:
        """Values at the end of an epoch (or, once before the first step, at initialisation).

        Numbers, or tensors and arrays with one element. Names begin with train_, valid_ or test_; an accuracy is a
        fraction from 0 to 1; a value that is not finite ends the run as diverged.

        ``higher``, ``lower``  of which metrics higher or lower values are better, where their names do not tell:
        ``trial.report(valid_jaccard=0.7, higher="jaccard")``. Once is enough.
        ``tests``   of how many examples the test part is: accuracies are then compared by their errors, as ratios.
        ``positive``  of which metrics values are positive and may come as near to 0 as they like: these are compared as
        ratios too. Of a loss that cannot fall below some value (noise in the labels, say) the difference is what
        counts. Once is enough.
        """
        self._declare(higher, True)
        self._declare(lower, False)
        self._positive |= set(map(without_split, [positive] if isinstance(positive, str) else positive))
        if tests is not None:
            if wrong := whole_number_problem(tests, 1):
                raise StudyError(f"trial.report: tests, the number of test examples, {wrong}")
            self._tests = tests
        if unnamed:
            raise StudyError("trial.report takes values by name: trial.report(valid_loss=..., test_loss=...)")
        if not metrics:
            raise StudyError("trial.report() was called without values: write trial.report(valid_loss=..., ...)")
        if self._step_seconds and (problem := self._elsewhere([*metrics])):
            raise StudyError(problem)
        for own in self._shown_now():
            self._add(own, metrics)
        if self._on_report and not self._reports[0].diverged:
            self._on_report(self._epoch, self._reports[0].last([*metrics]))

    def _elsewhere(self, names: Sequence[str]) -> str:
        """What is wrong with where metrics are reported of weights that have been trained; "" if nothing."""
        says = "tests other weights than it trains, so its values must be computed with those in place: evaluate"
        tested = next((name for name in names if not name.startswith("train_")), None)
        if self._reads_out and self._shown is None and tested:
            readout = next(each for each in self.readouts if each != NONE)
            return (
                f"readout={readout} {says} inside `for _ in trial.evaluations():`, and report there too; {tested} is "
                "reported outside, where only train_ metrics may stand"
            )
        if not self._reads_out and not self._evaluated and any(map(stepped.tests_other_weights, self._optimizers)):
            return (
                f"{self._method.name} {says} inside `with trial.evaluation():`, which changes nothing for other rules"
            )
        return ""

    def _add(self, own: Reported, metrics: Mapping[str, float]) -> None:
        """Report of one readout; the training goes on until all have diverged."""
        if self._in_epochs:
            own.epoch = self._epoch
        elif own.curves or self._step_seconds:
            own.epoch += 1
            self._epoch = max(self._epoch, own.epoch)
        try:
            for name, given in metrics.items():
                if problem := name_problem(name, self._higher):
                    raise StudyError(f"trial.report: {problem}")
                own.add(name, _number(name, given))
        except Diverged as ended:
            own.end(str(ended), len(self._step_seconds))
            if all(each.diverged for each in self._reports):
                self._end(str(ended))
            return
        for name, (_, values) in own.curves.items():
            if without_split(name) in self._positive and min(values) <= 0:
                raise StudyError(
                    f"trial.report: {name} is declared positive and was {min(values):g}: ratios of it say nothing, so "
                    "leave positive= out, and differences are compared"
                )

    def _declare(self, given: str | Sequence[str], higher: bool) -> None:
        for name in map(without_split, [given] if isinstance(given, str) else given):
            if problem := declaration_problem(name, higher, self._higher):
                raise StudyError(f"trial.report: {problem}")
            self._higher[name] = higher

    def check(self, loss: Any) -> None:
        """End the run as diverged if this loss is not finite. Optional: saves the rest of an epoch."""
        value = _number("loss", loss)
        if not isfinite(value):
            self._end(f"the loss was {value:g} in epoch {self._epoch}")

    def _end(self, message: str) -> None:
        for own in self._reports:
            if not own.diverged:
                own.end(message, len(self._step_seconds))
        self.diverged = message
        raise Diverged(message)

    def _set_rates(self, factor: float) -> None:
        for group in self._groups():
            if "lr" not in group:
                raise StudyError(f"{self._method.name} has no learning rate lr, so no schedule can change it")
            # torch's schedulers keep a group's first rate under this name too.
            group["lr"] = group.setdefault("initial_lr", group["lr"]) * factor

    def _groups(self) -> Iterator[dict[str, Any]]:
        """The parameter groups of all optimizers."""
        for optimizer in self._optimizers:
            yield from optimizer.param_groups

    # For whoever steps the optimizer in the script's place.

    def built(
        self, model_or_params: Any, options: Mapping[str, Any]
    ) -> tuple[torch.optim.Optimizer, Mapping[str, float]]:
        """The optimizer of `optimizer`, whose steps nobody times, and the bounds of gradients that it does not keep."""
        if isinstance(model_or_params, type):
            raise StudyError(
                f"trial.optimizer takes the model, and gives the optimizer; got the class {model_or_params.__name__}: "
                "which optimizer it is, -r says"
            )
        tuples = {hyper.of: name for name, hyper in self._method.hypers.items() if hyper.of and name in self._values}
        if chosen := sorted(set(options) & {*self._values, *tuples}):
            number = tuples.get(chosen[0], chosen[0])
            called = self._method.name.lower() if self._method.rule else self._method.name
            raise StudyError(
                f"trial.optimizer(...): {chosen[0]} is chosen by the comparison: leave it out here. If it is to be the "
                f"same in every trial, that stands in the rule's name: {called}:{number}=..."
            )
        if chosen := sorted(set(options) & set(self._chain)):
            raise StudyError(
                f"trial.optimizer(...): {chosen[0]} is chosen by the comparison; leave it out here or there"
            )
        if self._reads_out and "readouts" in options:
            raise StudyError("trial.optimizer(...): readouts is chosen by the comparison; leave it out here or there")
        whole = {**options, **self._chain, **read_out.options(self.readouts)}
        # What no rule of ours can do itself is done before its step.
        clipping = {} if self._method.rule else {name: whole.pop(name, None) for name in stepped.CLIPPING}
        optimizer: torch.optim.Optimizer = self._method.build(model_or_params, self._values, whole)
        stepped.begin(optimizer)
        self._optimizers.append(optimizer)
        self._kept.append(read_out.Kept(optimizer, self.readouts))
        if self._by_step:
            self._following.append(Following(self._method.name, optimizer, self._by_step))
        return optimizer, {name: bound for name, bound in clipping.items() if bound is not None}

    def share_options(self, other: "Trial") -> None:
        """What one of the two reads of its options, which are the same, both have read."""
        self._options = other._options

    def before_step(self) -> None:
        """All optimizers are about to take a step: what goes by the step is set."""
        self._prepare(self._following, self._kept)

    def _prepare(self, following: Sequence[Following], kept: Sequence[read_out.Kept]) -> None:
        try:
            for each in following:
                each.set(self._last_step)
        except StudyError as problem:
            self._unfollowed = str(problem)
            raise
        for own in kept:
            own.before_step(self._last_step)

    def stepped(self, seconds: float) -> None:
        """A step has been taken, and took so long."""
        self._step_seconds.append(seconds)

    @property
    def readouts(self) -> list[str]:
        """Which averages of the weights are tested, `thalweg.study.model.readouts`: all of one training."""
        return [own.readout for own in self._reports]

    @property
    def _reads_out(self) -> bool:
        return any(readout != NONE for readout in self.readouts)

    def serve(self, place: int | None) -> bool:
        """What is reported from here on was computed with this one of the readouts in place; None: it is of all.

        Whether anybody wants to know of it: one that has diverged has ended, and there may be fewer.
        """
        self._evaluated = True
        self._shown = place
        for own in self._in_turn() if self._step_seconds and place is not None else ():
            own.shown += 1
        return bool(self._shown_now())

    def _in_turn(self) -> list[Reported]:
        return self._reports if self._shown is None else self._reports[self._shown : self._shown + 1]

    def _shown_now(self) -> list[Reported]:
        return [own for own in self._in_turn() if not own.diverged]

    def in_place(self, place: int) -> dict[int, str]:
        """Which readout of the parameters is to be in place, by the `id` of their group."""
        readout = self.readouts[place] if place < len(self._reports) else NONE
        return {id(group): readout for group in self._groups()}

    def serve_first(self) -> None:
        """As `serve`, for a script that tests once: before the first step that is of all."""
        self.serve(0 if self._step_seconds else None)

    def at_first_step(self) -> None:
        """Look at what the script has made of the hyperparameters before anything is trained."""
        numbers = [self._method.numbers(group) for group in self._groups()]
        self._first = {name: tuple(of[name] for of in numbers if name in of) for name in self._method.hypers}
        if self._stops:
            raise FirstStep
        if not self._method.rule and self._values.get("lr") != 0:
            trained = [param for group in self._groups() for param in group["params"] if param.requires_grad]
            self._before = [(param, param.detach().clone()) for param in trained if param.numel() <= WATCHED]

    # For whoever conducts the training.

    @property
    def trained_on(self) -> frozenset[str]:
        """The types of device that the parameters were on."""
        return frozenset(parameter.device.type for group in self._groups() for parameter in group["params"])

    @property
    def first_step(self) -> Mapping[str, tuple[float, ...]]:
        """The hyperparameters as they were in each parameter group at the first step; empty before it."""
        return self._first

    def replaced(self) -> tuple[str, ...]:
        """The hyperparameters that no parameter group had as they were chosen when it was first stepped."""
        given = dict(self._values)
        if self._in_epochs and self._schedule is not constant:
            given.pop("lr", None)  # the schedule's factor is ours
        return tuple(name for name, seen in self._first.items() if name in given and seen and given[name] not in seen)

    def unserved(self, place: int) -> bool:
        """Whether a readout was tested less often than the first: its run has to be a training of its own."""
        own = self._reports[place]
        return own.shown < self._reports[0].shown and not own.diverged

    def ended(self, place: int) -> str:
        """Why a readout's run has ended as diverged; "" if it has not."""
        return self._reports[place].diverged

    def outcome(self, place: int = 0) -> dict[str, Any]:
        """What the run of a readout has to say of itself, as fields of `Run`."""
        own = self._reports[place]
        return {
            "curves": own.as_curves(self._higher, self._positive, self._tests),
            "steps": len(self._step_seconds) if self.diverged or own.steps is None else own.steps,
            "step_seconds": median(self._step_seconds) if self._step_seconds else None,
            "state_bytes": sum(read_out.state_bytes(optimizer, own.readout) for optimizer in self._optimizers),
        }

    def complaint(self) -> str:
        """What a script that ended without an exception forgot; "" if nothing."""
        served = [own.curves for place, own in enumerate(self._reports) if not self.unserved(place)]
        if not (self._optimizers and all(served) and self._step_seconds) and self._sent:
            return (
                "it gave its trial to other processes, and nothing comes back from those: let train(trial) itself be "
                "rank 0, which makes the optimizer, steps it and reports, and start only the other ranks"
            )
        if not self._optimizers:
            return "it never called trial.optimizer(model), so every rule would train alike"
        if not all(served):
            return "it never called trial.report(valid_loss=..., ...), so there is nothing to compare"
        if not self._step_seconds:
            return "it never stepped the optimizer that trial.optimizer gave it, so no rule trained anything"
        if self._before and all(torch.equal(param, before) for param, before in self._before):
            return (
                f"{self._method.name} changed no weight in {len(self._step_seconds)} steps: does its step call the "
                "closure that it is given, and update the parameters that it was made with?"
            )
        if self._schedule is not constant and not self._in_epochs:
            return "it counts its epochs itself, so the schedule had no effect: loop over trial.epochs(...)"
        if not all(any(name.startswith("valid_") for name in curves) for curves in served):
            return "it reports no validation metric, so no winner could be chosen: add valid_loss=... to trial.report"
        return (
            self.unread()
            or self.unfollowed()
            or read_out.never_begun(self.readouts, self._last_step, [own.taken for own in self._kept])
        )

    def unfollowed(self) -> str:
        """Why a schedule by the step was not followed, or not as far as its training went; "" if it was."""
        return self._unfollowed or next(filter(None, (each.unmet() for each in self._following)), "")

    def unread(self) -> str:
        """Which of the options that it had to read it did not; "" if it read them."""
        unread = [f"trial.options[{name!r}]" for name in self._to_read if name not in self._options.read]
        return f"it never read {listed(unread)}, so what was chosen there changed nothing" if unread else ""


def _number(name: str, given: Any) -> float:
    try:
        return float(given.item() if isinstance(given, torch.Tensor | np.ndarray) else given)
    except (TypeError, ValueError, RuntimeError):
        shape = getattr(given, "shape", None)
        kind = repr(given)[:60] if shape is None else f"shape {tuple(shape)}"
        raise StudyError(f"trial.report: {name} must be a number or a tensor with one element, got {kind}") from None
