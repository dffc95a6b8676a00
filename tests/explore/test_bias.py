import itertools

import numpy as np
import pytest
from explorer_runs import complaints, run

from thalweg.explore.chance import normal

pytestmark = pytest.mark.slow

STATES = [
    {},
    {"beta1": 0.5, "beta2": 0.95, "noise": 2.0, "seed": 3, "steps": 60},
    {"beta1": 0.0, "steps": 30, "noise": 0.0},
    {"gradients": "rare", "steps": 1100},
    {"steps": 1},
]


def gradients(state):
    drawn = 1 + state.get("noise", 0.3) * np.array(
        [*itertools.islice(normal(state.get("seed", 0)), state.get("steps", 100))]
    )
    if state.get("gradients") == "rare":
        drawn[np.arange(len(drawn)) != 999] *= 0.01
    return drawn


def averages(values, beta):
    """The exponential moving average as a sum over the past, not step by step."""
    powers = beta ** np.arange(len(values)) if beta else np.eye(1, len(values))[0]
    return (1 - beta) * np.convolve(values, powers)[: len(values)]


def test_the_page_draws_averages_and_steps(visit):
    there = visit()
    for state in STATES:
        check(there, state)


def check(there, state):
    panels, program = there.draw("bias", state)["panels"], there.python("bias", state)
    g, beta1, beta2 = gradients(state), state.get("beta1", 0.9), state.get("beta2", 0.999)
    t = np.arange(1, len(g) + 1)
    m, v = averages(g, beta1), averages(g**2, beta2)
    hats = m / (1 - beta1**t), v / (1 - beta2**t)
    for panel, raw, hat in zip(panels, (m, v), hats, strict=False):
        lines = [mark["y"] for mark in panel["marks"] if mark["kind"] == "line"]
        # Sums in another order.
        np.testing.assert_allclose(lines, [raw, hat], rtol=1e-9)
    plain, adam = (mark["y"] for mark in panels[2]["marks"] if mark["kind"] == "line")
    sizes = [abs(mean) / (np.sqrt(square) + 1e-8) for mean, square in (hats, (m, v))]
    # A step is w before minus w after, so it has the absolute error of a weight.
    np.testing.assert_allclose([adam, plain], sizes, rtol=1e-9)
    for (label, said), shown in zip(run(program).items(), (adam, plain), strict=True):
        assert said[:2] == pytest.approx([m[-1], v[-1]], rel=1e-9), label
        assert said[2:] == pytest.approx([shown[-1], max(shown)], rel=1e-9), label


def test_with_the_correction_the_step_is_at_most_about_the_learning_rate(visit):
    there = visit()

    def longest(state):
        plain, adam = (max(m["y"]) for m in there.draw("bias", state)["panels"][2]["marks"] if m["kind"] == "line")
        return adam, plain

    for noise in (0.0, 0.3, 1.0, 3.0):
        adam, plain = longest({"noise": noise})
        assert adam < 1.2
        assert plain > 1.2 * adam
    adam, _ = longest({"gradients": "rare", "steps": 1200})
    assert 2 < adam < (1 - 0.9) / np.sqrt(1 - 0.999)


def test_the_sequences_are_chosen_with_their_steps(visit):
    there = visit("#bias")
    there.page.select_option("#control-gradients", "rare")
    there.page.locator("#note", has_text="100 times the others").wait_for()
    assert there.said == []


def test_the_program_is_as_ruff_wants_it(visit):
    assert complaints(visit().python("bias", STATES[1])) == ""
