"""What notebooks show: comparisons, rules, figures. Terminals get the same as text.

thalweg.show("adamw")                       # the rule's card
found = thalweg.compare("digits-mlp", ["sgd", "adamw"])
found                                       # verdict and table
found.figures()["training"]                 # a plotly figure
found.page()                                # the whole report
"""

import sys
from collections.abc import Callable, Mapping
from io import StringIO
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from thalweg.formula import Schedule
from thalweg.formula.rule import Rule

if TYPE_CHECKING:
    from plotly.graph_objects import Figure
    from rich.console import Console, RenderableType

    from thalweg.optim import Optimizer
    from thalweg.study.judge.results import Comparison, Suite
    from thalweg.study.model.events import Event
    from thalweg.terminal.progress import Tally
    from thalweg.view.values import Page

WIDTH = 110  # of a rule's card, in characters
BETWEEN_UPDATES = 0.2  # seconds, of what a cell shows

STYLE = """
.thalweg .first { font-size: 1.2em; font-weight: 600; }
.thalweg .mean { font-weight: 600; }
.thalweg .range { display: block; font-size: .85em; opacity: .75; }
.thalweg th, .thalweg td { vertical-align: top; text-align: left; padding: .25em .7em; }
.thalweg th.number, .thalweg td.number { text-align: right; white-space: nowrap; }
.thalweg .swatch { width: .8em; height: .8em; margin-right: .45em; }
"""


class Card:
    """A rule as it shows itself: in a notebook, and with `print`."""

    def __init__(self, rule: type[Rule]) -> None:
        self.rule = rule

    def __repr__(self) -> str:
        from thalweg.terminal.catalogue import formulas, rule_card

        lines = _recorded(rule_card(self.rule, formulas(self.rule))).export_text().splitlines()
        return "\n".join(line.rstrip() for line in lines)

    def _repr_html_(self) -> str:
        return _card_html(self.rule)


def show(rule: "str | type[Rule] | type[Optimizer] | Optimizer") -> Card:
    """A rule's card: source, formulas, hyperparameters, conventions.

    ``rule``  a name, as in a comparison (``adamw``, ``adamw+lookahead``, ``rmsprop:like=tf1``, ``my_rules.py:Name``);
              a Rule; an optimizer of thalweg or its class. Raises `StudyError` for a name that is none.
    """
    if isinstance(rule, str):
        from thalweg.study.ask.method_references import resolve_rule

        return Card(resolve_rule(rule))
    found = getattr(rule, "rule", rule)
    if not (isinstance(found, type) and issubclass(found, Rule) and found.formulas):
        raise TypeError(f"show takes a rule, its name, or an optimizer made from one; got {rule!r}")
    return Card(found)


def rule_html(rule: type[Rule]) -> str | None:
    """A rule's card as HTML; None of `Rule` itself, which has nothing to show."""
    return _card_html(rule) if rule.formulas else None


def schedule_html(schedule: Schedule) -> str:
    """What was written, and the formula that it stands for."""
    from thalweg.formula.text import schedule_story
    from thalweg.formula.typeset import mathml_lines

    return f"<p><code>{_escaped(repr(schedule))}</code></p>\n{mathml_lines(schedule_story(schedule))}"


def _card_html(rule: type[Rule]) -> str:
    """The formulas typeset, the rest as in a terminal; without colours of its own: notebooks are light or dark."""
    from thalweg.formula.text import usual_story
    from thalweg.formula.typeset import mathml_of
    from thalweg.terminal.catalogue import rule_head, rule_tables

    typeset = f'<div style="overflow-x: auto">{mathml_of(usual_story(rule))}</div>'
    return _pre(rule_head(rule)) + typeset + _pre(rule_tables(rule))


def _pre(shown: "RenderableType") -> str:
    form = '<pre style="overflow-x: auto; white-space: pre">{code}</pre>'
    return _recorded(shown).export_html(inline_styles=True, code_format=form)


def _recorded(shown: "RenderableType") -> "Console":
    from rich.console import Console

    console = Console(record=True, file=StringIO(), width=WIDTH, highlight=False, force_jupyter=False)
    console.print(shown)
    return console


def comparison_html(found: "Comparison | Suite") -> str:
    """Verdict and table of each task; first, what several say together."""
    from thalweg.report.across_sections import overview
    from thalweg.report.markup import colour_styles, escaped
    from thalweg.report.sections import means
    from thalweg.view.comparison import view_of

    page = view_of(found)
    parts = [_sentences(page.across.sentences), overview(page)] if page.across else []
    for view in page.tasks:
        parts += [_sentences(view.verdicts, view.details, view.notices), means(view).content]
    style = STYLE + colour_styles(rule for view in page.tasks for rule in view.rules)
    return f'<div class="thalweg" aria-label="{escaped(page.heading)}"><style>{style}</style>{"".join(parts)}</div>'


