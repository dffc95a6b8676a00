"""A slice for each searched hyperparameter: what it was in each trial against what the trial gave."""

from collections.abc import Mapping

from thalweg.view.values import Configuration, ContenderView, SearchKind, View

from . import axes
from .axes import Figure
from .figures import about, trial_marks


def slices(view: View) -> Mapping[str, Figure]:
    """By hyperparameter, all on one scale of the metric; without any trial of it, none."""
    finished = sorted(trial.value for rule in view.rules for trial in rule.trials if trial.value is not None)
    half = len(finished) // 2
    better = finished[half:] if view.metric.higher_is_better else finished[: len(finished) - half]
    scale = axes.metric_scale(view.metric, finished, better)
    drawn = {name: _slice(view, name, kind, scale) for name, kind in view.searched.items()}
    return {name: figure for name, figure in drawn.items() if figure["data"]}


def _slice(view: View, name: str, kind: SearchKind, scale: axes.Scale) -> Figure:
    searched = [rule for rule in view.rules if name in rule.searched]
    across = axes.search_scale(kind, [trial.values[name] for rule in searched for trial in rule.trials])
    traces: list[Figure] = []
    for rule in searched:
        known = [(across.drawn(trial.values[name]), trial) for trial in rule.trials]
        done = [(place, trial) for place, trial in known if trial.value is not None]
        if done:
            traces.append(_larger(trial_marks(rule, done, scale, view.metric), [trial for _, trial in done], 7, 13))
        gone = [(place, trial) for place, trial in known if trial.value is None]
        if gone:
            traces.append(_lost(rule, gone, view, scale))
    layout = axes.layout(300)
    layout["xaxis"] = {**across.axis, "title": {"text": name.replace("_", " ")}}
    layout["yaxis"] = scale.axis
    layout["annotations"] = [axes.heading(axes.title(view.metric, "valid", scale), 1)]
    return {"data": traces, "layout": layout}


def _lost(rule: ContenderView, gone: list[tuple[float, Configuration]], view: View, scale: axes.Scale) -> Figure:
    """Crosses at the worse edge."""
    # Of higher and better the worse end is the lower one; the axis ends where `Scale.inside` of anything beyond is.
    edge = scale.start if view.metric.higher_is_better else scale.end
    trace: Figure = {
        "type": "scatter",
        "mode": "markers",
        "name": f"{rule.label}, no value",
        "legendgroup": rule.label,
        "x": [place for place, _ in gone],
        "y": [10**edge if scale.logarithmic else edge] * len(gone),
        "text": [about(trial, view.metric) for _, trial in gone],
        "hovertemplate": "%{text}<extra>" + rule.label + "</extra>",
        "marker": {"color": rule.look.light, "symbol": "x-thin", "line": {"width": 2, "color": rule.look.light}},
        "cliponaxis": False,
    }
    return _larger(trace, [trial for _, trial in gone], 8, 12, width=2.0)


def _larger(trace: Figure, trials: list[Configuration], size: int, default: int, width: float = 0.0) -> Figure:
    """The default by a larger mark than the others."""
    first = [trial.number == 0 for trial in trials]
    lines = {**trace["marker"].get("line", {}), "width": [2.5 if each else width for each in first]}
    return {
        **trace,
        "marker": {**trace["marker"], "size": [default if each else size for each in first], "line": lines},
    }


def caption(name: str, view: View) -> str:
    """What a slice shows, for who does not see it."""
    rules = ", ".join(rule.label for rule in view.rules if name in rule.searched)
    return f"{view.metric.selection} of every trial against its {name}: {rules}"
