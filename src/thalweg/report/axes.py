"""What the figures have in common: axes that fit their values, titles that cost no width, the layout."""

from collections.abc import Iterable
from math import isfinite, log10
from typing import Any

from thalweg.study.model.metric import Metric

Figure = dict[str, Any]

COUNTED = 12  # trials or epochs, up to which each has its mark


class Scale:
    """A vertical axis: logarithmic when losses span decades; around the curves when far points would flatten them."""

    def __init__(self, metric: Metric, values: Iterable[float], *, whole: bool = False) -> None:
        known = sorted(value for value in values if isfinite(value))
        low, high = (known[0], known[-1]) if known else (0.0, 1.0)
        self.log = metric.better == "lower" and low > 0 and high / low > 30
        if self.log:
            low, high = log10(low), log10(high)
        room = 0.08 * (high - low) or 0.05 * (abs(high) or 1.0)
        self.low, self.high = (low - room, high + room)
        if not whole and known:
            # Room on the bad side, for the points that are worse than the mean.
            extra = 0.35 * (high - low)
            self.low, self.high = (
                (self.low - extra, self.high) if metric.better == "higher" else (self.low, self.high + extra)
            )
        self.axis: Figure = {"range": [self.low, self.high], **({"type": "log"} if self.log else {})}


def inside(value: float, scale: Scale) -> float:
    """A point beyond the axis is drawn on its edge; its label keeps the true value."""
    if scale.log:
        return float(min(max(value, 10**scale.low), 10**scale.high))
    return min(max(value, scale.low), scale.high)


def whole(most: float) -> dict[str, Any]:
    """Marks of an axis that counts to ``most``: where that is few, one for each, since there is no half a trial."""
    return {"dtick": 1} if most <= COUNTED else {}


def title(metric: Metric, split: str) -> str:
    """A metric's axis title."""
    name = metric.selection if split == "valid" else metric.judgement
    return f"{name.replace('_', ' ')} ({metric.better} is better)"


def heading(text: str, y: float) -> Figure:
    """An axis title above the axis, at its left end: it costs no width, which phones lack."""
    where: Figure = {"xref": "paper", "yref": "paper", "x": 0, "y": y, "xanchor": "left", "yanchor": "bottom"}
    return {**where, "text": text, "showarrow": False}


def axis(metric: Metric) -> Figure:
    """An axis in the metric's own unit."""
    return {"automargin": True, "zeroline": False, **({"tickformat": ".1~%"} if metric.is_share else {})}


def layout(height: int) -> Figure:
    """What every figure's layout begins with."""
    return {
        "height": height,
        "margin": {"l": 48, "r": 12, "t": 28, "b": 48},
        "hovermode": "closest",
        "showlegend": False,  # the page has one, which wraps, and switches a rule off in every figure
    }
