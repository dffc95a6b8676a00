"""From comparisons to what is shown of them."""

import shlex
from collections.abc import Mapping
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Any

from thalweg.study.judge.across import headline
from thalweg.study.judge.findings import RuleRow
from thalweg.study.judge.results import Comparison, Suite
from thalweg.study.model.cells import Run
from thalweg.study.model.plan import Plan, PlannedRule

from . import commands
from .commands import heading
from .palette import look
from .view import Curve, Kept, Metric, Page, Problem, RuleView, Trial, View
from .viewing_pairs import budget, found_pair, shown_interval

# Digits of a key that are shown; `thalweg rerun` takes as few.
KEY = 12


def view_of(found: Comparison | Suite, folder: Path | None = None) -> Page:
    """Everything the page shows. ``folder``: where the page lies; a store below it is named as seen from there."""
    suite = Suite((found,), found.path) if isinstance(found, Comparison) else found
    if folder is not None and suite.path is not None and suite.path.resolve().is_relative_to(folder.resolve()):
        near = suite.path.resolve().relative_to(folder.resolve())
        suite = Suite(tuple(replace(each, path=near) for each in suite.comparisons), near)
    plans, several = [each.plan for each in suite.comparisons], len(suite.comparisons) > 1
    return Page(
        heading=heading(*plans),
        tasks=tuple(
            task_view(each, f"-{number}" if several else "") for number, each in enumerate(suite.comparisons, 1)
        ),
        across=suite.across,
        command=commands.again(plans, suite.path),
        again=commands.rerun(suite.path),
    )


def task_view(comparison: Comparison, mark: str = "") -> View:
    """What is shown of one task; ``mark`` as in `View`."""
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
        rules=tuple(_rule(row, planned[row.rule], plan, metric, index) for index, row in enumerate(comparison.rows)),
        budgets=tuple(budget(found, plan.minutes) for found in comparison.procedures),
        pairs=tuple(found_pair(f"{found.first} minus {found.second}", found) for found in comparison.pairs),
        tuning=tuple(found_pair(f"{label}: found minus default", found) for label, found in comparison.tuning.items()),
        standing=_standing(comparison),
        problems=tuple(
            Problem(run.rule, run_name(run, plan), run.status, run.message, run.key[:KEY], run.log)
            for run in comparison.runs
            if run.status != "done"
        ),
        provenance=tuple(_provenance(comparison)),
        search=f"{plan.trials} trials" if plan.minutes is None else f"{plan.minutes:.3g} minutes",
        seeds=plan.seeds,
        mark=mark,
    )


def command(plan: Plan, comparison: Comparison) -> str:
    """The command that makes this comparison again, or goes on with it."""
    return commands.again([plan], comparison.path)


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


def _standing(comparison: Comparison) -> dict[str, str]:
    """What the verdict says of each against the best mean, which stands first in its pairs."""
    pairs = headline(comparison)
    if not pairs:
        return {}
    words = {"better": "worse", "cannot tell": "cannot be told", "equal within noise": "equal within noise"}
    best = pairs[0].first
    return {best: "best"} | {pair.second: words[pair.answer] for pair in pairs if pair.first == best}


def _rule(row: RuleRow, planned: PlannedRule, plan: Plan, metric: Metric, index: int) -> RuleView:
    searched = planned.searched
    again = {run.key: run for run in (*row.default_runs, *row.tuned_runs)}
    return RuleView(
        label=row.rule,
        name=row.name,
        look=look(index),
        default=shown_interval(row.default) if row.default else None,
        tuned=shown_interval(row.tuned) if row.tuned else None,
        winner=None if row.winner_trial is None else setting(row.winner_values, searched),
        default_won=row.winner_trial == 0,
        searched=bool(planned.searched),
        near_edge=row.near_edge,
        trials=tuple(_trial(run, searched, metric) for run in row.trials),
        expected_best=tuple((n, value) for n, value in enumerate(row.best_after, 1) if isfinite(value)),
        best_band=tuple(_band(row, metric)),
        shares=row.sensitivity or (),
        curves=tuple(
            Curve(str(run.seed), tuple(map(float, curve.epochs)), curve.values)
            for run in row.tuned_runs
            if (curve := run.curves.get(metric.valid)) is not None
        ),
        again=tuple(_kept(run, plan, metric) for run in again.values()),
        repeats=_repeats(row),
        diverged=row.diverged,
        failed=row.failed,
        default_lost=row.default_lost,
        tuned_lost=row.tuned_lost,
        step_seconds=row.step_seconds,
        step_ratio=row.step_ratio,
        state_bytes=row.state_bytes,
        seconds=row.seconds,
    )


def _band(row: RuleRow, metric: Metric) -> list[tuple[int, float, float]]:
    low, high = (0.0, 1.0) if metric.is_share else (float("-inf"), float("inf"))
    each = enumerate(zip(row.best_after, row.best_after_half, strict=False), 1)
    band = [(n, max(mean - half, low), min(mean + half, high)) for n, (mean, half) in each if isfinite(mean + half)]
    return band if len(band) > 1 else []


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


def _kept(run: Run, plan: Plan, metric: Metric) -> Kept:
    curve = run.curves.get(metric.test) if run.status == "done" else None
    return Kept(run.key[:KEY], run_name(run, plan), run.status, curve.values[-1] if curve and curve.values else None)


def _repeats(row: RuleRow) -> str:
    if row.repeated is None:
        return "not trained twice yet"
    return f"not the same: {'; '.join(row.unlike)}" if row.unlike else "the same to the last bit"


def _provenance(comparison: Comparison) -> list[tuple[str, str]]:
    plan = comparison.plan
    chain = {name: "none" if value is None else value for name, value in plan.settings.chain.items()}
    facts = {
        "task": f"{plan.task} ({plan.task_hash[:12]})" + (f": {plan.task_summary}" if plan.task_summary else ""),
        "options": _words(plan.options),
        "arguments": shlex.join(plan.arguments),
        "schedule, decay, clipping": _words({"schedule": plan.settings.schedule, **chain}),
        "budgets judged": _words([f"{n} trials" for n in plan.budgets]) or ("none" if plan.minutes is None else ""),
        "minutes": f"{plan.minutes:g} of training for each search" if plan.minutes is not None else "",
        "the same in every run": _words(list(plan.held)),
        "study seed": str(plan.study_seed),
        "tuning seed": str(plan.tuning_seed),
        "fresh seeds": ", ".join(map(str, plan.fresh_seeds)),
        "versions": ", ".join(f"{name} {version}" for name, version in plan.versions.items()),
    }
    told = {name.replace("_", " "): _words(value) for name, value in comparison.provenance.items()}
    store = {"store": str(comparison.path)} if comparison.path else {}
    return [(name, words) for name, words in {**facts, **told, **store}.items() if words]


def _words(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_words(inner)}" for name, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_words, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def finite(value: Any) -> Any:
    """JSON has no NaN and no infinity; plotly leaves a gap for null."""
    if isinstance(value, Mapping):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not isfinite(value) else value
