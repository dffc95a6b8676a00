import numpy as np
import pytest
from explorer_runs import run

from thalweg.explore.descent import descend
from thalweg.rules import SGD

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("lr", "start", "steps"), [(0.1, 2.5, 15), (0.03, -3.0, 40), (0.7, 1.0, 20), (1.1, 2.0, 12)])
def test_the_page_draws_what_the_library_computes(visit, lr, start, steps):
    state = {"sgd.lr": lr, "start": [start], "steps": steps}
    there = visit()
    line = there.draw("descent", state)["panels"][0]["marks"][0]
    path = descend(SGD, "parabola", (start,), steps, lr=lr)
    np.testing.assert_allclose(line["x"], path.weights[:, 0], rtol=1e-12)
    np.testing.assert_allclose(line["y"], path.losses, rtol=1e-12)
    np.testing.assert_allclose(run(there.python("descent", state))["SGD"], path.weights[-1], rtol=1e-12)
