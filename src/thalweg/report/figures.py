"""The figures of one task: from a `View` to plain plotly dictionaries. Data first; the page adds only its theme."""

from collections.abc import Callable, Mapping, Sequence
from math import isfinite

from thalweg.stats.intervals import Interval
from thalweg.stats.wording import Unit
from thalweg.study.model.metric import Metric
from thalweg.view.values import Configuration, ContenderView, Curve, View

from . import axes
from .axes import Figure

# More seeds than these are drawn as a band: so many lines hide each other.
LINES = 5


def intervals(view: View) -> Figure:
    """The default, and what tuning gives, of each rule on the test metric, with intervals."""
    traces = []
    how = f"tuned with {view.judged.words}" if view.judged else "tuned"
    for place, rule in enumerate(reversed(view.rules)):
        for label, shift, found in ((how, 0.16, view.headline[rule.label]), ("default", -0.16, rule.row.default)):
            if found is not None:
                traces.append(_interval(view.metric.unit, rule, label, found, place + shift))
    count = len(view.rules)
    layout = axes.layout(72 + 52 * count)
    layout["xaxis"] = {**axes.axis(view.metric), "title": {"text": axes.title(view.metric, "test")}}
    layout["yaxis"] = {
        "tickvals": list(range(count)),
        "ticktext": [rule.label for rule in reversed(view.rules)],
        "range": [-0.5, count - 0.5],
        "fixedrange": True,
        "showgrid": False,
        "zeroline": False,
        "automargin": True,
    }
    layout["margin"]["t"] = 8
    return {"data": traces, "layout": layout}


def _interval(unit: Unit, rule: ContenderView, label: str, found: Interval, place: float) -> Figure:
    colour = rule.look.light
    default = label == "default"
    runs = f", {found.n} runs" if found.n else ""  # a procedure is the mean of no number of runs
    bounded = isfinite(found.low) and isfinite(found.high)
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"{rule.label}, {label}",
        "legendgroup": rule.label,
        "x": [found.mean],
        "y": [place],
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [found.high - found.mean if bounded else 0],
            "arrayminus": [found.mean - found.low if bounded else 0],
            "color": colour,
            "thickness": 2,
            "width": 5,
            "visible": bounded,
        },
        "marker": {
            "symbol": f"{rule.look.symbol}-open" if default else rule.look.symbol,
            "size": 9 if default else 11,
            "color": colour,
            "line": {"color": colour, "width": 1.5},
        },
        "hovertemplate": f"{label}: {unit.mean(found)} ({unit.levels(found)}){runs}<extra>{rule.label}</extra>",
    }


def best_so_far(view: View) -> Figure:
    """The validation metric one may expect of the best of n trials; the trials themselves as points."""
    metric = view.metric
    curves = [value for rule in view.rules for _, value in rule.expected_best]
    curves += [bound for rule in view.rules for _, low, high in rule.best_band for bound in (low, high)]
    finished = [trial.value for rule in view.rules for trial in rule.trials if trial.value is not None]
    scale = axes.Scale(metric, curves or finished)
    traces: list[Figure] = []
    for rule in view.rules:
        shown = [trial for trial in rule.trials if trial.value is not None]
        if rule.best_band:
            n, low, high = zip(*rule.best_band, strict=True)
            traces.append(_band(rule, n, low, high, scale))
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": f"{rule.label}, trials",
                "legendgroup": rule.label,
                "x": [trial.number + 1 for trial in shown],
                "y": [axes.inside(trial.value, scale) for trial in shown if trial.value is not None],
                "text": [_about(trial, metric) for trial in shown],
                "hovertemplate": "%{text}<extra>" + rule.label + "</extra>",
                "opacity": 0.45,
                "marker": {"color": rule.look.light, "size": 6, "symbol": rule.look.symbol},
                "cliponaxis": False,
            }
        )
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": rule.label,
                "legendgroup": rule.label,
                "x": [n for n, _ in rule.expected_best],
                "y": [value for _, value in rule.expected_best],
                "line": {"color": rule.look.light, "width": 2.5, "dash": rule.look.dash},
                "text": [metric.unit.value(value) for _, value in rule.expected_best],
                "hovertemplate": "best of %{x} trials: %{text}<extra>" + rule.label + "</extra>",
            }
        )
    layout = axes.layout(380)
    most = max((n for rule in view.rules for n, _ in rule.expected_best), default=0)
    layout["xaxis"] = {"title": {"text": "trials"}, "rangemode": "tozero", "zeroline": False, **axes.whole(most)}
    layout["yaxis"] = {**axes.axis(metric), **scale.axis}
    layout["annotations"] = [axes.heading(axes.title(metric, "valid"), 1)]
    return {"data": traces, "layout": layout}


