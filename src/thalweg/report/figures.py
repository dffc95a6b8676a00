"""The page's figures: from a `View` to plain plotly dictionaries. Data first; the page adds only its theme."""

from collections.abc import Iterable, Sequence
from math import isfinite, log10
from typing import Any

from .view import Curve, Interval, Metric, RuleView, Trial, View

Figure = dict[str, Any]


def intervals(view: View) -> Figure:
    """The default and the tuned setting of each rule on the test metric, with intervals."""
    traces = []
    for rule in reversed(view.rules):
        for label, shift, found in (("tuned", 0.16, rule.tuned), ("default", -0.16, rule.default)):
            if found is not None:
                traces.append(_interval(view.metric, rule, label, found, shift))
    count = len(view.rules)
    layout = _layout(80 + 56 * count)
    layout["xaxis"] = {**_axis(view.metric), "title": {"text": _title(view.metric, "test")}}
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
    for index, rule in enumerate(reversed(view.rules)):
        for trace in traces:
            if trace["legendgroup"] == rule.label:
                trace["y"] = [index + trace["y"][0]]
    return {"data": traces, "layout": layout}


def _interval(metric: Metric, rule: RuleView, label: str, found: Interval, shift: float) -> Figure:
    colour = rule.look.light
    bars = found.low is not None and found.high is not None
    tuned = label == "tuned"
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"{rule.label}, {label}",
        "legendgroup": rule.label,
        "x": [found.mean],
        "y": [shift],
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [found.high - found.mean if found.high is not None else 0],
            "arrayminus": [found.mean - found.low if found.low is not None else 0],
            "color": colour,
            "thickness": 2,
            "width": 5,
            "visible": bars,
        },
        "marker": {
            "symbol": rule.look.symbol if tuned else f"{rule.look.symbol}-open",
            "size": 11 if tuned else 9,
            "color": colour,
            "line": {"color": colour, "width": 1.5},
        },
        "hovertemplate": f"{label}: {_words(metric, found)}, {found.runs} runs<extra>{rule.label}</extra>",
    }


def _words(metric: Metric, found: Interval) -> str:
    if found.low is None or found.high is None:
        return metric.text(found.mean)
    return f"{metric.text(found.mean)} ({metric.text(found.low)} to {metric.text(found.high)})"


def best_so_far(view: View) -> Figure:
    """The validation metric one may expect of the best of n trials; the trials themselves as points."""
    metric = view.metric
    curves = [value for rule in view.rules for _, value in rule.expected_best]
    finished = [trial.value for rule in view.rules for trial in rule.trials if trial.value is not None]
    scale = _scale(metric, curves or finished)
    traces: list[Figure] = []
    for rule in view.rules:
        shown = [trial for trial in rule.trials if trial.value is not None]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": f"{rule.label}, trials",
                "legendgroup": rule.label,
                "x": [trial.number + 1 for trial in shown],
                "y": [_inside(trial.value, scale) for trial in shown if trial.value is not None],
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
                "hovertemplate": "best of %{x} trials: %{y}<extra>" + rule.label + "</extra>",
            }
        )
    layout = _layout(380)
    layout["xaxis"] = {"title": {"text": "trials"}, "rangemode": "tozero", "zeroline": False}
    layout["yaxis"] = {**_axis(metric), **scale.axis}
    layout["annotations"] = [_heading(_title(metric, "valid"), 1)]
    return {"data": traces, "layout": layout}


def sensitivity(view: View) -> Figure:
    """Every trial: its learning rate against the validation metric. What diverged stands in a strip below."""
    metric = view.metric
    scale = _scale(metric, [t.value for rule in view.rules for t in rule.trials if t.value is not None], whole=True)
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
    layout = _layout(400 + 24 * len(lost))
    layout["xaxis"] = {"title": {"text": "learning rate"}, "type": "log", "exponentformat": "power", "dtick": 1}
    layout["yaxis"] = {
        **_axis(metric),
        **scale.axis,
        "domain": [strip + 0.1 if lost else 0, 1],
    }
    layout["annotations"] = [_heading(_title(metric, "valid"), 1)]
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
        layout["annotations"].append(_heading("diverged or failed", strip))
    return {"data": traces, "layout": layout}


def training(view: View) -> Figure:
    """The re-runs of each tuned rule: every seed as a thin line, their mean as a thick one."""
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
    scale = _scale(metric, later, whole=True)
    traces: list[Figure] = []
    for rule in view.rules:
        traces += [_seed(rule, curve) for curve in rule.curves]
        at, means = mean_curve(rule.curves)
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
                    "hovertemplate": "mean at %{x}: %{y}<extra>" + rule.label + "</extra>",
                }
            )
    layout = _layout(380)
    layout["xaxis"] = {"title": {"text": "epoch"}, "zeroline": False}
    layout["yaxis"] = {**_axis(metric), **scale.axis}
    layout["annotations"] = [_heading(_title(metric, "valid"), 1)]
    return {"data": traces, "layout": layout}


def _seed(rule: RuleView, curve: Curve) -> Figure:
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


def mean_curve(curves: Sequence[Curve]) -> tuple[list[float], list[float]]:
    """The mean over seeds, at the points that every seed reached with a finite value."""
    if not curves:
        return [], []
    tables = [dict(zip(curve.at, curve.values, strict=True)) for curve in curves]
    shared = [at for at in curves[0].at if all(isfinite(table.get(at, float("nan"))) for table in tables)]
    return shared, [sum(table[at] for table in tables) / len(tables) for at in shared]


class _scale:
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


def _inside(value: float, scale: _scale) -> float:
    """A point beyond the axis is drawn on its edge; its label keeps the true value."""
    if scale.log:
        return float(min(max(value, 10**scale.low), 10**scale.high))
    return min(max(value, scale.low), scale.high)


def _about(trial: Trial, metric: Metric) -> str:
    which = "default" if trial.number == 0 else f"trial {trial.number}"
    value = trial.outcome if trial.value is None else metric.text(trial.value)
    return f"{which}: {value}<br>{trial.setting}"


def _title(metric: Metric, split: str) -> str:
    name = metric.valid if split == "valid" else metric.test
    return f"{name.replace('_', ' ')} ({metric.better} is better)"


def _heading(text: str, y: float) -> Figure:
    """An axis title above the axis, at its left end: it costs no width, which phones lack."""
    where: Figure = {"xref": "paper", "yref": "paper", "x": 0, "y": y, "xanchor": "left", "yanchor": "bottom"}
    return {**where, "text": text, "showarrow": False}


def _axis(metric: Metric) -> Figure:
    axis: Figure = {"automargin": True, "zeroline": False}
    if metric.is_share:
        axis |= {"tickformat": ".1~%", "hoverformat": ".2%"}
    else:
        axis |= {"hoverformat": ".4~g"}
    return axis


def _layout(height: int) -> Figure:
    return {
        "height": height,
        "margin": {"l": 48, "r": 12, "t": 28, "b": 48},
        "hovermode": "closest",
        "showlegend": False,  # the page has one, which wraps, and switches a rule off in every figure
    }
