"""What a comparison says, put together for `thalweg.stats.verdict`."""

from collections.abc import Sequence
from dataclasses import replace

from thalweg.stats.proportion import Rate
from thalweg.stats.verdict import Setting, Verdict, verdict
from thalweg.stats.wording import listed
from thalweg.study.model.metric import Metric
from thalweg.study.model.plan import Plan

from .family import Family
from .findings import ContenderRow
from .next_step import next_step
from .notices import notices
from .searches import Searches


def said(
    plan: Plan,
    metric: Metric | None,
    rows: Sequence[ContenderRow],
    family: Family | None,
    searches: Searches | None,
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
    silent = [row for row in rows if row.silent]
    again = [run for row in rows for run in row.tuned_runs]
    if again and all(run.status != "done" for run in again):
        kinds = "diverged" if all(run.status == "diverged" for run in again) else "diverged or failed"
        return Verdict(
            (
                f"Nothing to compare: every re-run {'of ' + listed([row.name for row in rows])} {kinds}; the first: "
                f"{again[0].message}.",
            )
        )
    if family is None:
        return Verdict((f"Cannot tell: no re-run of some rule ever reported {metric.judgement}.",))
    heard = [row for row in rows if not row.silent]
    levels = searches.intervals if searches else {row.contender: row.tuned for row in heard if row.tuned}
    answer = verdict(
        _setting(plan, metric, rows, family, searches),
        heard,
        family,
        searches,
        searches.failures if searches else _failures(family),
        notices(plan, metric, rows, levels, searches.missed if searches else {}),
        _next(plan, metric, heard, family, searches),
    )
    before = tuple(map(_failed, silent))
    return replace(answer, sentences=(*before, *answer.sentences), notices=len(before) + answer.notices)


def _failures(family: Family) -> dict[str, Rate]:
    """Of the runs that the contrasts are of, by label."""
    first = {family.reference: family.contrasts[0].failures[1]} if family.contrasts else {}
    return first | {each.first: each.failures[0] for each in family.contrasts}


def _next(plan: Plan, metric: Metric, rows: Sequence[ContenderRow], family: Family, searches: Searches | None) -> str:
    if searches is None or searches.together is None:
        return ""
    open_ = [each for each in family.contrasts if each.answer == "cannot tell" and each.why == "noise"]
    return next_step(
        plan, metric, [(each, searches.differences[each.first]) for each in open_], {r.contender: r.name for r in rows}
    )


def _failed(row: ContenderRow) -> str:
    """That nothing can be said of one whose every run failed, and why."""
    (first, *_) = row.trials.values()
    return f"Nothing is said of {row.name}: every run of it failed; the first: {first.message}."


def _setting(
    plan: Plan, metric: Metric, rows: Sequence[ContenderRow], family: Family, searches: Searches | None
) -> Setting:
    return Setting(
        task=plan.place,
        metric=metric.judged,
        unit=metric.unit,
        trials=max(len(row.trials) for row in rows),
        seeds=plan.seeds,
        judged_on_validation=metric.judged_on == "valid",
        lower_is_better=not metric.higher_is_better,
        minutes=plan.minutes,
        budget=searches.together if searches else None,
        matters=family.matters,
    )
