"""Patterns of whole parameter names: ``*`` is any text, ``?`` any character. One that matches nothing is refused."""

from collections.abc import Collection, Iterable, Sequence
from fnmatch import fnmatchcase

from thalweg.closest import did_you_mean

from .kinds import ModelParameter


def matches(parameter: ModelParameter, patterns: Collection[str]) -> bool:
    """Whether one of the parameter's names is as one of the patterns says."""
    return any(fnmatchcase(name, pattern) for name in parameter.names for pattern in patterns)


def check_patterns(
    option: str, patterns: Iterable[str], parameters: Iterable[ModelParameter], words: Sequence[str] = ()
) -> None:
    """Refuse a pattern that no name matches; ``words`` are what the option takes besides, and are no patterns.

    Raises ValueError, and TypeError for one string in place of several.
    """
    if isinstance(patterns, str):
        raise TypeError(f"{option} takes several words, write {option}=({patterns!r},)")
    names = [name for p in parameters for name in p.names]
    for pattern in patterns:
        if pattern not in words and not any(fnmatchcase(name, pattern) for name in names):
            raise ValueError(f"{option}: {_unmatched(pattern, names, words)}")


def _unmatched(pattern: str, names: Sequence[str], words: Sequence[str]) -> str:
    said = f"no parameter has {pattern!r} as its whole name"
    if words:
        said = f"{pattern!r} is none of the kinds {', '.join(words)}, and no parameter has it as its whole name"
    if any(pattern in name for name in names):
        return f"{said}; for a part of the name write '*{pattern}*'"
    first = f"; the first one is called {names[0]!r}" if names else ""
    return said + (did_you_mean(pattern, words) or did_you_mean(pattern, names, otherwise=first))
