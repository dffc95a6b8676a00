"""One fixed look per rule: colour, marker and dash, the same in every figure and in the tables."""

from dataclasses import dataclass

# (on light, on dark). The members of a column stay apart for the three kinds of colour blindness and have a
# contrast of at least 3 with their background: checked in tests/view/test_palette.py.
COLOURS = (
    ("#0072B2", "#56B4E9"),
    ("#D55E00", "#F0803C"),
    ("#4A1486", "#9A6BFF"),
    ("#009E73", "#3FD6A6"),
    ("#7A2E0E", "#C2553A"),
    ("#C46FA8", "#F2B6DA"),
    ("#14304F", "#E8E36A"),
    ("#7F40FF", "#8FA3B8"),
)
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star", "hexagon", "triangle-down", "pentagon")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")


@dataclass(frozen=True)
class Look:
    """How one rule is drawn. Colour alone never tells rules apart: marker and dash differ too."""

    light: str
    dark: str
    symbol: str
    dash: str


def look(index: int) -> Look:
    """The look of the rule at this place of the comparison. Past eight rules the colours repeat, the markers do not."""
    light, dark = COLOURS[index % len(COLOURS)]
    return Look(light, dark, SYMBOLS[index % len(SYMBOLS)], DASHES[index % len(DASHES)])
