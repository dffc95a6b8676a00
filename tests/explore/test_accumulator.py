import numpy as np
import pytest
from explorer_runs import complaints, run

from thalweg.explore.descent import descend
from thalweg.rules import Adagrad, RMSprop

pytestmark = pytest.mark.slow

RULES = {"adagrad": (Adagrad, "sum"), "rmsprop": (RMSprop, "square_avg")}
STATES = [
    {},
    {"surface": "noisy", "lr": 0.2, "rmsprop.alpha": 0.99, "seed": 7, "steps": 120, "start": [4.0, -1.0]},
    {"surface": "ellipse", "lr": 0.3, "steps": 40},
    {"steps": 1},
]


def test_the_page_draws_what_the_library_computes(visit):
    there = visit()
    for state in STATES:
        check(there, state)


def check(there, state):
    panels, program = there.draw("accumulator", state)["panels"], there.python("accumulator", state)
    said = run(program)
    surface, lr, steps = state.get("surface", "noisy"), state.get("lr", 0.05), state.get("steps", 300)
    for i, (label, (rule, _)) in enumerate(RULES.items()):
        own = {"lr": lr} if label == "adagrad" else {"lr": lr, "alpha": state.get("rmsprop.alpha", 0.9)}
        path = descend(rule, surface, tuple(state.get("start", (-3.0, 1.8))), steps, seed=state.get("seed", 0), **own)
        line = [mark for mark in panels[2]["marks"] if mark["kind"] == "line"][i]
        # A small accumulator under a root, and a division by it, enlarge the last bits of cosines and logarithms.
        np.testing.assert_allclose([line["x"], line["y"]], path.weights.T, rtol=1e-9, atol=1e-12)
        kept = next(iter(path.last.states.values())).numpy()
        norms, rates = panels[0]["marks"][i]["y"], panels[1]["marks"][i]["y"]
        assert len(norms) == len(rates) == steps
        assert norms[-1] == pytest.approx(np.hypot(*kept), rel=1e-9)
        assert rates[-1] == pytest.approx(lr / (np.sqrt(kept[0]) + own.get("eps", 1e-8)), rel=1e-6)
        np.testing.assert_allclose(said[label], [*path.weights[-1], *kept], rtol=1e-9, atol=1e-12)


def test_only_rmsprops_accumulator_decreases_and_adagrads_rate_falls_as_one_over_root_t(visit):
    panels = visit().draw("accumulator", {"steps": 500})["panels"]
    adagrad, rmsprop = (np.array(mark["y"]) for mark in panels[0]["marks"])
    assert (np.diff(adagrad) > 0).all()
    assert 0.4 < (np.diff(rmsprop) < 0).mean() < 0.9
    rates = np.array(panels[1]["marks"][0]["y"])
    assert rates[-1] < 0.05 * rates[0]
    assert rmsprop[-100:].max() < rmsprop[:20].max()


def test_without_a_step_nothing_is_accumulated(visit):
    there = visit()
    assert "0" in there.draw("accumulator", {"steps": 0})["note"]
    assert set(run(there.python("accumulator", {"steps": 0}))["adagrad"]) == {-3.0, 1.8}


def test_the_program_is_as_ruff_wants_it(visit):
    assert complaints(visit().python("accumulator", STATES[1])) == ""
