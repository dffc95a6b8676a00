import numpy as np
import pytest
from explorer_runs import complaints, run

from thalweg.explore.descent import descend
from thalweg.rules import SGD, Adagrad

pytestmark = pytest.mark.slow

STATES = [
    {},
    {"adagrad.lr": 2.5, "sgd.lr": 0.3, "steps": 25, "first": [1.5, -0.7], "second": [-3.0, 0.0]},
    {"steps": 0},
]


def test_the_page_draws_what_the_library_computes(visit):
    there = visit()
    for state in STATES:
        check(there, state)


def check(there, state):
    drawn, program = there.draw("adagrad", state), there.python("adagrad", state)
    said, steps = run(program), state.get("steps", 10)
    starts = {"first": state.get("first", (-2.0, 2.0)), "second": state.get("second", (2.8, 1.4))}
    rules = {"adagrad": (Adagrad, state.get("adagrad.lr", 0.8)), "sgd": (SGD, state.get("sgd.lr", 0.08))}
    for (label, (rule, lr)), panel in zip(rules.items(), drawn["panels"], strict=False):
        lines = [mark for mark in panel["marks"] if mark["kind"] == "line"]
        for (name, start), line in zip(starts.items(), lines, strict=True):
            path = descend(rule, "ellipse", tuple(start), steps, lr=lr)
            np.testing.assert_allclose([line["x"], line["y"]], path.weights.T, rtol=1e-12, atol=1e-15)
            np.testing.assert_allclose(said[f"{label} {name}"], path.weights[-1], rtol=1e-12, atol=1e-15)


def test_from_the_diagonal_adagrad_leaves_the_same_of_x_and_y(visit):
    panels = visit().draw("adagrad")["panels"]
    (ax, ay), (sx, sy) = ([mark["y"] for mark in panel["marks"] if mark["kind"] == "line"] for panel in panels[2:])
    # Only eps tells the coordinates apart.
    np.testing.assert_allclose(ax, ay, rtol=1e-9)
    assert sy[-1] < 0.01 < 0.1 < sx[-1]


def test_a_coordinate_that_begins_at_the_minimum_has_no_share(visit):
    there = visit("#adagrad?second=2,0&first=0,2")
    assert there.said == []
    there.page.wait_for_selector("#readout td")
    assert "–" in there.page.inner_text("#readout")


def test_the_program_is_as_ruff_wants_it(visit):
    assert complaints(visit().python("adagrad", STATES[1])) == ""
