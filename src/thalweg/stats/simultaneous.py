"""Several intervals that hold together: each with its own variance, at one level that their correlations allow."""

from functools import lru_cache
from math import inf

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Array = NDArray[np.float64]

# Draws of the largest deviation. At a quantile of 95% the level found from them is off by a fortieth of itself.
DRAWS = 1 << 15


def share_of_each(correlation: Array, alpha: float, freedom: float = inf) -> float:
    """With what probability each of k intervals may miss, so that some of them misses with probability ``alpha``.

    Single step, by the largest of k deviations (Dunnett 1955, JASA 50, 1096, where all have one contender in common):
    normal deviations with this ``correlation``, shape (k, k), say how far the largest goes. Each interval then has its
    own standard error and Student's quantile of its own degrees at the share returned: alpha for one, about alpha / k
    for k that have nothing to do with each other. The draws are the same at every call.

    ``freedom``  the degrees from which the correlations were estimated; so much of them is `kept`.
    ValueError: no matrix of correlations, alpha outside 0 ... 1.
    """
    matrix = np.asarray(correlation, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not np.isfinite(matrix).all():
        raise ValueError(f"correlations are a square matrix of finite numbers, got shape {matrix.shape}")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is a probability, such as 0.05; got {alpha}")
    if len(matrix) < 2:
        return alpha
    part = kept(freedom)
    values, vectors = np.linalg.eigh(part * (matrix + matrix.T) / 2 + (1 - part) * np.eye(len(matrix)))
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    largest = np.abs(_normal(len(matrix)) @ root.T).max(1)
    share = 2 * float(ndtr(-np.quantile(largest, 1 - alpha)))
    return min(max(share, alpha / len(matrix)), alpha)


def kept(freedom: float) -> float:
    """How much of a correlation to take that was estimated from v degrees of freedom: v / (v + 4).

    The largest of five deviations is else too small: six equal samples of 3 and 5 are told apart in 8.9 and 5.9% of the
    cases instead of 5; so in 5.5 and 4.8%.
    """
    return freedom / (freedom + 4) if freedom < inf else 1.0


@lru_cache(maxsize=8)
def _normal(count: int) -> Array:
    drawn: Array = np.random.default_rng(1955).standard_normal((DRAWS, count))
    return drawn
