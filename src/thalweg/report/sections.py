"""The page's parts in HTML: pure functions of a `View`. Every text passes through `escaped`."""

from collections.abc import Iterable, Sequence
from html import escape

from thalweg.stats.wording import counted

from .palette import Look
from .view import Interval, Metric, RuleView, View

# SVG paths of the plotly symbols used first, in a box of 12 by 12; later rules get the circle of their colour.
SHAPES = {
    "circle": '<circle cx="6" cy="6" r="5"/>',
    "square": '<rect x="1.5" y="1.5" width="9" height="9"/>',
    "diamond": '<path d="M6 0 12 6 6 12 0 6z"/>',
    "triangle-up": '<path d="M6 1 12 11H0z"/>',
    "cross": '<path d="M4 0h4v4h4v4H8v4H4V8H0V4h4z"/>',
    "star": '<path d="M6 0 7.6 4 12 4.4 8.6 7.2 9.7 11.6 6 9.2 2.3 11.6 3.4 7.2 0 4.4 4.4 4z"/>',
    "hexagon": '<path d="M6 0 11 3v6L6 12 1 9V3z"/>',
    "triangle-down": '<path d="M0 1h12L6 11z"/>',
    "pentagon": '<path d="M6 0 12 4.6 9.7 12H2.3L0 4.6z"/>',
}


def escaped(text: object) -> str:
    """Any text, safe inside elements and quoted attributes."""
    return escape(str(text), quote=True)


def label(text: str) -> str:
    """A rule's label, which may break after a colon where width is short."""
    return escaped(text).replace(":", ":<wbr>")


def facts(view: View) -> str:
    """How much was run and what it is judged by, in one line."""
    compared, judged = counted(len(view.rules), view.kind), view.metric.test.replace("_", " ")
    line = f"{compared}, {view.trials} trials each, judged by {judged} over {view.seeds} fresh seeds"
    unfinished = f". Not finished: {view.missing} runs are still to do" if view.missing else ""
    return f"{line}{unfinished}."


def verdict(view: View) -> str:
    """The answer, in sentences; the first is the largest text of the page."""
    first, *others = view.verdicts
    lines = [f'<p class="first" id="verdict">{escaped(first)}</p>', *(f"<p>{escaped(text)}</p>" for text in others)]
    return "\n".join(lines)


def table(view: View, drawn: bool) -> str:
    """Default and tuned, with intervals; what it lost and cost; the winner's setting."""
    metric = view.metric
    heads = (view.kind, "default", "tuned", "lost runs", "time of a step", "tuned setting")
    rows = [
        f'<tr><th scope="row">{swatch(rule)}{label(rule.label)}</th>'
        f'<td class="number">{interval(metric, rule.default)}</td>'
        f'<td class="number">{interval(metric, rule.tuned)}</td>'
        f'<td class="number">{lost(rule)}</td>'
        f'<td class="number">{step(rule)}</td>'
        f'<td class="setting">{winner(rule)}</td></tr>'
        for rule in view.rules
    ]
    judged = metric.test.replace("_", " ")
    text = (
        f"Mean {escaped(judged)} ({metric.better} is better) and, below it, its 95% interval for these "
        f"configurations over new seeds ({view.seeds} were run). Default: as the rule comes. "
        f"Tuned: the best of {view.trials} trials on validation."
    )
    picture = figure(
        "fig-intervals",
        f"Default and tuned {judged} of each rule with 95% intervals",
        "Filled marks: tuned. Hollow marks: default.",
    )
    return section("Default and tuned", text, _table(heads, rows, numbers=range(1, 5)) + (picture if drawn else ""))


def interval(metric: Metric, found: Interval | None) -> str:
    """A mean with its interval below."""
    if found is None:
        return '<span class="range">not run yet</span>'
    mean = f'<span class="mean">{escaped(metric.text(found.mean))}</span>'
    if found.low is None or found.high is None:
        return f'{mean}<span class="range">no interval</span>'
    return f'{mean}<span class="range">{escaped(metric.between(found.low, found.high))}</span>'


def lost(rule: RuleView) -> str:
    """Runs that did not end well, over search and re-runs."""
    counts = [f"{rule.diverged} diverged"] if rule.diverged else []
    counts += [f"{rule.failed} failed"] if rule.failed else []
    return "<br>".join(counts) or "0"


def step(rule: RuleView) -> str:
    """Time of one optimizer step, absolute and relative to the first rule."""
    if rule.step_seconds is None:
        return ""
    ratio = f'<span class="range">{rule.step_ratio:.2f} of the first</span>' if rule.step_ratio is not None else ""
    return f"{escaped(duration(rule.step_seconds))}{ratio}"


