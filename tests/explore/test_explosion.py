import numpy as np
import pytest
from explorer_runs import complaints, run

from thalweg.explore.descent import descend
from thalweg.rules import SGD

pytestmark = pytest.mark.slow

STATES = [(1.05, 1.0, 2.4, 30), (1.05, 0.3, -3.0, 60), (0.3, 2.0, 6.0, 20), (1.5, 5.0, 1.5, 12)]


@pytest.mark.parametrize(("lr", "limit", "start", "steps"), STATES)
def test_the_page_draws_what_the_library_computes(visit, lr, limit, start, steps):
    there = visit()
    state = {"sgd.lr": lr, "limit": limit, "start": [start], "steps": steps}
    marks = there.draw("explosion", state)["panels"][0]["marks"]
    program = there.python("explosion", state)
    assert complaints(program) == ""
    ends = run(program)
    for name, line, clip in (("free", marks[0], {}), ("clipped", marks[2], {"clip_norm": limit})):
        path = descend(SGD, "shifted", (start,), steps, lr=lr, **clip)
        # Each step multiplies what was rounded too.
        np.testing.assert_allclose(line["x"], path.weights[:, 0], rtol=1e-9)
        np.testing.assert_allclose(line["y"], path.losses, rtol=1e-9)
        np.testing.assert_allclose(ends[name], path.weights[-1], rtol=1e-9)


def test_at_first_one_diverges_and_the_other_circles(visit):
    drawn = visit().draw("explosion")
    free, clipped = (np.array(drawn["panels"][1]["marks"][index]["y"]) for index in (1, 3))
    distance = np.abs(free - 1)
    np.testing.assert_allclose(distance[1:] / distance[:-1], 1.1, rtol=1e-12)
    late = clipped[10:]
    assert (np.abs(late - 1) > 0.45).all()
    # What the note says: (lr - 1/2) * limit.
    assert (np.abs(late - 1) < 0.55 + 1e-5).all()
    assert (np.sign(late[1:] - 1) == -np.sign(late[:-1] - 1)).all()
    assert "0.55" in drawn["note"]


@pytest.mark.parametrize(("lr", "says"), [(1.2, "multiplies"), (1.0, "to and fro"), (0.4, "both converge")])
def test_words_say_what_happens(visit, lr, says):
    assert says in visit().draw("explosion", {"sgd.lr": lr})["note"]
