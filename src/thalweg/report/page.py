"""One comparison as one HTML page that needs nothing else: no request, no file beside it."""

import json
from collections.abc import Mapping
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Any

from thalweg import __version__

from . import figures, sections
from .palette import COLOURS
from .sections import escaped
from .viewing import finite

if TYPE_CHECKING:
    from .view import View


def page(view: "View") -> str:
    """The whole page as text."""
    drawn = {
        "fig-intervals": figures.intervals(view),
        "fig-best": figures.best_so_far(view),
        "fig-lr": figures.sensitivity(view),
        "fig-training": figures.training(view),
    }
    drawn = {name: figure for name, figure in drawn.items() if figure["data"]}
    parts = (
        sections.table(view, "fig-intervals" in drawn),
        sections.pairs(view),
        sections.best_so_far(view) if "fig-best" in drawn else "",
        sections.sensitivity(view) if "fig-lr" in drawn else "",
        sections.training(view) if "fig-training" in drawn else "",
        sections.problems(view),
        sections.cost(view),
        sections.reading(view),
        sections.provenance(view),
    )
    return Template(_resource("page.html")).substitute(
        title=escaped(view.heading),
        heading=escaped(view.heading),
        facts=escaped(sections.facts(view)),
        verdict=sections.verdict(view),
        sections="\n".join(part for part in parts if part),
        version=escaped(__version__),
        css=_resource("page.css") + sections.colour_styles(view),
        script=_resource("page.js"),
        plotly=_plotly(),
        figures=embedded({"figures": drawn, "colours": dict(COLOURS)}),
    )


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
