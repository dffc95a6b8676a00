"""What a comparison says, put together for `thalweg.stats.verdict`."""

from collections.abc import Mapping, Sequence

from thalweg.stats.paired import Difference
from thalweg.stats.verdict import Setting, Verdict, verdict
from thalweg.stats.wording import listed
from thalweg.study.model.metric import Metric
from thalweg.study.model.plan import Plan

from .findings import ContenderRow
from .procedures import Procedures


def said(
    plan: Plan,
    metric: Metric | None,
    rows: Sequence[ContenderRow],
    pairs: Sequence[Difference],
    tuning: Mapping[str, Difference],
    budgets: Sequence[Procedures],
    done: int,
    missing: int,
) -> Verdict:
    """The verdict of a comparison that may not be finished: ``done`` of its runs are there, ``missing`` are not."""
    if missing:
        return Verdict(
            (
                f"The comparison is not finished: {done} of {done + missing} runs are stored; "
                "the same command goes on where it stopped.",
            )
        )
    if metric is None:
        return Verdict(("Cannot tell: no run reported the metric that the comparison is judged by.",))
    ranked = sorted(
        (row for row in rows if row.tuned),
        key=lambda row: row.tuned.mean if row.tuned else 0.0,
        reverse=metric.higher_is_better,
    )
    silent = [row for row in rows if row.silent]
    if ranked and len(ranked) < len(rows) - len(silent):
        return Verdict((f"Cannot tell: no re-run of some rule ever reported {metric.judgement}.",))
    again = [run for row in rows for run in row.tuned_runs]
    if again and all(run.status != "done" for run in again):
        kinds = "diverged" if all(run.status == "diverged" for run in again) else "diverged or failed"
        return Verdict(
            (
                f"Nothing to compare: every re-run {'of ' + listed([row.name for row in rows])} {kinds}; the first: "
                f"{again[0].message}.",
            )
        )
    # Of the largest budget: what smaller ones say is in the report.
    judged = budgets[-1] if budgets else None
    answer = verdict(_setting(plan, metric, rows, judged), ranked, pairs, tuning, judged)
    return Verdict((*map(_failed, silent), *answer.sentences), answer.best)


def _failed(row: ContenderRow) -> str:
    """That nothing can be said of one whose every run failed, and why."""
    (first, *_) = row.trials.values()
    return f"Nothing is said of {row.name}: every run of it failed; the first: {first.message}."


def _setting(plan: Plan, metric: Metric, rows: Sequence[ContenderRow], judged: Procedures | None) -> Setting:
    return Setting(
        task=plan.place,
        metric=metric.judged,
        unit=metric.unit,
        trials=max(len(row.trials) for row in rows),
        minutes=plan.minutes,
        judged_on_validation=metric.judged_on == "valid",
        procedure=judged.budget(plan.minutes) if judged else "",
    )
