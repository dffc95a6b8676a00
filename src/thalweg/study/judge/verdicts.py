"""What a comparison says, put together for `thalweg.stats.verdict`."""

from collections.abc import Mapping, Sequence

from thalweg.stats.paired import Difference
from thalweg.stats.verdict import Procedural, Setting, Verdict, verdict
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
    if len(ranked) < len(rows):
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
    names = {row.contender: row.name for row in ranked}
    return verdict(_setting(plan, metric, rows), ranked, pairs, tuning, _procedural(plan, budgets, names))


def _setting(plan: Plan, metric: Metric, rows: Sequence[ContenderRow]) -> Setting:
    return Setting(
        task=plan.place,
        metric=metric.judged,
        unit=metric.unit,
        trials=max(len(row.trials) for row in rows),
        minutes=plan.minutes,
        judged_on_validation=metric.judged_on == "valid",
    )


def _procedural(plan: Plan, budgets: Sequence[Procedures], names: Mapping[str, str]) -> Procedural | None:
    """The largest budget: what smaller ones say is in the report."""
    if not budgets:
        return None
    found = budgets[-1]
    count = found.together
    words = (
        f"{plan.minutes / 3:.3g} minutes" if plan.minutes else f"{count} trials" if count else "a third of the trials"
    )
    order = list(found.means)
    if found.pairs:
        order = [found.pairs[0].first, *(pair.second for pair in found.pairs if pair.first == found.pairs[0].first)]
    return Procedural(
        budget=words,
        names={label: names[label] for label in order},
        intervals={label: found.intervals[label] for label in order},
        pairs=found.pairs,
        tuning=found.tuning,
        switching=found.switching,
        first=next(iter(found.means)),
        noise_floor=found.noise_floor[order[0]],
    )
