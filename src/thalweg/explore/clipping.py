"""A clipped gradient, and how far it turned."""

import numpy as np

from thalweg.formula import chain


def by_value(g: np.ndarray, limit: float) -> np.ndarray:
    """Each coordinate of the gradient within +-limit."""
    return np.asarray(chain.limited(np.asarray(g, float), 1.0, limit))


def by_norm(g: np.ndarray, limit: float, eps: float = 1e-6) -> np.ndarray:
    """The gradient, shortened so that its norm is at most limit; ``eps`` as in `thalweg.formula.chain.norm_scale`."""
    g = np.asarray(g, float)
    return np.asarray(chain.norm_scale(np.sum(g * g), limit, eps) * g)


def turned(g: np.ndarray, h: np.ndarray) -> float:
    """The angle between two vectors of the plane, in degrees from 0 to 180; 0 if one of them is 0."""
    return float(np.degrees(np.arctan2(abs(g[0] * h[1] - g[1] * h[0]), g[0] * h[0] + g[1] * h[1])))
