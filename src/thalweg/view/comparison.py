"""From comparisons to what is shown of them."""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import isfinite
from pathlib import Path

from thalweg.stats.wording import value_text
from thalweg.study.judge.findings import ContenderRow
from thalweg.study.judge.results import Comparison, Suite
from thalweg.study.judge.select import budgets_of
from thalweg.study.model.metric import Metric
from thalweg.study.model.plan import Contender

from . import commands
from .commands import heading
from .pairs import pair_of
from .palette import look
from .trials import KEY, run_name, search_kind, setting, trials_of
from .values import ContenderView, Curve, Page, Pair, Problem, SearchView, View


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
    plan, metric, said = comparison.plan, metric_of(comparison), comparison.verdict.sentences
    planned = {rule.label: rule for rule in plan.rules}
    family = comparison.family
    contrasts = family.contrasts if family else ()
    return View(
        task=plan.task,
        heading=heading(plan),
        kind="contender" if plan.rules[0].options else "rule",
        summary=plan.task_summary,
        metric=metric,
        notices=said[: comparison.verdict.notices],
        verdicts=said[comparison.verdict.notices :],
        missing=comparison.missing,
        rules=tuple(_rule(row, planned[row.contender], metric, index) for index, row in enumerate(comparison.rows)),
        details=comparison.verdict.details,
        judged=_searches(comparison),
        reference=family.reference if family else "",
        answer=tuple(pair_of(_title(each.first, each.second, metric), each) for each in contrasts),
        settings=tuple(pair_of(_title(each.first, each.second, metric), each) for each in family.settings)
        if family
        else (),
        described=tuple(_described(comparison)),
        matters=comparison.matters,
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
        design=plan.design,
    )


def metric_of(comparison: Comparison) -> Metric:
    """What is measured; before anything was reported, what the user asked for."""
    return comparison.metric or Metric(comparison.plan.metric or "metric", higher_is_better=True)


def _searches(comparison: Comparison) -> SearchView | None:
    judged = comparison.searches
    if judged is None:
        return None
    return SearchView(judged.budget(comparison.plan.minutes), judged.trials, judged.intervals)


def _title(first: str, second: str, metric: Metric) -> str:
    """Of what a difference, or a ratio, is."""
    return f"{first} {'against' if metric.scale.is_ratio else 'minus'} {second}"


def _described(comparison: Comparison) -> Iterator[Pair]:
    """What is outside the answer."""
    if comparison.searches is None:
        return
    metric = metric_of(comparison)
    for label, gain in comparison.searches.gains.items():
        yield pair_of(f"{label}: {_title('tuned', 'default', metric)}", gain)
    for each in comparison.searches.others:
        yield pair_of(_title(each.first, each.second, metric), each)


def _standing(comparison: Comparison) -> dict[str, str]:
    """What the answer says of each against the reference."""
    family = comparison.family
    if family is None or not family.contrasts:
        return {}
    words = {"cannot tell": "cannot be told"}
    return {family.reference: "reference"} | {
        each.first: words.get(each.answer, each.answer) for each in family.contrasts
    }


def _rule(row: ContenderRow, planned: Contender, metric: Metric, index: int) -> ContenderView:
    searched = planned.searched
    return ContenderView(
        row=row,
        look=look(index),
        winner=None if row.winner_trial is None else setting(row.winner_values, searched),
        searched={name: search_kind(words) for name, words in searched.items()},
        trials=trials_of(row, planned, metric),
        expected_best=tuple((n, value) for n, value in enumerate(row.best_after, 1) if isfinite(value)),
        curves=tuple(
            Curve(str(run.seed), tuple(map(float, curve.epochs)), curve.values)
            for run in row.tuned_runs
            if (curve := run.curves.get(metric.selection)) is not None
        ),
        repeats=_repeats(row),
    )


def _repeats(row: ContenderRow) -> str:
    if row.repeated is None:
        return "not trained twice yet"
    return f"not the same: {'; '.join(row.unlike)}" if row.unlike else "the same to the last bit"


def _provenance(comparison: Comparison) -> list[tuple[str, str]]:
    plan = comparison.plan
    budgets = budgets_of(plan.budgets, plan.minutes, plan.trials)
    chain = {name: "none" if value is None else value for name, value in plan.settings.chain.items()}
    facts = {
        "task": f"{plan.task} ({plan.task_hash[:12]})" + (f": {plan.task_summary}" if plan.task_summary else ""),
        "options": _words(plan.options),
        "arguments": shlex.join(plan.arguments),
        "schedule, decay, clipping": _words({"schedule": plan.settings.schedule, **chain}),
        "readout": plan.settings.readout if plan.settings.readout != "none" else "",
        "budgets judged": _words([f"{n} trials" for n in budgets]) or "none" if plan.minutes is None else "",
        "minutes": f"{plan.minutes:g} of training for each search" if plan.minutes is not None else "",
        "the same in every run": _words(list(plan.held)),
        "trained": "in lockstep, many at once in a process" if plan.lockstep else "",
        "study seed": str(plan.study_seed),
        "draws": "points that lie evenly (Sobol, scrambled)" if plan.design > 1 else "",
        "tuning seed": "one for each trial, from the study seed" if plan.search_seeds else str(plan.tuning_seed),
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
