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


def probability_of_superiority(
    a: Sequence[float],
    b: Sequence[float],
    weights_a: Sequence[float] | None = None,
    weights_b: Sequence[float] | None = None,
    *,
    higher_is_better: bool,
) -> float:
    """P(A better than B) + P(tie) / 2 = sum_ij u_i v_j [1(a_i better than b_j) + 1(a_i = b_j) / 2].

    ``a`` shape (m,), ``b`` shape (n,), at least one each; infinite values have a rank and are allowed.
    ``weights_a`` shape (m,), ``weights_b`` shape (n,): u and v, not negative, each with the sum 1, as of a mixture over
    configurations; without them 1/m and 1/n, which makes it the Mann-Whitney U / (m n).
    Sources: Mann & Whitney 1947; Vargha & Delaney 2000 (its name there: A); Agarwal et al. 2021, arXiv:2108.13264.

    Beware: it says how often, not by how much; show the difference with it. A and B are taken for independent.
    ValueError: an empty sample, NaN, another shape, weights that are no probabilities.
    """
    x, y = _samples(a, b, higher_is_better)
    u, v = _weights(weights_a, x, "a"), _weights(weights_b, y, "b")
    return min(float(u @ _beaten(x, y, v) / (u.sum() * v.sum())), 1.0)


def brunner_munzel_interval(
    a: Sequence[float], b: Sequence[float], level: float = 0.95, *, higher_is_better: bool
) -> Superiority:
    """`probability_of_superiority` of two samples with its interval, for any two distributions.

    Brunner & Munzel's variance V of the estimate P is the sum over both samples of var(placements) / size. It is
    turned into the number of win-or-loss trials with that variance, N = P (1 - P) / V, and the interval is Wilson's for
    N trials, with Student's t. With k the smaller sample: N is at least k (Birnbaum & Klose's bound of the
    variance), at most 2 k (a small sample can show too little spread by chance), k where V is 0; and t has 2 (k - 1)
    degrees of freedom.
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
    of_a, of_b = 2 * _beaten(x, y, np.ones(n)), 2 * _beaten(y, x, np.ones(m))
    estimate = float(of_a.sum() / (2 * m * n))
    variance = float(of_a.var(ddof=1) / m / (2 * n) ** 2 + of_b.var(ddof=1) / n / (2 * m) ** 2)
    k = min(m, n)
    trials = min(max(estimate * (1 - estimate) / variance, k), 2 * k) if variance else k
    freedom = 2 * (k - 1)
    low, high = score_interval(estimate, trials, float(stdtrit(freedom, (1 + level) / 2)))
    p_value = 2 * float(stdtr(freedom, -abs(estimate - 0.5) * 2 * sqrt(trials)))
    return Superiority(estimate, low, high, level, p_value, variance, (m, n))


def _beaten(x: Array, y: Array, weights: Array) -> Array:
    """For each of x, the weight of the y below it and half that of those equal to it."""
    order = np.argsort(y)
    below = np.concatenate(([0.0], np.cumsum(weights[order])))
    halves: Array = below[np.searchsorted(y[order], x, "left")] + below[np.searchsorted(y[order], x, "right")]
    return halves / 2


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


def _weights(weights: Sequence[float] | None, sample: Array, name: str) -> Array:
    if weights is None:
        return np.ones(len(sample))  # whole numbers: the sums are exact
    array = np.asarray(weights, dtype=np.float64)
    if array.shape != sample.shape:
        raise ValueError(f"{name} has {len(sample)} values, but its weights have the shape {array.shape}")
    if not (array >= 0).all() or abs(float(array.sum()) - 1) > 1e-6:
        raise ValueError(f"the weights of {name} have to be at least 0 with the sum 1; their sum is {array.sum():g}")
    return array
