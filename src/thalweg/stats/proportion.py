"""The interval of a share."""

from math import sqrt


def score_interval(share: float, n: float, quantile: float) -> tuple[float, float]:
    """Wilson's interval: all P with |share - P| <= quantile sqrt(P (1 - P) / n).

    ``share`` in 0 ... 1 of ``n`` > 0 cases, which need not be a whole number; ``quantile`` in standard errors.
    It has a width at shares of 0 and 1, and stays within 0 ... 1. Source: Wilson 1927, J. Am. Stat. Assoc. 22, 209.
    """
    q = quantile**2 / n
    return _lower(share, q), 1 - _lower(1 - share, q)


def _lower(share: float, q: float) -> float:
    """The smaller root of (share - P)^2 = q P (1 - P), in the form in which nothing cancels."""
    return share**2 / (share + q / 2 + sqrt(q * (share * (1 - share) + q / 4)))
