"""The figure of a task's noise: three strips of results on one axis."""

from collections.abc import Sequence

import numpy as np

from thalweg.report import axes
from thalweg.report.axes import Figure
from thalweg.study.model.metric import Metric
from thalweg.view.palette import Look
from thalweg.view.values import ContenderView

from .anew import benchmarks
from .noise import other_seeds
from .task import OnTask

EACH = 3  # results of each rule; of the reference as many as of all rules together
JITTER = 0.28
TAIL = 8  # the axis is made for all but an eighth of the results at either end


def strips(task: OnTask, rules: Sequence[ContenderView], n: int) -> Figure:
    """Results of all rules; of the reference tuned anew; of its winners with other seeds. One point a benchmark."""
    metric, pools, reference = task.metric, task.pools, task.reference
    shown = [rule for rule in rules if rule.label in pools]
    many = EACH * len(shown)
    seeds = other_seeds(pools[reference], n, many)
    anew = benchmarks({reference: pools[reference]}, n, many)[reference]
    drawn = benchmarks(pools, n, EACH, together=False)
    looks = {rule.label: rule.look for rule in shown}
    placed = [(label, 2, drawn[label]) for label in looks] + [(reference, 1, anew), (reference, 0, seeds)]
    values = [[metric.scale.value(float(score)) for score in scores] for _, _, scores in placed]
    every = sorted(value for each in values for value in each)
    cut = len(every) // TAIL
    scale = axes.metric_scale(metric, every, every[cut : len(every) - cut])
    layout = axes.layout(236)
    layout["xaxis"] = {**scale.axis, "title": {"text": axes.title(metric, "test", scale)}}
    layout["yaxis"] = axes.names(
        [f"{reference},<br>{how}" for how in ("other seeds", "tuned anew")] + [f"{len(shown)} rules"], 0.5
    )
    layout["margin"]["t"] = 8
    chance = np.random.default_rng(1957)
    traces = [
        _strip(label, looks[label], each, height + chance.uniform(-JITTER, JITTER, len(each)), scale, metric)
        for (label, height, _), each in zip(placed, values, strict=True)
    ]
    return {"data": traces, "layout": layout}


def _strip(
    label: str, look: Look, values: Sequence[float], heights: Sequence[float], scale: axes.Scale, metric: Metric
) -> Figure:
    symbols = {-1: "arrow-left", 0: look.symbol, 1: "arrow-right"}
    return {
        "type": "scatter",
        "mode": "markers",
        "name": label,
        "legendgroup": label,
        "x": list(map(scale.inside, values)),
        "y": list(map(float, heights)),
        "text": [metric.unit.value(value) for value in values],
        "hovertemplate": "%{text}<extra>" + label + "</extra>",
        "marker": {
            "color": look.light,
            "size": 7,
            "opacity": 0.8,
            "symbol": [symbols[scale.beyond(value)] for value in values],
        },
        "cliponaxis": False,
    }
