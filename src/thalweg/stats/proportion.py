"""Intervals of a share."""

from dataclasses import dataclass
from math import sqrt

from scipy.special import betaincinv


def score_interval(share: float, n: float, quantile: float) -> tuple[float, float]:
    """Wilson's interval: all P with |share - P| <= quantile sqrt(P (1 - P) / n).

    ``share`` in 0 ... 1 of ``n`` > 0 cases, which need not be a whole number; ``quantile`` in standard errors.
    It has a width at shares of 0 and 1, and stays within 0 ... 1. Source: Wilson 1927, J. Am. Stat. Assoc. 22, 209.
    """
    q = quantile**2 / n
    return _lower(share, q), 1 - _lower(1 - share, q)


@dataclass(frozen=True)
class Rate:
    """How many of some runs or searches failed."""

    count: int
    total: int

    @property
    def share(self) -> float:
        """As a fraction; 0 of none is 0."""
        return self.count / self.total if self.total else 0.0

    @property
    def not_excluded(self) -> float:
        """The largest share that so few do not exclude, at 95%: 0.14 where 0 of 20 failed."""
        return exact_bounds(self.count, self.total, 0.05)[1] if self.total else 1.0

    @property
    def interval(self) -> tuple[float, float]:
        """The exact 95% interval."""
        return exact_bounds(self.count, self.total, 0.025) if self.total else (0.0, 1.0)


def exact_bounds(count: int, total: int, miss: float) -> tuple[float, float]:
    """Clopper & Pearson 1934: each bound is wrong with probability ``miss`` at most. ``count`` of ``total`` > 0 cases.

    0 of 20 at a miss of 0.05: at most 0.139.
    """
    low = float(betaincinv(count, total - count + 1, miss)) if count else 0.0
    high = float(betaincinv(count + 1, total - count, 1 - miss)) if count < total else 1.0
    return low, high


def _lower(share: float, q: float) -> float:
    """The smaller root of (share - P)^2 = q P (1 - P), in the form in which nothing cancels."""
    return share**2 / (share + q / 2 + sqrt(q * (share * (1 - share) + q / 4)))
