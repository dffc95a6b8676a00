"""Singular values through Newton-Schulz: the page, the library's steps on matrices, and LAPACK's singular values."""

import numpy as np
import pytest
import torch
from explorer_runs import complaints, run

from thalweg.explore.orthogonalising import REFUSED
from thalweg.formula.torch_reader import begin, step, values_of
from thalweg.rules import Muon
from thalweg.rules.orthogonalising import LISTS, uphill

VALUES = np.array([1.0, 0.3, 0.1, 0.03, 0.01])
# Directions, the same in every run.
LEFT, RIGHT = (np.linalg.qr(np.random.default_rng(seed).normal(size=(5, 5)))[0] for seed in (0, 1))


def orthogonalised(name, values=VALUES):
    """What a step of the library's Muon takes off a matrix whose gradient has these singular values."""
    settings = values_of(Muon, lr=1.0, momentum=0.0, coefficients=LISTS[name], scale="none", gram=False)
    now = begin(Muon, torch.zeros(5, 5, dtype=torch.float64), settings)
    gradient = torch.from_numpy(LEFT @ np.diag(values) @ RIGHT)
    return -step(Muon, now, gradient, settings).weight.numpy()


def polynomial(value, entries):
    for a, b, c in entries:
        value = a * value + b * value**3 + c * value**5
    return value


def test_the_list_that_is_shown_as_refused_is_refused() -> None:
    assert "up the gradient" in uphill(REFUSED)
    assert all(uphill(entries) is None for entries in LISTS.values())
    assert polynomial(1.0, REFUSED) == pytest.approx(-0.9935, abs=1e-4)


@pytest.mark.slow
def test_the_page_draws_what_the_library_makes_of_matrices(visit):
    there = visit()
    begun = VALUES / (1.02 * np.linalg.norm(VALUES) + 1e-6)
    for name, entries in LISTS.items():
        panels = there.draw("singular", {"list": name, "steps": len(entries)})["panels"]
        lines = [mark for mark in panels[0]["marks"] if mark["kind"] == "line"]
        ends = [line["y"][-1] for line in lines]
        made = orthogonalised(name)
        np.testing.assert_allclose(sorted(ends), np.linalg.svd(made)[1][::-1], rtol=1e-10, err_msg=name)
        # Along its own directions, so that signs count too.
        np.testing.assert_allclose(ends, np.diag(LEFT.T @ made @ RIGHT.T), rtol=1e-10, err_msg=name)
        curve = panels[1]["under"][1]
        np.testing.assert_allclose(curve["y"], polynomial(np.array(curve["x"]), entries), rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose([line["y"][:2] for line in lines], np.stack([VALUES, begun], 1), rtol=1e-12)
    state = {"list": "cans", "steps": 3, "values": [0.9, 0.02, 0.5, 0.0004, 0.07]}
    drawn, program = there.draw("singular", state), there.python("singular", state)
    assert complaints(program) == ""
    said = run(program)
    np.testing.assert_allclose(said["cans"], [row[4] for row in drawn["table"]["rows"]], rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(said["refused"], [row[5] for row in drawn["table"]["rows"]], rtol=1e-10, atol=1e-13)
    # It says which value the refused list takes up the gradient.
    assert "takes 0.934 to −0.988" in there.draw("singular")["note"]
    assert "takes 1 to −0.994" in there.draw("singular", {"values": [0.5, 0.5, 0.5, 0.5, 0.5]})["note"]
    assert "aol" not in there.draw("singular", {"steps": 0})["note"]
