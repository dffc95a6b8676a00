"""From comparisons to what is shown of them."""

import shlex
from collections.abc import Mapping
from dataclasses import replace
from math import isfinite
from pathlib import Path

from thalweg.stats.wording import DRAWN, value_text
from thalweg.study.judge.across import headline
from thalweg.study.judge.findings import ContenderRow
from thalweg.study.judge.results import Comparison, Suite
from thalweg.study.model.cells import Cell, Run, which
from thalweg.study.model.metric import Metric
from thalweg.study.model.plan import Contender, Plan

from . import commands
from .commands import heading
from .pairs import budget, found_pair
from .palette import look
from .values import Configuration, ContenderView, Curve, Kept, Page, Problem, View

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
        rules=tuple(
            _rule(row, planned[row.contender], plan, metric, index) for index, row in enumerate(comparison.rows)
        ),
        budgets=tuple(budget(found, plan.minutes) for found in comparison.procedures),
        pairs=tuple(found_pair(f"{found.first} minus {found.second}", found) for found in comparison.pairs),
        tuning=tuple(found_pair(f"{label}: found minus default", found) for label, found in comparison.tuning.items()),
        standing=_standing(comparison),
        problems=tuple(
            Problem(cell.called, run_name(cell, plan), run.status, run.message, run.key[:KEY], run.log)
            for cell, run in comparison.trainings
            if run.status != "done"
        ),
        provenance=tuple(_provenance(comparison)),
        search=f"{plan.trials} trials" if plan.minutes is None else f"{plan.minutes:.3g} minutes",
        seeds=plan.seeds,
        mark=mark,
    )


def metric_of(comparison: Comparison) -> Metric:
    """What is measured; before anything was reported, what the user asked for."""
    return comparison.metric or Metric(comparison.plan.metric or "metric", higher_is_better=True)


def setting(values: Mapping[str, float | bool], names: Mapping[str, object] | None = None) -> str:
    """Hyperparameters in one line; only ``names`` when given."""
    shown = values if names is None else {name: values[name] for name in names if name in values}
    return ", ".join(f"{name}={value_text(value, DRAWN)}" for name, value in shown.items())


def run_name(cell: Cell, plan: Plan) -> str:
    """Which run this is, in words."""
    configuration = which(cell.trial)
    return configuration if cell.seed == plan.tuning_seed else f"re-run of {configuration}, seed {cell.seed}"


def _standing(comparison: Comparison) -> dict[str, str]:
    """What the verdict says of each against the best mean, which stands first in its pairs."""
    pairs = headline(comparison)
    if not pairs:
        return {}
    words = {"better": "worse", "cannot tell": "cannot be told", "equal within noise": "equal within noise"}
    best = pairs[0].first
    return {best: "best"} | {pair.second: words[pair.answer] for pair in pairs if pair.first == best}


def _rule(row: ContenderRow, planned: Contender, plan: Plan, metric: Metric, index: int) -> ContenderView:
    searched = planned.searched
    chosen = dict.fromkeys(trial for trial in (0, row.winner_trial) if trial is not None)
    again = [(plan.cell(planned, trial, run.seed), run) for trial in chosen for run in row.again.get(trial, ())]
    return ContenderView(
        row=row,
        look=look(index),
        winner=None if row.winner_trial is None else setting(row.winner_values, searched),
        trials=tuple(_trial(number, run, searched, metric) for number, run in row.trials.items()),
        expected_best=tuple((n, value) for n, value in enumerate(row.best_after, 1) if isfinite(value)),
        best_band=tuple(_band(row, metric)),
        curves=tuple(
            Curve(str(run.seed), tuple(map(float, curve.epochs)), curve.values)
            for run in row.tuned_runs
            if (curve := run.curves.get(metric.selection)) is not None
        ),
        again=tuple(_kept(cell, run, plan, metric) for cell, run in again),
        repeats=_repeats(row),
    )


def _band(row: ContenderRow, metric: Metric) -> list[tuple[int, float, float]]:
    low, high = metric.possible
    each = enumerate(zip(row.best_after, row.best_after_half, strict=False), 1)
    band = [(n, max(mean - half, low), min(mean + half, high)) for n, (mean, half) in each if isfinite(mean + half)]
    return band if len(band) > 1 else []


def _trial(number: int, run: Run, searched: Mapping[str, str], metric: Metric) -> Configuration:
    curve = run.curves.get(metric.selection) if run.status == "done" else None
    lr = run.values.get("lr")
    return Configuration(
        number=number,
        lr=float(lr) if lr is not None else None,
        value=curve.end() if curve and curve.values else None,
        outcome=run.status,
        setting=setting(run.values, searched),
    )


def _kept(cell: Cell, run: Run, plan: Plan, metric: Metric) -> Kept:
    curve = run.curves.get(metric.judgement) if run.status == "done" else None
    return Kept(run.key[:KEY], run_name(cell, plan), run.status, curve.values[-1] if curve and curve.values else None)


def _repeats(row: ContenderRow) -> str:
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
    return value_text(value) if isinstance(value, bool | float) else str(value)
