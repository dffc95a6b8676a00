"""What a claim is, before anything is measured: a statement, what is measured of it, and the numbers that decide."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from math import inf
from typing import Literal

from thalweg.languages import Words

Numbers = Sequence[float]


@dataclass(frozen=True)
class Curve:
    """Numbers to be drawn: points (x, y).

    ``low``, ``high``  of each point, what surrounds it: quartiles over seeds, unless the panel says otherwise.
    ``kind``           a line, dots, or both; bars that begin at 0.
    """

    name: Words
    x: Numbers
    y: Numbers
    low: Numbers = ()
    high: Numbers = ()
    kind: Literal["line", "dots", "both", "bars"] = "line"
    dashed: bool = False


@dataclass(frozen=True)
class Panel:
    """One picture: its curves, and how its axes are called. ``ticks``: names of the places 0, 1, ... along x."""

    title: Words
    x: Words
    y: Words
    curves: tuple[Curve, ...]
    log_x: bool = False
    log_y: bool = False
    ticks: tuple[Words, ...] = ()


@dataclass(frozen=True)
class Measurement:
    """What was measured: for each quantity a number for each seed, finite; and the figure's data."""

    values: Mapping[str, Numbers]
    figure: tuple[Panel, ...]


@dataclass(frozen=True)
class Bound:
    """Where a quantity lies if the claim holds: between two numbers, of which one may be left out.

    ``quantity``  its name among the measured values; ``words``: what it is.
    ``ratio``     it is above 0, and its mean and interval are those of its logarithm.
    ``share``     it is written as a percentage.
    """

    quantity: str
    words: Words
    at_least: float = -inf
    at_most: float = inf
    ratio: bool = False
    share: bool = False

    def __post_init__(self) -> None:
        """Raises `ValueError` for a bound that nothing, or everything, keeps."""
        if not -inf <= self.at_least < self.at_most <= inf or (self.at_least, self.at_most) == (-inf, inf):
            raise ValueError(f"{self.quantity}: a bound is at_least or at_most a number, or between two")


@dataclass(frozen=True)
class Seeds:
    """What everything random in a measurement begins with: whole numbers of 32 bits.

    ``judged``  a value of each quantity comes from each of them, and from nothing else that is random.
    ``tuning``  for what is chosen before: a learning rate, for instance. None of them is judged.
    """

    judged: tuple[int, ...]
    tuning: tuple[int, ...]


@dataclass(frozen=True)
class Claim:
    """A statement, and how it is put to the test. It holds if all of its bounds do.

    ``name``       as one writes it: that of its file, with dashes.
    ``slide``      the title of the lecture's slide, in French as there.
    ``statement``  what is claimed, as it is put to the test.
    ``measured``   on what, how, and how many trainings.
    ``why``        what is known of the reasons, and where the statement ends.
    ``bounds``     the numbers that decide, fixed before the seeds that are judged.
    ``seeds``      how many are judged; ``tuning``: how many are there to choose by.
    ``measure``    does it. Torch is loaded by it, not by the file that it stands in.
    ``figure``     the explorer's figure of the same, if there is one.
    """

    name: str
    slide: str
    statement: Words
    measured: Words
    why: Words
    bounds: tuple[Bound, ...]
    seeds: int
    measure: Callable[[Seeds], Measurement] = field(compare=False)
    tuning: int = 0
    figure: str = ""

    def seeds_of(self, repeat: int) -> Seeds:
        """The seeds of a repeat, 1, 2, ...; 0 is what thresholds were tried on, and is not published."""

        def drawn(kind: str, count: int) -> tuple[int, ...]:
            return tuple(_drawn(f"{self.name} {repeat} {kind} {k}") for k in range(count))

        return Seeds(drawn("judged", self.seeds), drawn("tuning", self.tuning))


def _drawn(text: str) -> int:
    return int.from_bytes(sha256(text.encode()).digest()[:4], "little")
