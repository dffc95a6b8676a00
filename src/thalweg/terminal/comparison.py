"""A finished comparison in the terminal: the verdict, the table, what the numbers mean, where things lie."""

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from thalweg.stats.intervals import Interval
from thalweg.stats.wording import Unit
from thalweg.study.judge.results import Comparison, Suite
from thalweg.view.comparison import view_of
from thalweg.view.values import ContenderView, Page, View
from thalweg.view.words import duration, size

from .console import table
from .forest import forest


def print_outcome(
    found: Comparison | Suite, console: Console, report: Path | None = None, *, verbose: bool = False
) -> None:
    """Everything a person wants to know at the end; ``verbose``: also what it rests on."""
    page = view_of(found)
    if len(page.tasks) > 1:
        _print_together(page, console)
    for view in page.tasks:
        _print_task(view, console, alone=len(page.tasks) == 1, verbose=verbose)
    # Plain print: a path must stay in one piece, to be copied.
    if found.path is not None:
        print(f"Results: {found.path}")
    print(
        f"Page: {report}"
        if report
        else f"For the page, with every difference: thalweg report {found.path}; here: --verbose"
        if found.path
        else ""
    )


def _print_together(page: Page, console: Console) -> None:
    """What the tasks say together."""
    if page.across is not None:
        first, *others = page.across.sentences
        console.print(Text(first, "bold"))
        for sentence in others:
            console.print(Text(sentence))
        console.print()


def _print_task(view: View, console: Console, *, alone: bool, verbose: bool) -> None:
    for sentence in view.notices:
        console.print(Text(sentence, "yellow"))
    first, *others = view.verdicts
    console.print(Text(first, "bold"))
    if view.answer:
        console.print()
        console.print(forest(view, console.width))
        console.print()
    # Of several tasks only the answer; all that is said of one is on the page.
    for sentence in others if alone or verbose else []:
        console.print(Text(sentence))
    for sentence in view.details if verbose else ():
        console.print(Text(sentence, "dim"))
    console.print()
    console.print(means_table(view))
    console.print()
    if verbose:
        console.print(settings_table(view))
        console.print()
        console.print(Text(_about(view), "dim"))
    else:
        console.print(Text(f"Mean {view.metric.judged} ({view.metric.better} is better), 95% intervals.", "dim"))


def _about(view: View) -> str:
    judged = f"{view.metric.judged} ({view.metric.better} is better)"
    seeds = f"over {view.seeds} fresh seeds"
    if view.judged is None:
        return f"Default and tuned: mean {judged} {seeds}; under it, its own 95% interval."
    return (
        f"Mean {judged}; under it, its own 95% interval. Tuned with {view.judged.words}: over new searches and seeds; "
        f"default and found: {seeds}."
    )


def means_table(view: View) -> Table:
    """One rule or combination a row; under each mean its interval."""
    budget, unit = view.judged, view.metric.unit
    heads = ["default", *([f"tuned, {budget.words}"] if budget else []), "found" if budget else "tuned", "lost runs"]
    made = table(view.kind, *heads, right=heads)
    for column in made.columns[1:]:
        column.no_wrap = True
    for rule in view.rules:
        judged = [value(unit, budget.means.get(rule.label), rule.without)] if budget else []
        made.add_row(
            Text(rule.label, "bold"),
            value(unit, rule.row.default, rule.without),
            *judged,
            value(unit, rule.row.tuned, rule.without),
            lost(rule),
        )
    return made


def settings_table(view: View) -> Table:
    """What won each search, and what it costs."""
    made = table(view.kind, f"found in {view.search}", "step", "state", right=("step", "state"))
    for column in made.columns[2:]:
        column.no_wrap = True
    for rule in view.rules:
        setting = Text(rule.winner if rule.winner is not None else "not known yet")
        if rule.remark:
            setting.append(f" ({rule.remark})", "dim")
        if rule.row.near_edge:
            setting.append(f" (near the edge of its search: {', '.join(rule.row.near_edge)})", "yellow")
        made.add_row(Text(rule.label, "bold"), setting, step(rule), size(rule.row.state_bytes))
    return made


def value(unit: Unit, found: Interval | None, without: str) -> Text:
    """A mean, and its interval in the next line; ``without``: what stands where there is none."""
    if found is None:
        return Text(without, "dim")
    return Text(unit.mean(found)).append(f"\n{unit.levels(found)}", "dim")


def lost(rule: ContenderView) -> Text:
    """Runs that diverged or failed."""
    counts = [f"{rule.row.diverged} diverged"] if rule.row.diverged else []
    counts += [f"{rule.row.failed} failed"] if rule.row.failed else []
    return Text("\n".join(counts) or "0", "yellow" if counts else "")


def step(rule: ContenderView) -> Text:
    """Time of one step; under it the same relative to the first rule."""
    if rule.row.step_seconds is None:
        return Text("")
    text = Text(duration(rule.row.step_seconds))
    return text.append(f"\nx {rule.row.step_ratio:.2f}", "dim") if rule.row.step_ratio is not None else text
