"""The configurations that a search tries: the default, then draws shared across rules."""

import hashlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from math import isnan

import numpy as np
from numpy.typing import NDArray

from thalweg.formula import Search, log_uniform, one_minus_log_uniform
from thalweg.study.model.cells import Value
from thalweg.study.model.plan import first_axis

from .methods import Method

# Where on an axis a trial lies, in [0, 1), by its number and the axis' name.
Draw = Callable[[int, str], float]

# The axes of rules and wrappers, each with the dimension of the sequence that stands at its place; where a name stands
# is never changed. The first dimensions lie best together.
AXES = (
    "lr", "beta1", "beta2", "weight_decay", "beta3", "gamma", "final_lr", "alpha", "trust", "eps", "d_coef", "k",
    "slow_step", "least_update", "mu_x", "clip_threshold",
)  # fmt: skip
# Any other axis has one of the dimensions after these, by its name.
LISTED, OTHERS = 32, 480
# Binary digits of a draw.
BITS = 30
# Points are computed so many at once, at least: two to this power.
LEAST = 8


def uniform(study_seed: int, trial: int, axis: str) -> float:
    """The independent draw in [0, 1) of a trial on an axis: what studies of design 1 have.

    It depends on nothing else: every rule that searches the axis gets the same one, and a longer search begins
    with the draws of a shorter one.
    """
    digest = hashlib.sha256(f"{study_seed}/{trial}/{axis}".encode()).digest()
    return float(np.random.default_rng(int.from_bytes(digest, "big")).random())


@lru_cache(maxsize=1 << 15)
def nested(study_seed: int, trial: int, axis: str) -> float:
    """The draw in (0, 1) of a trial, 1 or later, on an axis: a point of Sobol's sequence, scrambled. Design 2.

    It depends on nothing else, as `uniform` does not. Together the first 1, 2, 4, 8, ... lie evenly: of each axis every
    1, 2, 4, 8, ... of as many equal parts has one.

    Source: Owen 1995, "Randomly permuted (t, m, s)-nets and (t, s)-sequences": each binary digit is turned over, or
    not, by chance that depends on the digits before it, so that every point by itself is uniform.
    """
    point, scrambled = _point(trial - 1, dimension(axis)), 0
    for depth in range(BITS):
        above, digit = point >> (BITS - depth), (point >> (BITS - 1 - depth)) & 1
        chance = hashlib.sha256(f"{study_seed}/{axis}/{depth}/{above}".encode()).digest()[0] & 1
        scrambled = (scrambled << 1) | (digit ^ chance)
    return float((scrambled + 0.5) / 2**BITS)


def dimension(axis: str) -> int:
    """Which dimension of the sequence an axis has."""
    if axis in AXES:
        return AXES.index(axis)
    return LISTED + int.from_bytes(hashlib.sha256(axis.encode()).digest()[:4], "big") % OTHERS


def _point(index: int, number: int) -> int:
    """A dimension's coordinate of a point of Sobol's sequence, the first at index 0, as a whole number of `BITS`."""
    dimensions = LISTED if number < LISTED else LISTED + OTHERS
    return int(_sequence(dimensions, max(index.bit_length(), LEAST))[index, number])


@lru_cache(maxsize=8)
def _sequence(dimensions: int, power: int) -> NDArray[np.int64]:
    """The first 2 to the ``power`` points, int64 of shape (points, dimensions)."""
    # Here, not at the top: scipy's statistics take half a second, and reading a study needs no draws.
    from scipy.stats.qmc import Sobol

    points = Sobol(dimensions, scramble=False, bits=BITS).random_base2(power)
    return np.asarray(points * 2**BITS, dtype=np.int64)


def run_seed(study_seed: int, index: int) -> int:
    """The seed of a run: index 0 is the tuning seed, 1, 2, ... the fresh seeds. 48 bits, so that JSON keeps it."""
    return _seed(f"{study_seed}/run/{index}")


def trial_seed(study_seed: int, trial: int) -> int:
    """The tuning seed of a trial, by its number, in studies of design 2. 48 bits."""
    return _seed(f"{study_seed}/trial/{trial}")


