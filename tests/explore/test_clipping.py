import numpy as np
import pytest
import torch
from explorer_runs import complaints, run

from thalweg.explore.clipping import by_norm, by_value, turned

GRADIENTS = [(4.5, 0.9), (-3.0, 4.0), (0.2, -0.1), (0.0, 0.0), (-5.0, 0.0), (1.2, 1.3)]


@pytest.mark.parametrize("g", GRADIENTS)
def test_both_clip_as_torch_does(g):
    w = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    w.grad = torch.tensor(g, dtype=torch.float64)
    torch.nn.utils.clip_grad_value_([w], 1.5)
    np.testing.assert_array_equal(by_value(np.array(g), 1.5), w.grad.numpy())
    w.grad = torch.tensor(g, dtype=torch.float64)
    torch.nn.utils.clip_grad_norm_([w], 1.5)
    np.testing.assert_allclose(by_norm(np.array(g), 1.5), w.grad.numpy(), rtol=1e-15)


def test_by_value_turns_and_by_norm_does_not():
    g = np.array([4.5, 0.9])
    assert turned(g, by_value(g, 1.5)) == pytest.approx(np.degrees(np.arctan2(0.9, 1.5) - np.arctan2(0.9, 4.5)))
    assert turned(g, by_norm(g, 1.5)) == pytest.approx(0, abs=1e-12)
    assert turned(np.array([1.0, 0.0]), np.array([-1.0, 1.0])) == pytest.approx(135)
    assert turned(g, np.zeros(2)) == 0
    assert by_norm(g, 1.5, eps=0.0) == pytest.approx(1.5 * g / np.hypot(*g), rel=1e-15)


@pytest.mark.slow
@pytest.mark.parametrize("gradient", GRADIENTS)
def test_the_page_draws_what_the_library_computes(visit, gradient):
    there = visit()
    state = {"gradient": gradient, "limit": 1.5}
    drawn = there.draw("clipping", state)
    expected = {"gradient": gradient, "value": by_value(gradient, 1.5), "norm": by_norm(gradient, 1.5)}
    arrows = [mark["to"] for mark in drawn["panels"][0]["marks"] if mark["kind"] == "arrow"]
    np.testing.assert_allclose(arrows, [*expected.values()], rtol=1e-12)
    np.testing.assert_allclose([row[2:4] for row in drawn["table"]["rows"]], [*expected.values()], rtol=1e-12)
    program = there.python("clipping", state)
    assert complaints(program) == ""
    for name, numbers in run(program).items():
        np.testing.assert_allclose(numbers, expected[name], rtol=1e-12)


@pytest.mark.slow
def test_words_say_what_is_cut(visit):
    there = visit()
    notes = {g: there.draw("clipping", {"gradient": g, "limit": 1.5})["note"] for g in GRADIENTS}
    assert "turns by 19.7°" in notes[4.5, 0.9]
    assert "y goes from 0.9 to 0.294" in notes[4.5, 0.9]
    assert "nothing is cut" in notes[0.2, -0.1]
    assert "only the clip by norm" in notes[1.2, 1.3]


@pytest.mark.slow
def test_the_gradient_is_dragged(visit):
    page = visit("#clipping").page
    handle = page.locator(".handle").first
    handle.focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("() => window.explorer.current.state.gradient[0] < 4.5")
    assert page.evaluate("window.explorer.current.state.gradient[1]") == pytest.approx(0.9, abs=0.02)
