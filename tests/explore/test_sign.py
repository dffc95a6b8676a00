import numpy as np
import pytest
from explorer_runs import complaints, run

from thalweg.explore.descent import descend
from thalweg.rules import SGD, Adam, Lion

pytestmark = pytest.mark.slow

STATES = [
    {},
    {"surface": "valley", "lr": 0.08, "sgd.lr": 0.05, "start": [3.1, -2.2], "steps": 60},
    {"lion.beta1": 0.0, "lion.beta2": 0.5, "lr": 0.03, "steps": 40},
    {"steps": 0},
]


def test_the_page_draws_what_the_library_computes(visit):
    there = visit()
    for state in STATES:
        check(there, state)


def check(there, state):
    panels, program = there.draw("sign", state)["panels"], there.python("sign", state)
    said, lr = run(program), state.get("lr", 0.15)
    betas = {"beta1": state.get("lion.beta1", 0.9), "beta2": state.get("lion.beta2", 0.99)}
    settings = {
        "sgd": (SGD, {"lr": state.get("sgd.lr", 0.03)}),
        "adam": (Adam, {"lr": lr}),
        "lion": (Lion, {"lr": lr, **betas}),
    }
    lines = [[mark for mark in panel["marks"] if mark["kind"] == "line"] for panel in (panels[0], panels[2])]
    for (label, (rule, own)), path, distance in zip(settings.items(), *lines, strict=True):
        there_is = descend(
            rule,
            state.get("surface", "ellipse"),
            tuple(state.get("start", (-2.57, 1.84))),
            state.get("steps", 100),
            **own,
        )
        np.testing.assert_allclose([path["x"], path["y"]], there_is.weights.T, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(distance["y"], np.hypot(*there_is.weights.T), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(said[label], there_is.weights[-1], rtol=1e-9, atol=1e-12)


def test_lion_steps_to_the_corners_of_a_square_and_adam_within_it(visit):
    marks = visit().draw("sign")["panels"][1]["marks"]
    adam, corners = (mark for mark in marks if mark["kind"] == "dots")
    assert {*zip(corners["x"], corners["y"], strict=True)} == {(1, 1), (1, -1), (-1, 1), (-1, -1)}
    assert np.abs([adam["x"], adam["y"]]).max() <= 1
    assert np.abs([adam["x"], adam["y"]]).min() < 0.01
    arrows = {tuple(np.abs(mark["to"]).round(9)) for mark in marks if mark["kind"] == "arrow"}
    assert (1, 1) in arrows


@pytest.mark.parametrize("lr", [0.15, 0.05])
def test_lion_circles_at_a_distance_of_about_the_learning_rate(visit, lr):
    panel = visit().draw("sign", {"lr": lr, "steps": 300})["panels"][2]
    *_, adam, lion = (np.array(mark["y"]) for mark in panel["marks"] if mark["kind"] == "line")
    assert 0.2 * lr < lion[-100:].max() < 3 * lr
    assert adam[-1] < 0.01 * lr


def test_the_program_is_as_ruff_wants_it(visit):
    assert complaints(visit().python("sign", STATES[1])) == ""
