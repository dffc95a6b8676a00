"""BatchNorm, LayerNorm and RMSNorm of a table of examples by features, in float64, for figures, notebooks and tests."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thalweg.formula.vocabulary import exp
from thalweg.nn import formulas

from .chance import normal

Array = NDArray[np.float64]

# Along which axis of (examples, features) a line lies: what is normalised together.
LINES: Mapping[str, int] = {"batch": 0, "layer": 1, "rms": 1}


@dataclass(frozen=True)
class Normalised:
    """``mean`` and ``spread`` of each line, shape (lines,), and ``z``, shape (examples, features).

    As in `thalweg.nn.formulas`, RMSNorm has mean 0, so that its spread is the mean of squares.
    """

    mean: Array
    spread: Array
    z: Array


def normalise(x: ArrayLike, norm: str, eps: float = 1e-5) -> Normalised:
    """Normalise a table of shape (examples, features), before any gain and bias.

    ``norm``  "batch": each feature over the examples; "layer" and "rms": each example over its features.

    ValueError for another norm or shape.
    """
    table = np.asarray(x, dtype=np.float64)
    if norm not in LINES:
        raise ValueError(f"there is no norm {norm!r}; there are {', '.join(LINES)}")
    if table.ndim != 2:
        raise ValueError(f"a table has examples and features; got shape {table.shape}")
    axis = LINES[norm]
    lines = np.sum(table, axis=axis, keepdims=True)
    mean = np.zeros_like(lines) if norm == "rms" else lines / table.shape[axis]
    spread = np.mean(formulas.squared(table, mean), axis=axis, keepdims=True)
    z = formulas.normalised(table, mean, formulas.scale(spread, eps))
    return Normalised(mean.ravel(), spread.ravel(), z)


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)): of floats, arrays, tensors and symbols."""
    return 1 / (1 + exp(-x))


def batches(n: int, count: int, seed: int) -> Array:
    """Batches of one feature whose values are normal with mean 0 and variance 1, shape (count, n); see `chance`."""
    return np.array(list(islice(normal(1000 * seed + n), count * n))).reshape(count, n)


def batch_estimates(n: int, count: int, seed: int) -> tuple[Array, Array]:
    """Mean and standard deviation as BatchNorm takes them from each of `batches`, shape (count,) each."""
    drawn = [normalise(batch[:, None], "batch") for batch in batches(n, count, seed)]
    return np.concatenate([each.mean for each in drawn]), np.sqrt(np.concatenate([each.spread for each in drawn]))
