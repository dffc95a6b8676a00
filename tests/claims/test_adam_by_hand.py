"""What claims about Adam and Lion measure, against numbers worked out by hand."""

from math import sqrt

import pytest
import torch
from torch.nn.functional import cross_entropy, one_hot

from thalweg.claims import claim
from thalweg.claims.claim import Seeds
from thalweg.claims.experiments.gradients import Fed, corrections, moments_of
from thalweg.claims.experiments.training import digits, mlp

FEW = Seeds((1, 2), ())


def values(name):
    return claim(name).measure(FEW).values


def test_corrections_are_what_the_averages_lack():
    assert corrections(1) == pytest.approx((0.1, 0.001), rel=1e-12)
    assert corrections(100) == pytest.approx((1 - 0.9**100, 1 - 0.999**100), rel=1e-12)


def test_first_steps_of_adam_and_lion_are_signs():
    gradient = torch.tensor([3.0, -0.2, 1e-3], dtype=torch.float64)
    assert Fed("adam", gradient).step(gradient).tolist() == pytest.approx([-1.0, 1.0, -1.0], rel=1e-4)
    assert Fed("lion", gradient).step(gradient).tolist() == [-1.0, 1.0, -1.0]


def test_a_step_is_fed_its_gradient_and_keeps_its_state():
    gradient = torch.tensor([2.0], dtype=torch.float64)
    fed = Fed("momentum", gradient, lr=0.1, momentum=0.5)
    # v = 1, then 1.5: the slide's form.
    assert [float(fed.step(gradient)), float(fed.step(gradient))] == pytest.approx([-0.1, -0.15])
    assert float(fed.state("velocity")) == pytest.approx(1.5)


def test_a_rare_gradient_after_a_silence():
    curve = claim("adam-step-never-longer").measure(FEW).figure[0].curves[0]
    steps = [silence + 1 for silence in curve.x]
    assert curve.y == pytest.approx([0.1 / (1 - 0.9**t) / sqrt(0.001 / (1 - 0.999**t)) for t in steps], rel=1e-6)


def test_the_longest_step_that_there_is():
    """By Cauchy and Schwarz, reached where each gradient is beta2 / beta1 times the one before."""
    steps = 2000
    like = torch.zeros(1, dtype=torch.float64)
    adam = Fed("adam", like)
    for k in range(steps):
        longest = abs(float(adam.step(like + (0.9 / 0.999) ** (steps - 1 - k) * 1e3)))
    first, second = corrections(steps)
    expected = 0.1 / sqrt(0.001 * (1 - 0.81 / 0.999))
    assert expected == pytest.approx(7.27, abs=0.005)
    assert longest == pytest.approx(expected * sqrt(second) / first, rel=1e-6)


def test_a_step_on_noise_alone():
    chance = torch.Generator().manual_seed(0)
    like = torch.zeros(20_000, dtype=torch.float64)
    # A v that has seen enough: the mean square that noise has.
    adam = Fed("adam", like)
    for _ in range(300):
        moved = adam.step(torch.randn(20_000, generator=chance, dtype=torch.float64))
    assert float(moved.square().mean().sqrt()) == pytest.approx(sqrt(0.1 / 1.9), rel=0.03)


def test_uncorrected_averages_are_short_by_what_they_lack():
    seen = values("adam-moments-unbiased")
    assert seen["uncorrected_first"] == pytest.approx([1 - 0.9] * 2, rel=0.03)
    assert seen["uncorrected_second"] == pytest.approx([1 - 0.999**100] * 2, rel=0.01)


def test_paths_of_adam_and_rmsprop_are_one_only_without_correction():
    measurement = claim("adam-is-rmsprop-with-beta1").measure(FEW)
    assert max(measurement.values["apart"]) < 1e-9
    rmsprop, uncorrected, corrected, _ = (curve.y for curve in measurement.figure[0].curves)
    assert uncorrected == pytest.approx(rmsprop, rel=1e-9)
    assert corrected[-1] != pytest.approx(rmsprop[-1], rel=0.1)


def test_moments_of_a_batch_of_one_and_of_all():
    torch.manual_seed(0)
    model = mlp(width=3)
    data = digits().train
    # Of the last bias an example's gradient is what the network says, minus what it should.
    wrong = model(data.images).softmax(1).detach() - one_hot(data.classes)
    _, square = moments_of(model, 1)
    torch.testing.assert_close(square[-10:], wrong.square().mean(0))

    whole = torch.autograd.grad(cross_entropy(model(data.images), data.classes), [*model.parameters()])
    mean, square = moments_of(model, len(data.classes))
    torch.testing.assert_close(mean, torch.cat([x.flatten() for x in whole]), rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(square, mean.square())
