"""A finished comparison in the terminal: the verdict, the table, what the numbers mean, where things lie."""

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from thalweg.report.sections import duration, size
from thalweg.report.view import Interval, Metric, RuleView, View
from thalweg.report.viewing import finite, view_of
from thalweg.stats.paired import Difference
from thalweg.study.results import Comparison
from thalweg.terminal import table


def print_outcome(found: Comparison, console: Console, report: Path | None = None) -> None:
    """Everything a person wants to know at the end."""
    view = view_of(found)
    first, *others = view.verdicts
    console.print(Text(first, "bold"))
    for sentence in others:
        console.print(Text(sentence))
    console.print()
    console.print(outcome_table(view))
    console.print()
    console.print(settings_table(view))
    console.print()
    judged = view.metric.test.replace("_", " ")
    console.print(
        Text(
            f"Default and tuned: mean {judged} over {view.seeds} fresh seeds ({view.metric.better} is better); under "
            "it, its own 95% interval.",
            "dim",
        )
    )
    # Plain print: a path must stay in one piece, to be copied.
    if found.path is not None:
        print(f"Results: {found.path}")
    print(
        f"Page: {report}"
        if report
        else f"For the page, with every difference: thalweg report {found.path}"
        if found.path
        else ""
    )


def outcome_table(view: View) -> Table:
    """One rule or combination a row; under each mean its interval."""
    made = table(
        view.kind,
        "default",
        "tuned",
        "lost runs",
        "step",
        "state",
        right=("default", "tuned", "lost runs", "step", "state"),
    )
    for column in made.columns[1:]:
        column.no_wrap = True
    for rule in view.rules:
        made.add_row(
            Text(rule.label, "bold"),
            value(view.metric, rule.default),
            value(view.metric, rule.tuned),
            lost(rule),
            step(rule),
            size(rule.state_bytes),
        )
    return made


def settings_table(view: View) -> Table:
    """What won each search."""
    made = table(view.kind, "tuned setting")
    for rule in view.rules:
        setting = Text(rule.winner if rule.winner is not None else "not known yet")
        if rule.remark:
            setting.append(f" ({rule.remark})", "dim")
        if rule.near_edge:
            setting.append(f" (near the edge of its search: {', '.join(rule.near_edge)})", "yellow")
        made.add_row(Text(rule.label, "bold"), setting)
    return made


def value(metric: Metric, found: Interval | None) -> Text:
    """A mean, and its interval in the next line."""
    if found is None:
        return Text("not run yet", "dim")
    text = Text(metric.text(found.mean))
    if found.low is not None and found.high is not None:
        text.append(f"\n{metric.between(found.low, found.high)}", "dim")
    return text


def lost(rule: RuleView) -> Text:
    """Runs that diverged or failed."""
    counts = [f"{rule.diverged} diverged"] if rule.diverged else []
    counts += [f"{rule.failed} failed"] if rule.failed else []
    return Text("\n".join(counts) or "0", "yellow" if counts else "")


def step(rule: RuleView) -> Text:
    """Time of one step; under it the same relative to the first rule."""
    if rule.step_seconds is None:
        return Text("")
    text = Text(duration(rule.step_seconds))
    return text.append(f"\nx {rule.step_ratio:.2f}", "dim") if rule.step_ratio is not None else text


def as_json(found: Comparison, report: Path | None = None) -> str:
    """The result for programs: what the table shows, unrounded. No NaN, no infinity."""

    def interval(given: Interval | None) -> dict[str, object] | None:
        if given is None:
            return None
        return {"mean": given.mean, "low": given.low, "high": given.high, "runs": given.runs}

    def change(given: Difference) -> dict[str, object]:
        """First minus second."""
        return {
            "first": given.first,
            "second": given.second,
            "difference": given.interval.mean,
            "low": given.interval.low,
            "high": given.interval.high,
            "answer": given.answer,
            "more_seeds": given.more_seeds,
        }

    view = view_of(found)
    shown = {rule.label: rule for rule in view.rules}
    result = {
        "task": view.task,
        "metric": {"chosen_on": view.metric.valid, "judged_on": view.metric.test, "better": view.metric.better},
        "trials": view.trials,
        "seeds": view.seeds,
        "missing": view.missing,
        "verdict": view.verdicts,
        "best": found.verdict.best,
        "rules": [
            {
                "rule": row.rule,
                "options": dict(row.options),
                "default": interval(shown[row.rule].default),
                "tuned": interval(shown[row.rule].tuned),
                "winner_trial": row.winner_trial,
                "winner_values": dict(row.winner_values),
                "near_edge": row.near_edge,
                "best_after": row.best_after,
                "diverged": row.diverged,
                "failed": row.failed,
                "step_seconds": row.step_seconds,
                "step_ratio": row.step_ratio,
                "state_bytes": row.state_bytes,
                "seconds": row.seconds,
            }
            for row in found.rows
        ],
        "pairs": [change(pair) for pair in found.pairs],
        "tuning": [{"rule": rule, **change(found.tuning[rule])} for rule in found.tuning],
        "provenance": dict(found.provenance),
        "store": str(found.path) if found.path else None,
        "report": str(report) if report else None,
    }
    return json.dumps(finite(result), indent=2, allow_nan=False)
