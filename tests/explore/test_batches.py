from itertools import islice

import numpy as np
import pytest
from explorer_runs import complaints, run

from thalweg.explore.regression import COUNT, batches, fit, points, squared_error

SIZES = {"full": COUNT, "mini": 6, "one": 1}


def test_an_epoch_reads_every_example_once():
    found = list(islice(batches(8, seed=4), 8))
    assert [len(batch) for batch in found] == [8, 8, 8, 6] * 2
    epochs = [[i for batch in found[first : first + 4] for i in batch] for first in (0, 4)]
    assert [sorted(epoch) for epoch in epochs] == [[*range(COUNT)]] * 2
    assert epochs[0] != epochs[1]


def test_orders_of_three_are_equally_likely():
    found = [tuple(order) for order in islice(batches(3, seed=1, count=3), 6000)]
    counts = [found.count(order) for order in set(found)]
    assert len(counts) == 6
    # Six standard deviations of a binomial number around 1000.
    assert all(abs(count - 1000) < 6 * np.sqrt(6000 * 1 / 6 * 5 / 6) for count in counts)


def test_the_full_batch_goes_straight_to_least_squares():
    x, y = points(0.6)
    path = fit(x, y, COUNT, 400, lr=0.1, start=(-1.5, -1.0))
    slope, intercept = np.polyfit(x, y, 1)
    np.testing.assert_allclose(path[-1], [intercept, slope], rtol=1e-9)
    losses = [np.mean(squared_error(a, b, x, y)) for a, b in path[:60]]
    assert (np.diff(losses) < 0).all()


def test_one_example_wanders_farther_than_six():
    x, y = points(0.6)
    slope, intercept = np.polyfit(x, y, 1)

    def wandering(size):
        late = fit(x, y, size, 400, lr=0.1, start=(intercept, slope))[50:]
        return np.square(late - [intercept, slope]).sum(1).mean()

    assert wandering(1) > 2 * wandering(6) > 4 * wandering(15) > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes", [{}, {"size": 8, "seed": 5, "noise": 1.2, "sgd.lr": 0.2, "start": [3, 3], "steps": 90}]
)
def test_the_page_draws_what_the_library_computes(visit, changes):
    there = visit()
    state = {"size": 6, "seed": 0, "noise": 0.6, "sgd.lr": 0.1, "start": (-1.5, -1.0), "steps": 60} | changes
    drawn = there.draw("batches", changes)
    plane, fitted, _, by_examples = drawn["panels"]
    x, y = points(state["noise"])
    np.testing.assert_allclose([fitted["marks"][0]["x"], fitted["marks"][0]["y"]], [x, y], rtol=1e-12)
    program = there.python("batches", changes)
    assert complaints(program) == ""
    ends = run(program)
    lines = [mark for mark in plane["marks"] if mark["kind"] == "line"][::-1]
    for (name, size), line, loss in zip(
        {**SIZES, "mini": state["size"]}.items(), lines, by_examples["marks"], strict=True
    ):
        path = fit(x, y, size, state["steps"], lr=state["sgd.lr"], start=state["start"], seed=state["seed"])
        # Sums over a batch are taken in another order.
        np.testing.assert_allclose(np.stack([line["x"], line["y"]], 1), path, rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(ends[name], path[-1], rtol=1e-10)
        read = np.cumsum([len(batch) for batch in islice(batches(size, state["seed"]), state["steps"])])
        assert loss["x"][1:] == read.tolist()


@pytest.mark.slow
def test_the_full_batch_is_best_by_steps_and_worst_by_examples(visit):
    drawn = visit().draw("batches")
    losses = {name: mark["y"] for name, mark in zip(SIZES, drawn["panels"][2]["marks"], strict=True)}
    assert losses["full"][-1] < losses["mini"][-1] < losses["one"][-1]
    read = {name: mark["x"] for name, mark in zip(SIZES, drawn["panels"][3]["marks"], strict=True)}
    needed = {name: read[name][np.argmax(np.array(losses[name]) < 0.1)] for name in SIZES}
    assert needed["one"] < needed["mini"] < needed["full"]
    assert f"{needed['full']}, {needed['mini']} and {needed['one']} examples" in drawn["note"]
