"""Do the differences that a study tells hold when the searches are done anew? Into benchmarks/ANEW.md.

python benchmarks/anew.py study.sqlite --task digits-mlp --task quadratic-deep    # ten searches of each rule, minutes

Each search is the default and n - 1 independent draws, every trial with a seed of its own; the best on validation is
trained once more. Nothing of the study takes part: other draws, other seeds. Goes on where it was stopped.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from math import sqrt
from pathlib import Path
from statistics import mean, stdev

from page import markdown
from steps import say
from thalweg.stats.difference import Difference
from thalweg.study.ask.draws import configuration, run_seed, trial_seed, uniform
from thalweg.study.ask.method_references import resolve_method
from thalweg.study.judge.results import Comparison, Suite
from thalweg.study.judge.select import Scores, ranking
from thalweg.study.model.cells import Cell, Run
from thalweg.study.model.plan import Contender
from thalweg.study.run.engines import LocalProcesses
from thalweg.study.run.worker import run_cell

HERE = Path(__file__).resolve().parent
SEARCHES = 10
# Numbers of studies that nobody else uses.
FIRST = 1000


def main(arguments: Sequence[str] | None = None) -> int:
    """Search anew, write the page, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("study", type=Path)
    parser.add_argument("--task", action="append", help="these tasks of the study; all unless given")
    parser.add_argument("--kept", type=Path, default=Path("anew.jsonl"), help="where trainings are kept")
    chosen = parser.parse_args(arguments)
    suite = Suite.load(chosen.study)
    found = [each for each in suite.comparisons if not chosen.task or each.plan.task in chosen.task]
    parts = []
    with closing(LocalProcesses()) as engine:
        for comparison in found:
            say(f"{comparison.plan.task} ...")
            parts.append(_judged(comparison, _scores(comparison, engine, chosen.kept)))
    (HERE / "ANEW.md").write_text("\n\n".join([_head(), *parts]) + "\n", encoding="utf-8")
    return 0


def _head() -> str:
    return (
        "# Do told differences hold in new searches?\n\n"
        f"Made by `python benchmarks/anew.py study.sqlite`: each rule is searched {SEARCHES} times anew (the default "
        "and n - 1 independent draws, every trial with a seed of its own), and the best on validation is trained once "
        "more. **anew**: the mean difference of these, on the study's scale, with its standard error. **apart**: from "
        "the study's estimate, in standard errors of both."
    )


def _scores(comparison: Comparison, engine: LocalProcesses, kept: Path) -> dict[str, list[float]]:
    """What each new search gives, by label."""
    plan, metric = comparison.plan, comparison.metric
    assert metric is not None
    have = _read(kept)
    searches = {rule.label: [_search(comparison, rule, k) for k in range(SEARCHES)] for rule in plan.rules}
    have |= _train([c for each in searches.values() for search in each for c in search], have, engine, kept)
    winners = {}
    for label, each in searches.items():
        rule = next(one for one in plan.rules if one.label == label)
        for number, search in enumerate(each):
            best = search[ranking([have[cell.key] for cell in search], metric)[0]]
            seed = run_seed(FIRST + number, 1)
            winners[label, number] = replace(plan.cell(rule, 0, seed), values=best.values)
    have |= _train(list(winners.values()), have, engine, kept)
    every = [*comparison.runs, *have.values()]
    judge = Scores(metric.judgement, metric.higher_is_better, every)
    values = {key: judge.score(have[cell.key]) for key, cell in winners.items()}
    return {
        rule.label: [metric.scale.score(float(values[rule.label, number] or 0.0)) for number in range(SEARCHES)]
        for rule in plan.rules
    }


def _search(comparison: Comparison, rule: Contender, number: int) -> list[Cell]:
    plan = comparison.plan
    found = resolve_method(rule.reference)
    draw, size = partial(uniform, FIRST + number), plan.budgets[-1]
    cells = []
    for trial in range(size):
        values = configuration(found.method, found.fixed, trial, size, draw, found.ranges)
        first = plan.search_cell(rule, 0)
        cells.append(replace(first, values=values, seed=trial_seed(FIRST + number, trial), trial=trial))
    return cells


def _train(cells: Sequence[Cell], have: dict[str, Run], engine: LocalProcesses, kept: Path) -> dict[str, Run]:
    import msgspec

    missing = list({cell.key: cell for cell in cells if cell.key not in have}.values())
    done = {}
    with kept.open("a", encoding="utf-8") as file:
        for _, run in engine.map(run_cell, missing):
            if not isinstance(run, Run):
                raise RuntimeError(f"a training died: {run}")
            file.write(msgspec.json.encode(replace(run, log="")).decode() + "\n")
            file.flush()
            done[run.key] = run
    return done


def _read(kept: Path) -> dict[str, Run]:
    import msgspec

    if not kept.exists():
        return {}
    runs = [msgspec.convert(json.loads(line), Run) for line in kept.read_text(encoding="utf-8").splitlines()]
    return {run.key: run for run in runs}


def _judged(comparison: Comparison, scores: dict[str, list[float]]) -> str:
    family, metric = comparison.family, comparison.metric
    assert family is not None
    assert metric is not None
    rows = [list(_row(each, comparison, scores)) for each in family.contrasts]
    told = [each for each in family.contrasts if each.answer in ("better", "worse")]
    hold = sum((each.interval.mean > 0) == (_apart(each, scores)[0] > 0) for each in told)
    return "\n\n".join(
        [
            f"## {comparison.plan.task}",
            f"{metric.judged}, searches of {comparison.plan.budgets[-1]}, against {family.reference}: {len(told)} of "
            f"{len(rows)} differences are told, and {hold} of these have the same sign anew.",
            markdown(["difference", "the study says", "estimate", "interval", "anew", "apart"], rows),
        ]
    )


def _row(found: Difference, comparison: Comparison, scores: dict[str, list[float]]) -> Iterator[str]:
    assert comparison.searches is not None
    se = comparison.searches.differences[found.first].se
    centre, error = _apart(found, scores)
    low, high = found.interval.low, found.interval.high
    yield f"{found.first} - {found.second}"
    yield found.answer
    yield f"{found.interval.mean:+.3g}"
    yield f"{low:+.3g} to {high:+.3g}"
    yield f"{centre:+.3g} ± {error:.2g}"
    yield f"{(centre - found.interval.mean) / sqrt(error**2 + se**2):+.1f}"


def _apart(found: Difference, scores: dict[str, list[float]]) -> tuple[float, float]:
    differences = [a - b for a, b in zip(scores[found.first], scores[found.second], strict=True)]
    return mean(differences), stdev(differences) / sqrt(len(differences))


if __name__ == "__main__":
    sys.exit(main())
