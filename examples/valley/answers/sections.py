"""The parts of the page, as HTML: what the sentences say, task by task."""

from collections.abc import Sequence

from thalweg.report.markup import Part, escaped, figure, folded, interval, legend, row, rule_head, table
from thalweg.stats.difference import Difference
from thalweg.stats.wording import counted, listed
from thalweg.view.values import ContenderView

from .noise import Noise
from .sentences import CLOSE
from .standing import Standing, against, levels, told
from .switching import Switching
from .task import OnTask


def first(tasks: Sequence[OnTask], standings: Sequence[Sequence[Standing]]) -> Part:
    """Who comes first, at each budget, and who is told better or worse."""
    name = tasks[0].names[tasks[0].reference]
    heads = ["task", *(_search(each.trials) for each in standings[0])]

    def ranks(task: OnTask, at: Sequence[Standing]) -> str:
        cells = [
            f'<span class="mean">{each.rank} of {each.of}</span> '
            f'<span class="range">first with {each.chance:.0%}</span> '
            f'<span class="range">best mean: {escaped(task.names[each.first])}</span>'
            for each in at
        ]
        return row(_head(task), cells)

    def answers(task: OnTask) -> str:
        words = [_listed(task, told(task, answer)) for answer in ("better", "worse")]
        return row(_head(task), (), [*words, str(len(told(task, "cannot tell", "equal")))])

    text = (
        f"The place of {name}'s mean over new searches and seeds, at {len(standings[0])} budgets of one pool, and the "
        "probability that it comes first in a benchmark made anew: one search a rule, the mean of its winner over "
        f"fresh seeds. Below, which rules are told from {name}, each tuned with {_search(tasks[0].judged)}: by the "
        "comparison's own intervals, which hold together on each task."
    )
    placed = table(heads, list(map(ranks, tasks, standings)), range(1, len(heads)), name=f"Place of {name}")
    from_it = table(
        ["task", "better", "worse", "cannot tell, rules"], list(map(answers, tasks)), name=f"Told from {name}"
    )
    return Part("first", f"Is {name} first?", escaped(text), placed + from_it)


def _listed(task: OnTask, labels: Sequence[str]) -> str:
    return escaped(listed([task.names[label] for label in labels])) if labels else "none"


def close(tasks: Sequence[OnTask]) -> Part:
    """The rules that the paper calls close."""
    names, reference = tasks[0].names, tasks[0].reference
    shown = [label for label in CLOSE if any(against(task, label) for task in tasks)]
    heads = ["task", *(f"{names[label]} against {names[reference]}" for label in shown)]
    rows = [row(_head(task), [_difference(task, against(task, label)) for label in shown]) for task in tasks]
    text = (
        "The comparison's own differences and intervals; below, what is said. Of accuracies as ratios of errors, of "
        "losses as they are. Where one cannot tell, the interval says how far apart the two may be."
    )
    return Part("close", "The close ones", text, table(heads, rows, range(1, len(heads)), name="The close ones"))


def switching(tasks: Sequence[OnTask], found: Sequence[Switching]) -> Part:
    """The contrast that was fixed beforehand."""
    name, n = tasks[0].names[tasks[0].reference], found[0].trainings
    heads = ["task", "difference", f"{name}, {n} trials", f"best of {n} defaults", "default chosen"]

    def one(task: OnTask, each: Switching) -> str:
        means = [task.unit.value(task.metric.scale.value(score)) for score in (each.tuned, each.best)]
        by_count = sorted(each.chosen.items(), key=lambda item: -item[1])
        chosen = ", ".join(f"{task.names[label]} ({count})" for label, count in by_count)
        words = f'<div class="setting">{escaped(chosen)}</div>'
        return row(_head(task), [_difference(task, each.difference), *means], [words])

    text = (
        f"Equal cost, {n} trainings, fixed before any run: {name} tuned with {n} trials, or all {n} rules as they come "
        "and the best on validation trained anew. Chosen: with how many of the fresh seeds; each choice is judged with "
        "the other seeds. The intervals are over new searches and new seeds, and hold together at 95%."
    )
    rows = [one(*each) for each in zip(tasks, found, strict=True)]
    return Part(
        "switching", "Tuning or switching", escaped(text), table(heads, rows, range(1, 4), name="Tuning or switching")
    )


