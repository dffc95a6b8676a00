"""How a comparison names a training problem.

digits-mlp                     one that comes with thalweg
quadratic-deep:instance=2      the same with options
path/to/my_script.py:train     a function in a script, with options likewise: it reads them in trial.options
path/to/train-0123.function:train   a function that stood in a notebook, as a comparison has kept it
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from thalweg.closest import ending
from thalweg.stats.wording import value_text
from thalweg.study.model.errors import StudyError
from thalweg.tasks import TASKS, Task, distinguishing
from thalweg.tasks.task import Choice, whole_number_problem

from .functions import function_files, function_path, load_function
from .loading import existing_file, load_file, where
from .local_modules import functions_defined, joined_hash, script_files
from .method_references import WORDS, assignments

# What the name of the function for many trainings at once ends with: train, train_stack.
STACK = "_stack"


@dataclass(frozen=True)
class ResolvedTask:
    """A training problem: ``source`` is how workers find it, ``hash`` its version or its file's sha256.

    ``options``  of a built-in task all that tell its runs apart, by name, of a script those given; what is not the
                 default stands in ``name`` and ``source`` too.
    ``given``    the options that were not left to the task.
    """

    name: str
    source: str
    hash: str
    summary: str = ""
    options: Mapping[str, Choice] = field(default_factory=dict)
    given: frozenset[str] = frozenset()


def resolve_task(reference: str, options: Mapping[str, Choice] | None = None) -> ResolvedTask:
    """Find a task from its reference, without running any of the user's code; `StudyError` if there is none.

    ``options`` are added to those in the reference.
    """
    if not isinstance(reference, str):
        raise StudyError(f"a task is a name such as 'digits-mlp', or 'my_script.py:train'; got {reference!r}")
    named, *rest = reference.split(":")
    if task := TASKS.get(named):
        return _built_in(task, {**_written_options(reference, rest), **(options or {})})
    if path := function_path(reference):
        return _kept(path, reference.rpartition(":")[2], dict(options or {}))
    place, function, rest = _script(reference)
    if not place and reference.endswith(".py"):
        raise StudyError(f"{reference}: say which function trains, for instance {reference}:train")
    if not place:
        names = list(TASKS)
        raise StudyError(
            f"there is no task {reference!r}{ending(reference, names)} Tasks: {', '.join(names)}. "
            "A script of your own is given as my_script.py:train."
        )
    if not function.isidentifier():
        raise StudyError(f"{reference}: after the colon stands the function that trains, for instance {place}:train")
    path = existing_file(place, f"task {place}:{function}")
    given = {**_written_options(reference, rest), **(options or {})}
    _check_own(f"{path.name}:{function}", given)
    told = [option_text(option, value) for option, value in sorted(given.items())]
    label, source = (":".join([f"{found}:{function}", *told]) for found in (path.name, path))
    return ResolvedTask(label, source, task_hash(source), "", given, frozenset(given))


def epochs_of(task: ResolvedTask) -> int | None:
    """How many epochs a built-in task trains; None for a script, which nobody has read yet."""
    found = TASKS.get(task.source.partition(":")[0])
    return found.epochs if found else None


def task_files(source: str) -> dict[str, str]:
    """What a user's own task consists of, each part with its sha256, by name; {} for a built-in task."""
    if path := function_path(source):
        return function_files(path)
    script = script_path(source)
    return script_files(script) if script else {}


def task_hash(source: str) -> str:
    """What a user's own task is known by, as it is now."""
    return joined_hash(task_files(source))


def is_own(source: str) -> bool:
    """Whether a task is a user's own, and no built-in one."""
    return own_path(source) is not None


def own_path(source: str) -> Path | None:
    """The file of a user's own task; None for a built-in one."""
    return script_path(source) or function_path(source)


def script_path(source: str) -> Path | None:
    """The file of a user's script; None for a built-in task."""
    place, _, _ = _script(source)
    return Path(place) if place else None


def trains_stacks(source: str) -> bool:
    """Whether a task has a function for many trainings at once; seen without running the user's code."""
    if built_in := TASKS.get(source.partition(":")[0]):
        return built_in.train_stack is not None
    path = script_path(source)
    _, function, _ = _script(source)
    return path is not None and path.is_file() and function + STACK in functions_defined(path)


def find_train(source: str, arguments: Sequence[str] = (), stack: bool = False) -> Callable[[Any], Any]:
    """The function ``train(trial)``. Called in workers: it imports the user's file, which has these arguments.

    ``stack``  the one for many trainings at once instead, ``train_stack(trials)``.

    Raises `StudyError` when the file cannot be imported, or has no such function.
    """
    if kept := function_path(source):
        return load_function(kept)
    path = script_path(source)
    if path is None:
        built_in = TASKS[source.partition(":")[0]]
        return built_in.train_stack if stack and built_in.train_stack else built_in.train
    _, function, _ = _script(source)
    function += STACK if stack else ""
    try:
        module = load_file(path, arguments)
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


