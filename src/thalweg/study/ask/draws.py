"""The configurations that a search tries: the default, then random draws shared across rules."""

import hashlib
from collections.abc import Mapping
from math import isnan

import numpy as np

from thalweg.formula import Search, log_uniform, one_minus_log_uniform
from thalweg.study.model.cells import Value

from .methods import Method


def uniform(study_seed: int, trial: int, axis: str) -> float:
    """The draw in [0, 1) of a trial on an axis.

    It depends on nothing else: every rule that searches the axis gets the same one, and a longer search begins
    with the draws of a shorter one.
    """
    digest = hashlib.sha256(f"{study_seed}/{trial}/{axis}".encode()).digest()
    return float(np.random.default_rng(int.from_bytes(digest, "big")).random())


def run_seed(study_seed: int, index: int) -> int:
    """The seed of a run: index 0 is the tuning seed, 1, 2, ... the fresh seeds. 48 bits, so that JSON keeps it."""
    return int.from_bytes(hashlib.sha256(f"{study_seed}/run/{index}".encode()).digest()[:6], "big")


def defaults(method: Method, fixed: Mapping[str, Value]) -> dict[str, Value]:
    """Every hyperparameter and switch at its default, where it has one, or at the variant's fixed value."""
    numbers = {name: float(hyper.default) for name, hyper in method.hypers.items() if not isnan(hyper.default)}
    return {**numbers, **method.switches, **fixed}


NO_RANGES: Mapping[str, Search] = {}


def searched(
    method: Method, fixed: Mapping[str, Value], trials: int, ranges: Mapping[str, Search] = NO_RANGES
) -> dict[str, Search]:
    """The sides of the search box in a study of so many trials: those that have joined and are not fixed.

    ``ranges``  sides that the user gave, in place of the rule's own: they join any search.
    """
    own = {**{name: hyper.search for name, hyper in method.hypers.items()}, **ranges}
    return {name: side for name, side in own.items() if side and name not in fixed and side.trials <= trials}


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
    trials: int,
    study_seed: int,
    ranges: Mapping[str, Search] = NO_RANGES,
) -> dict[str, Value]:
    """All values of one trial. Trial 0 is the default; a later one draws every searched side.

    What has no default of its own is at trial 0 in the middle of its range.
    """
    values = defaults(method, fixed)
    sides = searched(method, fixed, trials, ranges)
    for name in in_order(sides):
        if trial == 0 and (name in values or "." in name):  # a group has what the script gives it
            continue
        draw = uniform(study_seed, trial, sides[name].axis or name) if trial else 0.5
        value = float(sides[name].value(draw, values))
        values[name] = float(round(value)) if name in method.whole else value
    return values


def at_an_edge(
    method: Method,
    fixed: Mapping[str, Value],
    values: Mapping[str, Value],
    trials: int,
    ranges: Mapping[str, Search] = NO_RANGES,
) -> tuple[str, ...]:
    """The searched hyperparameters whose value lies within 10% (on the box's scale) of an edge of the box."""
    sides = {name: side for name, side in searched(method, fixed, trials, ranges).items() if side.kind != "choice"}
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
