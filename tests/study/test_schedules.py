"""Schedules: against torch's where torch has the same, and their shapes."""

from itertools import pairwise

import pytest
import torch

import thalweg
from thalweg.study.model.errors import StudyError
from thalweg.study.model.schedules import SCHEDULES, find_schedule, trapezoidal

SCHEDULERS = torch.optim.lr_scheduler
TORCH = {
    "none": lambda o, n: SCHEDULERS.ConstantLR(o, factor=1.0),
    "cosine": lambda o, n: SCHEDULERS.CosineAnnealingLR(o, T_max=n),
    "warm-restarts": lambda o, n: SCHEDULERS.CosineAnnealingWarmRestarts(o, T_0=10, T_mult=2),
    "warm-up": lambda o, n: SCHEDULERS.LinearLR(o, start_factor=1 / (n // 10), total_iters=max(n // 10 - 1, 1)),
    "linear": lambda o, n: SCHEDULERS.LinearLR(o, start_factor=1.0, end_factor=0.0, total_iters=n),
}


@pytest.mark.parametrize("epochs", [20, 100])
@pytest.mark.parametrize("name", TORCH)
def test_the_factors_are_torchs(name, epochs):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    scheduler = TORCH[name](optimizer, epochs)
    for epoch in range(epochs):
        assert SCHEDULES[name](epoch, epochs) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-12)
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize("epochs", [1, 2, 3, 7, 15, 30, 100])
@pytest.mark.parametrize("name", SCHEDULES)
def test_no_epoch_is_wasted_and_none_is_above_the_rate(name, epochs):
    assert all(0 < SCHEDULES[name](epoch, epochs) <= 1 for epoch in range(epochs))


def test_the_trapezoidal_factors_are_the_published_ones():
    """As in Crowded Valley's files of 100 epochs, read there: 0.1 ... 1.0, then 80 times 1, then 10/11 ... 1/11."""
    published = [k / 10 for k in range(1, 11)] + 80 * [1.0] + [k / 11 for k in range(10, 0, -1)]
    assert [trapezoidal(epoch, 100) for epoch in range(100)] == pytest.approx(published)


def test_the_published_restarts_end_inside_their_fourth_cycle():
    found = [SCHEDULES["warm-restarts"](epoch, 100) for epoch in range(101)]
    assert [epoch for epoch, factor in enumerate(found) if factor == 1.0] == [0, 10, 30, 70]
    assert found[100] == pytest.approx(0.6913417161825449)


def test_wsd_rises_stays_and_falls():
    found = [SCHEDULES["wsd"](epoch, 100) for epoch in range(100)]
    assert found[:6] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0])
    assert set(found[5:80]) == {1.0}
    assert found[80] == pytest.approx(1 - (1 / 21) ** 0.5)
    assert found[99] == pytest.approx(1 - (20 / 21) ** 0.5)
    assert all(a > b for a, b in pairwise(found[79:]))


def test_an_unknown_schedule_is_answered_in_words():
    with pytest.raises(StudyError, match=r"no schedule 'cosin'; did you mean cosine\? Schedules: none, cosine"):
        find_schedule("cosin")


def test_a_trial_sets_every_groups_rate_from_its_first():
    rates = []

    def train(trial):
        weights = [torch.nn.Parameter(torch.ones(2)) for _ in range(2)]
        optimizer = trial.optimizer([{"params": weights[:1]}, {"params": weights[1:], "lr": 0.5}])
        for _ in trial.epochs(4):
            rates.append([group["lr"] for group in optimizer.param_groups])
            sum(w.sum() for w in weights).backward()
            optimizer.step()
            trial.report(valid_loss=1.0)

    found = thalweg.train(train, "sgd", lr=0.1, schedule="linear")
    assert found.status == "done", found.message
    assert rates == [pytest.approx([0.1 * f, 0.5 * f]) for f in (1.0, 0.75, 0.5, 0.25)]


def test_a_schedule_without_epochs_to_follow_is_a_mistake():
    def train(trial):
        weight = torch.nn.Parameter(torch.ones(2))
        optimizer = trial.optimizer([weight])
        weight.sum().backward()
        optimizer.step()
        trial.report(valid_loss=1.0)

    assert thalweg.train(train, "sgd").status == "done"
    found = thalweg.train(train, "sgd", schedule="cosine")
    assert found.status == "failed"
    assert "loop over trial.epochs" in found.message
