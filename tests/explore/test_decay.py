import numpy as np
import pytest
from explorer_runs import complaints, run

from thalweg.explore.decay import l2_share
from thalweg.explore.descent import descend
from thalweg.rules import SGD, Adam, Momentum

RULES = {"sgd": SGD, "momentum": Momentum, "adam": Adam}
KINDS = ("l2", "decoupled")
STATES = [{}, {"lambda": 2.0, "start": [3.0, 2.5], "steps": 300, "adam.lr": 0.2}, {"lambda": 0.03, "steps": 40}]


def test_the_share_is_what_l2_takes_off_in_a_long_step_of_adam():
    # With a constant gradient v is its square, so that a step is lr * (g + l2) / |g|.
    g, weight_decay = 3.0, 1e-3
    assert l2_share(g**2 * (1 - 0.999**50), 50, 0.1, 0.999, 0.0, weight_decay) == pytest.approx(0.1 * weight_decay / g)
    assert l2_share(np.array([1.0, 400.0]), 10**6, 0.1, 0.999, 0.0, 0.5) == pytest.approx([0.05, 0.0025])


@pytest.mark.slow
@pytest.mark.parametrize("changes", STATES)
def test_the_page_draws_what_the_library_computes(visit, changes):
    there = visit()
    drawn = there.draw("decay", changes)
    settings = {
        "lambda": 0.5,
        "steps": 200,
        "start": (-1.0, -0.5),
        "sgd.lr": 0.02,
        "momentum.lr": 0.05,
        "adam.lr": 0.05,
    }
    settings |= changes
    program = there.python("decay", changes)
    assert complaints(program) == ""
    ends = run(program)
    for panel, (label, rule) in zip(drawn["panels"], RULES.items(), strict=False):
        for line, kind in zip(panel["marks"], KINDS, strict=False):
            path = descend(
                rule, "apart", settings["start"], settings["steps"], decay=kind,
                lr=settings[f"{label}.lr"], weight_decay=settings["lambda"],
            )  # fmt: skip
            np.testing.assert_allclose(np.stack([line["x"], line["y"]], 1), path.weights, rtol=1e-12, atol=1e-14)
            np.testing.assert_allclose(ends[f"{label}-{kind}"], path.weights[-1], rtol=1e-12)
    shares = drawn["panels"][3]["marks"]
    v = descend(Adam, "apart", settings["start"], settings["steps"], decay="l2",
                lr=settings["adam.lr"], weight_decay=settings["lambda"]).last.states["v"].numpy()  # fmt: skip
    expected = l2_share(v, settings["steps"], settings["adam.lr"], 0.999, 1e-8, settings["lambda"])
    np.testing.assert_allclose([shares[1]["y"][-1], shares[2]["y"][-1]], expected, rtol=1e-12)


@pytest.mark.slow
def test_the_point_is_made_at_first_sight(visit):
    panels = visit().draw("decay")["panels"]

    def paths(index):
        return [np.stack([line["x"], line["y"]], 1) for line in panels[index]["marks"][:2]]

    (sgd, sgd_too), (momentum, momentum_too), (adam, adam_too) = (paths(index) for index in range(3))
    np.testing.assert_allclose(sgd, sgd_too, atol=1e-14)
    assert np.abs(momentum - momentum_too).max() > 0.1
    np.testing.assert_allclose(momentum[-1], momentum_too[-1], atol=1e-3)
    assert np.abs(adam[-1] - adam_too[-1]).max() > 0.3
