"""Real trainings as worlds: a population of digits-mlp (population/README.md), from which studies are drawn."""

import csv
import gzip
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared import POPULATION_SEEDS, Again, Array, Half, Kind, Search, Shared, Truth, scored, truth_of
from thalweg.stats.scale import Scale

DATA = Path(__file__).resolve().parent / "population" / "digits_mlp.csv.gz"
NAMES = {"sgd": "SGD", "adam": "Adam", "lion": "Lion"}
# Test examples of the task.
SCALE = Scale("errors", 359)
# A tie in validation accuracy goes to the lower validation loss: one example is worth far more than this.
TIE = 1e-7


@dataclass(frozen=True)
class Population:
    """One rule's trainings: of its default, and of 256 learning rates that lie evenly, with the same five seeds.

    ``valid`` and ``test``  validation value and test score, shape (257, 5): the default first, then by learning rate.
    A study draws from these trainings, its seeds with replacement: so the truth about it is that of random searches
    among them.
    """

    name: str
    valid: Array
    test: Array
    half: Half = "judging"
    kind: Kind = "smooth"
    luck_is_shared: bool = False
    scale: Scale = SCALE
    task: str = "digits"

    @property
    def matters(self) -> float:
        """One standard deviation of a training, of the better half of the learning rates."""
        spread = self.test.std(axis=1, ddof=1)
        return float(np.median(spread[self.test.mean(axis=1) >= np.median(self.test.mean(axis=1))]))

    @property
    def default(self) -> float:
        """The default's mean score."""
        return float(self.test[0].mean())

    def search(self, shared: Shared, rng: np.random.Generator) -> Search:
        """Each draw is moved to the nearest learning rate there is."""
        count = len(self.valid) - 1
        which = np.concatenate(([0], 1 + np.minimum((shared.places[:, 0] * count).astype(np.int64), count - 1)))
        never = np.zeros(which.shape, dtype=np.bool_)

        def again(trials: NDArray[np.int64]) -> Again:
            cells = np.ix_(which[trials], shared.fresh_seeds)
            return Again(self.valid[cells], self.test[cells], np.zeros((len(trials), shared.seeds), dtype=np.bool_))

        first = self.valid[which, shared.trial_seeds], self.test[which, shared.trial_seeds]
        return Search((which - 0.5) / count, *first, never, again)

    def winners(self, rng: np.random.Generator, n: int, searches: int) -> tuple[Array, Array]:
        """Of independent searches of n trials: the mean score of what each chooses, and that of one training of it."""
        which = rng.integers(1, len(self.valid), (searches, n))
        which[:, 0] = 0
        seeds = rng.integers(0, POPULATION_SEEDS, which.shape)
        best = which[np.arange(searches), self.valid[which, seeds].argmax(1)]
        return self.test[best].mean(axis=1), self.test[best, rng.integers(0, POPULATION_SEEDS, searches)]

    def truth(self, n: int) -> Truth:
        """Of searches of n trials."""
        return truth_of(self.name, n, lambda rng, count: self.winners(rng, n, count))


@lru_cache(maxsize=1)
def populations() -> tuple[Population, ...]:
    """Of each rule there is."""
    rows: dict[str, list[dict[str, str]]] = defaultdict(list)
    with gzip.open(DATA, "rt", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            rows[row["rule"]].append(row)
    return tuple(_population(NAMES[rule], of) for rule, of in rows.items())


def _population(name: str, rows: list[dict[str, str]]) -> Population:
    # The default, number 0, is first; the others by learning rate.
    ordered = sorted(rows, key=lambda row: (row["trial"] != "0", float(row["lr"]), int(row["seed"])))

    def read(column: str) -> Array:
        return np.array([float(row[column]) for row in ordered]).reshape(-1, POPULATION_SEEDS)

    return Population(f"digits {name}", read("valid") - TIE * read("valid_loss"), scored(SCALE, read("test")))
