"""The table of every training, folded for each rule: what was tried, what it gave, and the key to train it again."""

from collections.abc import Callable, Sequence

from thalweg.stats.wording import DRAWN, Unit, counted, value_text
from thalweg.view.values import Configuration, ContenderView, Training, View
from thalweg.view.words import duration

from .markup import Part, escaped, label, raw_table, swatch


def trials(view: View) -> Part | None:
    """Every trial and, under it, its re-runs."""
    known = [rule for rule in view.rules if rule.trials]
    if not known:
        return None
    chosen = view.metric.selection.replace("_", " ").replace("valid ", "validation ")
    text = (
        f"Every training by its row in the store. Trials rank by {escaped(chosen)}, the mean of the last 3 "
        f"evaluations; what is judged is {escaped(view.metric.judged)} at the end. Trial 0 is the default. Re-runs "
        "stand under their trial; a repeat has the seed of the search. A heading sorts by its column, and once more "
        "the other way round. The key is what <code>thalweg rerun STORE KEY</code> takes."
    )
    return Part(f"trials{view.mark}", "Trials and re-runs", text, "\n".join(_folded(view, rule) for rule in known))


def _folded(view: View, rule: ContenderView) -> str:
    again = sum(len(trial.again) for trial in rule.trials)
    counts = f"{counted(len(rule.trials), 'trial')}, {counted(again, 're-run')}"
    table = _table(view, rule)
    return f"<details><summary>{swatch(rule)}{label(rule.label)}: {counts}</summary>{table}</details>"


def _table(view: View, rule: ContenderView) -> str:
    names = [name for name in view.searched if name in rule.searched]
    judged = view.metric.judged if view.metric.judged_on == "test" else f"{view.metric.judged}, end"
    heads = [("trial", True), *((name, True) for name in names), ("seed", True), ("status", False)]
    heads += [("validation", True), (judged, True), ("time", True), ("key", False)]
    head = "".join(_head(text, number) for text, number in heads)
    # A body for each trial: what moves when they are sorted.
    bodies = (_trial(view.metric.unit, names, trial, trial.number == rule.row.winner_trial) for trial in rule.trials)
    return raw_table(head, "</tbody><tbody>".join(bodies), f"Trials of {rule.label}", "trials")


def _head(text: str, number: bool) -> str:
    kind, shown = ' class="number"' if number else "", escaped(text.replace("_", " "))
    return f'<th scope="col" aria-sort="none"{kind}><button type="button">{shown}</button></th>'


def _trial(unit: Unit, names: Sequence[str], trial: Configuration, won: bool) -> str:
    name = f'★ {trial.number} <span class="range">winner</span>' if won else str(trial.number)
    head = f'<th scope="row" class="number" data-value="{trial.number}">{name}</th>'
    values = (_sortable(value_text(trial.values[name], DRAWN), float(trial.values[name])) for name in names)
    kind = ' class="winner"' if won else ""
    first = f"<tr{kind}>{head}{''.join(values)}{_run(unit, trial.tuning, _sortable)}</tr>"
    return first + "".join(_again(unit, run, len(names), run.seed == trial.tuning.seed) for run in trial.again)


def _again(unit: Unit, run: Training, names: int, repeat: bool) -> str:
    head = f'<th scope="row" class="number">{"repeat" if repeat else "re-run"}</th>'
    blank = f'<td colspan="{names}"></td>' if names else ""
    return f'<tr class="again">{head}{blank}{_run(unit, run, _number)}</tr>'


def _run(unit: Unit, run: Training, cell: Callable[[str, float | None], str]) -> str:
    """What came of a training; ``cell`` writes a number, from its text and all its digits."""
    values = (cell("" if value is None else unit.value(value), value) for value in (run.valid, run.judged))
    return (
        f"{cell(str(run.seed), run.seed)}<td>{escaped(run.outcome)}</td>{''.join(values)}"
        f"{cell(escaped(duration(run.seconds)), run.seconds)}<td><code>{escaped(run.key)}</code></td>"
    )


def _sortable(text: str, value: float | None) -> str:
    kept = "" if value is None else f' data-value="{value!r}"'
    return f'<td class="number"{kept}>{text}</td>'


def _number(text: str, _: float | None) -> str:
    return f'<td class="number">{text}</td>'
