"""The figures as data: what is drawn, before anything draws it."""

import math
from dataclasses import replace

import pytest

import handmade
from thalweg.report import across_figures, figures
from thalweg.view.comparison import view_of
from thalweg.view.values import Curve

ALL = tuple(figures.FIGURES.values())


def seen(**given):
    return view_of(handmade.comparison(**given)).tasks[0]


@pytest.fixture(scope="module")
def view():
    return seen(trials=12, seeds=3)


@pytest.mark.parametrize("draw", ALL)
def test_a_figure_is_what_plotly_accepts(view, draw):
    from plotly.graph_objects import Figure

    Figure(draw(view))


@pytest.mark.parametrize("draw", ALL)
def test_a_rule_has_one_colour_in_every_figure(view, draw):
    for trace in draw(view)["data"]:
        look = next(rule.look for rule in view.rules if rule.label == trace["legendgroup"])
        colours = {part["color"] for part in (trace.get("line", {}), trace.get("marker", {})) if "color" in part}
        colours |= {trace["fillcolor"]} if "fillcolor" in trace else set()
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
    view = seen(trials=6, seeds=2, lower=True)
    rule = view.rules[0]
    trials = tuple(replace(t, value=None if t.value is None else 10.0 ** (t.number - 3)) for t in rule.trials)
    wide = replace(view, rules=(replace(rule, trials=trials),))
    axis = figures.sensitivity(wide)["layout"]["yaxis"]
    assert axis["type"] == "log"
    values = [t.value for t in trials if t.value is not None]
    assert axis["range"][0] < math.log10(min(values)) < math.log10(max(values)) < axis["range"][1]


def test_curves_over_seeds_stop_where_a_seed_has_no_value():
    short = Curve("1", (0.0, 1.0), (0.0, 1.0))
    long = Curve("2", (0.0, 1.0, 2.0), (2.0, 3.0, 4.0))
    assert figures.over_seeds([long, short], (min, max)) == ([0.0, 1.0], [0.0, 1.0], [2.0, 3.0])
    assert figures.over_seeds([], (min,)) == ([], [])


@pytest.mark.parametrize(("seeds", "lines", "bands"), [(5, 5, 0), (6, 0, 1)])
def test_many_seeds_are_a_band(seeds, lines, bands):
    drawn = [t for t in figures.training(seen(trials=3, seeds=seeds))["data"] if t["legendgroup"] == "adamw"]
    assert sum("seed" in trace["name"] for trace in drawn) == lines
    assert sum(trace.get("fill") == "toself" for trace in drawn) == bands
    assert len(drawn) == lines + bands + 1


def test_the_tuning_curve_has_its_band(view):
    for rule in view.rules:
        assert [n for n, _, _ in rule.best_band] == [1, 2, 3, 4]
        means = dict(rule.expected_best)
        assert all(low <= means[n] <= high <= 1 for n, low, high in rule.best_band)
    bands = [trace for trace in figures.best_so_far(view)["data"] if trace.get("fill")]
    assert [trace["x"] for trace in bands] == [[1, 2, 3, 4, 4, 3, 2, 1]] * len(view.rules)


def test_the_first_picture_shows_what_the_verdict_is_about(view):
    shown = {trace["name"]: trace["x"][0] for trace in figures.intervals(view)["data"]}
    for rule in view.rules:
        assert shown[f"{rule.label}, tuned with 4 trials"] == view.judged.means[rule.label].mean
    bare = replace(view, budgets=())
    shown = {trace["name"]: trace["x"][0] for trace in figures.intervals(bare)["data"]}
    assert all(shown[f"{rule.label}, tuned"] == rule.row.tuned.mean for rule in view.rules)


def test_figures_of_several_tasks():
    from plotly.graph_objects import Figure

    page = view_of(handmade.suite(10, trials=3, seeds=2))
    looks = {rule.label: rule.look for rule in page.rules}
    profile = across_figures.profile(page.across.profile, looks)
    ranks = across_figures.ranks(page.across.ranking, looks)
    for figure in (profile, ranks):
        Figure(figure)
        assert [trace["legendgroup"] for trace in figure["data"]]
    # Every bar is a group that is not separated, from its best to its worst.
    mean = dict(zip(page.across.ranking.rules, page.across.ranking.average_ranks, strict=True))
    ends = [(mean[group[0]], mean[group[-1]]) for group in page.across.ranking.groups]
    assert [(bar["x0"], bar["x1"]) for bar in ranks["layout"]["shapes"]] == ends


def test_an_unfinished_comparison_has_figures_of_what_there_is(view):
    bare = replace(
        view,
        budgets=(),
        rules=tuple(
            replace(r, row=replace(r.row, default=None, tuned=None), curves=(), expected_best=(), best_band=())
            for r in view.rules
        ),
    )
    assert figures.intervals(bare)["data"] == []
    assert figures.training(bare)["data"] == []
    assert figures.sensitivity(bare)["data"]