def _seed(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")


def defaults(method: Method, fixed: Mapping[str, Value]) -> dict[str, Value]:
    """Every hyperparameter and switch at its default, where it has one, or at the variant's fixed value."""
    numbers = {name: float(hyper.default) for name, hyper in method.hypers.items() if not isnan(hyper.default)}
    return {**numbers, **method.switches, **fixed}


NO_RANGES: Mapping[str, Search] = {}


def searched(
    method: Method, fixed: Mapping[str, Value], size: int, ranges: Mapping[str, Search] = NO_RANGES
) -> dict[str, Search]:
    """The sides of the search box in searches of ``size`` trials: those that have joined and are not fixed.

    ``ranges``  sides that the user gave, in place of the rule's own: they join any search.
    """
    own = {**{name: hyper.search for name, hyper in method.hypers.items()}, **ranges}
    return {name: side for name, side in own.items() if side and name not in fixed and side.trials <= size}


def range_of(method: Method, name: str, low: float, high: float) -> Search:
    """A hyperparameter between two numbers, drawn as the rule draws it: by its logarithm, or by its distance to 1."""
    hyper = method.hyper(name)
    declared = hyper.search if hyper else None
    # One of a single group has draws of its own.
    axis = declared.axis if declared and "." not in name else None
    if declared and declared.kind == "one minus log" and high < 1:
        return one_minus_log_uniform(1 - high, 1 - low, axis=axis)
    return log_uniform(low, high, axis=axis)


def configuration(
    method: Method,
    fixed: Mapping[str, Value],
    trial: int,
    size: int,
    drawn: Draw,
    ranges: Mapping[str, Search] = NO_RANGES,
) -> dict[str, Value]:
    """All values of one trial of a search whose box is that of ``size`` trials (`searched`).

    Trial 0 is the default; a later one draws every searched side. What has no default of its own is at trial 0 in the
    middle of its range.
    """
    values = defaults(method, fixed)
    sides = searched(method, fixed, size, ranges)
    for name in in_order(sides):
        if trial == 0 and (name in values or "." in name):  # a group has what the script gives it
            continue
        draw = drawn(trial, sides[name].axis or name) if trial else 0.5
        value = float(sides[name].value(draw, values))
        values[name] = float(round(value)) if name in method.whole else value
    return values


def place(
    method: Method,
    fixed: Mapping[str, Value],
    trial: int,
    size: int,
    drawn: Draw,
    ranges: Mapping[str, Search] = NO_RANGES,
) -> float | None:
    """Where a trial lies on the first axis of its search, from 0 to 1; None where nothing is searched.

    The first axis is the learning rate where that is searched, else the first side.
    """
    sides = searched(method, fixed, size, ranges)
    if not sides:
        return None
    name = first_axis(sides)
    if trial:
        return drawn(trial, sides[name].axis or name)
    values = configuration(method, fixed, 0, size, drawn, ranges)
    # A group's number is the script's own where none was chosen: the middle, as of what has no default.
    position = sides[name].position(float(values[name]), values) if name in values else 0.5
    return min(max(position, 0.0), 1.0)


def at_an_edge(
    method: Method,
    fixed: Mapping[str, Value],
    values: Mapping[str, Value],
    size: int,
    ranges: Mapping[str, Search] = NO_RANGES,
) -> tuple[str, ...]:
    """The searched hyperparameters whose value lies within 10% (on the box's scale) of an edge of the box."""
    sides = {name: side for name, side in searched(method, fixed, size, ranges).items() if side.kind != "choice"}
    inside = {name: side for name, side in sides.items() if name in values}
    return tuple(name for name, side in inside.items() if not 0.1 <= side.position(float(values[name]), values) <= 0.9)


def in_order(sides: Mapping[str, Search]) -> list[str]:
    """The names, each after the one that its value is divided by 1 minus."""
    done: list[str] = []

    def visit(name: str, path: tuple[str, ...]) -> None:
        over = sides[name].over
        if name in path:
            raise ValueError(f"the searches of {', '.join(path)} depend on each other in a circle")
        if over is not None and over in sides:
            visit(over, (*path, name))
        if name not in done:
            done.append(name)

    for name in sides:
        visit(name, ())
    return done
