"""Worlds in which the truth is known: what a training gives as a function of its learning rate, and the noise on it.

Most are made from published grids of learning rates; some are made up, with shapes that those do not have.
"""

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite, sqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from thalweg.stats.pool import Pool, to_rerun

Array = NDArray[np.float64]

PUBLISHED = Path(__file__).resolve().parent / "published"
# log10 of the learning rates that a search draws from: Crowded Valley's box (arXiv:2007.01547).
BOX = (-4.0, 0.0)
# log10 of the defaults: 0.001 for Adam, 0.01 for the others.
DEFAULTS = {"AdamOptimizer": -3.0, "MomentumOptimizer": -2.0, "GradientDescentOptimizer": -2.0}
SHORT = {"AdamOptimizer": "Adam", "MomentumOptimizer": "Momentum", "GradientDescentOptimizer": "SGD"}
# The test loss before training, with which diverged runs count (published/README.md).
BEFORE = {"quadratic_deep": 353.4, "mnist_vae": 181.5, "fmnist_vae": 133.0}
HEAVY = 3


@dataclass(frozen=True)
class World:
    """A rule on a task. Higher is better.

    ``log_lr``, ``quality``  the mean test value at some learning rates, in between on straight lines, shape (points,).
    ``sd``           of one training from seed to seed; ``heavy``: Student's t with 3 degrees of freedom, else normal.
    ``default``      log10 of the default learning rate, trial 0.
    ``correlation``  between the validation and the test noise of one run.
    ``common``       the share of the noise's variance that all configurations have in common in one seed.
    """

    task: str
    rule: str
    log_lr: Array
    quality: Array
    sd: float
    default: float
    correlation: float = 0.0
    common: float = 0.0
    heavy: bool = False

    @property
    def name(self) -> str:
        """Task and rule."""
        return f"{self.task} {self.rule}".strip()

    def at(self, log_lr: Array) -> Array:
        """The mean test value."""
        found: Array = np.interp(log_lr, self.log_lr, self.quality)
        return found

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """log10 of the learning rates of searches, the last axis their trials: the default first."""
        found = rng.uniform(*BOX, shape)
        found[..., 0] = self.default
        return found

    def noise(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """What a configuration's trainings have for themselves in their seed."""
        spread = self.sd * sqrt(1 - self.common)
        if self.heavy:
            return spread * rng.standard_t(HEAVY, shape) / sqrt(HEAVY / (HEAVY - 2))
        return spread * rng.standard_normal(shape)

    def shifted(self, by: float) -> "World":
        """The same, with all values higher."""
        return replace(self, quality=self.quality + by)


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
            task=problem,
            rule=SHORT[optimizer],
            log_lr=np.log10(sorted(grid)),
            quality=(1 if "accurac" in metric else -1) * np.array([np.mean(grid[lr]) for lr in sorted(grid)]),
            sd=spread[problem, optimizer, metric],
            default=DEFAULTS[optimizer],
        )
        for (problem, optimizer, metric), grid in values.items()
    )


def made_up() -> tuple[World, ...]:
    """Shapes that the published grids do not have, in standard deviations of one training."""
    x = np.linspace(*BOX, 401)
    bowl = -(((x + 1.7) / 0.3) ** 2)
    return (
        World("bowl", "", x, bowl, 1.0, -3.0),
        World("flat with a cliff", "", x, np.where(x > -1.0, -50.0, 0.0), 1.0, -3.0),
        World("narrow peak", "", x, 20 * np.exp(-(((x + 1.7) / 0.05) ** 2)), 1.0, -3.0),
        World("bowl, heavy tails", "", x, bowl, 1.0, -3.0, heavy=True),
        World("flat", "", x, np.zeros(len(x)), 1.0, -3.0),
    )


def pool(
    world: World,
    rng: np.random.Generator,
    *,
    budgets: Sequence[int],
    size: int = 75,
    seeds: int = 5,
    log_lr: Array | None = None,
    together: Array | None = None,
) -> Pool:
    """A search of ``size`` trials, with fresh seeds of those that can win virtual studies of ``budgets`` trials.

    What several rules may share: ``log_lr`` their draws, shape (size,), where the default's place is taken by the
    world's own; ``together`` what each seed adds to every training, in standard deviations, the tuning seed's first,
    shape (1 + seeds,).
    """
    drawn = world.draw(rng, (size,)) if log_lr is None else np.concatenate(([world.default], log_lr[1:]))
    mean = world.at(drawn)
    shared = (rng.standard_normal(1 + seeds) if together is None else together) * world.sd * sqrt(world.common)
    valid, test = world.noise(rng, (2, size))
    test = world.correlation * valid + sqrt(1 - world.correlation**2) * test + shared[0]
    # The seed's common part moves all validation values alike, so it ranks nothing.
    ranking = tuple(int(trial) for trial in np.argsort(-(mean + valid), kind="stable"))
    fresh = {
        trial: tuple(float(v) for v in mean[trial] + shared[1:] + world.noise(rng, (seeds,)))
        for trial in to_rerun(ranking, budgets)
    }
    return Pool(ranking, tuple(float(v) for v in mean + test), fresh)


def winners(world: World, rng: np.random.Generator, n: int, studies: int) -> Array:
    """The mean test value of what a search of n trials chooses, in so many independent searches, shape (studies,)."""
    found = []
    for start in range(0, studies, 20_000):
        mean = world.at(world.draw(rng, (min(20_000, studies - start), n)))
        best = (mean + world.noise(rng, mean.shape)).argmax(1)
        found.append(mean[np.arange(len(mean)), best])
    return np.concatenate(found)


def fresh_studies(world: World, rng: np.random.Generator, n: int, studies: int) -> Array:
    """What independent studies give: n trials, then one training with a seed of its own, shape (studies,)."""
    own = world.noise(rng, (studies,))
    return winners(world, rng, n, studies) + own + world.sd * sqrt(world.common) * rng.standard_normal(studies)


def _rows(name: str) -> list[dict[str, str]]:
    with (PUBLISHED / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
