"""How often one rule's run beats another's."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from .proportion import score_interval

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Superiority:
    """The probability that a new run of A is better than a new run of B, ties counted half.

    ``low``, ``high``  its interval at ``level``.
    ``p_value``        of the hypothesis that it is 1/2; at most 1 - level exactly where the interval excludes 1/2.
    ``variance``       Brunner and Munzel's, of the estimate.
    ``n``              how many runs of A and of B.
    """

    estimate: float
    low: float
    high: float
    level: float
    p_value: float
    variance: float
    n: tuple[int, int]

    @property
    def flipped(self) -> "Superiority":
        """P(B better than A)."""
        return Superiority(
            1 - self.estimate, 1 - self.high, 1 - self.low, self.level, self.p_value, self.variance, self.n[::-1]
        )


def brunner_munzel_interval(
    a: Sequence[float], b: Sequence[float], level: float = 0.95, *, higher_is_better: bool
) -> Superiority:
    """How likely A's run is better than B's, P(better) + P(tie) / 2, with its interval, for any two distributions.

    The estimate P is the share of pairs that A wins, ties counted half: the Mann-Whitney U / (m n) (Mann & Whitney
    1947; Vargha & Delaney 2000, its name there: A; Agarwal et al. 2021, arXiv:2108.13264). Beware: it says how often,
    not by how much; show the difference with it. A and B are taken for independent; infinite values have a rank.

    Brunner & Munzel's variance V of P is the sum over both samples of var(placements) / size. It is turned into the
    number of win-or-loss trials with that variance, N = P (1 - P) / V, and the interval is Wilson's for N trials, with
    Student's t. With k the smaller sample: N is at least k (Birnbaum & Klose's bound of the variance), at most 2 k (a
    small sample can show too little spread by chance), k where V is 0; and t has 2 (k - 1) degrees of freedom.
    Sources: Brunner & Munzel 2000, Biom. J. 42, 17; Birnbaum & Klose 1957, Ann. Math. Statist. 28, 933; the score form
    with that bound: Schüürhuis, Konietschke & Brunner 2025, arXiv:2504.01796. The limits on N and the degrees of
    freedom are ours, chosen by simulation: tests/stats/test_superiority.py.

    Why not the t interval that goes with the test: with 5 runs each it covers P = 0.9 in 42 to 79% of the cases instead
    of 95%, and has no width when every run of A beats every run of B. This one covers 97 to 99% up to P = 0.95, and
    90 to 98% at P = 0.98, least where one sample hardly varies. There a clean sweep of 5 against 5 happens by chance in
    1 of 16 cases at P = 1/2, so its interval is 0.48 to 1; that of 6 against 6 is 0.55 to 1.

    ``a`` shape (m,), ``b`` shape (n,), at least 2 each: fewer say nothing of the spread.
    ValueError: fewer, NaN, another shape, a level that is no confidence.
    """
    x, y = _samples(a, b, higher_is_better)
    m, n = len(x), len(y)
    if min(m, n) < 2:
        raise ValueError(f"an interval needs at least 2 runs of each, got {m} and {n}")
    if not 0.5 < level < 1:
        raise ValueError(f"level is a confidence, such as 0.95; got {level}")
    # Counted in halves of a win: whole numbers, so that equal placements have exactly no variance.
    of_a, of_b = _beaten(x, y), _beaten(y, x)
    estimate = float(of_a.sum() / (2 * m * n))
    variance = float(of_a.var(ddof=1) / m / (2 * n) ** 2 + of_b.var(ddof=1) / n / (2 * m) ** 2)
    k = min(m, n)
    trials = min(max(estimate * (1 - estimate) / variance, k), 2 * k) if variance else k
    freedom = 2 * (k - 1)
    low, high = score_interval(estimate, trials, float(stdtrit(freedom, (1 + level) / 2)))
    p_value = 2 * float(stdtr(freedom, -abs(estimate - 0.5) * 2 * sqrt(trials)))
    return Superiority(estimate, low, high, level, p_value, variance, (m, n))


def _beaten(x: Array, y: Array) -> NDArray[np.int64]:
    """For each of x, twice the number of the y below it and once that of those equal to it."""
    ordered = np.sort(y)
    return np.searchsorted(ordered, x, "left") + np.searchsorted(ordered, x, "right")


def _samples(a: Sequence[float], b: Sequence[float], higher_is_better: bool) -> tuple[Array, Array]:
    """Both as arrays in which higher is better."""
    found = []
    for name, values in (("a", a), ("b", b)):
        array = np.asarray(values, dtype=np.float64)
        if array.ndim != 1 or array.size == 0:
            raise ValueError(f"{name} has to be a flat list of at least one number, got shape {array.shape}")
        if np.isnan(array).any():
            raise ValueError(f"{name} has a value that is not a number; give diverged runs a value first")
        found.append(array if higher_is_better else -array)
    return found[0], found[1]
