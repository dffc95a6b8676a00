"""The figures of one task: from a `View` to plain plotly dictionaries. Data first; the page adds only its theme."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import isfinite
from statistics import median

from thalweg.stats.intervals import Interval
from thalweg.stats.wording import Unit
from thalweg.study.model.cells import which
from thalweg.study.model.metric import Metric
from thalweg.view.values import Configuration, ContenderView, Curve, View

from . import axes
from .axes import Figure

# More seeds than these are drawn as a band: so many lines hide each other.
LINES = 5
# Intervals of more than so many times the usual width are no measure of an axis.
UNUSUAL = 4


def intervals(view: View) -> Figure:
    """The default, and what tuning gives, of each rule on the test metric, with intervals.

    The axis is made for what tuning gives. A mean beyond it, or the end of an interval, is an arrow at the edge, with
    its value.
    """
    how = f"tuned with {view.judged.words}" if view.judged else "tuned"
    tuned = [found for found in view.headline.values() if found is not None]
    defaults = [rule.row.default for rule in view.rules if rule.row.default is not None]
    scale = axes.metric_scale(view.metric, _ends(tuned + defaults), _ends(usual(tuned)))
    traces = []
    for place, rule in enumerate(reversed(view.rules)):
        for label, shift, found in ((how, 0.16, view.headline[rule.label]), ("default", -0.16, rule.row.default)):
            if found is not None:
                traces += _interval(view.metric.unit, rule, label, found, place + shift, scale)
    count = len(view.rules)
    layout = axes.layout(72 + 52 * count)
    layout["xaxis"] = {**scale.axis, "title": {"text": axes.title(view.metric, "test", scale)}}
    layout["yaxis"] = axes.names([rule.label for rule in reversed(view.rules)], 0.5)
    layout["margin"]["t"] = 8
    return {"data": traces, "layout": layout}


def _ends(found: Sequence[Interval]) -> list[float]:
    return [value for each in found for value in (each.mean, each.low, each.high)]


def usual(found: Sequence[Interval]) -> list[Interval]:
    """Those that an axis is made for: one many times as wide as most, or as most are apart, would fill it alone."""
    if not found:
        return []
    centre = median(each.mean for each in found)
    apart = median(abs(each.mean - centre) for each in found)
    most = UNUSUAL * max(apart, median(each.high - each.low for each in found))
    return [each for each in found if each.high - each.low <= most]


def _interval(
    unit: Unit, rule: ContenderView, label: str, found: Interval, place: float, scale: axes.Scale
) -> list[Figure]:
    """The mark with its bar, then an arrow for each thing that lies beyond the axis."""
    colour = rule.look.light
    default = label == "default"
    runs = f", {found.n} runs" if found.n else ""  # what tuning gives is the mean of no number of runs
    bounded = isfinite(found.low) and isfinite(found.high)
    mean, *ends = map(scale.inside, (found.mean, found.low, found.high) if bounded else [found.mean] * 3)
    outside = scale.beyond(found.mean)
    about = f"{label}: {unit.mean(found)} ({unit.levels(found)}){runs}"
    mark: Figure = {
        "type": "scatter",
        "mode": "markers",
        "name": f"{rule.label}, {label}",
        "legendgroup": rule.label,
        "x": [mean],
        "y": [place],
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [max(ends) - mean],
            "arrayminus": [mean - min(ends)],
            "color": colour,
            "thickness": 2,
            "width": 5,
            "visible": bounded and not outside,
        },
        "marker": {
            "symbol": f"{rule.look.symbol}-open" if default else rule.look.symbol,
            "size": 9 if default else 11,
            "color": colour,
            "line": {"color": colour, "width": 1.5},
        },
        "hovertemplate": about + f"<extra>{rule.label}</extra>",
        "cliponaxis": False,
    }
    if outside:
        return [_arrow(mark, scale, found.mean, outside, unit.mean(found))]
    sides = {scale.beyond(value): value for value in (found.low, found.high)} if bounded else {}
    # Beside the bar, above one of the tuned and below one of the default, since its own mark may be near.
    beside = "bottom" if default else "top"
    written = {side: unit.mean(replace(found, mean=value)) for side, value in sides.items()}
    return [mark, *(_arrow(mark, scale, sides[side], side, written[side], beside) for side in sides if side)]


def _arrow(mark: Figure, scale: axes.Scale, value: float, side: int, words: str, where: str = "middle") -> Figure:
    """What a mark becomes beyond the axis: an arrow at that edge with the value beside it."""
    left = side < 0
    open_ = "-open" if mark["marker"]["symbol"].endswith("-open") else ""
    return {
        **{name: part for name, part in mark.items() if name != "error_x"},
        "mode": "markers+text",
        "x": [scale.inside(value)],
        # The arrow's tip is at the edge, its body between that and the words.
        "text": [f"\u2003{words}" if left else f"{words}\u2003"],
        "textposition": f"{where} {'right' if left else 'left'}",
        "textfont": {"size": 11},
        "marker": {**mark["marker"], "symbol": f"arrow-{'left' if left else 'right'}{open_}"},
    }


def trial_marks(
    rule: ContenderView, shown: Sequence[tuple[float, Configuration]], scale: axes.Scale, metric: Metric
) -> Figure:
    """A point for each trial that ended well, at the given places: an arrow at the edge where it lies beyond."""
    values = [trial.value for _, trial in shown if trial.value is not None]
    arrows = {-1: "arrow-down", 0: rule.look.symbol, 1: "arrow-up"}
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"{rule.label}, trials",
        "legendgroup": rule.label,
        "x": [place for place, _ in shown],
        "y": list(map(scale.inside, values)),
        "text": [about(trial, metric) for _, trial in shown],
        "hovertemplate": "%{text}<extra>" + rule.label + "</extra>",
        "marker": {
            "color": rule.look.light,
            "size": 6,
            "symbol": [arrows[scale.beyond(value)] for value in values],
        },
        "cliponaxis": False,
    }


def best_so_far(view: View) -> Figure:
    """The validation metric one may expect of the best of n trials; the trials themselves as points."""
    metric = view.metric
    curves = [[value for _, value in rule.expected_best] for rule in view.rules]
    finished = [trial.value for rule in view.rules for trial in rule.trials if trial.value is not None]
    # What a search ends with is what rules differ in; how they begin may be far below.
    later = [value for curve in curves for value in curve[len(curve) // 2 :]]
    scale = axes.metric_scale(metric, [value for curve in curves for value in curve] or finished, later)
    traces: list[Figure] = []
    for rule in view.rules:
        shown = [(trial.number + 1, trial) for trial in rule.trials if trial.value is not None]
        traces.append({**trial_marks(rule, shown, scale, metric), "opacity": 0.45})
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": rule.label,
                "legendgroup": rule.label,
                "x": [n for n, _ in rule.expected_best],
                "y": [scale.drawn(value) for _, value in rule.expected_best],
                "line": {"color": rule.look.light, "width": 2.5, "dash": rule.look.dash},
                "text": [metric.unit.value(value) for _, value in rule.expected_best],
                "hovertemplate": "best of %{x} trials: %{text}<extra>" + rule.label + "</extra>",
            }
        )
    layout = axes.layout(380)
    most = max((n for rule in view.rules for n, _ in rule.expected_best), default=0)
    layout["xaxis"] = {"title": {"text": "trials"}, "rangemode": "tozero", "zeroline": False, **axes.whole(most)}
    layout["yaxis"] = scale.axis
    layout["annotations"] = [axes.heading(axes.title(metric, "valid", scale), 1)]
    return {"data": traces, "layout": layout}


def training(view: View) -> Figure:
    """The re-runs of each winner: their mean, and every seed as a thin line, or, of many, the band they lie in."""
    metric = view.metric
    end = max((curve.at[-1] for rule in view.rules for curve in rule.curves if curve.at), default=0.0)
    # The first steps are steep and alike: the axis is made for what comes after them.
    later = [
        value
        for rule in view.rules
        for curve in rule.curves
        for at, value in zip(curve.at, curve.values, strict=True)
        if at >= 0.15 * end
    ]
    scale = axes.metric_scale(metric, later, [curve.values[-1] for rule in view.rules for curve in rule.curves])
    traces: list[Figure] = []
    for rule in view.rules:
        at, low, high = over_seeds(rule.curves, (min, max))
        if len(rule.curves) > LINES:
            traces += [_band(rule, at, low, high, scale)] if at else []
        else:
            traces += [_seed(rule, curve, scale) for curve in rule.curves]
        at, means = over_seeds(rule.curves, (_mean,))
        if at:
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines+markers",
                    "name": rule.label,
                    "legendgroup": rule.label,
                    "x": at,
                    "y": list(map(scale.drawn, means)),
                    "line": {"color": rule.look.light, "width": 2.5, "dash": rule.look.dash},
                    "marker": {"symbol": rule.look.symbol, "size": 6, "color": rule.look.light},
                    "text": list(map(metric.unit.value, means)),
                    "hovertemplate": "mean at %{x}: %{text}<extra>" + rule.label + "</extra>",
                }
            )
    layout = axes.layout(380)
    most = max((at for rule in view.rules for curve in rule.curves for at in curve.at), default=0)
    layout["xaxis"] = {"title": {"text": "epoch"}, "zeroline": False, **axes.whole(most)}
    layout["yaxis"] = scale.axis
    layout["annotations"] = [axes.heading(axes.title(metric, "valid", scale), 1)]
    return {"data": traces, "layout": layout}


def _band(
    rule: ContenderView, at: Sequence[float], low: Sequence[float], high: Sequence[float], scale: axes.Scale
) -> Figure:
    """The area between two curves, as one outline."""
    outline = [*high, *reversed(low)]
    return {
        "type": "scatter",
        "mode": "none",
        "name": f"{rule.label}, range",
        "legendgroup": rule.label,
        "x": [*at, *reversed(at)],
        "y": list(map(scale.inside, outline)),
        "fill": "toself",
        "fillcolor": rule.look.light,
        "opacity": 0.16,
        "hoverinfo": "skip",
    }


def _seed(rule: ContenderView, curve: Curve, scale: axes.Scale) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"{rule.label}, seed {curve.seed}",
        "legendgroup": rule.label,
        "x": list(curve.at),
        "y": list(map(scale.drawn, curve.values)),
        "line": {"color": rule.look.light, "width": 1},
        "opacity": 0.35,
        "hoverinfo": "skip",
    }


def over_seeds(curves: Sequence[Curve], takes: Sequence[Callable[[Sequence[float]], float]]) -> tuple[list[float], ...]:
    """The points that every seed reached with a finite value, then what each function makes of the values there."""
    if not curves:
        return ([], *([] for _ in takes))
    tables = [dict(zip(curve.at, curve.values, strict=True)) for curve in curves]
    shared = [at for at in curves[0].at if all(isfinite(table.get(at, float("nan"))) for table in tables)]
    return (shared, *([take([table[at] for table in tables]) for at in shared] for take in takes))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def about(trial: Configuration, metric: Metric) -> str:
    """A trial in words, for whoever points at it."""
    value = trial.tuning.outcome if trial.value is None else metric.unit.value(trial.value)
    return f"{which(trial.number)}: {value}<br>{trial.setting}"


FIGURES: Mapping[str, Callable[[View], Figure]] = {
    "intervals": intervals,
    "best": best_so_far,
    "training": training,
}
