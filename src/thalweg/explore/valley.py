"""What a finished comparison's trials say once they are drawn anew: which rule wins changes from draw to draw.

    python -m thalweg.explore.valley study.sqlite

writes what the page shows of a study to data/valley.json. The title is that of Schmidt, Schneider & Hennig 2021
("Descending through a crowded valley", arXiv:2007.01547).
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import floor, log10
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .chance import uniform

if TYPE_CHECKING:
    from thalweg.study.judge.results import Comparison, Suite
    from thalweg.study.model.cells import Run
    from thalweg.study.model.metric import Metric

Array = NDArray[np.float64]
STORED = Path(__file__).parent / "data" / "valley.json"
# What is stored is rounded to so many digits of a task's best value, one more than show: with 4, searches tie that do
# not. Accuracies are kept exactly, as counts of errors.
DIGITS = 5


def valley(suite: "Suite") -> dict[str, Any]:
    """A study for the page: what its trials and re-runs gave, and its verdicts. No machine, no path, no time.

    A trial's place in its list is its number, so every run has a value: one that failed has that of `Scores`.

    ValueError while it is not finished, where the rules have not as many trials each, or where these are too few to be
    judged as searches.
    """
    if suite.missing:
        raise ValueError(f"the study is not finished: {suite.missing} runs are missing")
    return {"tasks": [_task(comparison) for comparison in suite.comparisons]}


def stored() -> dict[str, Any]:
    """The study that comes with the package, as `valley` gives it."""

    def plain(whole: float, task: Mapping[str, Any]) -> float:
        gap = whole / task["scale"]
        return float(task["ideal"] - gap if task["higher"] else task["ideal"] + gap)

    return _turned(json.loads(STORED.read_text(encoding="utf-8")), plain)


def packed(study: Mapping[str, Any]) -> dict[str, Any]:
    """A study of `valley` in few characters: values as whole numbers, distances to ``ideal`` times ``scale``."""
    return _turned(study, lambda value, task: round(abs(value - task["ideal"]) * task["scale"]))


def virtual_studies(task: Mapping[str, Any], n: int, seed: int, count: int) -> tuple[NDArray[np.int64], Array]:
    """Studies of n trials, drawn from a task of `valley`: the default and n - 1 others, the same numbers for each rule.

    The trial that is best on validation, and its value on the judged metric with one fresh seed (with the tuning seed
    where it was not trained again): shape (count, rules) each. No trial is drawn twice, where `thalweg.stats.pool`
    draws the points of an even pool with replacement: with 5 of 65 trials, that chooses another one in 1% of the draws.

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


def _turned(study: Mapping[str, Any], turn: Callable[[float, Mapping[str, Any]], float]) -> dict[str, Any]:
    """The study with every value of a trial or a re-run turned, given its task."""

    def rule(each: Mapping[str, Any], task: Mapping[str, Any]) -> dict[str, Any]:
        fresh = {trial: [turn(value, task) for value in values] for trial, values in each["fresh"].items()}
        return {**each, "values": [turn(value, task) for value in each["values"]], "fresh": fresh}

    return {"tasks": [{**task, "rules": [rule(each, task) for each in task["rules"]]} for task in study["tasks"]]}


def _drawn(n: int, size: int, numbers: Iterator[float]) -> set[int]:
    others = list(range(1, size))
    for i in range(n - 1):
        j = i + int(next(numbers) * (len(others) - i))
        others[i], others[j] = others[j], others[i]
    return {0, *others[: n - 1]}


def _task(comparison: "Comparison") -> dict[str, Any]:
    from thalweg.study.ask.designs import largest
    from thalweg.study.judge.select import Scores, ranking

    plan, metric, rows = comparison.plan, comparison.metric, comparison.rows
    name = plan.task.rpartition(":")[2]
    if metric is None or len({len(row.trials) for row in rows}) > 1:
        raise ValueError(f"on {name} the rules have not as many trials each")
    searches, family = comparison.searches, comparison.family
    if searches is None or searches.together is None or family is None:
        raise ValueError(f"on {name} there are too few trials to be judged as searches: 9 are enough")
    scores = Scores(metric.judgement, metric.higher_is_better, comparison.runs)

    def score(run: "Run") -> float:
        value = scores.score(run)
        if value is None:
            raise ValueError(f"on {name} no run reports {metric.judgement}")
        return value

    every = [score(run) for run in comparison.runs]
    rules = [
        {
            "name": row.name,
            "ranking": _until_default(ranking(tuple(row.trials.values()), metric)),
            "values": [score(run) for run in row.trials.values()],
            "fresh": {str(trial): [score(run) for run in runs] for trial, runs in sorted(row.again.items())},
        }
        for row in rows
    ]
    (reference,) = (row.name for row in rows if row.contender == family.reference)
    return {
        "task": name,
        "metric": metric.judgement,
        "higher": metric.higher_is_better,
        "share": metric.is_share,
        "scale": _scale(metric, every),
        "ideal": _ideal(metric, every),
        "rules": rules,
        "verdict": comparison.verdict.answer.replace(plan.task, name),
        "budget": searches.together,
        "largest": largest(plan.trials),
        "reference": reference,
        "pairs": len(family.contrasts),
        "told": sum(pair.answer in ("better", "worse") for pair in family.contrasts),
    }


def _until_default(ranking: Sequence[int]) -> list[int]:
    """The default is in every draw, so that no trial behind it is ever chosen."""
    return list(ranking[: ranking.index(0) + 1])


def _scale(metric: "Metric", values: Sequence[float]) -> int:
    """How many parts of one make a step of what is stored."""
    if metric.scale.tests:
        return metric.scale.tests
    best = max(values) if metric.higher_is_better else min(values)
    return int(10 ** max(DIGITS - 1 - floor(log10(abs(best) or 1.0)), 0))


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

    STORED.write_text(json.dumps(packed(valley(Suite.load(study))), separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    _main(*sys.argv[1:])
