"""From a comparison to what is shown of it."""

import shlex
from collections.abc import Mapping
from math import isfinite
from typing import Any

from thalweg.stats.intervals import Interval as Found
from thalweg.stats.paired import Difference
from thalweg.study.cells import Run
from thalweg.study.plan import Plan, PlannedRule
from thalweg.study.results import Comparison, RuleRow
from thalweg.study.varying import written_again

from .palette import look
from .view import Curve, Interval, Metric, Pair, Problem, RuleView, Trial, View


def view_of(comparison: Comparison) -> View:
    """Everything the page shows."""
    plan, metric = comparison.plan, metric_of(comparison)
    planned = {rule.label: rule for rule in plan.rules}
    return View(
        task=plan.task,
        heading=heading(plan),
        kind="contender" if plan.rules[0].options else "rule",
        summary=plan.task_summary,
        metric=metric,
        verdicts=comparison.verdict.sentences,
        missing=comparison.missing,
        rules=tuple(_rule(row, planned[row.rule], metric, index) for index, row in enumerate(comparison.rows)),
        pairs=tuple(_pair(f"{found.first} minus {found.second}", found) for found in comparison.pairs)
        + tuple(_pair(f"{label}: tuned minus default", found) for label, found in comparison.tuning.items()),
        problems=tuple(
            Problem(run.rule, run_name(run, plan), run.status, run.message)
            for run in comparison.runs
            if run.status != "done"
        ),
        provenance=tuple(_provenance(comparison)),
        command=command(plan, comparison),
        trials=plan.trials,
        seeds=plan.seeds,
    )


def metric_of(comparison: Comparison) -> Metric:
    """What is measured; before anything was reported, the name the user asked for."""
    found = comparison.metric
    if found is None:
        name = comparison.plan.metric or "metric"
        return Metric(f"valid_{name}", f"test_{name}", "higher", False)
    better = "higher" if found.higher_is_better else "lower"
    return Metric(found.selection, found.judgement, "higher" if better == "higher" else "lower", found.is_share)


def setting(values: Mapping[str, float | bool], names: Mapping[str, object] | None = None) -> str:
    """Hyperparameters in one line; only ``names`` when given."""
    shown = values if names is None else {name: values[name] for name in names if name in values}
    return ", ".join(f"{name}={_number(value)}" for name, value in shown.items())


def _number(value: float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:.4g}"


def run_name(run: Run, plan: Plan) -> str:
    """Which run this is, in words."""
    return run.which if run.seed == plan.tuning_seed else f"re-run of {run.which}, seed {run.seed}"


def heading(plan: Plan) -> str:
    """What is compared on what, short: adamw, lion with norm=batch,layer on digits-cnn."""
    rules, vary = ", ".join(dict.fromkeys(rule.rule or rule.label for rule in plan.rules)), _varied(plan)
    options = " and ".join(vary)
    compared = options if plan.rule_name else f"{rules} with {options}" if vary else rules
    return f"{compared} on {plan.place}"


def _varied(plan: Plan) -> list[str]:
    return written_again(rule.options for rule in plan.rules)


def command(plan: Plan, comparison: Comparison) -> str:
    """The command that makes this comparison again, or goes on with it."""
    words = ["thalweg", "compare", plan.task_source or plan.task, "-r"]
    words += [",".join(dict.fromkeys(rule.reference for rule in plan.rules))]
    words += [word for given in _varied(plan) for word in ("--vary", given)]
    words += ["--trials", str(plan.trials), "--seeds", str(plan.seeds), "--study-seed", str(plan.study_seed)]
    words += ["--metric", plan.metric] if plan.metric else []
    words += ["--store", str(comparison.path)] if comparison.path else []
    return shlex.join(words)


def _rule(row: RuleRow, planned: PlannedRule, metric: Metric, index: int) -> RuleView:
    searched = planned.searched
    return RuleView(
        label=row.rule,
        name=row.name,
        look=look(index),
        default=_interval(row.default),
        tuned=_interval(row.tuned),
        winner=None if row.winner_trial is None else setting(row.winner_values, searched),
        default_won=row.winner_trial == 0,
        searched=bool(planned.searched),
        near_edge=row.near_edge,
        trials=tuple(_trial(run, searched, metric) for run in row.trials),
        expected_best=tuple((n, value) for n, value in enumerate(row.best_after, 1) if isfinite(value)),
        curves=tuple(
            Curve(str(run.seed), tuple(map(float, curve.epochs)), curve.values)
            for run in row.tuned_runs
            if (curve := run.curves.get(metric.valid)) is not None
        ),
        diverged=row.diverged,
        failed=row.failed,
        default_lost=row.default_lost,
        tuned_lost=row.tuned_lost,
        step_seconds=row.step_seconds,
        step_ratio=row.step_ratio,
        state_bytes=row.state_bytes,
        seconds=row.seconds,
    )


def _interval(found: Found | None) -> Interval | None:
    if found is None:
        return None
    bounded = isfinite(found.low) and isfinite(found.high)
    return Interval(found.mean, found.low if bounded else None, found.high if bounded else None, found.n)


def _trial(run: Run, searched: Mapping[str, str], metric: Metric) -> Trial:
    curve = run.curves.get(metric.valid) if run.status == "done" else None
    lr = run.values.get("lr")
    return Trial(
        number=run.trial,
        lr=float(lr) if lr is not None else None,
        value=curve.end() if curve and curve.values else None,
        outcome=run.status,
        setting=setting(run.values, searched),
    )


def _pair(title: str, found: Difference) -> Pair:
    interval = _interval(found.interval)
    assert interval is not None
    return Pair(title, interval, found.together, _answer(found))


def _answer(found: Difference) -> str:
    if found.answer != "cannot tell":
        return found.answer
    if found.why == "equal":
        return "equal in every seed"
    if found.why == "constant":
        return "cannot tell: the same difference in every seed"
    if found.more_seeds is None:
        return "cannot tell"
    return f"cannot tell; about {found.more_seeds} more seed{'s' * (found.more_seeds != 1)} might"


def _provenance(comparison: Comparison) -> list[tuple[str, str]]:
    plan = comparison.plan
    facts = {
        "task": f"{plan.task} ({plan.task_hash[:12]})",
        "study seed": str(plan.study_seed),
        "tuning seed": str(plan.tuning_seed),
        "fresh seeds": ", ".join(map(str, plan.fresh_seeds)),
        "versions": ", ".join(f"{name} {version}" for name, version in plan.versions.items()),
    }
    told = {name.replace("_", " "): _words(value) for name, value in comparison.provenance.items()}
    store = {"store": str(comparison.path)} if comparison.path else {}
    return list({**facts, **told, **store}.items())


def _words(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_words(inner)}" for name, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_words, value))
    return str(value)


def finite(value: Any) -> Any:
    """JSON has no NaN and no infinity; plotly leaves a gap for null."""
    if isinstance(value, Mapping):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not isfinite(value) else value
