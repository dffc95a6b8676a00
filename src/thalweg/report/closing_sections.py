"""The parts of the page on what it cost and how to make it again. Pure functions of a `View` or a `Page`."""

from collections.abc import Sequence

from thalweg.stats.wording import counted
from thalweg.view.values import ContenderView, Page, Problem, View
from thalweg.view.words import duration, size

from .markup import Part, escaped, folded, label, many, row, rule_head, table


def problems(view: View) -> Part:
    """What did not end well, and why."""
    if not view.problems:
        return Part(f"failures{view.mark}", "Failures", "None: every run ended with a finite value.", "")
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
    return Part(f"failures{view.mark}", "Failures", text, folded(f"Show all {len(rows)}", made) if many(rows) else made)


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
    return Part(f"cost{view.mark}", "Cost", text, table(heads, rows, range(1, 5), name="Cost"))


def hours(seconds: float) -> str:
    """Seconds as hours."""
    return f"{seconds / 3600:.3g}"


def provenance(view: View) -> Part:
    """What it was made with."""
    items = "".join(f"<dt>{escaped(name)}</dt><dd>{escaped(text)}</dd>" for name, text in view.provenance)
    return Part(f"provenance{view.mark}", "Provenance", "", f"<dl>{items}</dl>")


def kept(view: View) -> Part:
    """Whether trainings repeat themselves."""
    heads = (view.kind, "default, trained twice with one seed")
    twice = [row(rule_head(rule), (), (escaped(rule.repeats),)) for rule in view.rules]
    text = (
        "The same training twice must give the same, or a difference may be the script's own chance. Any run can be "
        f'trained again by <a href="#trials{view.mark}">the key of its row</a>.'
    )
    return Part(f"repeating{view.mark}", "Repeating it", text, table(heads, twice, name="Repeated"))


def again(page: Page) -> Part:
    """The commands."""
    text = (
        "In the folder of this page, the first command makes the comparison again, or goes on with it where runs are "
        "missing. The other trains one run again, by its key, and says whether it comes out the same."
    )
    return Part("again", "Make it again", text, f"<pre>{escaped(page.command)}</pre><pre>{escaped(page.again)}</pre>")


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
    tuned = (
        "Tuned with n trials",
        "What one gets who tries the default and n - 1 points of the search at random, takes the best on validation, "
        "and trains it once more: the mean over all such searches in the trials run. The interval answers for other "
        "draws and other seeds: would somebody who tunes as long find the same?",
    )
    tuning = (
        "All trials of the search share one tuning seed."
        if all(view.design == 1 for view in views)
        else "Each trial of the search has a tuning seed, the same for every rule, and all divide their data into "
        "training and validation in one way, where the task can."
    )
    entries = [
        *([tuned] if any(view.judged for view in views) else []),
        (
            "Found, default",
            "A 95% t interval for the mean of these very configurations over new seeds. It does not say what another "
            f"search would have found: its winner and value would differ, often by more than seeds do.{cut}",
        ),
        (
            "Seeds",
            f"{tuning} Winners and default are re-run with fresh seeds, the same for every rule; what the search was "
            "trained with is not among them.",
        ),
        ("Selection", selected),
        (
            "Pairing",
            "Rules share their seeds and, where they have a hyperparameter in common, the draws of the search. "
            "Differences are taken draw by draw and seed by seed.",
        ),
        (
            "Equal within what matters",
            "The interval lies within the smallest difference that was said to matter (--matters) on both sides. Where "
            "that was not said, nothing is called equal.",
        ),
        *(
            [
                (
                    "Axes",
                    "Accuracies stand by the logarithm of their errors: from 90 to 95% is as far as from 98 to 99%, "
                    "half of the errors. An arrow at the edge is a value beyond the axis.",
                )
            ]
            if share
            else []
        ),
        (
            "Failed",
            "A run that diverged (a reported value was not finite), ended without a result, or is no better than "
            "before. That is a result of the rule, not a missing value: it counts with its value before "
            "training. How many failed stands beside the differences, as does the difference of those that did not.",
        ),
    ]
    items = "".join(f"<dt>{escaped(name)}</dt><dd>{escaped(text)}</dd>" for name, text in entries)
    return Part("reading", "How to read this", "", f"<dl>{items}</dl>")
