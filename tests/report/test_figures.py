"""The figures as data: what is drawn, before anything draws it."""

import math
from dataclasses import replace

import pytest
from plotly.graph_objects import Figure

import handmade
from thalweg.report import across_figures, figures
from thalweg.report.forest import forest
from thalweg.report.slices import slices
from thalweg.stats.intervals import Interval
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
    Figure(draw(view))


@pytest.mark.parametrize("draw", ALL)
def test_a_rule_has_one_colour_in_every_figure(view, draw):
    for trace in draw(view)["data"]:
        look = next(rule.look for rule in view.rules if rule.label == trace["legendgroup"])
        colours = {part["color"] for part in (trace.get("line", {}), trace.get("marker", {})) if "color" in part}
        colours |= {trace["fillcolor"]} if "fillcolor" in trace else set()
        assert colours == {look.light}


def test_every_searched_hyperparameter_has_its_slice(view):
    drawn = slices(view)
    assert list(drawn) == ["lr", "weight_decay"]
    for name, figure in drawn.items():
        Figure(figure)
        for rule in view.rules:
            texts = [text for t in figure["data"] if t["legendgroup"] == rule.label for text in t["text"]]
            assert sorted(texts) == sorted(figures.about(trial, view.metric) for trial in rule.trials)
        assert figure["layout"]["xaxis"]["title"]["text"] == name.replace("_", " ")
    rule = view.rules[0]
    points = [x for trace in drawn["lr"]["data"] if trace["legendgroup"] == rule.label for x in trace["x"]]
    assert sorted(points) == sorted(trial.values["lr"] for trial in rule.trials)


def test_a_slice_has_those_that_searched_it_on_the_scale_of_the_search(view):
    one, two, *others = view.rules
    kinds = {"momentum": "one minus log", "nesterov": "choice"}
    trials = tuple(replace(t, values={**t.values, "momentum": 0.9, "nesterov": t.number % 2}) for t in one.trials)
    shown = replace(one, searched={**one.searched, **kinds}, trials=trials)
    drawn = slices(replace(view, rules=(shown, two, *others)))
    assert list(drawn) == ["lr", "weight_decay", "momentum", "nesterov"]
    assert {trace["legendgroup"] for trace in drawn["momentum"]["data"]} == {one.label}
    assert {round(x, 12) for trace in drawn["momentum"]["data"] for x in trace["x"]} == {0.1}
    assert {x for trace in drawn["nesterov"]["data"] for x in trace["x"]} == {0, 1}
    assert drawn["nesterov"]["layout"]["xaxis"]["ticktext"] == ["0", "1"]


@pytest.mark.parametrize("lower", [False, True])
def test_trials_without_a_value_are_crosses_at_the_worse_edge(lower):
    view = seen(trials=12, seeds=3, lower=lower)
    figure = slices(view)["lr"]
    axis = figure["layout"]["yaxis"]
    edge = axis["range"][1 if lower else 0]
    lost = [trace for trace in figure["data"] if trace["name"].endswith("no value")]
    assert {y for trace in lost for y in trace["y"]} == {10**edge if axis.get("type") == "log" else edge}
    assert {trace["marker"]["symbol"] for trace in lost} == {"x-thin"}
    assert sum(len(t["x"]) for t in lost) == sum(t.value is None for rule in view.rules for t in rule.trials) > 0


def test_the_default_is_marked(view):
    for trace in slices(view)["lr"]["data"]:
        sizes = trace["marker"]["size"]
        marked = [text.startswith("default") for text in trace["text"]]
        assert [size > min(8, max(sizes)) for size in sizes] == marked


def test_points_beyond_the_axis_are_arrows_at_its_edge(view):
    figure = figures.best_so_far(view)
    high, low = figure["layout"]["yaxis"]["range"]  # of errors, the axis points down
    arrows = 0
    for trace in figure["data"]:
        if trace["mode"] != "lines":
            assert all(low - 1e-9 <= math.log10(y) <= high + 1e-9 for y in trace["y"])
        if trace["mode"] == "markers":
            rule = next(rule for rule in view.rules if rule.label == trace["legendgroup"])
            values = [trial.value for trial in rule.trials if trial.value is not None]
            beyond = [math.log10(1 - value) > high + 1e-9 for value in values]
            assert [symbol == "arrow-down" for symbol in trace["marker"]["symbol"]] == beyond
            arrows += sum(beyond)
    assert arrows