def sensitivity(view: View) -> Figure:
    """Every trial: its learning rate against the validation metric. What diverged stands in a strip below."""
    metric = view.metric
    scale = axes.Scale(metric, [t.value for rule in view.rules for t in rule.trials if t.value is not None], whole=True)
    lost = [rule for rule in view.rules if any(trial.value is None for trial in rule.trials)]
    traces: list[Figure] = []
    for rule in view.rules:
        known = [trial for trial in rule.trials if trial.lr is not None and trial.lr > 0]
        shown = [trial for trial in known if trial.value is not None]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": rule.label,
                "legendgroup": rule.label,
                "x": [trial.lr for trial in shown],
                "y": [trial.value for trial in shown],
                "text": [_about(trial, metric) for trial in shown],
                "hovertemplate": "%{text}<extra>" + rule.label + "</extra>",
                "marker": {
                    "color": rule.look.light,
                    "symbol": rule.look.symbol,
                    "size": [13 if trial.number == 0 else 7 for trial in shown],
                    "line": {"width": [2.5 if trial.number == 0 else 0 for trial in shown]},
                },
                "cliponaxis": False,
            }
        )
        gone = [trial for trial in known if trial.value is None]
        if gone:
            traces.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": f"{rule.label}, no value",
                    "legendgroup": rule.label,
                    "x": [trial.lr for trial in gone],
                    "y": [rule.label] * len(gone),
                    "yaxis": "y2",
                    "text": [_about(trial, metric) for trial in gone],
                    "hovertemplate": "%{text}<extra>" + rule.label + "</extra>",
                    "marker": {
                        "color": rule.look.light,
                        "symbol": "x-thin",
                        "size": [12 if trial.number == 0 else 8 for trial in gone],
                        "line": {"width": 2, "color": rule.look.light},
                    },
                    "cliponaxis": False,
                }
            )
    strip = min(0.4, 0.07 * len(lost)) if lost else 0.0
    layout = axes.layout(400 + 24 * len(lost))
    layout["xaxis"] = {"title": {"text": "learning rate"}, "type": "log", "exponentformat": "power", "dtick": 1}
    layout["yaxis"] = {
        **axes.axis(metric),
        **scale.axis,
        "domain": [strip + 0.1 if lost else 0, 1],
    }
    layout["annotations"] = [axes.heading(axes.title(metric, "valid"), 1)]
    if lost:
        layout["xaxis"]["anchor"] = "y2"
        layout["yaxis2"] = {
            "domain": [0, strip],
            "type": "category",
            "categoryarray": [rule.label for rule in reversed(lost)],
            "range": [-0.6, len(lost) - 0.4],
            "showticklabels": False,
            "ticks": "",
            "fixedrange": True,
            "showgrid": False,
        }
        layout["annotations"].append(axes.heading("diverged or failed", strip))
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
    scale = axes.Scale(metric, later, whole=True)
    traces: list[Figure] = []
    for rule in view.rules:
        at, low, high = over_seeds(rule.curves, (min, max))
        if len(rule.curves) > LINES:
            traces += [_band(rule, at, low, high, scale)] if at else []
        else:
            traces += [_seed(rule, curve) for curve in rule.curves]
        at, means = over_seeds(rule.curves, (_mean,))
        if at:
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines+markers",
                    "name": rule.label,
                    "legendgroup": rule.label,
                    "x": at,
                    "y": means,
                    "line": {"color": rule.look.light, "width": 2.5, "dash": rule.look.dash},
                    "marker": {"symbol": rule.look.symbol, "size": 6, "color": rule.look.light},
                    "text": list(map(metric.unit.value, means)),
                    "hovertemplate": "mean at %{x}: %{text}<extra>" + rule.label + "</extra>",
                }
            )
    layout = axes.layout(380)
    most = max((at for rule in view.rules for curve in rule.curves for at in curve.at), default=0)
    layout["xaxis"] = {"title": {"text": "epoch"}, "zeroline": False, **axes.whole(most)}
    layout["yaxis"] = {**axes.axis(metric), **scale.axis}
    layout["annotations"] = [axes.heading(axes.title(metric, "valid"), 1)]
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
        "y": [axes.inside(value, scale) for value in outline],
        "fill": "toself",
        "fillcolor": rule.look.light,
        "opacity": 0.16,
        "hoverinfo": "skip",
    }


def _seed(rule: ContenderView, curve: Curve) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"{rule.label}, seed {curve.seed}",
        "legendgroup": rule.label,
        "x": list(curve.at),
        "y": list(curve.values),
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


def _about(trial: Configuration, metric: Metric) -> str:
    which = "default" if trial.number == 0 else f"trial {trial.number}"
    value = trial.outcome if trial.value is None else metric.unit.value(trial.value)
    return f"{which}: {value}<br>{trial.setting}"


FIGURES: Mapping[str, Callable[[View], Figure]] = {
    "intervals": intervals,
    "best": best_so_far,
    "lr": sensitivity,
    "training": training,
}
