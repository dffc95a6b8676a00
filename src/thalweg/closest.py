"""The word that somebody probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches


def closest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known word that is most like an unknown one; None if none is."""
    return next(iter(get_close_matches(word, list(known), n=1, cutoff=cutoff)), None)


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """``; did you mean 'adamw'?`` after a sentence about an unknown word, or what stands there otherwise."""
    found = closest(word, known)
    return f"; did you mean {found!r}?" if found else otherwise


def ending(word: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown word: `; did you mean X?` when a known word is close."""
    found = closest(word, known)
    return f"; did you mean {found}?" if found else "."
