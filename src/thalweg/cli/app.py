"""The application that verbs join, and the types of their options."""

from collections.abc import Sequence
from typing import Annotated

from cyclopts import App, Parameter, Token

from thalweg import __version__


def _whole(_kind: object, tokens: Sequence[Token]) -> int:
    """A whole number. Python's own reading: cyclopts would turn 2.5 into 2 without a word."""
    written = tokens[0].value
    try:
        return int(written)
    except ValueError:
        raise ValueError(f'"{written}" is not a whole number') from None


_AFTER = "--argument"


def words_after_dashes(tokens: Sequence[str]) -> list[str]:
    """What a verb is given, where each word after -- is marked as one, so that no stray word is taken for such."""
    given = list(tokens)
    at = given.index("--") if "--" in given else len(given)
    return [*given[:at], *(f"{_AFTER}={word}" for word in given[at + 1 :])]


Whole = Annotated[int, Parameter(converter=_whole)]

app = App(
    name="thalweg",
    version=__version__,
    help="Write the weight update as a formula. Run it at memory speed. Know whether it helped.",
    result_action="return_value",
    suppress_keyboard_interrupt=False,  # main answers Ctrl-C, in words
)

# Not for people, who write --; see `words_after_dashes`.
After = Annotated[list[str] | None, Parameter(name=_AFTER, negative=(), show=False)]
Rules = Annotated[list[str] | None, Parameter(name=["--rules", "-r"], negative=())]
Several = Annotated[list[str] | None, Parameter(negative=())]
Flag = Annotated[bool, Parameter(negative=(), show_default=False)]
