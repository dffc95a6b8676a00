import subprocess
import sys

import numpy as np
import pytest
from explorer_runs import run

from thalweg.explore.normalising import normalise, sigmoid

pytestmark = pytest.mark.slow

STATES = [
    {},
    {"mean": -4.0, "spread": 0.2, "gamma": 0.1, "beta": 4.0},
    {"place": "after", "mean": 2.2, "spread": 3.0, "gamma": 1.7, "beta": -0.4},
    {"undo": True, "mean": 1.3},
    {"undo": True, "place": "after"},
]


def dots(panel):
    return next(mark for mark in panel["marks"] if mark["kind"] == "dots")


def test_the_page_draws_what_the_layer_computes(visit):
    there = visit()
    for state in STATES:
        drawn, printed = there.draw("sigmoid", state), run(there.python("sigmoid", state))
        for panel, name in zip(drawn["panels"], ["raw", "normalised", "scaled"], strict=True):
            np.testing.assert_allclose(dots(panel)["y"], printed[name], rtol=1e-12, atol=1e-13)


def test_dots_lie_on_the_curve_that_is_drawn(visit):
    there = visit()
    for state in STATES:
        for panel in there.draw("sigmoid", state)["panels"]:
            curve = next(mark for mark in panel["marks"] if mark["kind"] == "line")
            on_curve = np.interp(dots(panel)["x"], curve["x"], curve["y"])
            np.testing.assert_allclose(on_curve, dots(panel)["y"], atol=5e-3 * np.ptp(curve["y"]))


def test_a_norm_before_brings_values_to_the_line_and_one_after_does_not(visit):
    there = visit()
    before, after = (there.draw("sigmoid", {"place": place}) for place in ("before", "after"))
    raw = np.array(dots(before["panels"][0])["x"])
    np.testing.assert_allclose(
        dots(before["panels"][1])["x"], normalise(raw[:, None], "batch").z[:, 0], rtol=1e-11, atol=1e-13
    )
    slope = sigmoid(raw) * (1 - sigmoid(raw))
    flat = str(int((slope < 0.05).sum()))
    assert [row[4] for row in before["table"]["rows"]][:2] == [flat, "0"] != ["0", "0"]
    assert [row[4] for row in after["table"]["rows"]] == [flat] * 3
    outputs = np.array(dots(after["panels"][1])["y"])
    assert (outputs.mean(), outputs.std()) == pytest.approx((0, 1), abs=1e-3)


def test_undoing_gives_the_raw_values_again_and_hides_gain_and_bias(visit):
    drawn = visit().draw("sigmoid", {"undo": True})
    np.testing.assert_allclose(dots(drawn["panels"][2])["x"], dots(drawn["panels"][0])["x"], rtol=1e-10)
    assert drawn["hidden"] == ["gamma", "beta"]


def test_programs_are_as_ruff_wants_them(visit, tmp_path):
    path, there = tmp_path / "program.py", visit()
    for state in STATES[2:4]:
        path.write_text(there.python("sigmoid", state), encoding="utf-8")
        for verb in (["format", "--check"], ["check"]):
            subprocess.run([sys.executable, "-m", "ruff", *verb, "--isolated", str(path)], check=True)
