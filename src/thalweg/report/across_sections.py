"""The parts of the page on several tasks together. Pure functions of a `Page`."""

from collections.abc import Iterable

from thalweg.stats.wins import Record, WinMatrix
from thalweg.stats.wording import counted
from thalweg.view.values import ContenderView, Page, View

from .closing_sections import hours
from .markup import Part, escaped, figure, interval, label, legend, named, raw_table, rule_head
from .sections import unfinished


def facts(page: Page) -> str:
    """How much was run, in one line."""
    view = page.tasks[0]
    compared = f"{counted(len(page.rules), view.kind)} on {counted(len(page.tasks), 'task')}"
    spent = f"{hours(sum(each.seconds for each in page.tasks))} core-hours"
    return f"{compared}, {view.search} and {view.seeds} fresh seeds each, {spent}{unfinished(page.missing)}."


def verdict(page: Page) -> str:
    """What the tasks say together, then the answer of each, then who is how good where."""
    together = page.across.sentences if page.across else (f"{page.heading}: one answer for each task.",)
    first, *others = together
    lines = [f'<p class="first" id="verdict">{escaped(first)}</p>', *(f"<p>{escaped(text)}</p>" for text in others)]
    each = "".join(f'<li><a href="#task{view.mark}">{escaped(view.verdicts[0])}</a></li>' for view in page.tasks)
    return "\n".join((*lines, overview(page), f'<ul class="answers">{each}</ul>'))


def overview(page: Page) -> str:
    """Each rule's mean on each task, and how it stands there against the best."""

    def row(view: View) -> str:
        shown = view.headline
        cells = "".join(
            f'<td class="number {_standing(view.standing.get(rule.label, ""))}">'
            f"{interval(view.metric.unit, shown.get(rule.label), view.standing.get(rule.label, ''))}</td>"
            for rule in page.rules
        )
        about = f'<span class="range">{escaped(view.metric.judged)}</span>'
        return f'<tr><th scope="row">{label(view.task)} {about}</th>{cells}</tr>'

    return raw_table(_heads("task", page.rules), "".join(map(row, page.tasks)), "Means by task", "matrix")


def _heads(first: str, rules: Iterable[ContenderView]) -> str:
    each = "".join(f'<th scope="col" class="number">{named(rule)}</th>' for rule in rules)
    return f'<th scope="col">{escaped(first)}</th>{each}'


def _standing(words: str) -> str:
    return {"better": "best", "cannot be told": "open", "equal": "open", "worse": "worse"}.get(words, "")


def together(page: Page, drawn: set[str]) -> list[Part]:
    """What the tasks say together: win matrix, performance profile, mean ranks."""
    across = page.across
    if across is None:
        return []
    parts = [Part("wins", "Who is better where", _about_wins(across.wins), _wins(page, across.wins))]
    if across.profile is not None and "fig-profile" in drawn:
        notes = "".join(f" {escaped(note)}" for note in across.profile.notes)
        text = (
            "For each factor, the share of the tasks on which a rule is within that factor of the best (Dolan & Moré); "
            "of an accuracy, its error counts. Further up is better; at 1, the share of tasks on which it is the best. "
            f"It depends on who takes part, and moves in steps of one task.{notes}"
        )
        about = "Share of the tasks on which each rule is within a factor of the best"
        parts.append(Part("profile", "How far from the best", text, legend(page.rules) + figure("fig-profile", about)))
    if across.ranking is not None and "fig-ranks" in drawn:
        found = across.ranking
        told = (
            f"Friedman's test says that there are differences (p = {found.p_value:.2g})."
            if found.p_value < found.level
            else f"Friedman's test (p = {found.p_value:.2g}) does not say that there are any differences: do not read "
            "more into the order."
        )
        text = (
            f"Mean rank over the tasks. Grey bars join rules that differ by less than {found.critical_difference:.2f} "
            f"and are not separated (Nemenyi). {told}"
        )
        parts.append(
            Part("ranks", "Mean ranks", text, figure("fig-ranks", "Mean rank of each rule, critical difference"))
        )
    return parts


def _about_wins(wins: WinMatrix) -> str:
    return (
        f"On how many of the {len(wins.tasks)} tasks the rule of the row is better or worse than that of the column; "
        "on the others the two are equal within what matters or cannot be told; empty where they were not compared, "
        "since all are compared with one. Below: the share of those decided that it wins, "
        "with its "
        f"{100 * wins.level:g}% interval."
    )


def _wins(page: Page, wins: WinMatrix) -> str:
    rules = [rule for rule in page.rules if rule.label in wins.rules]

    def cell(first: str, second: str) -> str:
        if first == second:
            return '<td class="number self" aria-label="itself">·</td>'
        found = wins.between(first, second)
        if not found.tasks:
            return '<td class="number" aria-label="not asked"></td>'
        decided = (
            f"{100 * found.share:.0f}%, {100 * found.low:.0f} to {100 * found.high:.0f}%"
            if found.share is not None
            else ""
        )
        below = f' <span class="range">{decided or "none decided"}</span>'
        return f'<td class="number {_balance(found)}">{_words(found)}{below}</td>'

    rows = (f"<tr>{rule_head(one)}{''.join(cell(one.label, other.label) for other in rules)}</tr>" for one in rules)
    return raw_table(_heads("row against column", rules), "".join(rows), "Win matrix", "matrix")


def _words(found: Record) -> str:
    words = [f"{found.wins} better"] if found.wins else []
    words += [f"{found.losses} worse"] if found.losses else []
    words += [f"{found.undecided} open"] if found.undecided else []
    return f'<span class="mean">{", ".join(words)}</span>'


def _balance(found: Record) -> str:
    """The colour of a cell: who wins more, and whether it is most of the tasks."""
    lead = found.wins - found.losses
    if not lead:
        return ""
    return f"{'won' if lead > 0 else 'beaten'}{'-most' if abs(lead) > found.tasks / 2 else ''}"
