"""A comparison for programs: what the tables show, unrounded, as JSON. No NaN, no infinity."""

import json
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from thalweg.stats.intervals import Interval
from thalweg.stats.paired import Difference
from thalweg.stats.superiority import Superiority
from thalweg.study.judge.across import Across
from thalweg.study.judge.findings import RuleRow
from thalweg.study.judge.procedures import Procedures
from thalweg.study.judge.results import Comparison, Suite
from thalweg.study.model.cells import Run
from thalweg.study.model.metric import Metric

from .comparison import metric_of

Object = dict[str, Any]


def as_json(found: Comparison | Suite, report: Path | None = None) -> str:
    """One object: of one task, its comparison; of several, ``tasks``, a list of them, and ``across``, all together."""
    comparisons = found.comparisons if isinstance(found, Suite) else (found,)
    places = {"store": str(found.path) if found.path else None, "report": str(report) if report else None}
    if len(comparisons) == 1:
        result = {**_comparison(comparisons[0]), **places}
    else:
        assert isinstance(found, Suite)
        result = {
            "tasks": [_comparison(each) for each in comparisons],
            "across": _across(found.across) if found.across else None,
            "missing": found.missing,
            **places,
        }
    return json.dumps(finite(result), indent=2, allow_nan=False)


def _comparison(found: Comparison) -> Object:
    metric = metric_of(found)
    return {
        "task": found.plan.task,
        "metric": {"chosen_on": metric.selection, "judged_on": metric.judgement, "better": metric.better},
        "trials": found.plan.trials,
        "seeds": found.plan.seeds,
        "missing": found.missing,
        "verdict": found.verdict.sentences,
        "best": found.verdict.best,
        "rules": [_row(row, found.metric) for row in found.rows],
        "procedures": [_procedures(each) for each in found.procedures],
        "pairs": [_difference(pair) for pair in found.pairs],
        "tuning": [{"rule": rule, **_difference(change)} for rule, change in found.tuning.items()],
        "provenance": dict(found.provenance),
    }


def _row(row: RuleRow, metric: Metric | None) -> Object:
    return {
        "rule": row.rule,
        "options": dict(row.options),
        "default": _of_runs(row.default),
        "tuned": _of_runs(row.tuned),
        "winner_trial": row.winner_trial,
        "winner_values": dict(row.winner_values),
        "near_edge": row.near_edge,
        "best_after": row.best_after,
        "best_after_half": row.best_after_half,
        "sensitivity": [
            {"within": share.tolerance, "share": share.share, "low": share.low, "high": share.high, "of": share.total}
            for share in row.sensitivity or ()
        ],
        "again": [
            {"trial": trial, "values": dict(runs[0].values), "runs": [_run(run, metric) for run in runs]}
            for trial, runs in row.again.items()
            if runs
        ],
        "repeats": None if row.repeated is None else not row.unlike,
        "unlike": row.unlike,
        "alike": row.alike,
        "diverged": row.diverged,
        "failed": row.failed,
        "step_seconds": row.step_seconds,
        "step_ratio": row.step_ratio,
        "state_bytes": row.state_bytes,
        "seconds": row.seconds,
    }


def _run(run: Run, metric: Metric | None) -> Object:
    """A re-run; its value as it was reported, also where a diverged one counts with another."""
    curve = run.curves.get(metric.judgement) if metric else None
    return {
        "key": run.key,
        "seed": run.seed,
        "status": run.status,
        "value": curve.values[-1] if curve and curve.values else None,
    }


def _of_runs(found: Interval | None) -> Object | None:
    return None if found is None else {**_bounds(found), "runs": found.n}


def _bounds(found: Interval) -> Object:
    return {"mean": found.mean, "low": found.low, "high": found.high}


def _difference(found: Difference) -> Object:
    """First minus second."""
    return {
        "first": found.first,
        "second": found.second,
        "difference": found.interval.mean,
        "low": found.interval.low,
        "high": found.interval.high,
        "answer": found.answer,
        "more_seeds": found.more_seeds,
        "more_trials": found.more_trials,
        "noise": found.noise,
        "superiority": _superiority(found.superiority),
    }


def _superiority(found: Superiority | None) -> Object | None:
    """P(first better), for one training of each."""
    if found is None:
        return None
    return {"estimate": found.estimate, "low": found.low, "high": found.high, "p": found.p_value}


def _procedures(found: Procedures) -> Object:
    return {
        "trials": found.together,
        "rules": [
            {
                "rule": label,
                "trials": found.trials[label],
                **_bounds(found.intervals[label]),
                "se": mean.se,
                "df": mean.df,
                "noise": mean.noise,
                "noise_floor": found.noise_floor[label],
            }
            for label, mean in found.means.items()
        ],
        "pairs": [_difference(pair) for pair in found.pairs],
        "tuning": _named(found.tuning),
        "switching": _named(found.switching),
    }


def _named(found: Mapping[str, Difference]) -> Object:
    return {name: _difference(each) for name, each in found.items()}


def _across(found: Across) -> Object:
    profile, ranking = found.profile, found.ranking
    return {
        "sentences": found.sentences,
        "wins": [
            {
                "first": each.first,
                "second": each.second,
                "wins": each.wins,
                "losses": each.losses,
                "equal": each.equal,
                "unclear": each.unclear,
                "share": each.share,
                "low": each.low,
                "high": each.high,
            }
            for each in found.wins.records
        ],
        "profile": None
        if profile is None
        else {
            "factors": profile.taus,
            "shares": dict(zip(profile.rules, profile.shares, strict=True)),
            "areas": dict(zip(profile.rules, profile.areas, strict=True)),
            "notes": profile.notes,
        },
        "ranking": None
        if ranking is None
        else {
            "ranks": dict(zip(ranking.rules, ranking.average_ranks, strict=True)),
            "critical_difference": ranking.critical_difference,
            "friedman": ranking.friedman,
            "p": ranking.p_value,
            "groups": ranking.groups,
        },
    }


def finite(value: Any) -> Any:
    """JSON has no NaN and no infinity; plotly leaves a gap for null."""
    if isinstance(value, Mapping):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not isfinite(value) else value
