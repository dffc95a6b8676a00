"""Which learning rates are worth searching: short trainings, one for each rate and seed.

Not the learning-rate range test (Smith 2017, arXiv:1506.01186), which raises the rate step by step within one
training: there the weights and the optimizer's state at one rate are what the rates before have left, so a rate is
credited with its predecessors' work, and the loss rises some way after the rate at which it would have. Here every
rate starts from the same weights and sees the same batches, so that differences are the rate's own.

What short trainings cannot tell: how a rate ends. A rate that is best after a tenth of the training need not be best
after all of it; so what is recommended is a range to search, wider than what was found good, and not a winner.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from math import exp, log
from typing import Any

from thalweg.stats.wording import value_text
from thalweg.study.ask.arguments import checked_arguments, refuse_without_script
from thalweg.study.ask.draws import defaults
from thalweg.study.ask.loading import refuse_inside_a_loaded_file
from thalweg.study.ask.method_references import (
    ResolvedMethod,
    find_method,
    one_training,
    reference_to,
    resolve_method,
)
from thalweg.study.ask.methods import checked
from thalweg.study.model.cells import Curve, Status, Value
from thalweg.study.model.errors import StudyError
from thalweg.study.model.schedules import ByStep, Schedule, find_schedule
from thalweg.tasks.task import Choice

from .devices import refuse_own_task
from .engines import Engine, LocalProcesses, WorkerDied
from .lr_range import LearningRates, ShortRun, judged
from .train import found_task

Task = str | Callable[[Any], object]


def lr_find(
    task: Task,
    rule: str | type = "adamw",
    *,
    low: float | None = None,
    high: float | None = None,
    points: int = 13,
    seeds: int = 2,
    seed: int = 0,
    epochs: int | None = None,
    metric: str | None = None,
    like: str | None = None,
    schedule: str | Schedule = "none",
    task_options: Mapping[str, Choice] | None = None,
    arguments: Sequence[str] = (),
    workers: int | None = None,
    engine: Engine | None = None,
    on_run: Callable[[int, int], None] | None = None,
    **hyperparameters: Value,
) -> LearningRates:
    """Find a range of learning rates for a task, by short trainings from the same start.

    ``task``, ``rule``, ``like``, ``schedule``, ``task_options``, ``arguments``, ``hyperparameters``: as for `train`; a
                     rule of your own stands in a file, where worker processes can find it.
    ``low``, ``high``  the smallest and largest rate; the ends of the rule's search box (`thalweg show`) unless given.
    ``points``       how many rates, equally far apart on a logarithmic scale; at least 4.
    ``seeds``        trainings of each rate, with the seeds ``seed``, ``seed`` + 1, ...: the same for all rates.
    ``epochs``       of each training; a tenth of the whole unless given, but at least 3. The schedule is that of the
                     whole training.
    ``metric``       what is judged, on validation; the loss where it is reported, else as in a comparison.
    ``workers``, ``engine``  as for `compare`.
    ``on_run``       called in this process after each training: how many have ended, and how many there are.

    Raises `StudyError` for what the caller can put right: unknown names, a task that does not run, a range in which
    no rate trains.
    """
    refuse_inside_a_loaded_file()
    for name, given, least in (("points", points, 4), ("seeds", seeds, 1), ("seed", seed, 0), ("epochs", epochs, 1)):
        if given is not None and (isinstance(given, bool) or not isinstance(given, int) or given < least):
            raise StudyError(f"{name} must be a whole number, at least {least}; got {given!r}")
    label, source, options = found_task(task, task_options)
    own = checked_arguments(arguments)
    refuse_without_script(own, label, source)
    found = _rule(rule, like)
    given_here = {**found.fixed, **checked(found.method, hyperparameters, f"rule {found.label}")}
    values = defaults(found.method, given_here)
    rates = grid(*box(found, hyperparameters, values, low, high), points)
    plan = schedule if callable(schedule) else find_schedule(schedule)
    with closing(engine or LocalProcesses(workers)) as opened:
        device = opened.device_kind()
        refuse_own_task(source, device)
        asked = [
            _Asked(source, found.source, {**values, "lr": rate}, seed + k, options, plan, epochs, device, own)
            for k in range(seeds)
            for rate in rates
        ]
        runs = _trained(opened, asked, label, on_run or (lambda _done, _total: None))
    reference = ":".join([found.source, *(f"{name}={value_text(value)}" for name, value in given_here.items())])
    return judged(label, found.label, runs, metric, own, reference, source if isinstance(source, str) else "")


def box(
    found: ResolvedMethod,
    hyperparameters: Mapping[str, Value],
    values: Mapping[str, Value],
    low: float | None,
    high: float | None,
) -> tuple[float, float]:
    """The smallest and largest rate: as given, else the ends of the rule's declared search."""
    declared = found.method.hypers.get("lr")
    if declared is None:
        raise StudyError(f"{found.label} has no learning rate lr to find")
    if "lr" in found.fixed or "lr" in hyperparameters:
        raise StudyError(f"the learning rate is what lr_find looks for: leave lr={value_text(values['lr'])} out")
    side = declared.search
    if side is not None and side.kind == "log":
        scale = 1.0 - values[side.over] if side.over else 1.0
        low = side.low / scale if low is None else low
        high = side.high / scale if high is None else high
    if low is None or high is None:
        raise StudyError(
            f"{found.label} declares no search of lr: give both ends, --low 1e-5 --high 0.1 (in Python low=, high=)"
        )
    for name, end in (("low", low), ("high", high)):
        if isinstance(end, bool) or not isinstance(end, int | float) or not 0 < end < float("inf"):
            raise StudyError(f"{name} must be a number above 0; got {end!r}")
        if problem := declared.problem(float(end)):
            raise StudyError(f"{name}: lr {problem}")
    if low >= high:
        raise StudyError(f"low must be below high; got {low:g} and {high:g}")
    return float(low), float(high)


