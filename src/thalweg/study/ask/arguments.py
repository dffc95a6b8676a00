"""A script's own arguments: what it finds in ``sys.argv`` behind its name."""

import shlex
from collections.abc import Sequence

from thalweg.study.model.errors import StudyError

from .task_references import script_path


def checked_arguments(given: object) -> tuple[str, ...]:
    """Arguments as they were given; `StudyError` says what to write instead."""
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise StudyError(f"arguments is a list of words, such as ['--epochs', '5']; got {given!r}")
    for word in given:
        if not isinstance(word, str):
            raise StudyError(f"arguments are words, as a command line has them: write {str(word)!r}, not {word!r}")
        if "\0" in word or not _is_text(word):
            raise StudyError(f"arguments are words of text; got {word!r}")
    return tuple(given)


def refuse_without_script(arguments: Sequence[str], task: str, source: object) -> None:
    """Raise `StudyError` where there is no script that could read them."""
    if arguments and (not isinstance(source, str) or script_path(source) is None):
        kind = "comes with thalweg" if isinstance(source, str) else "is a function that is called as it is"
        raise StudyError(
            f"the task {task} {kind} and reads no arguments: leave {shlex.join(arguments)} out, or give it to a "
            "script of your own, my_script.py:train"
        )


def written_arguments(arguments: Sequence[str]) -> list[str]:
    """The end of a command that gives these to a script."""
    return ["--", *arguments] if arguments else []


def _is_text(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:  # bytes of a command line that were no text
        return False
    return True
