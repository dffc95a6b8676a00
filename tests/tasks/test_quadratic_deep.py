"""The quadratic problem of DeepOBS: its definition, and the order of data in published runs."""

from itertools import pairwise

import numpy as np
import pytest
import torch

import thalweg
from thalweg.tasks import quadratic_deep as quadratic
from thalweg.tasks.tensorflow_shuffle import order, philox
from thalweg.verify.published import FIRST_BATCH, INITIAL, INITIAL_VALIDATION


def first_losses(instance, part, chosen=slice(0, quadratic.USED)):
    """Losses of examples at the start, by the definition: 0.5 (theta - x)^T H (theta - x), example by example."""
    away = 1.0 - quadratic.examples()[part][chosen].astype(np.float64)
    return 0.5 * np.einsum("ni,ij,nj->n", away, quadratic.hessian(instance), away)


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [  # the test values of the paper's authors, Random123
        ((0, 0, 0, 0), (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ((2**32 - 1,) * 4, (2**32 - 1,) * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0),
         "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)  # fmt: skip
def test_philox_gives_its_authors_values(counter, key, words):
    assert " ".join(f"{word:08x}" for word in philox(counter, key)) == words


def test_an_order_is_a_permutation_that_depends_on_both_seeds():
    found = order(1000, 42, 3)
    assert sorted(found) == list(range(1000))
    assert found == order(1000, 42, 3)
    assert found not in (order(1000, 43, 3), order(1000, 42, 2), order(1000, 42 + 2**32, 3))


@pytest.mark.parametrize(("seed", "instance"), FIRST_BATCH)
def test_the_order_is_that_of_the_published_runs(seed, instance):
    """The first batch has the published loss, to seven digits: any other batch is off by whole units."""
    first = order(quadratic.EXAMPLES, seed, 3)[: quadratic.BATCH]
    found = first_losses(instance, "train", first).mean()
    assert found == pytest.approx(FIRST_BATCH[seed, instance], rel=2e-7)


@pytest.mark.parametrize("instance", INITIAL)
def test_every_instance_has_the_published_loss_before_training(instance):
    assert first_losses(instance, "test").mean() == pytest.approx(INITIAL[instance], rel=1e-7)
    if instance == 1:
        assert first_losses(1, "valid").mean() == pytest.approx(INITIAL_VALIDATION, rel=1e-7)


def test_the_hessian_has_its_eigenvalues_and_the_rotation_is_one():
    values = np.linalg.eigvalsh(quadratic.hessian(1))
    assert (values[:90] > 0).all()
    assert (values[:90] < 1).all()
    assert (values[90:] > 30).all()
    assert (values[90:] < 60).all()
    turned = quadratic.rotation(np.random.RandomState(7))
    np.testing.assert_allclose(turned @ turned.T, np.eye(100), atol=1e-12)
    assert np.linalg.det(turned) == pytest.approx(1.0)


def test_the_mean_loss_is_the_mean_of_the_losses():
    theta = np.random.RandomState(1).normal(size=100)
    points = quadratic.examples()["valid"][: quadratic.USED]
    away = theta - points.astype(np.float64)
    by_example = 0.5 * np.einsum("ni,ij,nj->n", away, quadratic.hessian(2), away)
    assert quadratic.mean_loss(quadratic.hessian(2), points).at(theta) == pytest.approx(by_example.mean(), rel=1e-12)


def test_a_step_follows_the_gradient_of_the_mean_over_the_batch():
    """Two epochs of gradient descent, followed by hand in float64 with the losses of single examples."""
    reports = []
    quadratic_run = thalweg.train(
        "quadratic-deep", "sgd", lr=0.01, seed=5, task_options={"reshuffle": False},
        on_report=lambda epoch, values: reports.append(values["test_loss"]),
    )  # fmt: skip
    points = torch.from_numpy(quadratic.examples()["train"]).double()[order(1000, 5, 3)][: quadratic.USED]
    curvature = torch.from_numpy(quadratic.hessian(1))
    theta = torch.ones(100, dtype=torch.float64, requires_grad=True)
    for _ in range(2):
        for batch in points.split(quadratic.BATCH):
            loss = (0.5 * ((theta - batch) @ curvature * (theta - batch)).sum(1)).mean()
            (gradient,) = torch.autograd.grad(loss, theta)
            theta = (theta - 0.01 * gradient).detach().requires_grad_()
    test = torch.from_numpy(quadratic.examples()["test"]).double()[: quadratic.USED]
    by_hand = (0.5 * ((theta - test) @ curvature * (theta - test)).sum(1)).mean().item()
    assert reports[2] == pytest.approx(by_hand, rel=1e-6)
    assert quadratic_run.curves["test_loss"].epochs == tuple(range(101))


def test_the_losses_before_training_are_printed_as_published():
    found = thalweg.train("quadratic-deep", "sgd").curves
    assert f"{found['test_loss'].values[0]:.5f}" == "353.44677"
    assert f"{found['valid_loss'].values[0]:.5f}" == "353.81275"


def test_batches_are_reshuffled_unless_told_otherwise():
    """With one order, gradient descent settles into one cycle; reshuffled, it keeps moving."""
    moves = {}
    for reshuffle in (True, False):
        found = thalweg.train("quadratic-deep", "sgd", lr=0.01, task_options={"reshuffle": reshuffle})
        end = found.curves["test_loss"].values[-12:]
        moves[reshuffle] = max(abs(a - b) for a, b in pairwise(end))
    assert moves[False] < 0.01 < moves[True]


def test_a_run_takes_well_under_a_second():
    thalweg.train("quadratic-deep", "adam")
    assert min(thalweg.train("quadratic-deep", "adam").seconds for _ in range(3)) < 0.8
