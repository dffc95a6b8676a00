"""How a comparison names a training problem.

digits-mlp                     one that comes with thalweg
quadratic-deep:instance=2      the same with options
path/to/my_script.py:train     a function in a script
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from thalweg.tasks import TASKS, Task
from thalweg.tasks.task import Choice

from .errors import StudyError
from .loading import existing_file, file_hash, load_file, where
from .rule_references import WORDS, ending


@dataclass(frozen=True)
class ResolvedTask:
    """A training problem: ``source`` is how workers find it, ``hash`` its version or its file's sha256.

    ``options``  all of the task's options, by name; those that are not the default stand in ``name`` too.
    """

    name: str
    source: str
    hash: str
    summary: str = ""
    options: Mapping[str, Choice] = field(default_factory=dict)


def resolve_task(reference: str, options: Mapping[str, Choice] | None = None) -> ResolvedTask:
    """Find a task from its reference, without running any of the user's code; `StudyError` if there is none.

    ``options`` are added to those in the reference.
    """
    if not isinstance(reference, str):
        raise StudyError(f"a task is a name such as 'digits-mlp', or 'my_script.py:train'; got {reference!r}")
    named, *rest = reference.split(":")
    if task := TASKS.get(named):
        chosen = _chosen(task, {**_written_options(task, rest), **(options or {})})
        label = ":".join([named, *(f"{k}={str(v).lower()}" for k, v in chosen.items() if v != task.options[k].default)])
        return ResolvedTask(label, label, f"version {task.version}", task.summary, chosen)
    if options:
        raise StudyError(f"{reference} takes no options, so not {next(iter(options))}: they belong to built-in tasks")
    place, colon, function = reference.rpartition(":")
    if not colon and reference.endswith(".py"):
        raise StudyError(f"{reference}: say which function trains, for instance {reference}:train")
    if not place.endswith(".py"):
        names = list(TASKS)
        raise StudyError(
            f"there is no task {reference!r}{ending(reference, names)} Tasks: {', '.join(names)}. "
            "A script of your own is given as my_script.py:train."
        )
    if not function.isidentifier():
        raise StudyError(f"{reference}: after the colon stands the function that trains, for instance {place}:train")
    path = existing_file(place, f"task {reference}")
    return ResolvedTask(f"{path.name}:{function}", f"{path}:{function}", file_hash(path))


def epochs_of(task: ResolvedTask) -> int | None:
    """How many epochs a built-in task trains; None for a script, which nobody has read yet."""
    found = TASKS.get(task.source.partition(":")[0])
    return found.epochs if found else None


def script_path(source: str) -> Path | None:
    """The file of a user's script; None for a built-in task."""
    place = source.rpartition(":")[0]
    return Path(place) if place.endswith(".py") else None


def find_train(source: str) -> Callable[[Any], Any]:
    """The function ``train(trial)``. Called in workers: it imports the user's file.

    Raises `StudyError` when the file cannot be imported, or has no such function.
    """
    path = script_path(source)
    if path is None:
        return TASKS[source.partition(":")[0]].train
    function = source.rpartition(":")[2]
    try:
        module = load_file(path)
    except StudyError:
        raise
    except (Exception, SystemExit) as problem:
        raise StudyError(f"importing {path.name} failed: {where(problem, path)}") from problem
    found = getattr(module, function, None)
    offered = [
        name
        for name, value in vars(module).items()
        if callable(value) and getattr(value, "__module__", "") == module.__name__
    ]
    if found is None:
        listed = f"Functions in it: {', '.join(offered)}." if offered else "It defines no function."
        raise StudyError(f"{path.name} has no function {function!r}{ending(function, offered)} {listed}")
    if not callable(found):
        raise StudyError(f"{function} in {path.name} is not a function: write `def {function}(trial): ...`")
    train: Callable[[Any], Any] = found
    return train


def check_task(source: str) -> str:
    """What is wrong with a task, found by importing it; "" if nothing. For a worker, whose crash harms nobody."""
    try:
        find_train(source)
    except StudyError as problem:
        return str(problem)
    return ""


def _written_options(task: Task, pieces: list[str]) -> dict[str, Choice]:
    """Options as text: ``instance=2``, ``reshuffle=false``."""
    found: dict[str, Choice] = {}
    for piece in pieces:
        name, equals, written = (part.strip() for part in piece.partition("="))
        if not equals:
            raise StudyError(f"task {task.name}: write options as name=value, separated by colons; got {piece!r}")
        found[name] = read_option(written)
    return found


def read_option(written: str) -> Choice:
    """An option's value from text: a word for a switch, else a whole number."""
    if written.lower() in WORDS:
        return WORDS[written.lower()]
    try:
        return int(written)
    except ValueError:
        raise StudyError(f"{written} is neither a whole number nor true or false") from None


def _chosen(task: Task, given: Mapping[str, Choice]) -> dict[str, Choice]:
    """All options of a task, those given and the defaults of the others."""
    for name, value in given.items():
        if name not in task.options:
            known = list(task.options)
            has = f"It has: {', '.join(known)}." if known else "It has none."
            raise StudyError(f"the task {task.name} has no option {name!r}{ending(name, known)} {has}")
        if problem := task.options[name].problem(value):
            raise StudyError(f"the task {task.name}: {name} {problem}")
    return {name: given.get(name, option.default) for name, option in task.options.items()}
