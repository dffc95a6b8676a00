"""What a finished comparison's trials say once they are drawn anew: which rule wins changes from draw to draw.

    python -m thalweg.explore.valley study.sqlite

writes what the page shows of a study to data/valley.json. The title is that of Schmidt, Schneider & Hennig 2021
("Descending through a crowded valley", arXiv:2007.01547).
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from math import floor, log10
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .chance import uniform

if TYPE_CHECKING:
    from thalweg.study.judge.findings import ContenderRow
    from thalweg.study.judge.results import Comparison, Suite
    from thalweg.study.model.cells import Run
    from thalweg.study.model.metric import Metric

Array = NDArray[np.float64]
STORED = Path(__file__).parent / "data" / "valley.json"


def valley(suite: "Suite") -> dict[str, Any]:
    """A study for the page: what its trials and re-runs gave, and its verdict. No machine, no path, no time.

    ValueError while it is not finished, or where the rules have not as many trials each.
    """
    if suite.missing:
        raise ValueError(f"the study is not finished: {suite.missing} runs are missing")
    across = suite.across
    return {
        "tasks": [_task(comparison) for comparison in suite.comparisons],
        "across": list(across.sentences) if across else [],
    }


def stored() -> dict[str, Any]:
    """The study that comes with the package."""
    found: dict[str, Any] = json.loads(STORED.read_text(encoding="utf-8"))
    return found


def virtual_studies(task: Mapping[str, Any], n: int, seed: int, count: int) -> tuple[NDArray[np.int64], Array]:
    """Studies of n trials, drawn from a task of `valley`: the default and n - 1 others, the same numbers for each rule.

    The trial that is best on validation, and its value on the judged metric with one fresh seed (with the tuning seed
    where it was not trained again): shape (count, rules) each. `thalweg.stats.pool` says more of virtual studies.

    ``seed``  of the draws; see `chance`.

    ValueError for an n that the study does not have.
    """
    rules, numbers = task["rules"], uniform(seed)
    size, seeds = len(rules[0]["values"]), len(rules[0]["fresh"]["0"])
    if not 1 <= n <= size:
        raise ValueError(f"a study of {n} trials cannot be drawn from {size}")
    chosen, values = np.zeros((count, len(rules)), dtype=np.int64), np.zeros((count, len(rules)))
    for study in range(count):
        drawn, again = _drawn(n, size, numbers), int(next(numbers) * seeds)
        for place, rule in enumerate(rules):
            trial = next(each for each in rule["ranking"] if each in drawn)
            fresh = rule["fresh"].get(str(trial))
            chosen[study, place] = trial
            values[study, place] = fresh[again] if fresh else rule["values"][trial]
    return chosen, values


def wins(values: Array, higher_is_better: bool) -> Array:
    """How often each rule has the best value, shape (rules,), of studies of shape (studies, rules); ties are shared."""
    best = values.max(1, keepdims=True) if higher_is_better else values.min(1, keepdims=True)
    first = values == best
    return np.asarray((first / first.sum(1, keepdims=True)).mean(0))


def _drawn(n: int, size: int, numbers: Iterator[float]) -> set[int]:
    others = list(range(1, size))
    for i in range(n - 1):
        j = i + int(next(numbers) * (len(others) - i))
        others[i], others[j] = others[j], others[i]
    return {0, *others[: n - 1]}


def _task(comparison: "Comparison") -> dict[str, Any]:
    from thalweg.stats.pool import largest_budget
    from thalweg.study.judge.select import Scores, ranking

    metric, rows = comparison.metric, comparison.rows
    if metric is None or len({len(row.trials) for row in rows}) > 1:
        raise ValueError(f"on {comparison.plan.task} the rules have not as many trials each")
    scores = Scores(metric.judgement, metric.higher_is_better, comparison.runs)

    def values(runs: "Sequence[Run]") -> list[float]:
        return [float(f"{score:.6g}") for run in runs if (score := scores.score(run)) is not None]

    def rule(row: "ContenderRow") -> dict[str, Any]:
        return {
            "rule": row.contender,
            "name": row.name,
            "ranking": list(ranking(tuple(row.trials.values()), metric)),
            "values": values(tuple(row.trials.values())),
            "fresh": {str(trial): values(runs) for trial, runs in sorted(row.again.items())},
        }

    rules = [rule(row) for row in rows]
    told = comparison.searches
    contrasts = comparison.family.contrasts if comparison.family else ()
    return {
        "task": comparison.plan.task,
        "metric": metric.judgement,
        "higher": metric.higher_is_better,
        "share": metric.is_share,
        "ideal": _ideal(
            metric, [value for each in rules for some in (each["values"], *each["fresh"].values()) for value in some]
        ),
        "rules": rules,
        "verdict": comparison.verdict.answer,
        "budget": told.together if told else largest_budget(len(rows[0].trials)),
        "pairs": len(contrasts),
        "told": sum(pair.answer in ("better", "worse") for pair in contrasts),
    }


def _ideal(metric: "Metric", values: Sequence[float]) -> float:
    """A round number just beyond the best value, so that distances to it show on a logarithmic scale."""
    if metric.is_share:
        return 1.0
    sign = 1 if metric.higher_is_better else -1
    best = max(sign * value for value in values)
    digits = 1 - floor(log10(best - median(sign * value for value in values) or 1.0))
    step = 10.0**-digits
    return round(sign * (floor(best / step) + 1) * step, max(digits, 0))


def _main(study: str) -> None:
    from thalweg.study.judge.results import Suite

    STORED.write_text(json.dumps(valley(Suite.load(study)), separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    _main(*sys.argv[1:])
