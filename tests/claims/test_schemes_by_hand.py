"""What claims about schemes measure, against numbers worked out by hand."""

from math import ceil, log, sqrt

import numpy as np
import pytest
import torch

from thalweg.claims import claim
from thalweg.claims.experiments.paths import path
from thalweg.claims.experiments.valleys import DESCENT, STEPS, Valleys, ratio


def measured(name):
    one = claim(name)
    seeds = one.seeds_of(0)
    return seeds, one.measure(seeds)


@pytest.mark.parametrize("momentum", [0.5, 0.9])
def test_momentum_passes_the_minimum_from_its_critical_rate_on(momentum):
    """The roots of r^2 - (1 + γ - (1 - γ) lr h) r + γ are real up to lr h = (1 - sqrt γ) / (1 + sqrt γ)."""
    critical = (1 - sqrt(momentum)) / (1 + sqrt(momentum))
    curvature = torch.tensor([0.9 * critical, 1.1 * critical], dtype=torch.float64)
    walk = path("momentum", torch.ones(2), lambda x: curvature * x, steps=1000, lr=1.0, momentum=momentum)
    assert (walk < 0).any(0).tolist() == [False, True]


def test_how_often_momentum_overshoots():
    """By more than 1% where exp(-π ζ / sqrt(1 - ζ²)) > 0.01: from lr h = 0.0366 on, 72% of the logarithms."""
    _, measurement = measured("momentum-overshoots")
    assert np.mean(measurement.values["momentum"]) == pytest.approx(log(1 / 0.0366) / log(100), abs=0.05)


def test_how_far_momentum_overshoots():
    """From 1 with lr h = 1 and γ = 0.5: v = 0.5, 0.5, 0.25, 0, so x = 0.5, 0, -0.25, -0.25, then back."""
    _, measurement = measured("momentum-smaller-rate")
    farthest, arrival = measurement.figure
    assert [curve.name.fr for curve in farthest.curves][:2] == ["momentum 0,5", "momentum 0,9"]
    assert farthest.curves[0].x[-1] == 1
    assert farthest.curves[0].y[-1] == pytest.approx(0.25)
    assert farthest.curves[0].y[0] == 0
    assert all(len(curve.y) == len(curve.x) for curve in (*farthest.curves, *arrival.curves))


def test_adagrads_path():
    """From 2 on x²: gradients 4, 2.4; g = 16, 21.76; and the same path on 3 x²."""
    scale = torch.tensor([2.0, 6.0], dtype=torch.float64)
    walk = path("adagrad", torch.tensor([2.0, 2.0]), lambda x: scale * x, steps=2, lr=0.8)
    assert walk[:, 0].tolist() == pytest.approx([2, 1.2, 1.2 - 0.8 * 2.4 / sqrt(21.76)], rel=1e-9)
    assert walk[:, 1].tolist() == pytest.approx(walk[:, 0].tolist(), rel=1e-9)


@pytest.mark.parametrize("turned", [False, True])
def test_descent_in_valleys_does_not_see_how_they_are_turned(turned):
    """A step leaves 1 - 2 lr curvature of each direction: a half of the steep, 1 - 1 / (2 κ) of the flat."""
    valleys = Valleys.drawn(range(20), turned=turned)
    assert bool((valleys.angle > 0.1).any()) == turned
    expected = (1 - 0.5 / valleys.condition) ** STEPS / 0.5**STEPS
    assert ratio(valleys.left("sgd", lr=DESCENT)) == pytest.approx(expected.tolist(), rel=1e-9)


def test_adagrad_is_uniform_in_valleys_along_the_coordinates_alone():
    """A valley and the same one turned by 90 degrees; at 45 the coordinates' gradients are of one size."""
    drawn = Valleys.drawn(range(4))
    along = ratio(drawn.left("adagrad", lr=0.8))

    def turned(angle):
        return ratio(Valleys(drawn.condition, drawn.angle + angle, drawn.starts).left("adagrad", lr=0.8))

    assert turned(torch.pi / 2) == pytest.approx(along, rel=1e-6)
    assert min(turned(torch.pi / 4)) > 1.25 > max(along)


def test_rmsprops_memory():
    """αᵗ falls to 1/e at t = -1 / ln α."""
    _, measurement = measured("rmsprop-memory")
    dots = measurement.figure[1].curves[0]
    for memory, steps in zip(dots.x, dots.y, strict=True):
        exact = ceil(-1 / log(1 - 1 / memory))
        assert steps == pytest.approx(exact, rel=0.03, abs=1)
    assert measurement.values["ratio"] == pytest.approx([n / memory for n, memory in zip(dots.y, dots.x, strict=True)])
