"""One training, in this process: what a comparison does many times, to look at or to build upon."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from thalweg import formula
from thalweg.stats.wording import value_text
from thalweg.study.ask.arguments import checked_arguments, refuse_without_script
from thalweg.study.ask.draws import defaults
from thalweg.study.ask.finding import rule_of
from thalweg.study.ask.loading import refuse_inside_a_loaded_file
from thalweg.study.ask.method_references import one_training, resolve_method
from thalweg.study.ask.methods import Method, checked, method_of_rule
from thalweg.study.ask.other_optimizers import is_optimizer, method_of_optimizer
from thalweg.study.ask.task_references import option_problem, own_path, resolve_task, training_of
from thalweg.study.model.cells import CPU, Curve, Status, Value
from thalweg.study.model.errors import StudyError
from thalweg.study.model.metric import unit_of
from thalweg.study.model.schedules import Schedule, find_schedule
from thalweg.tasks.task import Choice

Report = Callable[[int, Mapping[str, float]], None]


@dataclass(frozen=True, repr=False)
class Training:
    """What came of one training.

    ``values``   every hyperparameter and switch that was used, by name; ``options`` the task's.
    ``status``   ``done``; ``diverged``: a reported value was not finite; ``failed``: the script raised.
    ``message``  of one that is not done.
    ``curves``   what was reported, by metric: ``curves["test_loss"].values[i]`` at the end of epoch ``.epochs[i]``.
    ``steps``    optimizer steps taken; ``seconds`` wall clock of the whole.
    ``traceback``  of one that failed, as Python prints it.
    """

    task: str
    rule: str
    seed: int
    schedule: str
    values: Mapping[str, Value]
    options: Mapping[str, Choice]
    status: Status
    message: str
    curves: Mapping[str, Curve] = field(default_factory=dict)
    steps: int = 0
    seconds: float = 0.0
    traceback: str = ""

    @property
    def final(self) -> dict[str, float]:
        """The last value of each metric."""
        return {name: curve.values[-1] for name, curve in self.curves.items()}

    @property
    def moved(self) -> dict[str, str]:
        """Of each metric, in words, from where to where: 2.316 -> 0.09312."""
        ends = {name: (unit_of(name), curve.values) for name, curve in self.curves.items()}
        return {name: f"{unit.value(values[0])} -> {unit.value(values[-1])}" for name, (unit, values) in ends.items()}

    def __repr__(self) -> str:
        """The training in three lines: what, how it ended, and from where to where."""
        used = ", ".join(f"{k}={value_text(v)}" for k, v in self.values.items())
        plan = "" if self.schedule == "none" else f", schedule {self.schedule}"
        ended = f"{self.status} after {self.steps} steps in {self.seconds:.2g} s"
        moved = ", ".join(f"{name} {moved}" for name, moved in self.moved.items())
        lines = (
            f"Training of {self.task} with {self.rule} ({used}){plan}, seed {self.seed}",
            f"  {ended}" + (f": {self.message}" if self.message else ""),
            f"  {moved}" if moved else "",
        )
        return "\n".join(line for line in lines if line)


def train(
    task: str | Callable[[Any], object],
    rule: str | type | Callable[..., Any],
    *,
    seed: int = 0,
    like: str | None = None,
    schedule: str | Schedule = "none",
    task_options: Mapping[str, Choice] | None = None,
    arguments: Sequence[str] = (),
    on_report: Report | None = None,
    device: str = CPU,
    **hyperparameters: Value,
) -> Training:
    """Train once, in this process, and say what came of it.

    ``task``             a name from `thalweg tasks`, ``"my_script.py:train"``, or a function ``train(trial)``.
    ``rule``             a name from `thalweg rules`, as text for `compare`, a Rule, or an optimizer class, of any
                         library, or a function that makes one.
    ``seed``             of the run; the training's seeds are derived from it.
    ``like``             another library's conventions and defaults: "torch", "tf1", "keras", "optax", "paper".
    ``schedule``         of the learning rate, by name (`thalweg.study.model.schedules`), or a function of epoch and
                         epochs.
    ``task_options``     ``{"instance": 2}``: of a built-in task, those it has; your own reads ``trial.options``.
    ``arguments``        of a script, which it finds in ``sys.argv``: ``["--epochs", "5"]``.
    ``on_report``        called after each report with the epoch and the values reported.
    ``device``           what `trial.device` is: "cpu", "cuda" or "cuda:1".
    ``hyperparameters``  of the rule, by the names in `thalweg show`; others keep their default.

    It runs on one thread and seeds Python's, numpy's and torch's global generators. What the training raises ends it
    as failed, unless it is a KeyboardInterrupt. Raises `StudyError`, which says what to write instead, for unknown
    names and values out of range.
    """
    refuse_inside_a_loaded_file()
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise StudyError(f"seed must be a whole number, at least 0; got {seed!r}")
    label, source, options = found_task(task, task_options)
    given = checked_arguments(arguments)
    refuse_without_script(given, label, source)
    used, name, fixed = _found(rule, like, tuple(hyperparameters))
    if twice := sorted(fixed.keys() & hyperparameters.keys()):
        raise StudyError(f"{twice[0]} is given twice: in {rule!r} and as {hyperparameters[twice[0]]!r}; leave one out")
    values = defaults(used, {**fixed, **checked(used, hyperparameters, name)})
    factor = schedule if callable(schedule) else find_schedule(schedule)

    # Here, not at the top: torch is imported when something is to be trained.
    from .conduct import conduct
    from .devices import in_this_process, refuse_own_task
    from .trial import Trial

    refuse_own_task(source, device)
    path = None if callable(source) else own_path(source)
    to_read = options if path or callable(source) else ()
    trial = Trial(
        seed,
        used,
        values,
        options=options,
        to_read=to_read,
        schedule=factor,
        on_report=on_report,
        script=path,
        device=in_this_process(device),
    )
    ended = conduct(trial, training_of(source, given), path, given)
    outcome = trial.outcome()
    return Training(
        task=label,
        rule=name,
        seed=seed,
        schedule=schedule if isinstance(schedule, str) else getattr(schedule, "__name__", repr(schedule)),
        values=values,
        options=options,
        status=ended.status,
        message=ended.message,
        curves=outcome["curves"],
        steps=outcome["steps"],
        seconds=ended.seconds,
        traceback=ended.traceback,
    )


def found_task(
    task: str | Callable[[Any], object], options: Mapping[str, Choice] | None
) -> tuple[str, str | Callable[[Any], object], Mapping[str, Choice]]:
    """The task's label, where its function is found (or the function itself), and all of its options."""
    if callable(task):
        given = dict(options or {})
        if problem := next((p for name, value in given.items() if (p := option_problem(name, value))), ""):
            raise StudyError(f"task_options: {problem}")
        return getattr(task, "__name__", "function"), task, given
    found = resolve_task(task, options)
    return found.name, found.source, found.options


def _found(
    rule: str | type | Callable[..., Any], convention: str | None, asked: tuple[str, ...]
) -> tuple[Method, str, Mapping[str, Value]]:
    """The method, what it is called, and the values that its text fixes."""
    if isinstance(rule, str):
        reference = rule if convention is None else f"{rule}:like={convention}"
        found = one_training(resolve_method(reference, asked), "a training")
        return found.method, found.label, found.fixed
    # The class itself, which may live in a notebook: no other process has to find it.
    own = rule_of(rule)
    if own is None and is_optimizer(rule) and convention is None:
        return method_of_optimizer(rule, rule.__name__, asked), rule.__name__, {}
    if own is None:
        raise StudyError(f"{rule.__qualname__} is no update rule: give a name, a Rule, or an optimizer class")
    try:
        return method_of_rule(own if convention is None else formula.like(own, convention)), own.__name__, {}
    except ValueError as problem:
        raise StudyError(str(problem)) from problem
