"""How much of the search box does nearly as well as the best of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .proportion import exact_bounds

WITHIN = (0.01, 0.05)


@dataclass(frozen=True)
class Share:
    """The part of the box whose value is within ``tolerance`` of the best that was found: ``count`` of ``total`` draws.

    ``low``, ``high``  its 95% interval as if the best were fixed beforehand (Clopper & Pearson 1934); it is the best of
                       these draws, so it is a guide.
    """

    tolerance: float
    count: int
    total: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """As a fraction of the box, by the measure that draws from it."""
        return self.count / self.total


def sensitivity(
    values: Sequence[float], *, higher_is_better: bool, within: Sequence[float] = WITHIN, level: float = 0.95
) -> tuple[Share, ...]:
    """For each tolerance, the share of the draws within it of the best, relative to the best's size.

    ``values``  of the draws alone, without the default, shape (draws,): where the learning rate is all that is
    searched, the share of its range on the scale of the search. Crowded Valley (arXiv:2007.01547) asks this question
    of a grid. A best value of 0 is met by equal values only. ValueError without finite values.
    """
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 1 or not found.size or not np.isfinite(found).all():
        raise ValueError(f"sensitivity needs a flat list of finite numbers, got shape {found.shape}")
    best = float(found.max() if higher_is_better else found.min())
    away = np.abs(found - best)
    shares = []
    for tolerance in within:
        count = int((away <= tolerance * abs(best)).sum())
        shares.append(Share(tolerance, count, found.size, *exact_bounds(count, found.size, (1 - level) / 2)))
    return tuple(shares)
