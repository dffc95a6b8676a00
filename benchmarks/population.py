"""Train the population that benchmarks/population holds: SGD, Adam and Lion on digits-mlp.

python benchmarks/population.py     # 20 minutes of two cores if the file there is taken away; goes on where it stopped
"""

import csv
import gzip
import sys
from collections.abc import Iterator
from dataclasses import replace

from digits import DATA, NAMES
from shared import POPULATION_SEEDS
from steps import say
from thalweg.study.ask.draws import nested, run_seed
from thalweg.study.ask.method_references import resolve_method
from thalweg.study.ask.spec import resolve, study
from thalweg.study.model.cells import Cell, Run
from thalweg.study.run.engines import LocalProcesses, WorkerDied
from thalweg.study.run.worker import run_cell

POINTS = 256
# While it is being made, a line for every training; then all of it, in order, compressed.
PART = DATA.with_suffix("")
COLUMNS = ("rule", "trial", "lr", "seed", "status", "valid", "valid_loss", "test", "before")
Name = tuple[str, int, int]


def main() -> int:
    """Train what is missing, and return the exit code."""
    have = _rows()
    missing = [(name, cell) for name, cell in _cells() if name not in have]
    say(f"{len(missing)} trainings ...")
    names = {cell.key: name for name, cell in missing}
    engine = LocalProcesses(2)
    try:
        with PART.open("a", newline="", encoding="utf-8") as file:
            for cell, run in engine.map(run_cell, [cell for _, cell in missing]):
                if isinstance(run, WorkerDied):
                    raise run
                csv.writer(file).writerow(_row(names[cell.key], cell, run))
                file.flush()
    finally:
        engine.close()
    rows = _rows()
    with gzip.open(DATA, "wt", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([COLUMNS, *(rows[name] for name in sorted(rows))])
    PART.unlink()
    return 0


def _cells() -> Iterator[tuple[Name, Cell]]:
    """Rule, trial and number of the seed; the default is trial 0."""
    plan = resolve(study("digits-mlp", tuple(NAMES), trials=2, lockstep=False))
    for trial in range(1 + POINTS):
        for rule in plan.rules:
            values = dict(rule.trials[0])
            side = resolve_method(rule.label).method.hypers["lr"].search
            if trial and side:
                values["lr"] = float(side.value(nested(0, trial, "lr"), rule.trials[0]))
            for number in range(POPULATION_SEEDS):
                cell = plan.cell(rule, 0, run_seed(0, number))
                yield (rule.label, trial, number), replace(cell, values=values, splits=False)


def _row(name: Name, cell: Cell, run: Run) -> list[object]:
    rule, trial, number = name
    valid, loss, test = (run.curves[curve] for curve in ("valid_accuracy", "valid_loss", "test_accuracy"))
    numbers = [repr(each) for each in (valid.end(), loss.end(), test.values[-1], test.values[0])]
    return [rule, trial, repr(cell.values["lr"]), number, run.status, *numbers]


def _rows() -> dict[Name, list[str]]:
    rows: list[list[str]] = []
    if DATA.exists():
        with gzip.open(DATA, "rt", newline="", encoding="utf-8") as file:
            rows += list(csv.reader(file))[1:]
    if PART.exists():
        with PART.open(newline="", encoding="utf-8") as file:
            rows += csv.reader(file)
    return {(row[0], int(row[1]), int(row[3])): row for row in rows}


if __name__ == "__main__":
    sys.exit(main())
