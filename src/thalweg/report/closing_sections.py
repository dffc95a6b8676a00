"""The parts of the page on what it cost and how to make it again. Pure functions of a `View` or a `Page`."""

from collections.abc import Sequence

from thalweg.stats.wording import counted
from thalweg.view.values import ContenderView, Page, Problem, View
from thalweg.view.words import duration, size

from .markup import Part, escaped, folded, label, many, row, rule_head, swatch, table


def problems(view: View) -> Part:
    """What did not end well, and why."""
    if not view.problems:
        return Part("Failures", "None: every run ended with a finite value.", "")
    heads = (view.kind, "run", "outcome", "message", "key")
    alike: dict[tuple[str, str, str], list[Problem]] = {}
    for problem in view.problems:
        alike.setdefault((problem.rule, problem.outcome, problem.message), []).append(problem)
    rows = [_problem(same) for same in alike.values()]
    text = (
        f"{counted(len(view.problems), 'run')} did not end with a finite value. They count: among trials they rank "
        "last, and a re-run counts with its value before training, or, without one, with the worst value of the study."
    )
    made = table(heads, rows, name="Failures")
    return Part("Failures", text, folded(f"Show all {len(rows)}", made) if many(rows) else made)


def _problem(same: Sequence[Problem]) -> str:
    """Runs that ended with the same words, a row."""
    first, *others = same
    keys = f"<code>{escaped(first.key)}</code>"
    if others:
        listed = "<br>".join(f"{escaped(each.run)} <code>{escaped(each.key)}</code>" for each in others)
        keys += folded(f"{len(others)} more", listed)
    return (
        f'<tr><th scope="row" class="where">{label(first.rule)}</th><td>{escaped(first.run)}</td>'
        f'<td>{escaped(first.outcome)}</td><td class="message">{escaped(first.message)}{_log(first)}</td>'
        f"<td>{keys}</td></tr>"
    )


def _log(problem: Problem) -> str:
    """What a run has left to read, behind its message."""
    return folded("Traceback and output", f"<pre>{escaped(problem.log)}</pre>") if problem.log else ""


def cost(view: View) -> Part:
    """Time and memory."""
    heads = (view.kind, "one step", "relative to the first", "optimizer state", "core-hours")

    def one(rule: ContenderView) -> str:
        cells = (
            escaped(duration(rule.row.step_seconds)) if rule.row.step_seconds is not None else "",
            f"{rule.row.step_ratio:.2f}" if rule.row.step_ratio is not None else "",
            escaped(size(rule.row.state_bytes)),
            hours(rule.row.seconds),
        )
        return row(rule_head(rule), cells)

    total = row('<th scope="row">all</th>', ("", "", "", hours(view.seconds)))
    text = (
        "One step: the median over runs of the median time of an optimizer step, measured while other runs shared the "
        "machine. Core-hours: the time of all runs, each on one core."
    )
    rows = [*map(one, view.rules), *([total] if len(view.rules) > 1 else [])]
    return Part("Cost", text, table(heads, rows, range(1, 5), name="Cost"))


def hours(seconds: float) -> str:
    """Seconds as hours."""
    return f"{seconds / 3600:.3g}"


def provenance(view: View) -> Part:
    """What it was made with."""
    items = "".join(f"<dt>{escaped(name)}</dt><dd>{escaped(text)}</dd>" for name, text in view.provenance)
    return Part("Provenance", "", f"<dl>{items}</dl>")


def kept(view: View) -> Part:
    """Whether trainings repeat themselves, and the keys of those that matter."""
    heads = (view.kind, "default, trained twice with one seed")
    twice = [row(rule_head(rule), (), (escaped(rule.repeats),)) for rule in view.rules]
    rows = [
        f'<tr><th scope="row">{swatch(rule)}{escaped(rule.label)}</th><td>{escaped(run.run)}</td>'
        f'<td class="number">{escaped(run.outcome if run.value is None else view.metric.unit.value(run.value))}</td>'
        f"<td><code>{escaped(run.key)}</code></td></tr>"
        for rule in view.rules
        for run in rule.again
    ]
    made = table(heads, twice, name="Repeated")
    if rows:
        keys = table((view.kind, "run", view.metric.judged, "key"), rows, (2,), name="Keys")
        made += folded(f"Keys of the re-runs of default and winner ({len(rows)})", keys) if many(rows) else keys
    text = (
        "The same training twice must give the same, or a difference may be the script's own chance. Any run can be "
        "trained again by the key of its row."
    )
    return Part("Repeating it", text, made)


def again(page: Page) -> Part:
    """The commands."""
    text = (
        "In the folder of this page, the first command makes the comparison again, or goes on with it where runs are "
        "missing. The other trains one run again, by its key, and says whether it comes out the same."
    )
    return Part("Make it again", text, f"<pre>{escaped(page.command)}</pre><pre>{escaped(page.again)}</pre>")


def reading(page: Page) -> Part:
    """What each number means."""
    views = page.tasks
    metrics = {view.metric: view for view in views}
    share = any(view.metric.is_share for view in views)
    cut = " It is cut at 0% and 100%, beyond which no mean can lie." if share else ""
    selected = " ".join(
        f"{'On ' + view.task + ': the' if len(metrics) > 1 else 'The'} winner of a search is the trial with the best "
        f"{metric.selection.replace('_', ' ')}, the mean of its last 3 evaluations. "
        + (
            "The test values play no part in it."
            if metric.judged_on == "test"
            else "The script reports no test value of it, so the same metric also judges; fresh seeds do not remove "
            "all of that bias."
        )
        for metric, view in metrics.items()
    )
    procedures = (
        "Tuned with n trials",
        "The mean over all searches of n trials that lie in the trials run (a default and n - 1 others), each judged "
        "by what its winner gives with fresh seeds. The interval answers for other draws and other seeds: would "
        "somebody who tunes as long find the same?",
    )
    entries = [
        *([procedures] if any(view.budgets for view in views) else []),
        (
            "Found, default",
            "A 95% t interval for the mean of these very configurations over new seeds. It does not say what another "
            f"search would have found: its winner and value would differ, often by more than seeds do.{cut}",
        ),
        (
            "Seeds",
            "All trials of the search share one tuning seed. Winners and default are re-run with fresh seeds, the same "
            "for every rule; the tuning seed is not among them.",
        ),
        ("Selection", selected),
        (
            "Pairing",
            "Rules share their seeds and, where they have a hyperparameter in common, the random draws of the search. "
            "Differences are taken draw by draw and seed by seed.",
        ),
        (
            "Equal within noise",
            "The interval holds 0 and lies within the spread of one training from seed to seed: whatever difference "
            "there is, another seed changes more.",
        ),
        (
            "Diverged",
            "A reported value was not finite. That is a result of the rule, not a missing value. A run that ends with "
            "a finite value, however bad, counts with that value.",
        ),
    ]
    items = "".join(f"<dt>{escaped(name)}</dt><dd>{escaped(text)}</dd>" for name, text in entries)
    return Part("How to read this", "", f"<dl>{items}</dl>")
