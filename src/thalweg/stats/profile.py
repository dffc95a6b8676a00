"""Performance profiles: on which share of the tasks is a rule within a factor of the best?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .table import Values, table


@dataclass(frozen=True)
class Profile:
    """``shares[i][j]``: on which share of the tasks the cost of ``rules[i]`` is within ``taus[j]`` times the best.

    ``areas[i]``  the mean of ``rules[i]``'s curve from 1 to ``up_to``: 1 when it is the best on every task.
    ``notes``     tasks whose ratios mean little, in sentences.
    """

    tasks: tuple[str, ...]
    rules: tuple[str, ...]
    taus: tuple[float, ...]
    shares: tuple[tuple[float, ...], ...]
    areas: tuple[float, ...]
    up_to: float
    notes: tuple[str, ...] = ()


def performance_profile(costs: Values, taus: Sequence[float], *, up_to: float = 4.0) -> Profile:
    """Dolan & Moré's profile: with r = t / (the least t on that task), rho(tau) = share of the tasks with r <= tau.

    ``costs[task][rule]``  the t: a time, a loss; of an accuracy the error, 1 - accuracy. At least 0; infinite for a
                           rule that never got there, whose ratio is infinite too.
    ``taus``               shape (T,), at least 1, not decreasing.
    ``up_to``              r_max of the areas (1 / (r_max - 1)) times the integral of rho from 1 to r_max, taken exactly
                           and not on the grid of taus. AlgoPerf takes 4 (Dahl et al. 2023, arXiv:2306.07179).
    Source: Dolan & Moré 2002, "Benchmarking optimization software with performance profiles", Math. Program. 91, 201.

    Beware: it depends on the field (a further rule moves the others wherever it is the best) and on where the cost has
    its 0 (a loss with a floor of 87 has ratios near 1), and moves in steps of 1 / tasks. Where the best cost is 0,
    those with 0 have the ratio 1 and all others an infinite one; the result's notes say so.
    ValueError: a cost below 0 or NaN, names that differ between tasks (see `table`), taus or up_to out of order.
    """
    tasks, rules, t = table(costs, "costs")
    for row, column in np.argwhere(t < 0):
        raise ValueError(
            f"costs cannot be below 0, but that of {rules[column]} on {tasks[row]} is {t[row, column]:g}; "
            "of an accuracy give the error, 1 - accuracy"
        )
    grid = np.asarray(taus, dtype=np.float64)
    if grid.ndim != 1 or not (grid >= 1).all() or (np.diff(grid) < 0).any():
        raise ValueError(f"taus are factors of the best: a flat list, at least 1, not decreasing; got {list(taus)}")
    if not 1 < up_to < np.inf:
        raise ValueError(f"up_to has to be a finite factor above 1, got {up_to}")
    ratios = _ratios(t)
    # 2.1 / 0.7 is a rounding more than 3.
    within = np.isfinite(ratios)[None] & (ratios[None] <= grid[:, None, None] * (1 + 1e-12))
    areas = (up_to - np.minimum(ratios, up_to)).mean(axis=0) / (up_to - 1)
    return Profile(
        tasks,
        rules,
        tuple(float(tau) for tau in grid),
        tuple(tuple(float(share) for share in curve) for curve in within.mean(axis=1).T),
        tuple(float(area) for area in areas),
        up_to,
        _notes(tasks, t),
    )


def _ratios(t: NDArray[np.float64]) -> NDArray[np.float64]:
    """t over the least of its row: 0 / 0 is 1, for it is the best; inf / inf is inf, for nobody got there."""
    best = t.min(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.where(np.isinf(t), np.inf, np.where(t == best, 1.0, t / best))


def _notes(tasks: Sequence[str], t: NDArray[np.float64]) -> tuple[str, ...]:
    notes = []
    for task, row in zip(tasks, t, strict=True):
        if row.min() == 0 and row.max() > 0:
            notes.append(f"On {task} the best cost is 0, so that every other is beyond any factor of it.")
        if np.isinf(row).all():
            notes.append(f"On {task} no rule has a finite cost, so that it counts against all.")
    return tuple(notes)
