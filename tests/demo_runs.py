"""What `make demo` found, kept in demo_runs.json, so that a test can hold README's quote to what is printed today.

    make demo && .venv/bin/python tests/demo_runs.py demo/digits-mlp.sqlite

writes demo_runs.json anew and prints what the terminal says of it, to quote. The demo takes two minutes of two cores;
to judge again what its runs gave takes a tenth of a second, and that is where wording and figures change. Of each run
is kept what decides: of the search the validation values that rank it, of re-runs the first of these, by whose spread
luck is known; of all of them the test value, and of one that failed, being no better than before, what it was before.
"""

import json
import re
import shlex
import sys
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Console

from thalweg.cli import app
from thalweg.cli.asking import asked_for
from thalweg.study.ask.spec import resolve
from thalweg.study.judge.results import Comparison, judge
from thalweg.study.keep.store import read_contents
from thalweg.study.model.cells import Cell, Curve, Run
from thalweg.study.model.plan import Contender, Plan
from thalweg.terminal.comparison import print_outcome

ROOT = Path(__file__).parents[1]
KEPT = Path(__file__).with_name("demo_runs.json")
RANKING, JUDGED = ("valid_accuracy", "valid_loss"), "test_accuracy"
# Test examples of digits, by whose number errors are counted.
TESTS = 359
# Of a value that is kept: a digit more than what is printed, or ranked by, can need.
DIGITS = 6

# By rule, a line a trial: what the search drew for it, and by seed what its run gave.
Record = Mapping[str, list[dict[str, Any]]]


def command() -> list[str]:
    """What the Makefile's target demo asks thalweg for."""
    (written,) = re.findall(
        r"^demo:.*?\(BIN\)/(thalweg .*?[^\\])$", (ROOT / "Makefile").read_text(), re.DOTALL | re.MULTILINE
    )
    return shlex.split(written.replace("\\\n", " "))[1:]


def planned() -> Plan:
    """The study that this command plans today."""
    _, bound, _ = app.parse_args(command(), exit_on_error=False, print_error=False)
    given = {name: value for name, value in bound.arguments.items() if name not in ("store", "report")}
    return resolve(asked_for(given.pop("task"), given))


def kept() -> Record:
    """What is in demo_runs.json."""
    found: Record = json.loads(KEPT.read_text(encoding="utf-8"))
    return found


def drawn(rule: Contender, trial: int) -> dict[str, float]:
    """What the search gives a trial, to as many digits as are kept."""
    return {name: float(f"{rule.trials[trial][name]:.{DIGITS}g}") for name in rule.searched}


def record(plan: Plan, runs: Mapping[str, Run]) -> Record:
    """What is to be kept of a finished demo's runs."""
    found: dict[str, list[dict[str, Any]]] = {rule.label: [] for rule in plan.rules}
    for rule in plan.rules:
        for trial in range(plan.trials):
            cells = (plan.search_cell(rule, trial), *(plan.cell(rule, trial, seed) for seed in plan.fresh_seeds))
            search, *again = (runs.get(cell.key) for cell in cells)
            assert search is not None, f"{rule.label}, trial {trial}: it has not been run"
            assert search.status == "done", f"{rule.label}, trial {trial}: {search.message}"
            ranked = [search.curves[name].end() for name in RANKING]
            ends = [run.curves[JUDGED].values[-1] for run in (search, *again) if run is not None]
            before = [run.curves[JUDGED].values[0] for run in (search, *again) if run is not None]
            luck = [run.curves[RANKING[0]].end() for run in again if run is not None]
            kept = {"ranked": _short(ranked), "again": _short(luck), "test": _short(ends)}
            # Of a run that is no better than before, which counts as failed, what it was before.
            kept["failed"] = {
                str(k): first for k, (first, end) in enumerate(zip(before, ends, strict=True)) if end <= first
            }
            found[rule.label].append({"drawn": drawn(rule, trial), **kept})
    return found


def judged(plan: Plan, record: Record) -> Comparison:
    """What the comparison says today of runs that gave this."""
    runs = {}
    for rule in plan.rules:
        for trial, line in enumerate(record[rule.label]):
            search = dict(zip(RANKING, line["ranked"], strict=True))
            valid = [search, *({RANKING[0]: value} for value in line["again"])]
            cells = [plan.search_cell(rule, trial), *(plan.cell(rule, trial, seed) for seed in plan.fresh_seeds)]
            # Of a trial that is not trained again, one.
            ends = [{**of, JUDGED: test} for of, test in zip(valid, line["test"], strict=True)]
            first = {int(k): value for k, value in line.get("failed", {}).items()}
            if trial == 0:
                cells.append(plan.search_cell(rule, 0, repeat=1))
                ends.append(ends[0])
            pairs = enumerate(zip(cells, ends, strict=False))
            runs.update({cell.key: _run(cell, end, first.get(k, 0.0)) for k, (cell, end) in pairs})
    return judge(plan, {}, runs, None)


def printed(found: Comparison) -> str:
    """What the terminal says of it, as it is wrapped there."""
    console = Console(file=StringIO(), width=80, highlight=False)
    print_outcome(found, console)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def _run(cell: Cell, ends: Mapping[str, float], before: float) -> Run:
    curves = {name: Curve((1,), (value,)) for name, value in ends.items()}
    curves[JUDGED] = Curve((0, 1), (before, ends[JUDGED]), tests=TESTS)
    return Run(cell.key, cell.seed, cell.values, "done", curves=curves)


def _short(values: list[float]) -> list[float]:
    return [round(value, DIGITS) for value in values]


def main(store: str) -> None:
    contents = read_contents(Path(store))
    ((plan, _),) = contents.latest
    found = record(plan, contents.runs)
    rules = (f'"{rule}": [\n  ' + ",\n  ".join(map(json.dumps, lines)) + "\n]" for rule, lines in found.items())
    KEPT.write_text("{\n" + ",\n".join(rules) + "\n}\n", encoding="utf-8")
    print(printed(judged(planned(), found)))


if __name__ == "__main__":
    main(sys.argv[1])
