"""What the figures have in common: scales on which values stand apart, titles that cost no width, the layout."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10
from typing import Any, Literal

from thalweg.stats.wording import value_text
from thalweg.study.model.metric import Metric
from thalweg.view.values import SearchKind

Figure = dict[str, Any]
Kind = Literal["linear"] | SearchKind

COUNTED = 12  # trials or epochs, up to which each has its mark
WIDE = 10  # losses that differ by more than this factor get a logarithmic axis
REACH = 2  # how far an axis goes beyond the values that it is made for, in their own extent
ROOM = 0.06  # of an axis, empty at either end
MARKS = 7  # the most that a narrow axis has room for
APART = 0.08  # of an axis, between two marks
FEW = 3  # marks, below which an axis cannot be read


@dataclass(frozen=True)
class Scale:
    """An axis, from its left or lower end to the other.

    ``kind``         where a value stands: as it is (``linear``), by its logarithm (``log``), by that of its distance to
                     1 (``one minus log``; of an accuracy, its errors), or at its number among ``choices``.
    ``start``        and ``end``: plotly's ends of the axis: of what is `drawn`, or the logarithm of that.
    ``least``        what is drawn on a logarithmic axis of a value without a logarithm: its own mark, at the very end.
    ``marks``        values that are written at the axis, in words; () where plotly finds them.
    """

    kind: Kind
    start: float
    end: float
    least: float = 0.0
    choices: tuple[float, ...] = ()
    marks: tuple[tuple[float, str], ...] = ()

    @property
    def logarithmic(self) -> bool:
        """Whether plotly takes logarithms of what is drawn."""
        return self.kind in ("log", "one minus log")

    def drawn(self, value: float) -> float:
        """What plotly is given of a value."""
        if self.kind == "choice":
            return float(self.choices.index(value))
        return _distance(self.kind, value, self.least)

    def beyond(self, value: float) -> int:
        """-1 for a value before the axis, 1 for one past it, 0 for one on it."""
        place, direction = self._place(self.drawn(value)), 1 if self.end > self.start else -1
        close = 1e-9 * abs(self.end - self.start)
        if (place - self.start) * direction < -close:
            return -1
        return int((place - self.end) * direction > close)

    def inside(self, value: float) -> float:
        """What is drawn, but of a value beyond the axis its end."""
        side = self.beyond(value)
        if not side:
            return self.drawn(value)
        edge = self.start if side < 0 else self.end
        return float(10**edge) if self.logarithmic else edge

    @property
    def axis(self) -> Figure:
        """Plotly's axis."""
        found: Figure = {"automargin": True, "zeroline": False, "range": [self.start, self.end]}
        if self.logarithmic:
            found["type"] = "log"
        if self.marks:
            values, words = zip(*self.marks, strict=True)
            found |= {"tickmode": "array", "tickvals": [self.drawn(value) for value in values], "ticktext": list(words)}
        return found

    def _place(self, drawn: float) -> float:
        return log10(drawn) if self.logarithmic else drawn


def metric_scale(metric: Metric, values: Iterable[float], core: Iterable[float] = ()) -> Scale:
    """The axis of a metric's values, in every figure.

    Shares stand by the logarithm of their errors, so that 97 and 98% are as far apart as 70 and 80%. Losses stand by
    their logarithm where all are positive and differ by more than a factor of `WIDE`; anything else as it is.

    ``core``  the values that matter: the axis does not reach for one that lies further from them than `REACH` times
              their own extent, since that would make one line of them. Figures mark it at the edge.
    """
    known = [value for value in values if isfinite(value)]
    return _fitted(_metric_kind(metric, known), known, [v for v in core if isfinite(v)], share=metric.is_share)


def search_scale(kind: SearchKind, values: Iterable[float]) -> Scale:
    """The axis of a hyperparameter, as it was searched."""
    known = [float(value) for value in values]
    if kind == "choice":
        choices = tuple(sorted(set(known)))
        marks = tuple((value, value_text(value, 4)) for value in choices)
        return Scale("choice", -0.5, len(choices) - 0.5, choices=choices, marks=marks)
    return _fitted(kind, known, (), share=False)


def _metric_kind(metric: Metric, known: Sequence[float]) -> Kind:
    if metric.is_share and all(0 <= value <= 1 for value in known):
        return "one minus log"
    wide = known and min(known) > 0 and max(known) > WIDE * min(known)
    return "log" if wide and metric.better == "lower" else "linear"