def test_losses_over_decades_get_a_logarithmic_axis():
    view = seen(trials=6, seeds=2, lower=True)
    rule = view.rules[0]
    trials = tuple(
        replace(t, tuning=replace(t.tuning, valid=None if t.value is None else 10.0 ** (t.number - 3)))
        for t in rule.trials
    )
    wide = replace(view, rules=(replace(rule, trials=trials),))
    axis = slices(wide)["lr"]["layout"]["yaxis"]
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


def test_the_first_picture_shows_what_the_verdict_is_about(view):
    shown = {trace["name"]: trace["x"][0] for trace in figures.intervals(view)["data"] if trace["mode"] == "markers"}
    for rule in view.rules:
        assert shown[f"{rule.label}, tuned with 5 trials"] == 1 - view.judged.means[rule.label].mean
    bare = replace(view, judged=None)
    shown = {trace["name"]: trace["x"][0] for trace in figures.intervals(bare)["data"]}
    assert all(shown[f"{rule.label}, tuned"] == 1 - rule.row.tuned.mean for rule in view.rules)


def four_alike(view, first):
    """Four rules tuned to 96.5 up to 98%, each give or take half a point; the first as given."""
    means = (interval_around(0.965 + 0.005 * number, 0.005) for number in range(1, 4))
    labels = [rule.label for rule in view.rules]
    judged = replace(view.judged, means=dict(zip(labels, (first, *means), strict=True)))
    rules = tuple(replace(r, row=replace(r.row, default=interval_around(0.96, 0.01))) for r in view.rules)
    return replace(view, judged=judged, rules=rules)


def interval_around(mean, half):
    return Interval(mean, mean - half, mean + half, half, 0.95, (mean, mean))


def test_a_default_far_away_is_an_arrow_with_its_value(view):
    shown = four_alike(view, interval_around(0.965, 0.005))
    one, *others = shown.rules
    far = replace(one, row=replace(one.row, default=interval_around(0.18, 0.01)))
    drawn = figures.intervals(replace(shown, rules=(far, *others)))
    (arrow,) = (trace for trace in drawn["data"] if trace["name"] == f"{one.label}, default")
    start, end = drawn["layout"]["xaxis"]["range"]
    assert arrow["text"] == ["\u200318.0%"]
    assert arrow["marker"]["symbol"] == "arrow-left-open"
    assert "error_x" not in arrow
    assert math.log10(arrow["x"][0]) == pytest.approx(start)
    # Tuned: errors of 4 to 1.5%, intervals included. They have a third of the axis at least.
    assert math.log10(0.04 / 0.015) / (start - end) > 1 / 3.4
    assert drawn["layout"]["xaxis"]["title"]["text"].endswith("log error)")


def test_an_interval_that_leaves_the_axis_is_cut_there(view):
    wide = Interval(0.965, 0.2, 0.985, 0.1, 0.95, (0.9, 0.99))
    shown = four_alike(view, wide)
    drawn = figures.intervals(shown)
    mark, arrow = (t for t in drawn["data"] if t["name"] == f"{shown.rules[0].label}, tuned with 5 trials")
    start = drawn["layout"]["xaxis"]["range"][0]
    assert mark["x"] == [pytest.approx(0.035)]
    assert mark["x"][0] + mark["error_x"]["array"][0] == pytest.approx(10**start)
    assert mark["x"][0] - mark["error_x"]["arrayminus"][0] == pytest.approx(0.015)
    assert arrow["text"] == ["\u200320.0%"]
    assert math.log10(arrow["x"][0]) == pytest.approx(start)


def test_figures_of_several_tasks():
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
        judged=None,
        answer=(),
        rules=tuple(
            replace(r, row=replace(r.row, default=None, tuned=None), curves=(), expected_best=()) for r in view.rules
        ),
    )
    assert figures.intervals(bare)["data"] == []
    assert figures.training(bare)["data"] == []
    assert forest(bare)["data"] == []
    assert all(figure["data"] for figure in slices(bare).values())