def grid(low: float, high: float, points: int) -> tuple[float, ...]:
    """So many rates from ``low`` to ``high``, each the same factor above the one before."""
    step = (log(high) - log(low)) / (points - 1)
    return (low, *(exp(log(low) + i * step) for i in range(1, points - 1)), high)


@dataclass(frozen=True)
class _Asked:
    """One short training, as a worker is asked for it."""

    source: Task
    rule: str
    values: Mapping[str, Value]
    seed: int
    options: Mapping[str, Choice]
    schedule: Schedule | ByStep
    epochs: int | None
    device: str
    arguments: Sequence[str]

    def run(self, status: Status, message: str, curves: Mapping[str, Curve], planned: int | None) -> ShortRun:
        return ShortRun(float(self.values["lr"]), self.seed, status, message, curves, planned)


def _train(asked: _Asked) -> ShortRun:
    # Here, not at the top: only workers import torch.
    from .short import train_short

    ending, curves, planned = train_short(
        asked.source,
        find_method(asked.rule, tuple(asked.values)).method,
        asked.values,
        seed=asked.seed,
        options=asked.options,
        schedule=asked.schedule,
        epochs=asked.epochs,
        device=asked.device,
        arguments=asked.arguments,
    )
    return asked.run(ending.status, ending.message, curves, planned)


def _trained(engine: Engine, asked: Sequence[_Asked], task: str, tell: Callable[[int, int], None]) -> list[ShortRun]:
    """Every training's run. Until one has ended well, a failure is the script's: it would come every time."""
    runs: list[ShortRun] = []
    with closing(engine.map(_train, asked)) as results:
        for item, result in results:
            dead = isinstance(result, WorkerDied)
            run = item.run(result.status, str(result), {}, None) if isinstance(result, WorkerDied) else result
            runs.append(run)
            if (dead or run.status == "failed") and not any(other.status == "done" for other in runs):
                raise StudyError(f"a training of {task} with lr={run.lr:.3g} failed: {run.message}")
            tell(len(runs), len(asked))
    return runs


def _rule(given: str | type, convention: str | None) -> ResolvedMethod:
    text = reference_to(given) if isinstance(given, type) else given
    return one_training(resolve_method(text if convention is None else f"{text}:like={convention}"), "lr-find")
