"""Does the interval of tuning against switching hold the truth? Into benchmarks/SWITCHING.md.

python benchmarks/switching.py      # minutes on one core; the same numbers every time

The interval is that of examples/valley, question 3 of docs/valley.md.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import sqrt
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1] / "examples" / "valley"))

from answers.switching import interval_of

from command_line import at_least
from shared import Array, generator, shared
from simulated import pool
from steps import say
from thalweg.stats.intervals import Interval, t_quantile
from thalweg.stats.pool import procedure
from worlds import LOW, World, bowl, same

PAGE = Path(__file__).resolve().parent / "SWITCHING.md"
TRIALS, AGAIN, RULES = 33, 5, 15  # of a pool; its searches that are trained again for; the trainings of either way
SEEDS = (5, 10)
LEVEL = 0.95
CHOICES = 200_000  # the truth of a choice is their mean
# The tuned rule, in standard deviations of one training; of luck that all share as much again.
SEARCHES = {
    name: World(name, at, LOW, "judging", common=1.0)
    for name, at in (("narrow bowl", bowl()), ("broad bowl", bowl(width=0.3)), ("flat", same(0.0)))
}
# What the other fourteen defaults give.
DEFAULTS = {
    "one far ahead": np.array([5.0, *[0.0] * 13]),
    "two tied": np.array([5.0, 5.0, *[0.0] * 12]),
    "all tied": np.zeros(14),
    "all close": np.linspace(-1.0, 0.0, 14),
}

_PAGE = """# Does the interval of tuning against switching hold the truth?

Made by `python benchmarks/switching.py`, {studies} simulated studies of each of {count} worlds. Asked is the 95% \
interval of question 3 of [docs/valley.md](../docs/valley.md): one rule tuned with {rules} trials, from a pool of \
{trials}, against the best of {rules} defaults on validation, trained anew. The Monte Carlo standard error of a \
share is {error:.1f} points at 95%.

All is in standard deviations of one training. The tuned rule's value depends on where it is searched: a bowl that \
falls by 1 within 0.075 or 0.3 of the box, or nothing. Its own default lies at a quarter of the box. The other \
fourteen defaults: one 5 ahead of the others; two so, and tied; all tied; spread over 1. Each seed has luck that all \
share, as large as what a training has for itself. **Width**: the mean half of the interval, over 1.96 times the \
standard deviation of its middle from study to study. Student's t alone makes it {least}.

| search | defaults | seeds | holds the truth | width |
| --- | --- | ---: | ---: | ---: |
{rows}

It holds the truth in {low:.0f} to {high:.0f}% of {studies} studies; its width is {narrow:.1f} to {wide:.1f}.
"""


@dataclass(frozen=True)
class Case:
    """Keys of `SEARCHES` and `DEFAULTS`, and how many fresh seeds."""

    search: str
    defaults: str
    seeds: int


@dataclass(frozen=True)
class Counted:
    """``held``  the share of studies whose interval holds the truth; ``width`` as on the page."""

    held: float
    width: float


CASES = tuple(Case(*each) for each in product(SEARCHES, DEFAULTS, SEEDS))


def counted(case: Case, studies: int) -> Counted:
    """Of so many studies, 2 or more."""
    truth = SEARCHES[case.search].truth(RULES).mean - best(case)
    found = [interval(case, number) for number in range(studies)]
    spread = float(np.std([each.mean for each in found], ddof=1))
    return Counted(
        float(np.mean([each.low <= truth <= each.high for each in found])),
        float(np.mean([each.high - each.low for each in found])) / 2 / (1.96 * spread),
    )


def interval(case: Case, number: int) -> Interval:
    """Of one study."""
    chance, world = generator("switching", case, number), SEARCHES[case.search]
    common = shared(chance, TRIALS, case.seeds)
    own = pool(world, common, chance, AGAIN)
    means = defaults_of(case)[:, None] + world.common * common.seed_luck
    valid, tests = (means + world.sd * chance.standard_normal(means.shape) for _ in range(2))
    tests[0] = own.fresh[0]
    return interval_of(procedure(own, RULES), [int(k) for k in valid.argmax(0)], tests, LEVEL)


def defaults_of(case: Case) -> Array:
    """What each default gives, the tuned rule's first, (15,)."""
    own = SEARCHES[case.search]
    return np.concatenate([own.at(np.array([own.default])), DEFAULTS[case.defaults]])


def best(case: Case) -> float:
    """What new choices among the defaults give on average."""
    means = defaults_of(case)
    looks = means + generator("choices", case).standard_normal((CHOICES, len(means)))
    return float(means[looks.argmax(1)].mean())


def page(found: Sequence[tuple[Case, Counted]], studies: int) -> str:
    """All of it, as Markdown."""
    held, widths = [100 * each.held for _, each in found], [each.width for _, each in found]
    return _PAGE.format(
        studies=studies,
        count=len(found),
        rules=RULES,
        trials=TRIALS,
        error=100 * sqrt(LEVEL * (1 - LEVEL) / studies),
        least=" and ".join(f"{t_quantile(seeds, LEVEL) / 1.96:.2f} with {seeds} seeds" for seeds in SEEDS),
        rows="\n".join(
            f"| {case.search} | {case.defaults} | {case.seeds} | {100 * each.held:.1f}% | {each.width:.2f} |"
            for case, each in found
        ),
        low=min(held),
        high=max(held),
        narrow=min(widths),
        wide=max(widths),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate, write the page, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--studies", type=at_least(20), default=600, help="of each world (default 600)")
    parser.add_argument("--page", type=Path, default=PAGE, help="where it is written (default: beside this file)")
    chosen = parser.parse_args(arguments)
    found = []
    for case in CASES:
        say(f"{case.search}, {case.defaults}, {case.seeds} seeds ...")
        found.append((case, counted(case, chosen.studies)))
    chosen.page.write_text(page(found, chosen.studies), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
