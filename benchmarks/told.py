"""What comparisons of some sizes tell in 80% of cases, into the package: `thalweg plan` says it of a new study.

python benchmarks/told.py     # minutes
"""

import json
import sys
from collections.abc import Iterator
from math import exp, isfinite
from pathlib import Path
from statistics import median

import numpy as np

import thalweg.study.run as home
from counted import every_world, pairs
from shared import Rule, generator
from simulated import Size, study
from steps import say
from thalweg.stats.planning import detectable
from thalweg.stats.pool import gain
from thalweg.study.judge.family import FALSE, OF_SETTINGS

SIZES = [Size(n, k, seeds) for n, k in ((9, 4), (17, 5), (33, 5), (65, 5), (33, 8), (65, 25)) for seeds in (3, 5, 10)]
STUDIES = 40
# Of one contrast, and of five that hold together with correlations of a half.
MISSES = {"1": FALSE - OF_SETTINGS, "5": 0.0095}


def main() -> int:
    """Simulate, write the table, and return the exit code."""
    found = {}
    for size in SIZES:
        say(f"{size.name} ...")
        each = list(_pairs(size))
        found[f"{size.trials},{size.n},{size.seeds}"] = {
            contrasts: {
                "errors": _ends([exp(told[contrasts]) for is_errors, told, _ in each if is_errors], 0.0),
                "spreads": _ends([told[contrasts] / noise for is_errors, told, noise in each if not is_errors], 0.1),
            }
            for contrasts in MISSES
        }
    (place,) = home.__path__
    lines = [f'"{size}": {json.dumps(told, separators=(",", ":"))}' for size, told in found.items()]
    Path(place, "told.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    return 0


def _ends(values: list[float], trimmed: float) -> tuple[float, float]:
    """The least and the most; ``trimmed`` of each end left out, where worlds without noise stand."""
    low, high = np.quantile([value for value in values if isfinite(value)], [trimmed, 1 - trimmed])
    return round(float(low), 3), round(float(high), 3)


def _pairs(size: Size) -> Iterator[tuple[bool, dict[str, float], float]]:
    """Of every two rules that differ: whether they are judged by errors, what is told, the noise of one training."""
    worlds = every_world()
    for first, second in pairs():
        a, b = worlds[first], worlds[second]
        every = [_one(a, b, size, number) for number in range(STUDIES)]
        noise = median(each for _, each in every)
        told = {key: median(each[key] for each, _ in every) for key in MISSES}
        if noise:
            yield a.scale.kind == "errors", told, noise


def _one(a: Rule, b: Rule, size: Size, number: int) -> tuple[dict[str, float], float]:
    first, second = study((a, b), generator("told", a.name, b.name, size.name, number), size)
    found = gain(first, size.n, second, size.n)
    return {key: detectable(found.se, found.df, miss) for key, miss in MISSES.items()}, found.noise


if __name__ == "__main__":
    sys.exit(main())
