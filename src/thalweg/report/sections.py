"""The parts of the page that answer, for one task: verdict, means, differences. Pure functions of a `View`."""

from collections.abc import Sequence

from thalweg.stats.wording import Unit, counted
from thalweg.view.values import Budget, ContenderView, Pair, View

from .markup import Part, difference, escaped, figure, folded, interval, label, percent, row, rule_head, table


def facts(view: View) -> str:
    """How much was run and what it is judged by, in one line."""
    compared = counted(len(view.rules), view.kind)
    line = f"{compared}, {view.search} each, judged by {view.metric.judged} over {view.seeds} fresh seeds"
    return f"{line}{unfinished(view.missing)}."


def unfinished(missing: int) -> str:
    """How much is still to do; "" if nothing."""
    return f". Not finished: {counted(missing, 'run')} {'is' if missing == 1 else 'are'} still to do" if missing else ""


def verdict(view: View, drawn: bool) -> str:
    """The answer, its picture, and the other sentences."""
    first, *others = view.verdicts
    name = "" if view.mark else ' id="verdict"'
    lines = [f'<p class="first"{name}>{escaped(first)}</p>']
    lines += [picture(view)] if drawn else []
    lines += [f"<p>{escaped(text)}</p>" for text in others]
    return "\n".join(lines)


def picture(view: View) -> str:
    """The compact picture of the answer."""
    found = f"tuned with {view.judged.words}" if view.judged else "tuned"
    return figure(
        f"fig-intervals{view.mark}",
        f"Default and tuned {view.metric.judged} of each {view.kind} with 95% intervals",
        f"Filled marks: {found}. Hollow marks: default. Bars: 95% intervals.",
    )


def means(view: View) -> Part:
    """Each rule's means, with intervals; what it lost; the configuration found."""
    metric, unit = view.metric, view.metric.unit
    found = f"found in {view.search}" if view.budgets else "tuned"
    heads = [view.kind, "default", *(f"tuned, {budget.words}" for budget in view.budgets), found]
    heads += [*(["noise floor"] if view.judged else []), "lost runs", "configuration found"]

    floor = view.judged.noise_floor if view.judged else {}

    def one(rule: ContenderView) -> str:
        cells = [interval(unit, rule.row.default, without=rule.without)]
        cells += [
            interval(unit, budget.means.get(rule.label), _own_trials(budget, rule), rule.without)
            for budget in view.budgets
        ]
        cells += [interval(unit, rule.row.tuned, without=rule.without)]
        cells += [unit.size(floor.get(rule.label, 0.0)) if rule.label in floor else ""] if view.judged else []
        cells += [lost(rule)]
        return row(rule_head(rule), cells, (f'<div class="setting">{winner(rule)}</div>',))

    text = f"Mean {escaped(metric.judged)} ({metric.better} is better) and, below it, its 95% interval. "
    if view.judged:
        text += (
            f"Tuned with {_all_words(view)}: what such a search gives, over new searches and new seeds. "
            f"Default and found: these configurations, over new seeds ({view.seeds} were run). Noise floor: how far "
            f"the rule, compared with itself, goes in 19 of 20 cases."
        )
    else:
        text += (
            f"Default: as the rule comes. Tuned: the best on validation of a search of {view.search}. "
            f"Both are for these configurations, over new seeds ({view.seeds} were run)."
        )
    rows = [one(rule) for rule in view.rules]
    return Part("Default and tuned", text, table(heads, rows, range(1, len(heads) - 1), name="Default and tuned"))


def _own_trials(budget: Budget, rule: ContenderView) -> str:
    """The number of trials where it is not the same for all."""
    return "" if len(set(budget.trials.values())) == 1 else f"{budget.trials.get(rule.label, 0)} trials"


def _all_words(view: View) -> str:
    return " or ".join(budget.words for budget in view.budgets)


def lost(rule: ContenderView) -> str:
    """Runs that did not end well, over search and re-runs."""
    counts = [f"{rule.row.diverged} diverged"] if rule.row.diverged else []
    counts += [f"{rule.row.failed} failed"] if rule.row.failed else []
    return "<br>".join(counts) or "0"


def winner(rule: ContenderView) -> str:
    """The setting that won the search."""
    if rule.winner is None:
        return "not known yet"
    text = f"<code>{escaped(rule.winner)}</code>" + (f" ({rule.remark})" if rule.remark else "")
    edge = f' <span class="range">near the edge of its search: {escaped(", ".join(rule.row.near_edge))}</span>'
    return text + (edge if rule.row.near_edge else "")


def pairs(view: View) -> Part | None:
    """Every two: of the procedures, where these are known, and of the configurations found."""
    if not view.pairs and not view.budgets:
        return None
    tables = []
    for budget in reversed(view.budgets):
        made = _differences(view.metric.unit, budget.pairs, f"tuned with {budget.words}")
        tables.append(made if budget is view.judged else folded(f"Tuned with {budget.words}", made))
    found = _differences(view.metric.unit, view.pairs, "configurations found" if view.budgets else "comparison")
    tables.append(folded("The configurations found", found) if view.budgets and view.pairs else found)
    text = f"Differences of {escaped(view.metric.judged)}. Better and worse are said of the first. "
    if view.budgets:
        text += (
            "P(first better): how often a training of the first beats one of the second. Differences below the noise "
            "floor of either are grey. Intervals: over new searches and new seeds"
        )
    else:
        text += "They are taken seed by seed, so that luck shared by both cancels. Intervals: over new seeds"
    text += ", with Holm's correction for all pairs." if len(view.rules) > 2 else "."
    return Part("Differences", text, "\n".join(tables)) if any(tables) else None


def tuning(view: View) -> Part | None:
    """What gains more: tuning, or going over to another rule?"""
    if not view.budgets and not view.tuning:
        return None
    tables = []
    for budget in reversed(view.budgets):
        made = _differences(view.metric.unit, (*budget.tuning, *budget.switching), f"tuned with {budget.words}")
        tables.append(made if budget is view.judged else folded(f"Tuned with {budget.words}", made))
    found = _differences(view.metric.unit, view.tuning, "configurations found" if view.budgets else "comparison")
    tables.append(folded("The configurations found", found) if view.budgets and view.tuning else found)
    text = f"Differences of {escaped(view.metric.judged)}."
    if view.budgets and view.judged and view.judged.switching:
        text += " The last two: from the first of those compared to the best of the others."
    return Part("Tuning against switching" if view.budgets else "What tuning gained", text, "\n".join(tables))


def _differences(unit: Unit, found: Sequence[Pair], head: str) -> str:
    if not found:
        return ""
    chances = any(pair.chance for pair in found)
    heads = [head, "the first is", "difference"]
    heads += ["P(first better)"] if chances else []

    def one(pair: Pair) -> str:
        quiet = ' class="quiet"' if pair.quiet else ""
        head = f'<th scope="row">{label(pair.title)}</th><td{quiet}>{escaped(pair.answer)}</td>'
        return row(head, [difference(unit, pair), *([_chance(pair)] if chances else [])])

    return table(heads, [one(pair) for pair in found], range(2, len(heads)))


def _chance(pair: Pair) -> str:
    found = pair.chance
    return percent(found.estimate, found.low, found.high) if found else ""
