"""The picture of the answer: each difference from the reference with its interval, on the scale it was made on."""

from math import exp, isfinite, log

from thalweg.view.pairs import span
from thalweg.view.values import Pair, View

from . import axes
from .axes import Figure

# Ratios that are written, with their inverses: the first whose least is well within the picture.
RATIOS = (
    (10.0, 100.0, 1e3, 1e4, 1e5, 1e6),
    (2.0, 4.0, 8.0, 16.0, 32.0, 64.0),
    (1.25, 1.5, 2.0, 3.0),
    (1.1, 1.25, 1.5),
    (1.05, 1.1, 1.2),
    (1.02, 1.05, 1.1),
    (1.01, 1.02, 1.05),
    (1.001, 1.002, 1.005),
)


def forest(view: View) -> Figure:
    """One line a contender; better to the right; a line where nothing differs, and a band where nothing matters."""
    shown = [pair for pair in reversed(view.answer) if isfinite(pair.difference.low)]
    if not shown:
        return {"data": [], "layout": {}}
    sign = 1 if view.metric.higher_is_better else -1
    looks = {rule.label: rule.look for rule in view.rules}
    low, high = span(view)
    pad = 0.06 * (high - low)
    low, high = low - pad, high + pad
    traces = [_bar(view, pair, place, sign, looks[pair.first].light, (low, high)) for place, pair in enumerate(shown)]
    layout = axes.layout(84 + 34 * len(shown))
    marks = _marks(view, low, high, sign)
    layout["xaxis"] = {
        "range": [low, high],
        "tickvals": [value for value, _ in marks],
        "ticktext": [words for _, words in marks],
        "zeroline": False,
        "fixedrange": True,
        "title": {"text": _title(view)},
    }
    layout["yaxis"] = axes.names([pair.first for pair in shown], 0.6)
    layout["shapes"] = _shapes(view)
    layout["margin"]["t"] = 8
    return {"data": traces, "layout": layout}


def _bar(view: View, pair: Pair, place: int, sign: int, colour: str, ends: tuple[float, float]) -> Figure:
    found, unit = pair.difference, view.metric.unit
    low, high = sorted((sign * found.low, sign * found.high))
    mean = sign * found.mean
    inside = min(max(mean, ends[0]), ends[1])
    told = pair.answer.startswith(("better", "worse", "equal"))
    return {
        "type": "scatter",
        "mode": "markers",
        "name": pair.first,
        "legendgroup": pair.first,
        "x": [inside],
        "y": [place],
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [max(min(high, ends[1]) - inside, 0.0)],
            "arrayminus": [max(inside - max(low, ends[0]), 0.0)],
            "color": colour,
            "thickness": 3 if told else 1.5,
            "width": 5,
        },
        "marker": {"symbol": "circle" if told else "circle-open", "size": 10, "color": colour, "line": {"width": 1.5}},
        "hovertemplate": f"{pair.answer}: {unit.difference(found)}, {unit.bounds(found)}<extra>{pair.first}</extra>",
        "cliponaxis": False,
    }


def _shapes(view: View) -> list[Figure]:
    line: Figure = {
        "type": "line",
        "x0": 0,
        "x1": 0,
        "yref": "paper",
        "y0": 0,
        "y1": 1,
        "line": {"width": 1.5, "color": "rgb(128,128,128)"},
    }
    if view.matters is None:
        return [line]
    band: Figure = {"type": "rect", "x0": -view.matters, "x1": view.matters, "yref": "paper", "y0": 0, "y1": 1}
    return [{**band, "line": {"width": 0}, "fillcolor": "rgba(128,128,128,0.18)", "layer": "below"}, line]


def _marks(view: View, low: float, high: float, sign: int) -> list[tuple[float, str]]:
    """Where values are written: at round differences, or at round ratios where the scale is one of ratios."""
    unit = view.metric.unit
    if unit.ratio:
        turned = -sign if unit.falls else sign
        marks = [(turned * log(ratio), f"{ratio:.3g}") for ratio in _ratios(exp(max(-low, high)))]
        return [mark for mark in marks if low <= mark[0] <= high]
    step = _step((high - low) / 5)
    places = [step * k for k in range(int(low / step) - 1, int(high / step) + 2) if low <= step * k <= high]
    factor = 100 if unit.share else 1
    return [(place, f"{factor * sign * place:+.3g}" if place else "0") for place in places]


def _ratios(largest: float) -> list[float]:
    """1, and round ratios on both sides of it, some of which are within this factor."""
    above = next((each for each in RATIOS if each[0] <= largest**0.75), RATIOS[-1])
    return [*(1 / ratio for ratio in above), 1.0, *above]


def _step(about: float) -> float:
    """A round number near this."""
    size = 10.0 ** int(f"{about:e}".partition("e")[2])
    return next(size * each for each in (1, 2, 5, 10) if size * each >= about * 0.999)


def _title(view: View) -> str:
    unit = view.metric.unit
    if unit.ratio:
        return f"times the {unit.ratio} of {view.reference}"
    return f"difference from {view.reference}{', points' if unit.share else ''}"
