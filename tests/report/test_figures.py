"""The figures as data: what is drawn, before anything draws it."""

import math
from dataclasses import replace

import handmade
import pytest

from thalweg.report import figures
from thalweg.report.view import Curve
from thalweg.report.viewing import view_of

ALL = (figures.intervals, figures.best_so_far, figures.sensitivity, figures.training)


@pytest.fixture(scope="module")
def view():
    return view_of(handmade.comparison(trials=12, seeds=3))


@pytest.mark.parametrize("draw", ALL)
def test_a_figure_is_what_plotly_accepts(view, draw):
    from plotly.graph_objects import Figure

    Figure(draw(view))


@pytest.mark.parametrize("draw", ALL)
def test_a_rule_has_one_colour_in_every_figure(view, draw):
    for trace in draw(view)["data"]:
        look = next(rule.look for rule in view.rules if rule.label == trace["legendgroup"])
        colours = {part["color"] for part in (trace.get("line", {}), trace.get("marker", {})) if "color" in part}
        assert colours == {look.light}


def test_no_trial_is_dropped_from_the_sensitivity(view):
    drawn = figures.sensitivity(view)["data"]
    for rule in view.rules:
        points = [x for trace in drawn if trace["legendgroup"] == rule.label for x in trace["x"]]
        assert sorted(points) == sorted(trial.lr for trial in rule.trials)
    lost = [trace for trace in drawn if trace.get("yaxis") == "y2"]
    assert (
        sum(len(trace["x"]) for trace in lost) == sum(t.value is None for rule in view.rules for t in rule.trials) > 0
    )


def test_the_default_is_marked(view):
    for trace in figures.sensitivity(view)["data"]:
        sizes = trace["marker"]["size"]
        marked = [text.startswith("default") for text in trace["text"]]
        assert [size > min(8, max(sizes)) for size in sizes] == marked


def test_points_beyond_the_axis_stand_on_its_edge(view):
    figure = figures.best_so_far(view)
    low, high = figure["layout"]["yaxis"]["range"]
    for trace in figure["data"]:
        assert all(low <= y <= high for y in trace["y"])
        if trace["mode"] == "markers":
            rule = next(rule for rule in view.rules if rule.label == trace["legendgroup"])
            assert len(trace["x"]) == sum(trial.value is not None for trial in rule.trials)


def test_losses_over_decades_get_a_logarithmic_axis():
    view = view_of(handmade.comparison(trials=6, seeds=2, lower=True))
    rule = view.rules[0]
    trials = tuple(replace(t, value=None if t.value is None else 10.0 ** (t.number - 3)) for t in rule.trials)
    wide = replace(view, rules=(replace(rule, trials=trials),))
    axis = figures.sensitivity(wide)["layout"]["yaxis"]
    assert axis["type"] == "log"
    values = [t.value for t in trials if t.value is not None]
    assert axis["range"][0] < math.log10(min(values)) < math.log10(max(values)) < axis["range"][1]


def test_the_mean_curve_stops_where_a_seed_has_no_value():
    short = Curve("1", (0.0, 1.0), (0.0, 1.0))
    long = Curve("2", (0.0, 1.0, 2.0), (2.0, 3.0, 4.0))
    assert figures.mean_curve([long, short]) == ([0.0, 1.0], [1.0, 2.0])
    assert figures.mean_curve([]) == ([], [])


def test_an_unfinished_comparison_has_figures_of_what_there_is(view):
    bare = replace(
        view, rules=tuple(replace(r, default=None, tuned=None, curves=(), expected_best=()) for r in view.rules)
    )
    assert figures.intervals(bare)["data"] == []
    assert figures.training(bare)["data"] == []
    assert figures.sensitivity(bare)["data"]