def winner(rule: RuleView) -> str:
    """The setting that won the search."""
    if rule.winner is None:
        return "not known yet"
    text = f"<code>{escaped(rule.winner)}</code>" + (f" ({rule.remark})" if rule.remark else "")
    edge = f'<span class="range">near the edge of its search: {escaped(", ".join(rule.near_edge))}</span>'
    return text + (edge if rule.near_edge else "")


def pairs(view: View) -> str:
    """Differences seed by seed, with what may be said."""
    if not view.pairs:
        return ""
    metric = view.metric
    rows = []
    for pair in view.pairs:
        found = pair.difference
        bounds = (
            ""
            if found.low is None or found.high is None
            else f'<span class="range">({metric.change(found.low)} to {metric.change(found.high)})</span>'
        )
        rows.append(
            f'<tr><th scope="row">{label(pair.title)}</th>'
            f'<td class="number"><span class="mean">{metric.change(found.mean)}</span>{bounds}</td>'
            f"<td>{escaped(pair.answer)}</td></tr>"
        )
    text = (
        f"Differences in {escaped(metric.unit)}, taken seed by seed, so that luck shared by both cancels. The "
        "intervals of all pairs hold together with 95%, and likewise those of all changes by tuning, so they are wider "
        "than those of the table. Better and worse are said of the first, when the interval leaves out 0."
    )
    heads = ("comparison", f"difference ({metric.unit.removeprefix('percentage ')})", "the first is")
    return section("Differences", text, _table(heads, rows, numbers=(1,)))


def best_so_far(view: View) -> str:
    """The picture of what trials buy."""
    text = (
        "Lines: the validation value to expect of the best of n trials (the default and n - 1 others at random; "
        "unbiased). Points: the trials in the order they were run; points beyond the axis stand on its edge, and those "
        "without a value are in the next figure."
    )
    return section(
        "What tuning buys",
        text,
        legend(view)
        + figure("fig-best", f"Expected best {view.metric.valid} against the number of trials, one line a rule"),
    )


def sensitivity(view: View) -> str:
    """The picture of how much the learning rate matters."""
    gone = any(trial.value is None for rule in view.rules for trial in rule.trials)
    text = "Every trial by its learning rate; the other hyperparameters vary too. The large mark is the rule's default."
    text += (
        " Crosses in the strip below are trials that diverged or failed." if gone else " No trial diverged or failed."
    )
    return section(
        "Sensitivity to the learning rate",
        text,
        legend(view) + figure("fig-lr", f"{view.metric.valid} of every trial against its learning rate"),
    )


def training(view: View) -> str:
    """The picture of the re-runs."""
    text = (
        f"Tuned rules, re-run with {view.seeds} fresh seeds. Thin lines: one seed each. Thick lines: their mean. "
        "The axis fits what comes after the first epochs."
    )
    return section(
        "Training curves",
        text,
        legend(view)
        + figure("fig-training", f"{view.metric.valid} after each epoch of the tuned rules, every seed and the mean"),
    )


def problems(view: View) -> str:
    """What did not end well, and why."""
    if not view.problems:
        return section("Failures", "None: every run ended with a finite value.", "")
    heads = (view.kind, "run", "outcome", "message")
    rows = [
        f'<tr><th scope="row">{escaped(problem.rule)}</th><td>{escaped(problem.run)}</td>'
        f'<td>{escaped(problem.outcome)}</td><td class="message">{escaped(problem.message)}</td></tr>'
        for problem in view.problems
    ]
    text = (
        f"{len(view.problems)} {'run' if len(view.problems) == 1 else 'runs'} did not end with a finite value. They "
        "count: among trials they rank last, and a re-run counts with its value before training, or, without one, "
        "with the worst value of the study."
    )
    made = _table(heads, rows)
    if len(rows) > 12:
        made = f"<details><summary>Show all {len(rows)}</summary>{made}</details>"
    return section("Failures", text, made)


def cost(view: View) -> str:
    """Time and memory."""
    heads = (view.kind, "one step", "relative to the first", "optimizer state", "all its runs")
    rows = [
        f'<tr><th scope="row">{swatch(rule)}{label(rule.label)}</th>'
        f'<td class="number">{escaped(duration(rule.step_seconds)) if rule.step_seconds is not None else ""}</td>'
        f'<td class="number">{f"{rule.step_ratio:.2f}" if rule.step_ratio is not None else ""}</td>'
        f'<td class="number">{escaped(size(rule.state_bytes))}</td>'
        f'<td class="number">{escaped(duration(rule.seconds))}</td></tr>'
        for rule in view.rules
    ]
    text = (
        "One step: the median over runs of the median time of an optimizer step, measured while other runs "
        "shared the machine."
    )
    return section("Cost", text, _table(heads, rows, numbers=range(1, 5)))


