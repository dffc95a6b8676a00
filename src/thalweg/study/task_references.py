"""How a comparison names a training problem: `digits-mlp`, or `path/to/my_script.py:train`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thalweg.tasks import TASKS

from .errors import StudyError
from .loading import existing_file, file_hash, load_file, where
from .rule_references import ending


@dataclass(frozen=True)
class ResolvedTask:
    """A training problem: ``source`` is how workers find it, ``hash`` its version or its file's sha256."""

    name: str
    source: str
    hash: str
    summary: str = ""


def resolve_task(reference: str) -> ResolvedTask:
    """Find a task from its reference, without running any of the user's code; `StudyError` if there is none."""
    if not isinstance(reference, str):
        raise StudyError(f"a task is a name such as 'digits-mlp', or 'my_script.py:train'; got {reference!r}")
    if task := TASKS.get(reference):
        return ResolvedTask(task.name, task.name, f"version {task.version}", task.summary)
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


def script_path(source: str) -> Path | None:
    """The file of a user's script; None for a built-in task."""
    place = source.rpartition(":")[0]
    return Path(place) if place else None


def find_train(source: str) -> Callable[[Any], Any]:
    """The function ``train(trial)``. Called in workers: it imports the user's file.

    Raises `StudyError` when the file cannot be imported, or has no such function.
    """
    path = script_path(source)
    if path is None:
        return TASKS[source].train
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
