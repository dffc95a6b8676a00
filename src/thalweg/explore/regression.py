"""A line through points, fitted by gradient descent on batches of any size; page and Python draw the same numbers."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch

from thalweg.optim import OPTIMIZERS

from .chance import normal, uniform

COUNT = 30
# Of the points: what the line would be without noise, and how far they lie from 0.
INTERCEPT, SLOPE, REACH = 0.5, 1.5, 1.5


def points(noise: float, seed: int = 0, count: int = COUNT) -> tuple[np.ndarray, np.ndarray]:
    """x, evenly drawn from +-`REACH`, and y = `INTERCEPT` + `SLOPE` x + noise: shape (count,), float64.

    ``noise``  its standard deviation.
    """
    places, errors = uniform(seed), normal(seed + 1)
    x = np.array([REACH * (2 * next(places) - 1) for _ in range(count)])
    return x, INTERCEPT + SLOPE * x + noise * np.array([next(errors) for _ in range(count)])


def squared_error(a: Any, b: Any, x: Any, y: Any) -> Any:
    """The loss of the line a + b x on one example, or on each of many. Works on floats, tensors and symbols."""
    return (a + b * x - y) ** 2


def batches(size: int, seed: int, count: int = COUNT) -> Iterator[list[int]]:
    """Batches without end: the examples in a new order each epoch (Fisher & Yates 1938), ``size`` at a time.

    The last batch of an epoch holds what is left.
    """
    numbers = uniform(seed)
    while True:
        order = list(range(count))
        for last in range(count - 1, 0, -1):
            other = int(next(numbers) * (last + 1))
            order[last], order[other] = order[other], order[last]
        for first in range(0, count, size):
            yield order[first : first + size]


def fit(
    x: np.ndarray, y: np.ndarray, size: int, steps: int, *, lr: float, start: tuple[float, float], seed: int = 0
) -> np.ndarray:
    """Intercept and slope after each of ``steps`` batches, from ``start``: shape (steps + 1, 2), float64.

    The loss of a batch is the mean of its squared errors; the optimizer is `thalweg.SGD`.
    """
    w = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    inputs, targets = torch.from_numpy(x), torch.from_numpy(y)
    optimizer = OPTIMIZERS["sgd"]([w], lr=lr)
    path = [w.detach().numpy().copy()]
    for batch in islice(batches(size, seed, len(x)), steps):
        optimizer.zero_grad()
        squared_error(w[0], w[1], inputs[batch], targets[batch]).mean().backward()
        optimizer.step()
        path.append(w.detach().numpy().copy())
    return np.stack(path)
