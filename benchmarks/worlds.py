"""Worlds in which the truth is known: what a training gives as a function of where it lies in the box, and its luck.

Most are made from published grids of learning rates; some are made up, with shapes that those do not have; three are
real trainings (`digits`). The statistics were chosen on one half of them and are judged on the other.
"""

import csv
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from math import hypot, isfinite, sqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared import Again, Array, Half, Kind, Search, Shared, Truth, scored, truth_of
from thalweg.stats.scale import PLAIN, Scale

# A value at places of shape (..., axes), of shape (...).
At = Callable[[Array], Array]

PUBLISHED = Path(__file__).resolve().parent / "published"
# log10 of the learning rates that a search draws from: Crowded Valley's box (arXiv:2007.01547).
BOX = (-4.0, 0.0)
# log10 of the defaults: 0.001 for Adam, 0.01 for the others.
DEFAULTS = {"AdamOptimizer": -3.0, "MomentumOptimizer": -2.0, "GradientDescentOptimizer": -2.0}
SHORT = {"AdamOptimizer": "Adam", "MomentumOptimizer": "Momentum", "GradientDescentOptimizer": "SGD"}
# The test loss before training, with which diverged runs count (published/README.md).
BEFORE = {"quadratic_deep": 353.4, "mnist_vae": 181.5, "fmnist_vae": 133.0}
# The problems on which the statistics were chosen.
CHOOSING = ("quadratic_deep", "mnist_vae")
HEAVY = 3
# The default of the worlds that are made up.
LOW = (0.25,)


