import numpy as np
import pytest
from explorer_runs import complaints, run

from thalweg.explore.descent import descend
from thalweg.rules import NAG, SGD, Momentum

pytestmark = pytest.mark.slow

STATES = [
    {},
    {"velocity": "sum", "lr": 0.05, "momentum": 0.6, "steps": 40, "start": [3.0, -2.0]},
    {"lr": 0.31, "momentum": 0.873, "steps": 8},
    {"lr": 0.12, "momentum": 0.01, "steps": 20},
    {"steps": 0},
]


def paths(state):
    """The paths that the library takes where the figure is in this state."""
    lr, gamma = state.get("lr", 0.2), state.get("momentum", 0.9)
    start, steps = tuple(state.get("start", (-4.5, 1.8))), state.get("steps", 60)
    average = state.get("velocity", "average") == "average"
    # What of a gradient enters at once.
    share, own = lr * (1 - gamma) if average else lr, {"heavy_ball": not average}
    return [
        descend(rule, "valley", start, steps, **settings)
        for rule, settings in (
            (SGD, {"lr": share}),
            (Momentum, {"lr": lr, "momentum": gamma, **own}),
            (NAG, {"lr": share, "momentum": gamma}),
        )
    ]


def test_the_page_draws_what_the_library_computes(visit):
    there = visit()
    for state in STATES:
        check(there, state)


def check(there, state):
    drawn, program = there.draw("momentum", state), there.python("momentum", state)
    lines = [mark for mark in drawn["panels"][0]["marks"] if mark["kind"] == "line"]
    for line, along, loss, path, said in zip(
        lines,
        [mark for mark in drawn["panels"][1]["marks"] if mark["kind"] == "line"],
        drawn["panels"][2]["marks"],
        paths(state),
        run(program).values(),
        strict=True,
    ):
        np.testing.assert_allclose([line["x"], line["y"]], path.weights.T, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(along["y"], path.weights[:, 0], rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(loss["y"], path.losses, rtol=1e-12, atol=1e-25)
        np.testing.assert_allclose(said, path.weights[-1], rtol=1e-12, atol=1e-15)


def test_it_says_where_momentum_turns_back(visit):
    there = visit()
    x = paths({})[1].weights[:, 0]
    past = int(np.argmax(x > 0))
    back = past + int(np.argmax(np.diff(x[past:]) < 0))
    assert (
        f"minimum at step {past} and turns back at step {back}, at x = {x[back]:.3g}" in there.draw("momentum")["note"]
    )
    assert "not turned back" in there.draw("momentum", {"steps": back})["note"]
    assert "turns back" in there.draw("momentum", {"steps": back + 1})["note"]


def test_as_an_average_the_path_is_that_of_the_sum_at_a_larger_rate(visit):
    there = visit()
    lines = [
        [each["y"] for each in there.draw("momentum", state)["panels"][1]["marks"] if each["kind"] == "line"]
        for state in ({"velocity": "sum", "lr": 0.02, "momentum": 0.9}, {"lr": 0.2, "momentum": 0.9})
    ]
    np.testing.assert_allclose(*lines, rtol=1e-9, atol=1e-12)


def test_the_program_is_as_ruff_wants_it(visit):
    assert complaints(visit().python("momentum", STATES[1])) == ""
