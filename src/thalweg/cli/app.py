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


Whole = Annotated[int, Parameter(converter=_whole)]

app = App(
    name="thalweg",
    version=__version__,
    help="Write the weight update as a formula. Run it at memory speed. Know whether it helped.",
    result_action="return_value",
    suppress_keyboard_interrupt=False,  # main answers Ctrl-C, in words
)

Several = Annotated[list[str] | None, Parameter(negative=())]
Flag = Annotated[bool, Parameter(negative=(), show_default=False)]
