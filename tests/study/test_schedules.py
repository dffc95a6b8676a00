"""Schedules: against torch's where torch has the same, and their shapes."""

import hashlib
import struct
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


# Of all factors, as float64 in order: of 1 to 40 epochs, 100 and 200; and of 1 to 400. Results stand for them.
FROZEN = {
    "none": "fdb313004c50b7b18aaf4be9ed85579ca5cfd6ff4a853db40888d5452506a296",
    "cosine": "9389384141dbcdc5be54f90008f7f8921282d69390d57d4c63919974a9426034",
    "warm-restarts": "9bbe513c8818904a2dd54449834efa1caab6de3175a3f520950d880df262f831",
    "trapezoidal": "536b111ddbf6aef0a335626703473bba99b8a4b861de17dd0ec1e8accecf0bdf",
    "warm-up": "b4da3b6a080d0ef1d230fae1fa25f7538123b29a7039bffd011933cbdb96cf22",
    "linear": "12bbab880fa68f2fb637641bae310ed9d34ecbd62c0434b98e5caf312b4560ef",
    "wsd": "96db4c7ab0d1caab9059dfe1f2e07cccb6fa5a493911e30bb5f5863865147c74",
}
FROZEN_TO_400 = {
    "none": "b2934c55e7281bd7e071e0a08718218a75df8235ab6a70fa21b649ff8d6b83a6",
    "cosine": "377fac3c4d89730e2bb3ba9f4dfc54d1eb3448e56f487f7e6667847a14e7c7b7",
    "warm-restarts": "f09ba485217aee1ae8cf242a2d580651b1fe9d45ccf4eefa92e9d8c9288f7d8a",
    "trapezoidal": "9a79c6c97498c72e8e5b17790e03360b49529c34fdff74a6e6a39ae3f87edd26",
    "warm-up": "1454e540d209388aed70a63d3a80ba5e135ac7f5707bfabc351c3a510d89c32b",
    "linear": "71dbca2de792ffe851e5258b0fa8effa58f7b1e59771095b40340be3172b785b",
    "wsd": "d4e6a4d5d5bfaba77e2bb9e08867ca46bdfa16fd4e0174261ca2ffe6b1ab8a63",
}


def fingerprint(name, counts):
    found = [SCHEDULES[name](epoch, epochs) for epochs in counts for epoch in range(epochs)]
    return hashlib.sha256(struct.pack(f"<{len(found)}d", *found)).hexdigest()


@pytest.mark.parametrize("name", SCHEDULES)
def test_no_bit_of_a_factor_is_another_than_it_was(name):
    assert fingerprint(name, [*range(1, 41), 100, 200]) == FROZEN[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", SCHEDULES)
def test_nor_of_any_up_to_400_epochs(name):
    assert fingerprint(name, range(1, 401)) == FROZEN_TO_400[name]


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
