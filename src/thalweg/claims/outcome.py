"""What came of a claim's repeats, together."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from . import SECTIONS, names
from .claim import Claim
from .judging import Judged, Verdict, agreement, judged
from .keep import Record


@dataclass(frozen=True)
class Outcome:
    """A claim with its measurements, in the order of their repeats, at least one; and what follows from each."""

    claim: Claim
    records: tuple[Record, ...]
    judged: tuple[Judged, ...]

    @property
    def section(self) -> str:
        """Of the lecture."""
        return next(section for section in SECTIONS if self.claim.name in names(section))

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Of each repeat."""
        return tuple(each.verdict for each in self.judged)

    @property
    def verdict(self) -> Verdict:
        """The most frequent; of two that are as frequent the one that came first."""
        return max(self.verdicts, key=self.verdicts.count)

    @property
    def agreement(self) -> float:
        """The share of repeats with that verdict."""
        return agreement(self.verdicts)


def core_seconds(outcomes: Sequence[Outcome]) -> float:
    """What measuring all of them once takes."""
    return sum(sum(record.seconds for record in each.records) / len(each.records) for each in outcomes)


def outcomes(claims: Sequence[Claim], kept: Mapping[str, Mapping[int, Record]]) -> tuple[Outcome, ...]:
    """Of those claims that were measured, from `keep.current`."""
    return tuple(_outcomes(claims, kept))


def _outcomes(claims: Sequence[Claim], kept: Mapping[str, Mapping[int, Record]]) -> Iterator[Outcome]:
    for claim in claims:
        if records := tuple(kept[claim.name].values()):
            yield Outcome(claim, records, tuple(judged(claim, record.intervals) for record in records))
