"""The expected best of n trials."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def expected_best(values: Sequence[float], *, higher_is_better: bool = True) -> tuple[float, ...]:
    """For n = 1 ... N, the expected best of n of the N values, drawn at random without replacement.

    The unbiased U-statistic U_n = sum_{i=n..N} C(i-1, n-1) / C(N, n) v_(i), with v_(1) <= ... <= v_(N).
    Source: Tang et al. 2020, "Showing your work doesn't always work", arXiv:2004.13705.
    It needs trials that are alike (independent draws), none of them a default.
    """
    sign = 1.0 if higher_is_better else -1.0
    ordered = np.sort(sign * np.asarray(values, dtype=np.float64))
    total = len(ordered)
    if not np.isfinite(ordered).all():
        raise ValueError("expected_best needs finite numbers; give diverged runs a value first")
    return tuple(sign * float(_weights(n, total) @ ordered[n - 1 :]) for n in range(1, total + 1))


def _weights(n: int, total: int) -> NDArray[np.float64]:
    """C(i-1, n-1) / C(total, n) for i = n ... total, by their ratios: the binomials themselves overflow."""
    i = np.arange(total, n, -1)
    falling = np.concatenate(([n / total], (i - n) / (i - 1)))
    weights: NDArray[np.float64] = np.cumprod(falling, dtype=np.float64)[::-1]
    return weights