def noise(tasks: Sequence[OnTask], found: Sequence[Noise], rules: Sequence[ContenderView]) -> Part:
    """Strips and ratios."""
    name, trials = tasks[0].names[tasks[0].reference], counted(tasks[0].judged, "trial")
    heads = ["task", "rules", "tuned anew", "other seeds", "rules to tuned anew", "tuned anew to other seeds"]

    def one(task: OnTask, each: Noise) -> str:
        sizes = [task.unit.size(value) for value in (each.rules, each.anew, each.seeds)]
        return row(_head(task), [*sizes, each.rules_to_anew.text, each.anew_to_seeds.text])

    text = (
        f"One point is what a benchmark reports: the mean over its fresh seeds of the winner of a search of {trials}. "
        f"Top: all rules, each with searches and seeds of its own. Middle: {name} alone, tuned anew. Bottom: "
        "winners of such searches with other seeds, each set where the mean of all of them is, so that seeds alone "
        "spread them. Points at the edge lie beyond the axis. Below, standard deviations and their ratios, with "
        "intervals from leaving out seeds and trials one at a time; in either column they hold together at 95%. The "
        "first ratio leans up a little, since the rules' means are estimates."
    )
    drawn = "".join(
        f'<h3 class="after">{escaped(task.name)}</h3>'
        + figure(
            f"fig-noise-{k}",
            f"Results on {task.name}: of the rules, of {name} tuned anew, its winners with other seeds",
        )
        for k, task in enumerate(tasks)
    )
    rows = [one(*each) for each in zip(tasks, found, strict=True)]
    made = table(heads, rows, range(1, len(heads)), name="Spreads")
    return Part("noise", "Rules and noise", escaped(text), f"{legend(rules)}{drawn}{made}")


def budgets(tasks: Sequence[OnTask], rules: Sequence[ContenderView], sizes: Sequence[int]) -> Part:
    """What each budget gives each rule, folded task by task."""
    heads = ["rule", *map(_search, sizes)]

    def one(task: OnTask) -> str:
        known = levels(task, sizes)
        shown = [rule for rule in rules if rule.label in known]
        rows = [row(rule_head(rule), [interval(task.unit, each) for each in known[rule.label]]) for rule in shown]
        return folded(f"{task.name}: {task.metric.judged}", table(heads, rows, range(1, len(heads)), name=task.name))

    text = (
        "What a search of so many trials gives each rule, over new searches and seeds, each with its own 95% interval."
    )
    return Part("budgets", "What budgets buy", text, "".join(map(one, tasks)))


def reading(tasks: Sequence[OnTask]) -> Part:
    """What this is, and is not."""
    text = (
        "<p>After Schmidt, Schneider &amp; Hennig 2021, <i>Descending through a Crowded Valley</i> (arXiv:2007.01547). "
        "Not theirs: the tasks, which are small; torch's defaults in place of TensorFlow 1's; searches of the learning "
        "rate alone, since they are short; no schedules; and seeds: every trial has its own, as every re-run has, "
        f"where the paper tuned with one. Each sentence is about these {len(tasks)} tasks.</p>"
    )
    return Part("reading", "How to read it", "", text)


def _head(task: OnTask) -> str:
    return f'<th scope="row">{escaped(task.name)}</th>'


def _search(n: int) -> str:
    return "default" if n == 1 else f"{n} trials"


def _difference(task: OnTask, found: Difference | None) -> str:
    """A difference, its interval, and what is said of it."""
    if found is None:
        return '<span class="range">not judged</span>'
    lines = (task.unit.bounds(found.interval), found.answer)
    below = "".join(f' <span class="range">{escaped(line)}</span>' for line in lines)
    return f'<span class="mean">{escaped(task.unit.difference(found.interval))}</span>{below}'
