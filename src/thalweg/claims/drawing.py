"""Curves from arrays, and words that many figures need."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from thalweg.languages import Words

from .claim import Curve

STEP = Words("step", "pas")
LOSS = Words("loss", "perte")
RATE = Words("learning rate", "taux d'apprentissage")
TEST_ERROR = Words("share of errors on test", "part d'erreurs en test")
BATCH_LOSS = Words("Loss of a batch", "Perte sur un batch")

# Points of a curve that a reader can tell apart.
POINTS = 60


def over_seeds(name: Words, x: Sequence[float], values: ArrayLike, **look: Any) -> Curve:
    """The median over seeds with quartiles around it, from values (seeds, points); at most `POINTS` of them.

    ``look``  what else `Curve` takes: kind, dashed.
    """
    each = np.asarray(values, dtype=np.float64)
    every = np.unique(np.linspace(0, each.shape[1] - 1, POINTS).round().astype(int))
    low, middle, high = np.quantile(each[:, every], (0.25, 0.5, 0.75), axis=0).tolist()
    return Curve(name, [float(x[k]) for k in every], middle, low, high, **look)


def filled(text: Words, *numbers: float) -> Words:
    """A text with numbers in the places of its {}, in French with a decimal comma."""
    each = [f"{number:g}" for number in numbers]
    return Words(text.en.format(*each), text.fr.format(*(number.replace(".", ",") for number in each)))


def at_rate(name: Words, lr: float) -> Words:
    """A curve's name with its learning rate: with BatchNorm, lr 0.1."""
    return filled(Words(f"{name.en}, lr {{}}", f"{name.fr}, lr {{}}"), lr)


def steps_of(values: ArrayLike) -> list[float]:
    """1, 2, ... for values whose last dimension is steps."""
    return [float(k + 1) for k in range(np.shape(values)[-1])]