def training_of(
    source: str | Callable[[Any], Any], arguments: Sequence[str] = (), stack: bool = False
) -> Callable[[Any], Any]:
    """What trains: the function itself, or one that loads the user's file anew whenever it is called."""
    return source if callable(source) else lambda given: find_train(source, arguments, stack)(given)


def check_task(asked: tuple[str, Sequence[str]]) -> str:
    """What is wrong with a task, found by importing it; "" if nothing. For a worker, whose crash harms nobody.

    ``asked``  where it is found, and its script's arguments.
    """
    try:
        find_train(*asked)
    except StudyError as problem:
        return str(problem)
    return ""


def read_option(written: str) -> Choice:
    """An option's value from text: a switch, a whole number, or else the word itself."""
    if written.lower() in WORDS:
        return WORDS[written.lower()]
    try:
        return int(written)
    except ValueError:
        return written


def option_text(name: str, value: Choice) -> str:
    """An option and its value as they are written: norm=layer, reshuffle=false."""
    return f"{name}={value_text(value)}"


def option_problem(name: object, value: object) -> str:
    """What is wrong with an option of a script, whose own options nobody declares; "" if nothing is."""
    if not isinstance(name, str) or not name.replace("-", "_").isidentifier():
        return f"an option has a name such as 'norm'; got {name!r}"
    # Their very types: what inherits from them, numpy's words and enumerations, cannot be stored, or reads otherwise.
    if type(value) is bool:
        return ""
    if type(value) is int:
        return f"{name} {problem}" if (problem := whole_number_problem(value)) else ""
    if type(value) is not str:
        return (
            f"{name} is a word, a whole number or a switch; got {value!r}: give a number with a fraction as a word, "
            f"'0.5', and read float(trial.options[{name!r}])"
        )
    if not value or not value.isprintable() or value != value.strip() or {*value} & {*",:="}:
        return f"{name} must be a word without commas, colons and equals signs; got {value!r}"
    read = read_option(value)
    return "" if read == value else f"{name}: the word {value!r} would be read as {read}; give that, or another word"


def check_options(task: ResolvedTask, options: Mapping[str, Choice]) -> None:
    """Raise `StudyError` where the task has no such option, or the option no such value."""
    if built_in := TASKS.get(task.source.partition(":")[0]):
        _check(built_in, options)
    else:
        _check_own(task.name, options)


def _script(reference: str) -> tuple[str, str, list[str]]:
    """A script's path, its function, and its options as written; without a path where no script is named."""
    before, mark, after = reference.rpartition(".py:")
    function, *options = after.split(":")
    return before + mark.removesuffix(":"), function, options


def _built_in(task: Task, given: Mapping[str, Choice]) -> ResolvedTask:
    _check(task, given)
    chosen = {name: given.get(name, option.default) for name, option in task.options.items()}
    told = [option_text(name, value) for name, value in chosen.items() if value != task.options[name].default]
    label = ":".join([task.name, *told])
    # A comparison without a choice is then one of before there was a choice, and goes on in its store.
    options = distinguishing(task.name, chosen)
    return ResolvedTask(label, label, f"version {task.version}", task.summary, options, frozenset(given))


def _kept(path: Path, name: str, given: Mapping[str, Choice]) -> ResolvedTask:
    if not path.is_file():
        raise StudyError(f"there is no file {path}: it was written beside the results when they were made")
    _check_own(name, given)
    source = f"{path.resolve()}:{name}"
    return ResolvedTask(name, source, task_hash(source), "", given, frozenset(given))


def _check_own(task: str, given: Mapping[str, Choice]) -> None:
    for option, value in given.items():
        if problem := option_problem(option, value):
            raise StudyError(f"task {task}: {problem}")


def _written_options(task: str, pieces: list[str]) -> dict[str, Choice]:
    """Options as text: ``instance=2``, ``reshuffle=false``, ``norm=layer``."""
    written = assignments(pieces, f"task {task}", "options as name=value, separated by colons")
    return {name: read_option(text) for name, text in written.items()}


def _check(task: Task, given: Mapping[str, Choice]) -> None:
    for name, value in given.items():
        if name not in task.options:
            known = list(task.options)
            has = f"It has: {', '.join(known)}." if known else "It has none."
            raise StudyError(f"the task {task.name} has no option {name!r}{ending(str(name), known)} {has}")
        if problem := task.options[name].problem(value):
            raise StudyError(f"the task {task.name}: {name} {problem}")
