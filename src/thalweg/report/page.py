"""One comparison, or several, as one HTML page that needs nothing else: no request, no file beside it."""

import json
from collections.abc import Mapping
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Any

from thalweg import __version__
from thalweg.view.machine_readable import finite
from thalweg.view.palette import COLOURS

from . import across_figures, across_sections, closing_sections, figure_sections, sections, trial_table
from .figures import FIGURES
from .forest import forest
from .markup import Chapter, Part, colour_styles, contents, escaped
from .slices import slices

if TYPE_CHECKING:
    from thalweg.view.values import Page, View

    from .axes import Figure


def page(shown: "Page") -> str:
    """The whole page as text."""
    drawn = figures(shown)
    several = len(shown.tasks) > 1
    first = shown.tasks[0]
    blocks = _several(shown, set(drawn)) if several else _single(shown, set(drawn))
    return Template(_resource("page.html")).substitute(
        title=escaped(shown.heading),
        heading=escaped(shown.heading),
        facts=escaped(across_sections.facts(shown) if several else sections.facts(first)),
        verdict=across_sections.verdict(shown) if several else sections.verdict(first, "fig-intervals" in drawn),
        contents=contents(blocks),
        sections="\n".join(block.html() for block in blocks),
        version=escaped(__version__),
        css=_resource("page.css") + colour_styles(rule for view in shown.tasks for rule in view.rules),
        script=_resource("page.js"),
        plotly=_plotly(),
        figures=embedded({"figures": drawn, "colours": dict(COLOURS)}),
    )


def figures(shown: "Page") -> dict[str, "Figure"]:
    """Every figure that has something to show, by the name of its place on the page."""
    found = {f"fig-{name}{view.mark}": figure for view in shown.tasks for name, figure in _figures(view).items()}
    looks = {rule.label: rule.look for rule in shown.rules}
    if shown.across is not None and shown.across.profile is not None:
        found["fig-profile"] = across_figures.profile(shown.across.profile, looks)
    if shown.across is not None and shown.across.ranking is not None:
        found["fig-ranks"] = across_figures.ranks(shown.across.ranking, looks)
    return {name: figure for name, figure in found.items() if figure["data"]}


def _figures(view: "View") -> dict[str, "Figure"]:
    """Of one task, in the order of the page."""
    *before, last = ((name, draw(view)) for name, draw in FIGURES.items())
    return dict(
        [("forest", forest(view)), *before, *((f"by-{name}", figure) for name, figure in slices(view).items()), last]
    )


def _single(shown: "Page", drawn: set[str]) -> list[Part | Chapter]:
    (view,) = shown.tasks
    closing = (closing_sections.reading(shown), closing_sections.again(shown), closing_sections.provenance(view))
    return [*_task(view, drawn), *closing]


def _several(shown: "Page", drawn: set[str]) -> list[Part | Chapter]:
    chapters = (
        Chapter(
            name=f"task{view.mark}",
            title=view.task,
            opening=sections.verdict(view, f"fig-intervals{view.mark}" in drawn),
            parts=(*_task(view, drawn), closing_sections.provenance(view)),
        )
        for view in shown.tasks
    )
    together = across_sections.together(shown, drawn)
    return [*together, *chapters, closing_sections.reading(shown), closing_sections.again(shown)]


def _task(view: "View", drawn: set[str]) -> list[Part]:
    """The parts on one task, after its verdict."""
    sliced = [name for name in view.searched if f"fig-by-{name}{view.mark}" in drawn]
    parts = (
        sections.means(view),
        sections.differences(view),
        figure_sections.best_so_far(view) if f"fig-best{view.mark}" in drawn else None,
        figure_sections.slices(view, sliced) if sliced else None,
        figure_sections.training(view) if f"fig-training{view.mark}" in drawn else None,
        trial_table.trials(view),
        closing_sections.problems(view),
        closing_sections.cost(view),
        closing_sections.kept(view),
    )
    return [part for part in parts if part is not None]


def embedded(value: Mapping[str, Any]) -> str:
    """JSON that may stand inside a script element: no text in it can end the element."""
    text = json.dumps(finite(value), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    text: str = get_plotlyjs()
    return text.replace("</script", "<\\/script")


def _resource(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
