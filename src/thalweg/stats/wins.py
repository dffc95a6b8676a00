"""Who beats whom, on how many of the tasks."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from scipy.special import ndtri

from .proportion import score_interval

# The same finding, told about the other rule.
REVERSED = {
    "better": "worse",
    "worse": "better",
    "equal": "equal",
    "cannot tell": "cannot tell",
}


class Answered(Protocol):
    """What is known of two rules on one task, such as a `Difference`: the answer is about the first."""

    @property
    def first(self) -> str: ...
    @property
    def second(self) -> str: ...
    @property
    def answer(self) -> str: ...


@dataclass(frozen=True)
class Record:
    """On how many tasks the first is better (``wins``), worse (``losses``), equal, or not to be told.

    ``share``        wins / (wins + losses); None where no task has decided.
    ``low``, ``high``  Wilson's interval of the chance that the first wins where a task decides; 0 and 1 where none has.
    """

    first: str
    second: str
    wins: int
    losses: int
    equal: int
    unclear: int
    share: float | None
    low: float
    high: float

    @property
    def undecided(self) -> int:
        """Tasks that say neither better nor worse."""
        return self.equal + self.unclear

    @property
    def tasks(self) -> int:
        """Tasks on which the two were compared."""
        return self.wins + self.losses + self.undecided


@dataclass(frozen=True)
class WinMatrix:
    """``records``: of each ordered pair of ``rules``, row by row, those of a rule with itself left out."""

    tasks: tuple[str, ...]
    rules: tuple[str, ...]
    records: tuple[Record, ...]
    level: float

    def between(self, first: str, second: str) -> Record:
        """The record that tells about the first."""
        return next(found for found in self.records if (found.first, found.second) == (first, second))


def win_matrix(answers: Mapping[str, Sequence[Answered]], *, level: float = 0.95) -> WinMatrix:
    """Count the answers by task: ``better``, ``worse``, ``equal``, ``cannot tell``.

    ``answers[task]``  the pairs compared there, each in one direction or in both; rules stand in the order met.
    Source of the interval: Wilson 1927, for wins out of wins + losses; 5 of 5 give 0.57 to 1.

    Beware: tasks count as a sample of all tasks, one vote each, whatever the size of the difference; the share leaves
    out the undecided ones, so show them with it; the intervals hold one by one, not jointly.
    ValueError: another answer, a rule against itself, a pair twice on one task, directions that contradict each other.
    """
    if not 0.5 < level < 1:
        raise ValueError(f"level is a confidence, such as 0.95; got {level}")
    counts: Counter[tuple[str, str, str]] = Counter()
    rules: dict[str, None] = {}
    for task, found in answers.items():
        counts.update((first, second, answer) for (first, second), answer in _both_ways(task, found).items())
        rules.update((name, None) for pair in found for name in (pair.first, pair.second))
    quantile = float(ndtri((1 + level) / 2))
    records = tuple(_record(first, second, counts, quantile) for first in rules for second in rules if first != second)
    return WinMatrix(tuple(answers), tuple(rules), records, level)


def _both_ways(task: str, found: Sequence[Answered]) -> dict[tuple[str, str], str]:
    """The answers on one task, by ordered pair."""
    said: dict[tuple[str, str], str] = {}
    for pair in found:
        if pair.answer not in REVERSED:
            raise ValueError(f"on {task}: no such answer as {pair.answer!r}; there are {', '.join(REVERSED)}")
        if pair.first == pair.second:
            raise ValueError(f"on {task}: {pair.first} is compared with itself")
        if (pair.first, pair.second) in said:
            raise ValueError(f"on {task}: {pair.first} is compared with {pair.second} twice")
        said[pair.first, pair.second] = pair.answer
    for (first, second), answer in list(said.items()):
        if said.setdefault((second, first), REVERSED[answer]) != REVERSED[answer]:
            raise ValueError(
                f"on {task}: {first} against {second} is {answer!r}, but {second} against {first} is "
                f"{said[second, first]!r}"
            )
    return said


def _record(first: str, second: str, counts: Counter[tuple[str, str, str]], quantile: float) -> Record:
    wins, losses, equal, unclear = (counts[first, second, answer] for answer in REVERSED)
    decided = wins + losses
    share = wins / decided if decided else None
    low, high = (0.0, 1.0) if share is None else score_interval(share, decided, quantile)
    return Record(first, second, wins, losses, equal, unclear, share, low, high)