def reading(view: View) -> str:
    """What each number means."""
    judged = view.metric.test.replace("_", " ")
    selection = (
        f"The winner of a search is the trial with the best {view.metric.valid.replace('_', ' ')}, the mean of its "
    )
    selection += "last 3 evaluations. "
    selection += (
        "The test values play no part in it."
        if view.metric.split == "test"
        else "The script reports no test value of it, so the same metric also judges; fresh seeds do not remove all "
        "of that bias."
    )
    entries = (
        (
            "Interval",
            f"A 95% t interval for the mean {judged} of these configurations over new seeds. It does not say what "
            "another search would have found: with other draws, the winner and its value would differ, often by more "
            "than the seeds do."
            + (" It is cut at 0% and 100%, beyond which no mean can lie." if view.metric.is_share else ""),
        ),
        (
            "Seeds",
            "All trials of the search share one tuning seed. The winner and the default are re-run with fresh seeds, "
            "the same for every rule; the tuning seed is not among them.",
        ),
        ("Selection", selection),
        (
            "Pairing",
            "Rules share their seeds and, where they have a hyperparameter in common, the random draws of the search. "
            "Differences are taken seed by seed.",
        ),
        (
            "Diverged",
            "A reported value was not finite. That is a result of the rule, not a missing value. A run that ends with "
            "a finite value, however bad, counts with that value.",
        ),
    )
    items = "".join(f"<dt>{escaped(name)}</dt><dd>{escaped(text)}</dd>" for name, text in entries)
    return section("How to read this", "", f"<dl>{items}</dl>")


def provenance(view: View) -> str:
    """How to make it again."""
    items = "".join(f"<dt>{escaped(name)}</dt><dd>{escaped(text)}</dd>" for name, text in view.provenance)
    text = "The command makes this comparison again, or goes on with it where runs are missing."
    return section("Provenance", text, f"<pre>{escaped(view.command)}</pre><dl>{items}</dl>")


def section(title: str, how: str, content: str) -> str:
    """A part of the page; ``how`` and ``content`` are HTML."""
    note = f'<p class="how">{how}</p>' if how else ""
    return f"<section>\n<h2>{escaped(title)}</h2>\n{note}{content}\n</section>"


def figure(name: str, label: str, caption: str = "") -> str:
    """The place of a figure; the page's script draws into it."""
    note = f'<figcaption class="how">{escaped(caption)}</figcaption>' if caption else ""
    return (
        f'<figure>{note}<div class="plot" id="{name}" role="img" aria-label="{escaped(label.replace("_", " "))}"></div>'
        "<noscript><p>The figure needs JavaScript; the tables do not.</p></noscript></figure>"
    )


def legend(view: View) -> str:
    """Names and marks of the rules; pressing one takes it out of every figure."""
    items = "".join(
        f'<li><button type="button" aria-pressed="true" data-rule="{escaped(rule.label)}">'
        f"{swatch(rule)}{label(rule.label)}</button></li>"
        for rule in view.rules
    )
    return f'<ul class="legend" aria-label="rules shown">{items}</ul>'


def swatch(rule: RuleView) -> str:
    """The rule's mark, as in the figures."""
    shape = SHAPES[rule.look.symbol]
    return f'<svg class="swatch {colour_class(rule.look)}" viewBox="0 0 12 12" aria-hidden="true">{shape}</svg>'


def colour_class(look: Look) -> str:
    """The name of a rule's colour in the style sheet."""
    return f"c{look.light[1:]}"


def colour_styles(view: View) -> str:
    """The style sheet's lines for the colours of the rules, on light and on dark."""
    looks = {rule.look.light: rule.look for rule in view.rules}.values()
    light = "".join(f".{colour_class(look)}{{fill:{look.light}}}" for look in looks)
    dark = "".join(f".{colour_class(look)}{{fill:{look.dark}}}" for look in looks)
    return f"{light}@media (prefers-color-scheme: dark){{{dark}}}"


def _table(heads: Sequence[str], rows: Iterable[str], numbers: Iterable[int] = ()) -> str:
    right = set(numbers)
    head = "".join(
        f'<th scope="col"{" class=" + chr(34) + "number" + chr(34) if index in right else ""}>{escaped(text)}</th>'
        for index, text in enumerate(heads)
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escaped(heads[0])} table">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def duration(seconds: float) -> str:
    """A time in the unit that reads best."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 1:
        return f"{seconds * 1e3:.3g} ms"
    if seconds < 120:
        return f"{seconds:.{1 if seconds < 10 else 0}f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def size(count: int) -> str:
    """Bytes in the unit that reads best."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.3g} {unit}"
    return f"{count} B" if count else "none"
