"""The figures of several tasks together."""

from collections.abc import Mapping

from thalweg.stats.profile import Profile
from thalweg.stats.ranks import Ranking
from thalweg.view.palette import Look

from . import axes
from .axes import Figure


def profile(found: Profile, looks: Mapping[str, Look]) -> Figure:
    """Dolan & Moré's performance profile: one line a rule, steps at the tasks."""
    traces = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": rule,
            "legendgroup": rule,
            "x": list(found.taus),
            "y": list(shares),
            "line": {"color": looks[rule].light, "width": 2.5, "dash": looks[rule].dash, "shape": "hv"},
            "hovertemplate": "within %{x:.2f} times the best: %{y:.0%} of the tasks<extra>" + rule + "</extra>",
            "cliponaxis": False,
        }
        for rule, shares in zip(found.rules, found.shares, strict=True)
    ]
    layout = axes.layout(340)
    layout["xaxis"] = {"title": {"text": "within so many times the best"}, "zeroline": False}
    layout["yaxis"] = {"range": [-0.03, 1.03], "tickformat": ".0%", "automargin": True, "zeroline": False}
    layout["annotations"] = [axes.heading("share of the tasks", 1)]
    return {"data": traces, "layout": layout}


def ranks(found: Ranking, looks: Mapping[str, Look]) -> Figure:
    """The critical difference diagram: a mark a rule at its mean rank, bars over those that are not separated."""
    place = {rule: len(found.rules) - 1 - i for i, rule in enumerate(found.rules)}
    mean = dict(zip(found.rules, found.average_ranks, strict=True))
    traces: list[Figure] = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": rule,
            "legendgroup": rule,
            "x": [mean[rule]],
            "y": [place[rule]],
            "marker": {"symbol": looks[rule].symbol, "size": 11, "color": looks[rule].light},
            "hovertemplate": "mean rank %{x:.2f}<extra>" + rule + "</extra>",
        }
        for rule in found.rules
    ]
    bars = [
        {
            "type": "line",
            "x0": mean[group[0]],
            "x1": mean[group[-1]],
            "y0": len(found.rules) - 0.4 + 0.3 * i,
            "y1": len(found.rules) - 0.4 + 0.3 * i,
            # Ink that reads on light and on dark.
            "line": {"width": 4, "color": "#808890"},
        }
        for i, group in enumerate(found.groups)
    ]
    top = len(found.rules) - 0.4 + 0.3 * len(found.groups)
    layout = axes.layout(90 + 34 * len(found.rules) + 14 * len(found.groups))
    layout["xaxis"] = {"title": {"text": "mean rank (1 is the best on every task)"}, "zeroline": False}
    layout["yaxis"] = {
        "tickvals": list(place.values()),
        "ticktext": list(place),
        "range": [-0.6, top],
        "fixedrange": True,
        "showgrid": False,
        "zeroline": False,
        "automargin": True,
    }
    layout["shapes"] = bars
    layout["margin"]["t"] = 8
    return {"data": traces, "layout": layout}