def _sentences(said: tuple[str, ...], behind: tuple[str, ...] = (), before: tuple[str, ...] = ()) -> str:
    from thalweg.report.markup import escaped, folded

    first, *others = (escaped(text) for text in said)
    more = "".join(f"<p>{escaped(text)}</p>" for text in behind)
    shown = "".join(f'<p class="notice">{escaped(text)}</p>' for text in before)
    shown += f'<p class="first">{first}</p>' + "".join(f"<p>{text}</p>" for text in others)
    return shown + (folded("What it rests on", more) if more else "")


class Pane:
    """A whole page within a notebook's cell."""

    def __init__(self, html: str) -> None:
        self.html = html

    def __repr__(self) -> str:
        return (
            f"<a page of {len(self.html) / 1e6:.1f} MB: in a notebook it shows itself; .save('report.html') writes it>"
        )

    def save(self, path: str | Path) -> Path:
        """Write the page, whole or not at all."""
        from thalweg.files import write_atomically

        write_atomically(Path(path), self.html)
        return Path(path)

    def _repr_html_(self) -> str:
        from html import escape

        # A document of its own, so that its styles and the notebook's leave each other alone.
        return f'<iframe srcdoc="{escape(self.html)}" style="width: 100%; height: 85vh; border: 0"></iframe>'


def page(found: "Comparison | Suite") -> Pane:
    """The report, as `thalweg report` writes it, in a cell."""
    from thalweg.report import render

    return Pane(render(found))


def progress(metric: str | None) -> "Callable[[Event], None] | None":
    """What a cell shows while a comparison runs: how far it is, and the best so far. None outside a notebook."""
    if not _in_a_notebook():
        return None
    from IPython import display as shown

    from thalweg.terminal.progress import Tally, event_lines

    tally = Tally(metric)
    cell: Any = shown  # untyped
    handle = cell.display(cell.HTML(""), display_id=True)
    last = 0.0

    def on_event(event: "Event") -> None:
        nonlocal last
        tally.take(event)
        for line in event_lines(event, tally):
            cell.display(cell.HTML(f"<div>{_escaped(line)}</div>"))
        if monotonic() - last > BETWEEN_UPDATES or tally.done == tally.total:
            handle.update(cell.HTML(_progress_html(tally)))
            last = monotonic()

    return on_event


def _progress_html(tally: "Tally") -> str:
    counts = f"{tally.about(tally.phase)}: {tally.done} of {tally.total} runs"
    words = [_escaped(text) for text in (counts, tally.pace(), tally.lost(), tally.bests()) if text]
    bar = f'<progress value="{tally.done}" max="{tally.total}" style="width: 30em; max-width: 100%"></progress>'
    return f"<div>{bar}<br>{'; '.join(words)}</div>"


def _in_a_notebook() -> bool:
    """Whether a kernel runs this, whose front end draws what is displayed."""
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)
    return hasattr(get_ipython(), "kernel")


def _escaped(text: str) -> str:
    from thalweg.report.markup import escaped

    return str(escaped(text))


def figures(found: "Comparison | Suite") -> "dict[str, Figure]":
    """The page's figures as plotly's own, which notebooks show: ``forest``, ``intervals``, ``best``, ``by-lr`` and so
    for each hyperparameter that was searched, ``training``.

    Of several tasks each name is followed by the task, ``training digits-mlp``; and there are ``profile`` and
    ``ranks``, where these are known. A figure that has nothing to show is left out.
    """
    from plotly.graph_objects import Figure

    from thalweg.report.page import figures as drawn
    from thalweg.view.comparison import view_of
    from thalweg.view.machine_readable import finite

    page = view_of(found)
    return {_name(name, page): Figure(finite(_with_legend(figure))) for name, figure in drawn(page).items()}


def _name(place: str, page: "Page") -> str:
    name = place.removeprefix("fig-")
    for view in page.tasks:
        if view.mark and name.endswith(view.mark):
            return f"{name.removesuffix(view.mark)} {view.task}"
    return name


def _with_legend(figure: Mapping[str, Any]) -> dict[str, Any]:
    """One entry for each of those compared; on the page the legend stands above the figure."""
    # The last trace of a rule is its line or its largest mark.
    last = {trace["legendgroup"]: number for number, trace in enumerate(figure["data"])}
    traces = [
        {**trace, "showlegend": last[trace["legendgroup"]] == number, "name": trace["legendgroup"]}
        for number, trace in enumerate(figure["data"])
    ]
    legend = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 1, "xanchor": "right"}
    return {"data": traces, "layout": {**figure["layout"], "showlegend": True, "legend": legend}}
