"""Scales: where values stand, by numbers worked by hand."""

from math import log10

import pytest

from thalweg.formula.search import choice, log_uniform, one_minus_log_uniform
from thalweg.report import axes
from thalweg.study.model.metric import Metric
from thalweg.view.trials import search_kind

ACCURACY, LOSS, REWARD = Metric("accuracy", True), Metric("loss", False), Metric("reward", True)


def share_of_axis(scale, low, high):
    """Which part of the axis lies between two values."""
    places = [log10(scale.drawn(value)) if scale.logarithmic else scale.drawn(value) for value in (low, high)]
    return (places[1] - places[0]) / (scale.end - scale.start)


def test_shares_stand_by_the_logarithm_of_their_errors():
    scale = axes.metric_scale(ACCURACY, [0.5, 0.9, 0.95, 0.98])
    assert scale.drawn(0.9) == pytest.approx(0.1)
    # Half of the errors is as far everywhere; 50 to 98% are a factor of 25, on all but 6% of that at either end.
    for low, high in ((0.9, 0.95), (0.96, 0.98)):
        assert share_of_axis(scale, low, high) == pytest.approx(log10(2) / (1.12 * log10(25)))
    assert scale.start == pytest.approx(log10(0.5) + 0.06 * log10(25))
    assert scale.end == pytest.approx(log10(0.02) - 0.06 * log10(25))
    assert dict(scale.marks) == {0.98: "98%", 0.95: "95%", 0.9: "90%", 0.8: "80%", 0.5: "50%"}
    assert axes.title(ACCURACY, "test", scale) == "test accuracy (higher is better; log error)"


def test_one_far_value_does_not_squeeze_those_that_matter():
    values = [0.18, 0.93, 0.94, 0.97, 0.98]
    whole, fitted = axes.metric_scale(ACCURACY, values), axes.metric_scale(ACCURACY, values, [0.97, 0.98])
    # Errors of 82%, 3% and 2%: log10(1.5) of log10(41).
    assert share_of_axis(whole, 0.97, 0.98) == pytest.approx(0.176091 / (1.12 * 1.612784), rel=1e-5)
    # It reaches for others by twice their own extent: errors up to 3% * 1.5**2 = 6.75%, so for 6 and not for 7%.
    assert share_of_axis(fitted, 0.97, 0.98) == pytest.approx(log10(1.5) / (1.12 * log10(3)))
    assert fitted.start == pytest.approx(log10(0.06) + 0.06 * log10(3))
    assert [fitted.beyond(value) for value in (0.18, 0.93, 0.94, 0.98, 0.999)] == [-1, -1, 0, 0, 1]
    assert fitted.inside(0.18) == pytest.approx(10**fitted.start)
    assert fitted.inside(0.97) == fitted.drawn(0.97)


def test_an_accuracy_without_errors_has_a_mark_of_its_own():
    scale = axes.metric_scale(ACCURACY, [0.9, 0.96, 1.0])
    assert scale.drawn(1.0) == pytest.approx(0.02)  # half of the least error
    assert scale.beyond(1.0) == 0
    assert scale.marks[-1] == (1.0, "100%")
    assert 0.98 not in dict(scale.marks)
    assert axes.metric_scale(ACCURACY, [1.0, 1.0]).beyond(1.0) == 0


def test_a_narrow_axis_is_written_evenly():
    # Between errors of 3.4 and 2.2% there is none of 1, 2 and 5.
    scale = axes.metric_scale(ACCURACY, [0.966, 0.978])
    assert [words for _, words in scale.marks] == ["96.6%", "96.8%", "97%", "97.2%", "97.4%", "97.6%", "97.8%"]


@pytest.mark.parametrize(
    ("metric", "values", "kind"),
    [
        (LOSS, [0.09, 0.2, 0.89], "linear"),
        (LOSS, [0.09, 0.2, 0.91], "log"),
        (LOSS, [0.0, 0.2, 9.0], "linear"),
        (LOSS, [-1.0, 0.2, 9.0], "linear"),
        (REWARD, [0.1, 200.0], "linear"),
        (ACCURACY, [0.1, 0.98], "one minus log"),
        (ACCURACY, [10.0, 98.0], "linear"),
        (LOSS, [float("nan"), 1.0, float("inf"), 20.0], "log"),
        (LOSS, [], "linear"),
    ],
)
def test_how_an_axis_is_divided(metric, values, kind):
    scale = axes.metric_scale(metric, values)
    assert scale.kind == kind
    assert scale.logarithmic == ("type" in scale.axis)
    words = axes.title(metric, "valid", scale)
    assert ("log scale" in words) == (kind == "log")
    assert ("log error" in words) == (kind == "one minus log")


def test_of_losses_the_axis_fits_those_that_matter_too():
    linear = axes.metric_scale(LOSS, [1.0, 1.1, 1.25, 1.35, 9.0], [1.0, 1.1])
    assert linear.kind == "linear"
    # It reaches as far as 1.1 + 2 * 0.1, so for 1.25. Room: 6% of 0.25.
    assert (linear.start, linear.end) == pytest.approx((1.0 - 0.015, 1.25 + 0.015))
    assert [linear.beyond(value) for value in (0.9, 1.0, 1.25, 1.35, 9.0)] == [-1, 0, 0, 1, 1]
    assert linear.inside(9.0) == linear.end
    # A single one has no extent to measure by.
    assert axes.metric_scale(LOSS, [1.0, 9.0], [1.0]).beyond(9.0) == 0
    wide = axes.metric_scale(LOSS, [1.0, 2.0, 1e6], [1.0, 2.0])
    assert wide.kind == "log"
    assert wide.end == pytest.approx(1.06 * log10(2))
    assert wide.inside(1e6) == pytest.approx(10**wide.end)


def test_decades_are_written_as_far_as_there_is_room():
    scale = axes.metric_scale(LOSS, [1e-9, 1e6])
    words = [words for _, words in scale.marks]
    assert words == ["1e-09", "1e-06", "0.001", "1", "1000", "1e+06"]


def test_the_scale_of_a_search_is_read_from_what_is_kept_of_it():
    searches = (
        log_uniform(1e-4, 1),
        log_uniform(1, 2, over="beta1"),
        one_minus_log_uniform(0.01, 0.3, trials=10),
        choice(0.9, 0.95, axis="beta"),
    )
    assert [search_kind(str(search)) for search in searches] == [search.kind for search in searches]
    assert len({search.kind for search in searches}) == 3


def test_hyperparameters_stand_as_they_were_searched():
    rate = axes.search_scale("log", [1e-4, 1e-3, 1.0, 0.0])
    assert share_of_axis(rate, 1e-4, 1e-3) == pytest.approx(share_of_axis(rate, 0.1, 1.0))
    assert rate.marks[-1] == (0.0, "0")
    assert rate.drawn(0.0) == pytest.approx(1e-4 / 10 ** (4 * 0.08))  # 8% of four decades
    assert not any(rate.beyond(value) for value in (0.0, 1e-4, 1.0))
    memory = axes.search_scale("one minus log", [0.9, 0.99, 0.999])
    assert share_of_axis(memory, 0.9, 0.99) == pytest.approx(share_of_axis(memory, 0.99, 0.999))
    assert "0.99" in dict(memory.marks).values()
    picked = axes.search_scale("choice", [True, 0.05, 0.02, 0.05])
    assert picked.choices == (0.02, 0.05, 1.0)
    assert [picked.drawn(value) for value in picked.choices] == [0, 1, 2]
    assert picked.axis["ticktext"] == ["0.02", "0.05", "1"]
