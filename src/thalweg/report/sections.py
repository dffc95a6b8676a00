"""The parts of the page that answer, for one task: verdict, means, differences. Pure functions of a `View`."""

from collections.abc import Sequence
from math import isfinite

from thalweg.stats.wording import Unit, counted
from thalweg.view.values import ContenderView, Pair, SearchView, View

from .markup import Part, difference, escaped, figure, folded, interval, label, percent, row, rule_head, table

# An answer of so many letters is set smaller, so that it fits on a phone's first screen.
LONG = 160


def facts(view: View) -> str:
    """How much was run and what it is judged by, in one line."""
    compared = counted(len(view.rules), view.kind)
    line = f"{compared}, {view.search} each, judged by {view.metric.judged} over {view.seeds} fresh seeds"
    return f"{line}{unfinished(view.missing)}."


def unfinished(missing: int) -> str:
    """How much is still to do; "" if nothing."""
    return f". Not finished: {counted(missing, 'run')} {'is' if missing == 1 else 'are'} still to do" if missing else ""


def verdict(view: View, drawn: bool) -> str:
    """What makes it no answer, the answer, its picture, the other sentences, and what stands behind them."""
    first, *others = view.verdicts
    name = "" if view.mark else ' id="verdict"'
    lines = [f'<p class="notice">{escaped(text)}</p>' for text in view.notices]
    size = "first" if len(first) < LONG else "first long"
    lines += [f'<p class="{size}"{name}>{escaped(first)}</p>', forest(view)]
    lines += [f"<p>{escaped(text)}</p>" for text in others]
    lines += [picture(view)] if drawn else []
    behind = "".join(f"<p>{escaped(text)}</p>" for text in view.details)
    return "\n".join(filter(None, [*lines, folded("What it rests on", behind) if behind else ""]))


def forest(view: View) -> str:
    """The picture of the answer: each difference from the reference, with its interval."""
    if not any(isfinite(pair.difference.low) for pair in view.answer):
        return ""
    what = f"Differences of {view.metric.judged} from {view.reference}"
    band = " The band: what does not matter." if view.matters is not None else ""
    return figure(
        f"fig-forest{view.mark}",
        what,
        f"{what}, better to the right. Bars: the intervals of the answer, which hold together.{band}",
    )


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
    metric, unit, judged = view.metric, view.metric.unit, view.judged
    found = f"found in {view.search}" if judged else "tuned"
    heads = [view.kind, "default", *([f"tuned, {judged.words}"] if judged else []), found]
    heads += ["lost runs", "configuration found"]

    def one(rule: ContenderView) -> str:
        cells = [interval(unit, rule.row.default, without=rule.without)]
        if judged:
            cells += [interval(unit, judged.means.get(rule.label), _own_trials(judged, rule), rule.without)]
        cells += [interval(unit, rule.row.tuned, without=rule.without), lost(rule)]
        return row(rule_head(rule), cells, (f'<div class="setting">{winner(rule)}</div>',))

    text = f"Mean {escaped(metric.judged)} ({metric.better} is better) and, below it, its own 95% interval. "
    if metric.scale.is_ratio:
        text += f"Means are taken of the logarithm of {escaped(unit.ratio)}. "
    if judged:
        text += (
            f"Tuned with {judged.words}: what a random search of so many gives, over new searches and new seeds. "
            f"Default and found: these configurations, over new seeds ({view.seeds} were run)."
        )
    else:
        text += (
            f"Default: as the rule comes. Tuned: the best on validation of a search of {view.search}. "
            f"Both are for these configurations, over new seeds ({view.seeds} were run)."
        )
    rows = [one(rule) for rule in view.rules]
    return Part(
        f"means{view.mark}",
        "Default and tuned",
        text,
        table(heads, rows, range(1, len(heads) - 1), name="Default and tuned"),
    )


def _own_trials(judged: SearchView, rule: ContenderView) -> str:
    """The number of trials where it is not the same for all."""
    return "" if len(set(judged.trials.values())) == 1 else f"{judged.trials.get(rule.label, 0)} trials"


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


def differences(view: View) -> Part | None:
    """The answer's differences, those of untuned settings, and those of which nothing is said."""
    unit = view.metric.unit
    if not view.answer and not view.settings:
        return None
    how = f"tuned with {view.judged.words}" if view.judged else "configurations"
    tables = [_differences(unit, view.answer, how)]
    if view.settings:
        tables.append(folded("Every two untuned settings", _differences(unit, view.settings, "as they come")))
    if view.described:
        about = (
            "<p>Outside the answer, so nothing is called better: each has its own 95% interval; of many some miss.</p>"
        )
        made = about + _differences(unit, view.described, "described")
        tables.append(folded("Gains of tuning, and other pairs", made))
    over = "over new searches and new seeds" if view.judged else "over new seeds, taken seed by seed"
    held = "those of the answer hold together" if len(view.answer) > 1 else "one for each difference"
    text = (
        f"Differences of {escaped(view.metric.judged)}{_scaled(unit)}. Better and worse are said of the first, of all "
        "its runs: a failed one counts with its value before training. The intervals are "
        f"{over}; {held}."
    )
    return Part(f"differences{view.mark}", "Differences", text, "\n".join(filter(None, tables)))


def _scaled(unit: Unit) -> str:
    return f", as ratios of {escaped(unit.ratio)}" if unit.ratio else ""


def _differences(unit: Unit, found: Sequence[Pair], head: str) -> str:
    if not found:
        return ""
    said, lost = any(pair.answer for pair in found), any(pair.failures for pair in found)
    chances = any(pair.chance for pair in found)
    heads = [head, *(["the first is"] if said else []), "difference"]
    heads += [*(["of those that did not fail", "failed"] if lost else []), *(["P(first better)"] if chances else [])]

    def one(pair: Pair) -> str:
        first = f'<th scope="row">{label(pair.title)}</th>' + (f"<td>{escaped(pair.answer)}</td>" if said else "")
        cells = [difference(unit, pair)]
        if lost:
            good = pair.quality
            cells += [f"{unit.difference(good)} ({unit.bounds(good)})" if good else "", escaped(pair.failures)]
        return row(first, [*cells, *([_chance(pair)] if chances else [])])

    return table(heads, [one(pair) for pair in found], range(1 + said, len(heads)))


def _chance(pair: Pair) -> str:
    found = pair.chance
    return percent(found.estimate, found.low, found.high) if found else ""
