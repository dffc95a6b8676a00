"""What the rules of one simulated study have in common, and what each of them is asked."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from math import sqrt
from typing import Literal, Protocol
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy.stats.qmc import Sobol

from thalweg.stats.scale import Scale

Array = NDArray[np.float64]
# Whether the statistics were chosen in a world, or are judged in it, and what is asked of them there.
Half = Literal["choosing", "judging"]
Kind = Literal["smooth", "failures", "narrow"]

# The axes that a world may have; the first is the learning rate.
AXES = 3
# Of a smooth luck: so many waves over the box, half a period and its multiples.
WAVES = 6
# The seeds of a population of real trainings.
POPULATION_SEEDS = 5
# As many searches tell the truth: its own error is a hundredth of an interval's width.
TRUTH = 200_000


@dataclass(frozen=True)
class Shared:
    """Draws and seeds of one study.

    ``places``      of the trials after the default, shape (trials - 1, AXES), in 0 ... 1.
    ``trial_luck``  of each trial's tuning seed, which is its own, in standard deviations, shape (trials,).
    ``seed_luck``   of each fresh seed, the same at all places, shape (seeds,); ``cosines`` and ``sines`` the waves that
                    its smooth luck is made of, shape (seeds, WAVES).
    ``trial_seeds``, ``fresh_seeds``  of a population: numbers of its seeds, shapes (trials,) and (seeds,).
    """

    places: Array
    trial_luck: Array
    seed_luck: Array
    cosines: Array
    sines: Array
    trial_seeds: NDArray[np.int64]
    fresh_seeds: NDArray[np.int64]

    @property
    def seeds(self) -> int:
        """Fresh ones."""
        return len(self.seed_luck)

    def waves(self, place: Array) -> Array:
        """The smooth luck of every fresh seed at places on the first axis, shape (trials, seeds): sd 1 at each."""
        angle = np.pi * np.arange(1, WAVES + 1) * place[..., None]
        found: Array = (self.cosines * np.cos(angle) + self.sines * np.sin(angle)).sum(-1) / sqrt(WAVES)
        return found

    def with_other_seeds(self, rng: np.random.Generator) -> "Shared":
        """The same draws, and seeds of a population of its own: else a rule twice would be the same runs twice."""
        trial_seeds, fresh_seeds = _numbers(rng, len(self.trial_luck)), _numbers(rng, self.seeds)
        return replace(self, trial_seeds=trial_seeds, fresh_seeds=fresh_seeds)


def shared(rng: np.random.Generator, trials: int, seeds: int, *, even: bool = True) -> Shared:
    """Of a study whose draws lie evenly, as studies do now, or are independent, as they were."""
    return Shared(
        even_places(rng, trials - 1) if even else rng.random((trials - 1, AXES)),
        rng.standard_normal(trials),
        rng.standard_normal(seeds),
        rng.standard_normal((seeds, WAVES)),
        rng.standard_normal((seeds, WAVES)),
        _numbers(rng, trials),
        _numbers(rng, seeds),
    )


def even_places(rng: np.random.Generator, count: int) -> Array:
    """The first points of a Sobol sequence, scrambled as `thalweg.study.ask.draws.nested` does, shape (count, AXES).

    ``count``  a power of two: of each axis every one of so many equal parts has one point, anywhere in it.
    """
    digits = count.bit_length() - 1
    points = _sobol(digits)
    found = points.copy()
    axis = np.arange(AXES)
    for depth in range(digits):
        # Each digit is turned over, or not, by chance that depends on the digits before it.
        chance = rng.integers(0, 2, (AXES, 1 << depth))
        found ^= chance[axis, points >> (digits - depth)] << (digits - 1 - depth)
    return (found + rng.random(found.shape)) / count


@lru_cache
def _sobol(digits: int) -> NDArray[np.int64]:
    points = Sobol(AXES, scramble=False).random_base2(digits)
    return np.asarray(points * (1 << digits), dtype=np.int64)


def _numbers(rng: np.random.Generator, count: int) -> NDArray[np.int64]:
    return rng.integers(0, POPULATION_SEEDS, count)


@dataclass(frozen=True)
class Again:
    """Trials trained with fresh seeds: validation values, test scores, and which failed, shape (trials, seeds)."""

    valid: Array
    test: Array
    lost: NDArray[np.bool_]


@dataclass(frozen=True)
class Search:
    """One rule's search: by trial, shape (trials,); ``again`` trains some of them, by number, with the fresh seeds.

    ``places``  on the first axis; ``valid`` validation values, ``tuning`` test scores, ``lost`` which runs failed.
    """

    places: Array
    valid: Array
    tuning: Array
    lost: NDArray[np.bool_]
    again: Callable[[NDArray[np.int64]], Again]


@dataclass(frozen=True)
class Truth:
    """``mean`` score of new searches and new seeds, ``spread`` the standard deviation of one such result."""

    mean: float
    spread: float


class Rule(Protocol):
    """What the simulations ask of a world."""

    @property
    def name(self) -> str:
        """Of the world."""

    @property
    def half(self) -> Half:
        """Whether it is one of those on which the statistics were chosen."""

    @property
    def kind(self) -> Kind:
        """What is asked of the statistics there."""

    @property
    def task(self) -> str:
        """That it has in common with other rules."""

    @property
    def luck_is_shared(self) -> bool:
        """Whether trainings with one seed have luck in common."""

    @property
    def scale(self) -> Scale:
        """Of the scores."""

    @property
    def matters(self) -> float:
        """A difference that matters, on the scale."""

    def search(self, shared: Shared, rng: np.random.Generator) -> Search:
        """A search with these draws and seeds, with luck of its own."""

    def winners(self, rng: np.random.Generator, n: int, searches: int) -> tuple[Array, Array]:
        """Of independent random searches: the mean score of what each chooses, and the score of one training of it."""

    def truth(self, n: int) -> Truth:
        """Of random searches of n trials."""


def scored(scale: Scale, values: Array) -> Array:
    """On the scale."""
    if scale.kind == "plain":
        return values
    kinds, which = np.unique(values, return_inverse=True)
    found: Array = np.array([scale.score(float(value)) for value in kinds])[which].reshape(values.shape)
    return found


def generator(*what: object) -> np.random.Generator:
    """The random numbers of one experiment, the same in every run and on every machine.

    Others than those with which the statistics were chosen.
    """
    return np.random.default_rng(crc32("/".join(["judged", *map(str, what)]).encode()))


def truth_of(name: str, n: int, winners: Callable[[np.random.Generator, int], tuple[Array, Array]]) -> Truth:
    """From many searches."""
    rng, each = generator("truth", name, n), 20_000
    found = [winners(rng, each) for _ in range(TRUTH // each)]
    means, once = (np.concatenate([pair[which] for pair in found]) for which in (0, 1))
    return Truth(float(means.mean()), float(once.std()))
