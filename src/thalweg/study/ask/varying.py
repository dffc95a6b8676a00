"""What a comparison varies, as it varies the rule: options of the task, and settings; their values and names."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

from thalweg.study.model.errors import StudyError
from thalweg.study.model.settings import is_setting, setting
from thalweg.tasks.task import Choice

from .task_references import ResolvedTask, check_options, option_problem, option_text


def values_of(vary: Any) -> dict[str, tuple[Choice, ...]]:
    """What is to be varied, checked as far as it goes without the task; `StudyError` says what to write instead."""
    if not isinstance(vary, Mapping):
        raise StudyError(f"vary is a dictionary such as {{'norm': ['batch', 'layer']}}; got {vary!r}")
    return {name: _values(name, given) for name, given in vary.items()}


def combinations(task: ResolvedTask, vary: Mapping[str, Sequence[Choice]]) -> tuple[dict[str, Choice], ...]:
    """Every combination of the varied values, the last option's changing fastest; where nothing is varied, one: {}.

    Raises `StudyError` for an option that the task lacks or that its reference fixes, and for a value that the task
    refuses.
    """
    for name, values in vary.items():
        if is_setting(name):
            continue
        if name in task.given:
            raise StudyError(
                f"{name} is fixed in {task.name} and varied too: leave {name}= out of the task, or do not vary it"
            )
        for value in values:
            check_options(task, {name: value})
    return tuple(dict(zip(vary, values, strict=True)) for values in product(*vary.values()))


def combination_text(options: Mapping[str, Choice]) -> str:
    """A combination in a label or sentence: norm=batch placement=pre. No comma, since these stand in lists."""
    return " ".join(option_text(name, value) for name, value in options.items())


def written_again(combined: Iterable[Mapping[str, Choice]]) -> list[str]:
    """What was varied as the command line takes it, ``norm=batch,layer``, back from the combinations."""
    found: dict[str, dict[str, None]] = {}
    for options in combined:
        for name, value in options.items():
            found.setdefault(name, {})[option_text(name, value).partition("=")[2]] = None
    return [f"{name}={','.join(values)}" for name, values in found.items()]


def _values(name: str, given: Any) -> tuple[Choice, ...]:
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise StudyError(f"vary: the values of {name} are a list, such as ['batch', 'layer']; got {given!r}")
    if is_setting(name):
        given = [setting(name, value) for value in given]
    elif problem := next((p for value in given if (p := option_problem(name, value))), ""):
        raise StudyError(f"vary: {problem}")
    written = [option_text(name, value) for value in given]
    if twice := next((text for text in written if written.count(text) > 1), None):
        raise StudyError(f"vary: {twice} is given twice; give each value once")
    if len(given) < 2:
        only = f"only {written[0]} is given" if written else f"{name} has no values"
        raise StudyError(f"vary: {only}, which leaves nothing to compare; give two values or more")
    return tuple(given)
