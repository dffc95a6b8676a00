"""Learning rates to begin a race with: for each rule and surface, the best of a grid.

The grid is 1, 2 and 5 times the powers of ten from 1e-5 to 1e4; the best has the lowest mean loss over the `STEPS` from
the surface's own start, under noise over `SEEDS`. So every rule has had the same search. Other hyperparameters are the
library's defaults. tests/explore/test_race.py repeats the search.
"""

from collections.abc import Mapping

RACE_SURFACES = ("valley", "rosenbrock", "beale", "saddle", "noisy")
GRID = tuple(float(f"{digit}e{power}") for power in range(-5, 5) for digit in (1, 2, 5))
STEPS = 300
SEEDS = range(5)

# The lowest loss of each surface, where it is not 0.
LOWEST: Mapping[str, float] = {"saddle": -1.0}

# By rule, in the order of RACE_SURFACES.
_BEST: Mapping[str, tuple[float, ...]] = {
    "sgd": (0.05, 0.005, 0.02, 0.5, 0.02),
    "momentum": (0.2, 0.02, 0.05, 2, 0.05),
    "nag": (0.05, 0.001, 0.005, 0.2, 0.005),
    "rprop": (1, 0.05, 0.5, 2, 1),
    "adagrad": (2, 0.2, 2, 1, 1),
    "adadelta": (50, 20, 50, 20, 100),
    "rmsprop": (0.2, 0.05, 0.1, 0.1, 0.1),
    "adam": (1, 0.2, 0.5, 1, 0.2),
    "adamax": (1, 0.5, 2, 1, 0.5),
    "nadam": (0.5, 0.1, 0.5, 0.5, 0.5),
    "adamw": (1, 0.2, 0.5, 1, 0.2),
    "lars": (500, 10, 50, 100, 20),
    "amsgrad": (1, 0.2, 0.5, 1, 0.2),
    "signum": (0.1, 0.05, 0.1, 0.1, 0.1),
    "lamb": (0.5, 0.05, 0.1, 0.1, 0.1),
    "adafactor": (0.5, 0.05, 0.5, 1, 1),
    "radam": (0.1, 0.0002, 0.01, 0.5, 0.05),
    "adabound": (1, 0.2, 0.5, 0.5, 0.2),
    "amsbound": (1, 0.2, 0.5, 0.5, 0.2),
    "laprop": (2, 0.2, 1, 2, 0.2),
    "adabelief": (0.05, 0.0002, 0.01, 0.5, 0.05),
    "adan": (2, 0.5, 2, 1, 0.5),
    "lion": (0.2, 0.02, 0.2, 0.2, 0.2),
    "came": (2, 0.2, 1, 1, 0.2),
    "stableadamw": (1, 0.2, 0.5, 0.5, 0.2),
    "prodigy": (2, 10, 0.2, 0.5, 0.2),
    "schedulefreesgd": (0.1, 0.005, 0.02, 1, 0.1),
    "schedulefreeadamw": (2, 0.5, 1, 1, 1),
    "ademamix": (1, 0.2, 0.5, 1, 0.2),
    "adopt": (5, 2, 2, 1, 0.2),
    "mars": (2, 0.2, 0.5, 1, 0.5),
    "grams": (2, 1, 1, 1, 0.5),
}

RATES: Mapping[str, Mapping[str, float]] = {
    surface: {rule: best[index] for rule, best in _BEST.items()} for index, surface in enumerate(RACE_SURFACES)
}