def _fitted(kind: Kind, known: Sequence[float], core: Sequence[float], *, share: bool) -> Scale:
    least = _least([_distance(kind, value, 0.0) for value in known]) if kind != "linear" else 0.0
    log, turned = kind != "linear", kind == "one minus log"

    def place(value: float) -> float:
        drawn = _distance(kind, value, least)
        return (-log10(drawn) if turned else log10(drawn)) if log else drawn

    every, inner = sorted(map(place, known)) or [0.0, 1.0], [place(value) for value in core]
    # One value has no extent: then all of them say how far the axis goes.
    reach = REACH * (max(inner) - min(inner)) if inner else 0.0
    near = [at for at in every if min(inner) - reach <= at <= max(inner) + reach] if reach else every
    low, high = min(near + inner), max(near + inner)
    room = ROOM * (high - low) or (0.1 if log else 0.05 * (abs(high) or 1.0))
    low, high = low - room, high + room
    start, end = (-low, -high) if turned else (low, high)
    ends = any(_distance(kind, value, 0.0) <= 0 for value in known) if log else False
    marks = _marks(kind, low, high, least if ends else None, share) if log or share else ()
    return Scale(kind, start, end, least, marks=marks)


def _least(distances: Sequence[float]) -> float:
    """Where 0 stands on an axis of logarithms: apart from the others, as far as its mark needs."""
    positive = [distance for distance in distances if distance > 0] or [0.002]
    return float(min(positive) / max(2.0, (max(positive) / min(positive)) ** APART))


def _distance(kind: Kind, value: float, least: float) -> float:
    """What a logarithm is taken of."""
    if kind == "linear":
        return value
    return max(1.0 - value if kind == "one minus log" else value, least)


def _marks(kind: Kind, low: float, high: float, least: float | None, share: bool) -> tuple[tuple[float, str], ...]:
    """Values at the axis: 1, 2 and 5 of each decade, or fewer; where that are too few, evenly spaced ones.

    ``least``  where the value without a logarithm stands, if there is one.
    """

    def written(value: float) -> str:
        return f"{100 * value:.6g}%" if share else value_text(float(value), 6)

    turned = kind == "one minus log"
    first, last = (-high, -low) if turned else (low, high)
    spread = [] if kind == "linear" else _decades(first, last)
    values = [round(1.0 - distance, 12) if turned else distance for distance in spread]
    if len(values) < FEW:
        edges = (low, high) if kind == "linear" else sorted(1 - 10**at if turned else 10**at for at in (first, last))
        values = _even(*edges)
    if least is not None:
        near = least * 10 ** (0.9 * APART * (high - low))
        values = [value for value in values if _distance(kind, value, 0.0) > near]
    marks = [(value, written(value)) for value in values]
    if least is not None:
        marks.append((1.0, written(1.0)) if turned else (0.0, written(0.0)))
    return tuple(marks)


def _decades(low: float, high: float) -> list[float]:
    powers = range(floor(low) - 1, ceil(high) + 1)
    each = [float(f"{digit}e{power}") for power in powers for digit in (1, 2, 5)]
    shown = [value for value in each if low <= log10(value) <= high]
    if len(shown) > MARKS:
        shown = [value for value in shown if f"{value:e}".startswith("1.0")]
    return shown[:: ceil(len(shown) / MARKS) or 1]


def _even(low: float, high: float) -> list[float]:
    rough = (high - low) / MARKS
    power = 10.0 ** floor(log10(rough))
    step = next(digit * power for digit in (1, 2, 5, 10) if digit * power >= rough)
    return [round(number * step, 12) for number in range(ceil(low / step), floor(high / step) + 1)]


def whole(most: float) -> dict[str, Any]:
    """Marks of an axis that counts to ``most``: where that is few, one for each, since there is no half a trial."""
    return {"dtick": 1} if most <= COUNTED else {}


def title(metric: Metric, split: str, scale: Scale) -> str:
    """A metric's axis title: what it is, which way is better, and how the axis is divided."""
    name = metric.selection if split == "valid" else metric.judgement
    divided = {"one minus log": "; log error", "log": "; log scale"}.get(scale.kind, "")
    return f"{name.replace('_', ' ')} ({metric.better} is better{divided})"


def heading(text: str, y: float) -> Figure:
    """An axis title above the axis, at its left end: it costs no width, which phones lack."""
    where: Figure = {"xref": "paper", "yref": "paper", "x": 0, "y": y, "xanchor": "left", "yanchor": "bottom"}
    return {**where, "text": text, "showarrow": False}


def layout(height: int) -> Figure:
    """What every figure's layout begins with."""
    return {
        "height": height,
        "margin": {"l": 48, "r": 12, "t": 28, "b": 48},
        "hovermode": "closest",
        "showlegend": False,  # the page has one, which wraps, and switches a rule off in every figure
    }


def names(labels: list[str], beyond: float) -> Figure:
    """An axis of names, the first at 0, with so much room beyond the first and the last."""
    return {
        "tickvals": list(range(len(labels))),
        "ticktext": labels,
        "range": [-beyond, len(labels) - 1 + beyond],
        "fixedrange": True,
        "showgrid": False,
        "zeroline": False,
        "automargin": True,
        # Room for arrows at the edge.
        "ticks": "outside",
        "ticklen": 8,
        "tickcolor": "rgba(0,0,0,0)",
    }
