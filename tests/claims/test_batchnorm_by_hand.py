"""What claims on BatchNorm are measured with, against numbers worked out by hand and plain torch."""

from math import exp, pi, sqrt

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from torch import nn
from torch.nn.functional import cross_entropy

from thalweg.claims.experiments.shifts import BATCH, HIDDEN, WIDTH, shifts_of, train_shifted
from thalweg.claims.experiments.training import CHANCE, digits, mlp, to_zero, train
from thalweg.claims.normalisation.gamma_beta_restore import restored
from thalweg.claims.normalisation.normalised_sigmoid_linear import linear_share, normal_linear_share


def test_the_share_that_a_line_explains():
    # p = sigmoid(1) - 1/2 = 0.231059, q = sigmoid(2) - 1/2 = 0.380797: (2 p + 4 q)² / (10 · 2 (p² + q²)).
    assert linear_share(np.array([[-2.0], [-1], [1], [2]])) == pytest.approx([0.993333], abs=2e-6)
    assert linear_share(np.array([[-40.0], [-20], [20], [40]])) == pytest.approx([0.9], abs=1e-6)


@pytest.mark.parametrize("deviation", [0.1, 1, 3, 5])
def test_the_share_over_normal_numbers_is_that_of_its_integrals(deviation):
    def mean(of):
        return quad(lambda z: of(deviation * z) * exp(-z * z / 2) / sqrt(2 * pi), -12, 12)[0]

    def curve(x):
        return 1 / (1 + exp(-x)) - 0.5

    expected = mean(lambda x: x * curve(x)) ** 2 / (mean(lambda x: curve(x) ** 2) * deviation**2)
    assert normal_linear_share(np.array([deviation])) == pytest.approx([expected], rel=1e-6)


def test_a_shift_is_that_of_mean_and_deviation_in_deviations():
    # One unit goes by 3 and 4, so 5, of a deviation of 2; the other stays.
    before = torch.tensor([[[[0.0, 1]], [[2.0, 1]]]])
    after = torch.tensor([[[[3.0, 1]], [[6.0, 1]]]])
    assert shifts_of([before, after, after]).tolist() == [[1.25, 0.0]]


def test_training_with_noise_is_as_plain_torch_has_it():
    noise, lr, seed, steps = 0.5, 0.3, 7, 5
    norm = nn.BatchNorm1d
    trained = train_shifted(norm, noise, [lr], [seed, seed + 1], steps=steps, look=True)
    assert trained.shifts.shape == (2, steps - 1)
    data = digits().train
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = mlp(width=WIDTH, hidden=HIDDEN, norm=norm)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    chance = torch.Generator().manual_seed(seed)
    losses = []
    for _ in range(steps):
        index = torch.randint(len(data.classes), (BATCH,), generator=chance)
        uniform = torch.rand(HIDDEN, 2, 1, WIDTH, generator=chance)
        x = data.images[index]
        for layer, (for_factor, for_number) in enumerate(uniform):
            linear, norm_layer, relu = model[3 * layer : 3 * layer + 3]
            x = norm_layer(linear(x))
            x = relu(x * (1 + noise * (2 * for_factor - 1)) + noise * (2 * for_number - 1))
        loss = cross_entropy(model[-1](x), data.classes[index])
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[0] > CHANCE > max(losses[1:])
    assert trained.losses[0] == pytest.approx([CHANCE, *losses[1:]], rel=1e-4)


def test_rates_fall_to_zero_by_as_much_at_each_step():
    seen = []

    def look(stack, step):
        to_zero(3)(stack, step)
        seen.append([optimizer.param_groups[0]["lr"] for optimizer in stack.optimizers])

    train(mlp, "sgd", [{"lr": 0.3}, {"lr": 0.6}], [0], steps=3, each_step=look)
    assert np.array(seen) == pytest.approx(np.array([[0.2, 0.4], [0.1, 0.2], [0, 0]]))


def test_what_batchnorm_gives_back():
    batch = torch.tensor([[1.0], [3.0]], dtype=torch.float64)
    assert restored(batch, batch).flatten().tolist() == pytest.approx([1, 3], abs=1e-12)
    # Normalised it is -1 and 1, but for eps; of all examples deviation and mean are 5 and 4.
    other = torch.tensor([[-1.0], [9.0]], dtype=torch.float64)
    assert restored(batch, other).flatten().tolist() == pytest.approx([-1, 9], abs=1e-4)
