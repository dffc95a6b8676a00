"""Two processes with DistributedDataParallel: the weights of one process that saw both halves of each batch."""

from typing import Any

import pytest
import torch
from ranks import Ranks
from small_training import KINDS, MADE, MATRICES, batch, distance, layered, network, weights
from torch.nn.parallel import DistributedDataParallel

from rule_kinds import trains_together

pytestmark = pytest.mark.slow

STEPS = 5
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, arguments) for name, arguments in KINDS.items()},
    "clipped": ("sgd", {"lr": 0.1, "momentum": 0.9, "clip_norm": 0.05}),
    "guarded": ("adamw", {"nonfinite": "raise", "clip_value": 0.01}),
    "muon": ("muon", {}),
}
# Each rank steps its own parameters, so that none may need the others.
APART = [name for name in KINDS if not trains_together(MADE[name].rule) and name != "joined"]


def begun(case: str) -> torch.nn.Module:
    return (layered if case in MATRICES else network)(torch.float64)


def made(case: str, model: torch.nn.Module) -> torch.optim.Optimizer:
    """Rules of matrices are given the model as it is, in DistributedDataParallel where it is."""
    name, arguments = CASES[case]
    return MATRICES[name](model) if name in MATRICES else MADE[name](model.parameters(), **arguments)


def halves(rank: int | None, number: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A rank's half of a batch, or all of it."""
    x, y = batch(number, torch.float64)
    mine = slice(None) if rank is None else slice(4 * rank, 4 * rank + 4)
    return x[mine], y[mine]


def step(model: torch.nn.Module, optimizer: torch.optim.Optimizer, rank: int | None, number: int) -> None:
    x, y = halves(rank, number)
    optimizer.zero_grad()
    torch.nn.functional.mse_loss(model(x), y).backward()
    optimizer.step()


def alone(case: str) -> torch.Tensor:
    model = begun(case)
    optimizer = made(case, model)
    for number in range(STEPS):
        step(model, optimizer, None, number)
    return weights(model)


def train_ranks(views: bool, rank: int) -> dict[str, torch.Tensor]:
    found = {}
    for case in CASES:
        model = begun(case)
        parallel = DistributedDataParallel(model, gradient_as_bucket_view=views)
        optimizer = made(case, parallel)
        for number in range(STEPS):
            step(parallel, optimizer, rank, number)
        found[case] = weights(model)
    return found


def train_sharded_state(rank: int) -> dict[str, torch.Tensor]:
    """ZeroRedundancyOptimizer: each rank keeps the state of its share of the parameters and sends their weights."""
    # Its package warns of torch.jit when it is imported, which in this process is no error.
    from torch.distributed.optim import ZeroRedundancyOptimizer

    found = {}
    for case in APART:
        model = network(torch.float64)
        parallel = DistributedDataParallel(model)
        name, arguments = CASES[case]
        optimizer = ZeroRedundancyOptimizer(parallel.parameters(), MADE[name], **arguments)
        for number in range(STEPS):
            step(parallel, optimizer, rank, number)
        optimizer.consolidate_state_dict(to=0)
        if rank == 0:
            assert len(optimizer.state_dict()["state"]) == 6
        found[case] = weights(model)
    return found


def work(rank: int) -> dict[str, dict[str, torch.Tensor]]:
    """On one of two ranks, with gradients of their own and in buckets, and with the state in shares."""
    return {
        "apart": train_ranks(False, rank),
        "in buckets": train_ranks(True, rank),
        "in shares": train_sharded_state(rank),
    }


@pytest.mark.parametrize("case", CASES)
def test_two_ranks_are_one(case: str, ranks: Ranks) -> None:
    for gradients in ("apart", "in buckets"):
        first, second = (rank["ddp"][gradients][case] for rank in ranks)
        assert torch.equal(first, second), gradients
        assert distance(first, alone(case), lambda: begun(case)) < 1e-9, gradients


@pytest.mark.parametrize("case", APART)
def test_state_in_shares(case: str, ranks: Ranks) -> None:
    first, second = (rank["ddp"]["in shares"][case] for rank in ranks)
    assert torch.equal(first, second)
    assert distance(first, alone(case)) < 1e-9
