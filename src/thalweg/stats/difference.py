"""Differences of two, over shared seeds or over new searches, and what may be said about them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite, sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .intervals import Interval
from .levels import mean_interval
from .proportion import Rate
from .scale import PLAIN, Scale
from .superiority import Superiority

Answer = Literal["better", "worse", "equal", "cannot tell", "described"]
Reason = Literal["", "noise", "equal", "constant", "failures", "quality"]


@dataclass(frozen=True)
class Difference:
    """Two of those compared.

    ``first``, ``second``  their labels.
    ``interval``    of first minus second, on the comparison's scale (`thalweg.stats.scale`), at its own confidence:
                    over new seeds of two configurations, paired over the seeds, or, where ``searches``, over new
                    searches and new seeds. Of all runs: a failed one counts with its value before training. ``sd``
                    is that of the paired values; of searches ``noise``. Without bounds where the spread is unknown.
    ``answer``      about the first, read off that interval alone: ``better`` or ``worse`` when it excludes 0,
                    ``equal`` when it holds 0 and lies within what matters on both sides. Then ``why`` may take it back.
                    ``described``: outside the family of intervals that hold together, so nothing is said of it.
    ``slight``      with ``better`` or ``worse``: the interval lies within what matters.
    ``why``         with ``cannot tell``: ``noise``; ``equal`` (no difference in any seed); ``constant`` (the same
                    difference in every one of few seeds, or in all searches); ``failures`` (what is better has failed
                    more often; of what is equal, only one has failed); ``quality`` (of the runs that did not fail, the
                    other is better). With ``better`` or ``worse``: ``constant`` (the same difference in every one of
                    many seeds: there is no interval, and the signs decide).
    ``noise``       standard deviation of one training from seed to seed.
    ``quality``     the same difference of the runs that did not fail; None where none failed.
    ``failures``    of the first's and of the second's runs.
    ``superiority`` P(the first is better than the second), for one training of each; None with fewer than 20 of each.
    """

    first: str
    second: str
    interval: Interval
    answer: Answer
    why: Reason = ""
    slight: bool = False
    searches: bool = False
    noise: float = 0.0
    quality: Interval | None = None
    failures: tuple[Rate, Rate] = (Rate(0, 0), Rate(0, 0))
    superiority: Superiority | None = None

    @property
    def flipped(self) -> "Difference":
        """The same of second minus first."""
        turned: dict[Answer, Answer] = {"better": "worse", "worse": "better"}
        return replace(
            self,
            first=self.second,
            second=self.first,
            interval=self.interval.negative,
            answer=turned.get(self.answer, self.answer),
            quality=self.quality and self.quality.negative,
            failures=self.failures[::-1],
            superiority=self.superiority and self.superiority.flipped,
        )

    @property
    def at_most(self) -> float:
        """If the two differ, by less than this, on the scale; infinite where it is not known."""
        return max(abs(self.interval.low), abs(self.interval.high))

    @property
    def failed_more(self) -> str:
        """The label of the one whose runs failed more often; of the second where neither did."""
        first, second = self.failures
        return self.first if first.share > second.share else self.second

    @property
    def one_failed(self) -> bool:
        """Whether runs of one of them failed, and none of the other."""
        return (self.failures[0].count > 0) != (self.failures[1].count > 0)


def paired_interval(a: Sequence[float], b: Sequence[float], *, miss: float = 0.05, scale: Scale = PLAIN) -> Interval:
    """Student's t interval of a[i] - b[i], scores of one seed each, shape (seeds,): it misses with probability
    ``miss``.

    The spread is at least what the rounding of values alone would give (`Scale.resolution`). Where it is that of
    rounding in float32 (`Scale.rounding`), it is unknown: an interval without bounds, and differences no larger are 0.
    """
    if len(a) != len(b) or len(a) < 2:
        raise ValueError(f"paired differences need two lists of the same length, at least 2; got {len(a)} and {len(b)}")
    least = sqrt(scale.resolution(a) ** 2 + scale.resolution(b) ** 2)
    rounding = scale.rounding((*a, *b))
    differences = [x - y for x, y in zip(a, b, strict=True)]
    interval = mean_interval(differences, level=1 - miss, least=least, rounding=rounding)
    if interval.sd:
        return interval
    values = tuple(value if abs(value) > rounding else 0.0 for value in differences)
    return replace(interval, values=values, mean=interval.mean if any(values) else 0.0)


def correlation(paired: Sequence[Interval]) -> NDArray[np.float64]:
    """Of the differences that these intervals were made of, seed by seed."""
    spread = [np.array(each.values) - np.mean(each.values) for each in paired]
    sizes = [float(np.sqrt(each @ each)) for each in spread]
    return np.array(
        [
            [1.0 if a is b else float(a @ b) / (s * t) if s and t else 0.0 for b, t in zip(spread, sizes, strict=True)]
            for a, s in zip(spread, sizes, strict=True)
        ]
    )


def answered(
    first: str,
    second: str,
    interval: Interval,
    *,
    higher_is_better: bool,
    matters: float | None = None,
    searches: bool = False,
    noise: float = 0.0,
    quality: Interval | None = None,
    failures: tuple[Rate, Rate] = (Rate(0, 0), Rate(0, 0)),
    superiority: Superiority | None = None,
) -> Difference:
    """What may be said of two, all read off one interval.

    ``matters``  the smallest difference that matters, on the scale of the interval; None: nothing is called equal.
    """
    answer, why, slight = _read(interval, higher_is_better, matters)
    found = Difference(first, second, interval, answer, why, slight, searches, noise, quality, failures, superiority)
    taken_back = _taken_back(found, higher_is_better)
    return replace(found, answer="cannot tell", why=taken_back, slight=False) if taken_back else found


def _taken_back(found: Difference, higher_is_better: bool) -> Reason:
    """Why an answer does not stand: what is better must not fail more often, nor be worse where it does not fail."""
    if found.answer == "equal":
        return "failures" if found.one_failed else ""
    if found.answer == "cannot tell":
        return ""
    winner = found if found.answer == "better" else found.flipped
    ours, theirs = winner.failures
    if ours.share > theirs.share:
        return "failures"
    if winner.quality is None:
        return ""
    opposite = winner.quality.high < 0 if higher_is_better else winner.quality.low > 0
    return "quality" if opposite else ""


def _read(interval: Interval, higher_is_better: bool, matters: float | None) -> tuple[Answer, Reason, bool]:
    low, high = interval.low, interval.high
    if low > 0 or high < 0:
        slight = matters is not None and -matters < low and high < matters
        return ("better" if (low > 0) == higher_is_better else "worse"), "", slight
    if matters is not None and -matters < low and high < matters:
        return "equal", "", False
    if isfinite(low) or (interval.sd and interval.n):
        return "cannot tell", "noise", False
    if not interval.mean:
        return "cannot tell", "equal", False
    # The same difference in every seed: if either sign were as likely, so many would agree by chance so often.
    agree = all(value > 0 for value in interval.values) or all(value < 0 for value in interval.values)
    if interval.n and agree and 2.0 ** (1 - interval.n) <= 1 - interval.level:
        return ("better" if (interval.mean > 0) == higher_is_better else "worse"), "constant", False
    return "cannot tell", "constant", False
