"""What a finished study of this folder says of the paper's findings: python findings.py study.sqlite

Writes findings.html, a page that needs nothing else, and findings.md, the same in sentences, beside the study; with
a second argument, into that folder.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from answers import figures, sections, sentences
from answers.noise import Noise, noise
from answers.sentences import Said
from answers.standing import Standing, budgets, standing
from answers.switching import Switching, switching
from answers.task import OnTask, on_task
from plotly.offline import get_plotlyjs

from thalweg import __version__
from thalweg.files import write_atomically
from thalweg.report.markup import Part, colour_styles, contents, escaped, folded
from thalweg.report.page import embedded
from thalweg.study import Suite
from thalweg.study.model.errors import StudyError
from thalweg.view.comparison import view_of
from thalweg.view.palette import COLOURS

HEADING = "The crowded valley on a laptop"
FALSE = 0.05  # of the intervals of one question, over all tasks


@dataclass(frozen=True)
class Findings:
    """All that is computed, task by task."""

    suite: Suite
    tasks: tuple[OnTask, ...]
    standings: tuple[tuple[Standing, ...], ...]
    switching: tuple[Switching, ...]
    noise: tuple[Noise, ...]


def findings(suite: Suite) -> Findings:
    """Of a stored study. Raises `StudyError` where it is not finished, or too small to be judged."""
    tasks = tuple(map(on_task, suite.comparisons))
    level = 1 - FALSE / len(tasks)
    return Findings(
        suite,
        tasks,
        tuple(tuple(standing(task, n) for n in budgets(task)) for task in tasks),
        tuple(switching(task, level) for task in tasks),
        tuple(noise(task.pools, task.reference, task.judged, level) for task in tasks),
    )


def said(found: Findings) -> Iterator[Said]:
    """The findings in sentences, in the paper's order."""
    tasks = found.tasks
    judged = [next(s for s in each if s.trials == tasks[0].judged) for each in found.standings]
    yield sentences.first(tasks, judged)
    yield from (sentences.close(tasks, label) for label in sentences.CLOSE if label in tasks[0].pools)
    yield sentences.switched(tasks, found.switching)
    yield sentences.noisy(tasks, found.noise)


def page(found: Findings) -> str:
    """The page, in the report's own dress."""
    tasks, rules = found.tasks, view_of(found.suite).rules
    parts = (
        sections.first(tasks, found.standings),
        sections.close(tasks),
        sections.switching(tasks, found.switching),
        sections.noise(tasks, found.noise, rules),
        sections.budgets(tasks, rules, [each.trials for each in found.standings[0]]),
        sections.reading(tasks),
    )
    drawn = {f"fig-noise-{k}": figures.strips(task, rules, task.judged) for k, task in enumerate(tasks)}
    plan, seconds = tasks[0].found.plan, sum(row.seconds for task in tasks for row in task.found.rows)
    facts = (
        f"{len(rules)} optimizers on {len(tasks)} tasks, {plan.trials} trials and {plan.seeds} fresh seeds each, "
        f"{seconds / 3600:.2g} core-hours."
    )
    return filled(facts, tuple(said(found)), parts, drawn, colour_styles(rules))


def filled(facts: str, lines: Sequence[Said], parts: Sequence[Part], drawn: Mapping[str, Any], styles: str) -> str:
    """The report's page with this in it."""
    report = files("thalweg.report")

    def text(name: str) -> str:
        return report.joinpath(name).read_text(encoding="utf-8")

    return Template(text("page.html")).substitute(
        title=escaped(HEADING),
        heading=escaped(HEADING),
        facts=escaped(facts),
        verdict=verdict(lines),
        contents=contents(parts),
        sections="\n".join(part.html() for part in parts),
        version=escaped(__version__),
        css=text("page.css") + styles,
        script=text("page.js"),
        plotly=get_plotlyjs().replace("</script", "<\\/script"),
        figures=embedded({"figures": drawn, "colours": dict(COLOURS)}),
    )


def verdict(lines: Sequence[Said]) -> str:
    """What one reads first, then the numbers, folded."""
    first, *others = (escaped(line.lead) for line in lines)
    shown = [f'<p class="first long" id="verdict">{first}</p>', *(f"<p>{each}</p>" for each in others)]
    return "\n".join([*shown, folded("In numbers", "".join(f"<p>{escaped(line.rest)}</p>" for line in lines))])


def markdown(found: Findings) -> str:
    """The same to be quoted."""
    return f"# {HEADING}\n\n" + "".join(f"- {line.lead} {line.rest}\n" for line in said(found))


def main(arguments: Sequence[str]) -> int:
    """Write both files; 2 where the study cannot be read."""
    if len(arguments) not in (1, 2):
        print(__doc__, file=sys.stderr)
        return 2
    folder = Path(arguments[-1]) if len(arguments) == 2 else Path(arguments[0]).parent
    try:
        found = findings(Suite.load(arguments[0]))
    except StudyError as error:
        print(f"findings: {error}", file=sys.stderr)
        return 2
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "findings.html", page(found))
    write_atomically(folder / "findings.md", markdown(found))
    print(f"{folder / 'findings.html'}\n{folder / 'findings.md'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
