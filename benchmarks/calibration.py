"""How often the comparison's statistics are right where the truth is known, into benchmarks/CALIBRATION.md.

python benchmarks/calibration.py      # 2,000 studies of each cell, two processes; the same numbers every time
python benchmarks/calibration.py --studies 200 --only coverage

Each cell's numbers are kept in benchmarks/calibration.jsonl as they are there: it goes on where it stopped. With other
statistics, --anew.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path

import counted
from calibration_page import PARTS, page, tables
from calibration_rows import Row, lines, read
from command_line import at_least
from counted import FAILING, FOUR, OTHER_SIZES, SEEDS, SIZES, Numbers, every_world, pairs
from simulated import Size
from steps import say

HERE = Path(__file__).resolve().parent
PAGE, KEPT = HERE / "CALIBRATION.md", HERE / "calibration.jsonl"
# Six equal rules, where the answer must be right in 94 of 100 cases.
RULES = 6


@dataclass(frozen=True)
class Cell:
    """What is asked: the table, the world (or what stands for it), the size; ``count`` asks it of so many studies."""

    table: str
    world: str
    size: str
    count: Callable[[int], Numbers]

    @property
    def key(self) -> tuple[str, str, str]:
        """By which its numbers are kept."""
        return self.table, self.world, self.size


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate what is not there yet, write the page, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--studies", type=at_least(20), default=2000, help="studies of each cell (default 2000)")
    parser.add_argument("--only", choices=sorted(PARTS), action="append", help="these tables, to standard output")
    parser.add_argument("--kept", type=Path, default=KEPT, help="where numbers are kept (default: beside this file)")
    parser.add_argument("--anew", action="store_true", help="forget the numbers that are kept")
    chosen = parser.parse_args(arguments)
    if chosen.anew:
        chosen.kept.unlink(missing_ok=True)
    asked = [cell for cell in cells().values() if not chosen.only or cell.table in chosen.only]
    rows = simulate(asked, chosen.studies, chosen.kept)
    if chosen.only:
        print(tables(rows))
    else:
        # In order, and without those of fewer studies.
        chosen.kept.write_text(lines(rows), encoding="utf-8")
        # From what is kept, where numbers have as many digits as are kept.
        PAGE.write_text(page(read(chosen.kept)), encoding="utf-8")
        say(f"Page: {PAGE}")
    return 0


def simulate(asked: Sequence[Cell], studies: int, kept: Path) -> list[Row]:
    """The numbers of these cells, in this order: what is kept of as many studies or more, and what is missing."""
    have = {row.key: row for row in read(kept) if row.studies >= studies}
    missing = [cell.key for cell in asked if cell.key not in have]
    # Two processes count; their linear algebra needs no threads of its own.
    os.environ["OMP_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(2, get_context("spawn")) as workers:
        for done, future in enumerate(as_completed([workers.submit(_counted, key, studies) for key in missing]), 1):
            row = future.result()
            have[row.key] = row
            with kept.open("a", encoding="utf-8") as file:
                file.write(lines([row]))
            say(f"{done} of {len(missing)}: {', '.join(row.key)}, {row.seconds:.0f} s")
    return [have[cell.key] for cell in asked]


def _counted(key: tuple[str, str, str], studies: int) -> Row:
    began = time.process_time()
    numbers = cells()[key].count(studies)
    return Row(*key, studies, time.process_time() - began, numbers)


@lru_cache(maxsize=1)
def cells() -> Mapping[tuple[str, str, str], Cell]:
    """All that is asked, by key, the tables in order."""
    every = (*_coverage(), *_shapes(), *_claims(), *_power(), *_failures(), *_equal())
    return {cell.key: cell for cell in every}


def _sized(worlds: Iterable[str]) -> list[tuple[str, Size]]:
    """Every world at two sizes, four at the others."""
    four = [name for name in worlds if name in FOUR]
    return [(name, size) for size in SIZES for name in worlds] + [(name, size) for size in OTHER_SIZES for name in four]


def _coverage() -> list[Cell]:
    worlds = every_world()
    return [
        Cell("coverage", name, size.name, partial(counted.coverage, worlds[name], size))
        for name, size in _sized(list(worlds))
    ]


def _shapes() -> list[Cell]:
    worlds = every_world()
    return [
        Cell("shapes", f"{a}, {b}", size.name, partial(counted.shapes, worlds[a], worlds[b], size))
        for size in SIZES
        for a, b in pairs()
    ]


def _claims() -> list[Cell]:
    worlds = every_world()
    smooth = [name for name, world in worlds.items() if world.kind == "smooth"]
    six = [
        Cell("claims", name, f"{size.name}, {RULES} rules", partial(counted.claims, worlds[name], RULES, size))
        for name, size in _sized(smooth)
    ]
    two = [
        Cell("claims", name, f"{size.name}, 2 rules", partial(counted.claims, worlds[name], 2, size))
        for size in SIZES
        for name in smooth
    ]
    return six + two


def _power() -> list[Cell]:
    return [Cell("power", "digits", size.name, partial(counted.power, size)) for size in SIZES]


def _failures() -> list[Cell]:
    ways = {"configurations": counted.failing_configurations, "searches": counted.failing_searches}
    return [
        Cell(
            "failures",
            f"{fails:.0%} fail, {'better by 1 point' if better else 'else equal'}",
            f"{seeds} seeds, {words}",
            partial(count, fails, better, seeds),
        )
        for words, count in ways.items()
        for better in (0.0, 0.01)
        for fails in FAILING
        for seeds in SEEDS
        if seeds != 10
    ]


def _equal() -> list[Cell]:
    return [Cell("equal", "configurations", f"{seeds} seeds", partial(counted.equal, seeds)) for seeds in SEEDS]


if __name__ == "__main__":
    sys.exit(main())
