"""What claims about regularisation measure, against numbers worked out by hand."""

from math import degrees, exp, inf, log, pi, sqrt

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.optimize import brentq

from thalweg.claims import claim
from thalweg.claims.claim import Seeds
from thalweg.claims.experiments.paths import path
from thalweg.claims.experiments.training import _Order
from thalweg.claims.regularisation.clipping_by_value_turns import angle, by_norm, by_value
from thalweg.claims.regularisation.decay_separates_from_lr import vertex


def values_of(name, count):
    one = claim(name)
    seeds = one.seeds_of(0)
    return one.measure(Seeds(seeds.judged[:count], seeds.tuning)).values


@pytest.mark.parametrize(
    ("kind", "after"), [("l2", [1, 0.995, 0.985525]), ("decoupled", [1, 0.95, 0.9025])], ids=["l2", "decoupled"]
)
def test_momentum_propagates_l2(kind, after):
    """Without a gradient, lr = 0.5, λ = 0.1: v = 0.1 · 0.1 = 0.01, then 0.9 · 0.01 + 0.1 · 0.0995 = 0.01895."""
    walk = path(
        "momentum", torch.ones(1), torch.zeros_like, steps=2, lr=0.5, momentum=0.9, weight_decay=0.1, decay=kind
    )
    assert walk[:, 0].tolist() == pytest.approx(after, rel=1e-12)


def test_a_clipped_descent_at_the_slides_rate_ends_going_to_and_fro():
    """From 0.4 times -1.1 until 0.5 is passed; from there to and fro by lr α = 1.05."""
    walk = path("sgd", torch.tensor([1.4]), lambda x: 2 * (x - 1), steps=5, lr=1.05, clip_norm=1.0, clip_eps=0.0)
    assert (walk[:, 0] - 1).tolist() == pytest.approx([0.4, -0.44, 0.484, -0.5324, 0.5176, -0.5324], rel=1e-6)


def test_where_descents_on_the_slides_parabola_end():
    bounded = values_of("clipped-stays-bounded", 8)
    assert bounded["growth"] == pytest.approx([1.1**100] * 8, rel=1e-9)
    assert all(0.525 <= band <= 0.55 for band in bounded["band"])
    # Half of lr α, whatever the start.
    assert values_of("clipped-converges", 8)["distance"] == pytest.approx([0.525] * 8, rel=1e-9)


def test_clipping_four_and_three():
    """By value at 3 it is (3, 3), at 45 degrees in place of 36.87; by norm as short, where it was."""
    g, kept = np.array([4.0, 3.0]), sqrt(18) / 5
    assert by_value(g, kept) == pytest.approx([3, 3])
    assert angle(g, by_value(g, kept)) == pytest.approx(45 - degrees(np.arctan(0.75)))
    assert by_norm(g, kept) == pytest.approx(g * kept)
    assert angle(g, by_norm(g, kept)) < 1e-13
    assert angle(np.array([1.0, 0.0]), np.array([0.0, -2.0])) == pytest.approx(90)


def test_how_far_clipping_by_value_turns_normal_coordinates():
    """The limit that halves the norm, and the cosine, from moments of the normal distribution."""

    def density(x):
        return exp(-(x**2) / 2) / sqrt(2 * pi)

    def moment(power, limit):
        """The mean of |x|^(2 - power) min(|x|, limit)^power."""
        within = quad(lambda x: x**2 * density(x), 0, limit)[0]
        beyond = quad(lambda x: x ** (2 - power) * limit**power * density(x), limit, inf)[0]
        return 2 * (within + beyond)

    limit = brentq(lambda limit: moment(2, limit) - 0.25, 0.1, 3)
    by_theory = degrees(np.arccos(moment(1, limit) / 0.5))
    assert np.mean(values_of("clipping-by-value-turns", 12)["random"]) == pytest.approx(by_theory, abs=0.5)


def test_how_much_clipping_by_norm_leaves_the_others():
    """The steep coordinate comes down from x by lr α a step: of their way the others go 1 - (x / (x - 0.9))^(-1/100).

    Without clipping they go 1 - 0.985^60; x is from 1 to 2.
    """
    most, least = (1 - exp(-log(x / (x - 0.9)) / 100) for x in (1, 2))
    values = values_of("clipping-by-norm-starves", 12)
    whole = 1 - 0.985**60
    assert all(0.95 * least / whole <= value <= 1.05 * most / whole for value in values["starved"])
    assert values["unhindered"] == pytest.approx([1] * 12, rel=1e-12)


def test_a_convex_losss_gradient_grows_no_faster_than_its_steepest_direction():
    """Which is multiplied by 1 - 2.1 each step, and makes up most of the gradient in the beginning."""
    growth = values_of("explosion-needs-non-convexity", 4)["growth"]
    assert all(0.5 * 1.1**100 < each < 1.1**100 for each in growth)


def test_a_gradient_grows_with_depth_as_weights_do():
    """By the factor that weights are larger than those of He et al. 2015."""
    values = values_of("gradients-explode-with-depth", 4)
    assert np.mean(values["growth"]) == pytest.approx(1.5, abs=0.1)
    assert np.mean(values["critical"]) == pytest.approx(1.0, abs=0.1)


def test_a_parabolas_vertex():
    x = (-1.0, -0.5, 0.0, 0.5, 1.0)
    assert vertex(x, np.array([(each - 0.2) ** 2 for each in x])) == pytest.approx(0.2)
    # Beyond the values it is not looked for.
    assert vertex(x, np.array([each + 2 for each in x])) == -1


def test_wrong_labels():
    """Two of twenty that are trained on, and none of the others; another class, and the same each time."""
    classes = torch.arange(10).repeat(10)
    order = _Order(len(classes), 20, seed=3)
    changed = order.mislabelled(classes, 0.1)
    assert (changed != classes).sum() == (changed[order.kept] != classes[order.kept]).sum() == 2
    assert torch.equal(changed, _Order(len(classes), 20, seed=3).mislabelled(classes, 0.1))
    assert torch.equal(order.mislabelled(classes, 0.0), classes)