@dataclass(frozen=True)
class World:
    """A rule on a task. Higher is better.

    ``at``        the mean value at places in the box, 0 ... 1 on each of its ``axes``.
    ``default``   where the default lies.
    ``half``      whether the statistics were chosen here, or are judged here; ``kind`` what is asked of them here.
    ``sd``        of what one training has for itself; ``spread`` by what that is multiplied at a place; ``heavy``:
                  Student's t with 3 degrees of freedom, else normal.
    ``smooth``    the standard deviation of a seed's luck that is smooth in the place: neighbours are lucky together.
    ``common``    of a seed's luck that is the same at all places.
    ``failing``   the probability that a run fails at a place, which then counts with the value ``before`` training.
    ``tests``     of an accuracy of so many examples: rounded to a whole one, and at most 1; 0: any number.
    ``task``      that several rules have in common.
    """

    name: str
    at: At
    default: tuple[float, ...]
    half: Half
    kind: Kind = "smooth"
    sd: float = 1.0
    spread: At | None = None
    heavy: bool = False
    smooth: float = 0.0
    common: float = 0.0
    failing: At | None = None
    before: float = 0.0
    tests: int = 0
    task: str = ""

    @property
    def axes(self) -> int:
        """How many hyperparameters are searched."""
        return len(self.default)

    @property
    def scale(self) -> Scale:
        """On which it is judged."""
        return Scale("errors", self.tests) if self.tests else PLAIN

    @property
    def matters(self) -> float:
        """A difference that matters, on the scale: one standard deviation of a training."""
        if not self.tests:
            return hypot(self.sd, self.smooth, self.common)
        middle = float(self.at(np.full((1, self.axes), 0.6))[0])
        return self.scale.score(middle) - self.scale.score(middle - self.sd)

    @property
    def luck_is_shared(self) -> bool:
        """Whether trainings with one seed have luck in common."""
        return bool(self.smooth or self.common)

    def search(self, shared: Shared, rng: np.random.Generator) -> Search:
        """The trials of one search, and what training them again gives."""
        places = np.concatenate((np.array([self.default]), shared.places[:, : self.axes]))
        luck = shared.trial_luck * hypot(self.smooth, self.common)
        valid, test, lost = self.runs(rng, places, luck)

        def again(trials: NDArray[np.int64]) -> Again:
            mine = np.repeat(places[trials, None], shared.seeds, axis=1)
            fresh = self.smooth * shared.waves(mine[..., 0]) if self.smooth else 0.0
            found = self.runs(rng, mine, fresh + self.common * shared.seed_luck)
            return Again(*found)

        return Search(places[:, 0], valid, test, lost, again)

    def winners(self, rng: np.random.Generator, n: int, searches: int) -> tuple[Array, Array]:
        """Of independent searches of n trials: the mean score of what each chooses, and that of one training of it."""
        places = rng.random((searches, n, self.axes))
        places[:, 0] = self.default
        shape, luck = places.shape[:-1], hypot(self.smooth, self.common)
        valid, _, lost = self.runs(rng, places, luck * rng.standard_normal(shape))
        best = np.where(lost, -np.inf, valid).argmax(1)
        chosen = places[np.arange(searches), best]
        _, once, _ = self.runs(rng, chosen, luck * rng.standard_normal(searches))
        if self.tests:
            return once, once
        fails = self._fails(chosen)
        return (1 - fails) * self.at(chosen) + fails * self.before, once

    def truth(self, n: int) -> Truth:
        """Of searches of n trials."""
        return truth_of(self.name, n, lambda rng, count: self.winners(rng, n, count))

    def runs(self, rng: np.random.Generator, places: Array, luck: Array) -> tuple[Array, Array, NDArray[np.bool_]]:
        """Validation value, test score, and whether it failed, of one training at each place, shape (...)."""
        mean = self.at(places) + luck
        spread = self.sd * (self.spread(places) if self.spread else 1.0)
        lost = rng.random(mean.shape) < self._fails(places)
        valid, test = (self._seen(mean + spread * self._noise(rng, mean.shape)) for _ in range(2))
        return np.where(lost, self.before, valid), scored(self.scale, np.where(lost, self.before, test)), lost

    def _noise(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        return rng.standard_t(HEAVY, shape) / sqrt(HEAVY / (HEAVY - 2)) if self.heavy else rng.standard_normal(shape)

    def _seen(self, values: Array) -> Array:
        return np.minimum(np.round(values * self.tests) / self.tests, 1.0) if self.tests else values

    def _fails(self, places: Array) -> Array:
        return self.failing(places) if self.failing else np.zeros(places.shape[:-1])


def published() -> tuple[World, ...]:
    """Each optimizer on each problem of the DeepOBS baselines."""
    values: dict[tuple[str, str, str], dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in _rows("deepobs_lr_grid.csv"):
        final = float(row["final"])
        kept = final if isfinite(final) else BEFORE[row["problem"]]
        values[row["problem"], row["optimizer"], row["metric"]][float(row["lr"])].append(kept)
    spread = {(r["problem"], r["optimizer"], r["metric"]): float(r["final_std"]) for r in _rows("deepobs_seeds.csv")}
    return tuple(
        World(
            name=f"{problem} {SHORT[optimizer]}",
            at=_between(np.log10(sorted(grid)), _quality(grid, 1 if "accurac" in metric else -1)),
            default=((DEFAULTS[optimizer] - BOX[0]) / (BOX[1] - BOX[0]),),
            half="choosing" if problem in CHOOSING else "judging",
            sd=spread[problem, optimizer, metric],
            task=problem,
        )
        for (problem, optimizer, metric), grid in values.items()
    )


def made_up() -> tuple[World, ...]:
    """Shapes and luck that the published grids do not have, mostly in standard deviations of one training."""
    return (
        World("bowl", bowl(), LOW, "choosing"),
        World("bowl, heavy tails", bowl(), LOW, "judging", heavy=True),
        World("broad bowl, heavy tails, default best", bowl(width=0.3), (0.575,), "judging", heavy=True),
        World("flat", same(0.0), LOW, "judging"),
        World("flat with a cliff", lambda u: np.where(u[..., 0] > 0.75, -50.0, 0.0), LOW, "judging"),
        World(
            "bowl, noise by place", bowl(width=0.2), LOW, "choosing", spread=lambda u: 0.3 + 4 * abs(u[..., 0] - 0.575)
        ),
        World("3-D bowl", _bowl_of_three, (0.3, 0.5, 0.5), "choosing"),
        World("3-D ridge", _ridge, (0.3, 0.5, 0.5), "judging"),
        World("ties near the ceiling", _ceiling, LOW, "choosing", sd=0.003, tests=359),
        World("ties", lambda u: 0.97 - 1.2 * (u[..., 0] - 0.6) ** 2, LOW, "judging", sd=0.005, tests=359),
        World("luck smooth, 2 times the noise", bowl(width=0.2), LOW, "choosing", sd=0.4, smooth=0.8),
        World("luck smooth, 6 times the noise", bowl(width=0.2), LOW, "judging", sd=0.2, smooth=1.2),
        World("luck shared, as the noise", bowl(width=0.2), LOW, "choosing", sd=0.5, common=0.5),
        World("luck shared, 3 times the noise", bowl(width=0.12), LOW, "judging", sd=0.3, common=1.0),
        World("10% fail", bowl(), LOW, "choosing", "failures", failing=same(0.1), before=-60.0),
        World("10% fail, flat", same(0.0), LOW, "judging", "failures", failing=same(0.1), before=-20.0),
        World("winners fail", bowl(), LOW, "choosing", "failures", failing=_near(0.1), before=-60.0),
        World("winners fail, broad", bowl(width=0.15), LOW, "judging", "failures", failing=_near(0.15), before=-40.0),
        World(
            "best in a peak", lambda u: 20 * np.exp(-(((u[..., 0] - 0.575) / 0.0125) ** 2)), LOW, "choosing", "narrow"
        ),
        World("best in 5%", _best_in_a_twentieth, LOW, "judging", "narrow"),
    )


def bowl(centre: float = 0.575, width: float = 0.075) -> At:
    """Worse by 1 at ``width`` from the best, by 200 at most."""

    def at(u: Array) -> Array:
        away: Array = ((u[..., 0] - centre) / width) ** 2
        return -np.minimum(away, 200.0)

    return at


def same(value: float) -> At:
    """Everywhere in the box."""
    return lambda u: np.full(u.shape[:-1], value)


def _near(width: float) -> At:
    """A fifth of the runs around the best."""
    return lambda u: np.where(abs(u[..., 0] - 0.575) < width, 0.2, 0.0)


def _bowl_of_three(u: Array) -> Array:
    away: Array = (((u - np.array([0.6, 0.5, 0.4])) / np.array([0.12, 0.4, 0.6])) ** 2).sum(-1)
    return -np.minimum(away, 100.0)


def _ridge(u: Array) -> Array:
    """The best learning rate follows the second axis."""
    away: Array = ((u[..., 0] - 0.3 - 0.4 * u[..., 1]) / 0.1) ** 2 + ((u[..., 2] - 0.5) / 0.5) ** 2
    return -np.minimum(away, 100.0)


def _ceiling(u: Array) -> Array:
    return 0.998 - 0.5 * np.maximum(abs(u[..., 0] - 0.6) - 0.2, 0.0)


def _best_in_a_twentieth(u: Array) -> Array:
    away = abs(u[..., 0] - 0.6)
    return np.where(away < 0.025, 20.0, 0.0) - 2 * away


def _between(log_lr: Array, quality: Array) -> At:
    """On straight lines between the grid's learning rates."""
    return lambda u: np.interp(BOX[0] + u[..., 0] * (BOX[1] - BOX[0]), log_lr, quality)


def _quality(grid: dict[float, list[float]], sign: int) -> Array:
    return sign * np.array([np.mean(grid[lr]) for lr in sorted(grid)])


def _rows(name: str) -> list[dict[str, str]]:
    with (PUBLISHED / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