@pytest.mark.parametrize(
    ("given", "usual"),
    [
        ([(0.95, 0.01), (0.96, 0.01), (0.97, 0.02), (0.5, 0.5)], [0.95, 0.96, 0.97]),
        # Without any width, by how far they are from 2.5: 0.5, 0.5, 1.5 and 7.5, so 1.
        ([(1.0, 0.0), (2.0, 0.0), (3.0, 0.0), (10.0, 2.5)], [1.0, 2.0, 3.0]),
        ([(1.0, 0.0), (2.0, 0.0), (3.0, 0.0), (10.0, 2.0)], [1.0, 2.0, 3.0, 10.0]),
        ([(1.0, 0.0), (2.0, 0.0)], [1.0, 2.0]),
        ([(1.0, math.inf), (2.0, math.inf)], [1.0, 2.0]),
        ([(1.0, 0.1), (1.1, 0.1), (2.0, math.inf)], [1.0, 1.1]),
        ([], []),
    ],
)
def test_what_an_axis_of_intervals_is_made_for(given, usual):
    found = [interval_around(mean, half) for mean, half in given]
    assert [each.mean for each in figures.usual(found)] == usual


@pytest.mark.parametrize("lower", [False, True])
def test_the_forest_has_better_to_the_right(lower):
    """Of losses too; a line where nothing differs, a band where nothing matters; full marks where something is told."""
    view = seen(trials=9, lower=lower, matters=0.02, against="sgd:momentum=0.9")
    drawn = forest(view)
    Figure(drawn)
    assert drawn["layout"]["yaxis"]["ticktext"] == [pair.first for pair in reversed(view.answer)]
    for pair, trace in zip(reversed(view.answer), drawn["data"], strict=True):
        sign = -1 if lower else 1
        low, high = sorted((sign * pair.difference.low, sign * pair.difference.high))
        assert trace["x"] == [sign * pair.difference.mean]
        assert trace["x"][0] - trace["error_x"]["arrayminus"][0] == pytest.approx(low)
        assert trace["x"][0] + trace["error_x"]["array"][0] == pytest.approx(high)
        better = pair.answer.startswith("better")
        assert better == (low > 0)
        told = not pair.answer.startswith("cannot tell")
        assert (trace["marker"]["symbol"] == "circle") == told
    band, line = drawn["layout"]["shapes"]
    assert (band["x0"], band["x1"], line["x0"], line["x1"]) == (-0.02, 0.02, 0, 0)
    # Ticks are values of the metric's differences: of losses, negative is better and stands to the right.
    ticks = dict(zip(drawn["layout"]["xaxis"]["ticktext"], drawn["layout"]["xaxis"]["tickvals"], strict=True))
    for words, place in ticks.items():
        assert float(words) == pytest.approx((-1 if lower else 100) * place, abs=1e-9)
    assert len([pair for pair in view.answer if pair.answer.startswith("worse")]) == 1


def test_ratios_are_written_as_round_numbers():
    """Half of the errors is log 2 to the right."""
    view = seen(trials=9, tests=500)
    axis = forest(view)["layout"]["xaxis"]
    ticks = dict(zip(axis["ticktext"], axis["tickvals"], strict=True))
    assert len(ticks) >= 2
    assert ticks["1"] == 0
    assert {*ticks} <= {"2", "1.5", "1.25", "1.1", "1", "0.909", "0.8", "0.667", "0.5"}
    for words, place in ticks.items():
        assert place == pytest.approx(-math.log(float(words)), abs=1e-3)
    assert axis["title"]["text"] == "times the errors of sgd"


def test_what_has_no_interval_is_not_in_the_forest():
    view = seen(trials=9)
    one, *others = view.answer
    endless = replace(one, difference=replace(one.difference, low=-math.inf, high=math.inf))
    assert [trace["name"] for trace in forest(replace(view, answer=(endless, *others)))["data"]] == [
        pair.first for pair in reversed(others)
    ]
