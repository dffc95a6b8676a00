"""FSDP2 (`fully_shard`, parameters as DTensor) on two processes: the weights of one process with everything."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from ranks import Ranks
from small_training import KINDS, MADE, MATRICES, batch, distance, layered, network, train, weights
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict, set_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.distributed.tensor.debug import CommDebugMode

import thalweg
from thalweg.formula import Scalar
from thalweg.formula.rule import parts
from thalweg.optim import NonFiniteGradient

pytestmark = pytest.mark.slow

STEPS = 5
# Rules and options that look at one weight at a time, and those that add up over a tensor or over all.
ELEMENTWISE: dict[str, tuple[type[torch.optim.Optimizer], dict[str, Any]]] = {
    **{name: (MADE[name], arguments) for name, arguments in KINDS.items() if name != "cautious"},
    "clip by value": (MADE["sgd"], {"lr": 0.1, "momentum": 0.9, "clip_value": 0.01}),
    "guarded": (MADE["adamw"], {"nonfinite": "raise"}),
}
ADDING_UP: dict[str, tuple[type[torch.optim.Optimizer], dict[str, Any]]] = {
    "clip by norm": (MADE["sgd"], {"lr": 0.1, "clip_norm": 0.05}),
    "clip by value and norm": (MADE["sgd"], {"lr": 0.1, "clip_value": 0.05, "clip_norm": 0.05}),
    "sums of the rule's own": (MADE["lamb"], {"lr": 0.1}),
    "sums of a wrapper's": (MADE["cautious"], {"lr": 0.01}),
    "by row and by column": (thalweg.Adafactor, {"lr": 0.01}),
}
CASES = {**ELEMENTWISE, **ADDING_UP}
# Products of a rank's rows alone would be other numbers.
OF_MATRICES: dict[str, Callable[[torch.nn.Module], torch.optim.Optimizer]] = {
    **MATRICES,
    "all of it": lambda model: thalweg.Muon(
        model, like="nanochat", clip_norm=0.05, nonfinite="raise", others=thalweg.AdamW(lr=3e-3)
    ),
}
# torch asks a state for the device to send it to, so that there must be one.
RESUMED = [case for case in ELEMENTWISE if case != "plain"] + ["muon"]


def begun(case: str) -> torch.nn.Module:
    return (layered if case in OF_MATRICES else network)(torch.float64)


def made(case: str, model: torch.nn.Module) -> torch.optim.Optimizer:
    if case in OF_MATRICES:
        return OF_MATRICES[case](model)
    made_by, arguments = CASES[case]
    return made_by(model.parameters(), **arguments)


def sharded(case: str = "sgd") -> torch.nn.Module:
    """Weights of 16 rows and of 3, so that one rank has more of them than the other."""
    model = begun(case)
    fully_shard(model, mesh=init_device_mesh("cpu", (2,)))
    return model


def gathered(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.full_tensor().detach().reshape(-1) for p in model.parameters()])


def step(model: torch.nn.Module, made: torch.optim.Optimizer, rank: int, number: int) -> None:
    x, y = (part[4 * rank : 4 * rank + 4] for part in batch(number, torch.float64))
    made.zero_grad()
    torch.nn.functional.mse_loss(model(x), y).backward()
    made.step()


def trained(case: str, rank: int) -> dict[str, Any]:
    model = sharded(case)
    fresh = made(case, model)
    for number in range(STEPS):
        step(model, fresh, rank, number)
    states = fresh.state_dict()["state"].values()
    kinds = {key: isinstance(value, DTensor) for state in states for key, value in state.items()}
    return {"weights": gathered(model), "kinds": kinds}


def resumed(case: str, rank: int) -> torch.Tensor:
    """Saved after 3 steps as plain tensors on every rank, loaded into a fresh model and optimizer."""
    whole = StateDictOptions(full_state_dict=True)
    model = sharded(case)
    straight = made(case, model)
    for number in range(3):
        step(model, straight, rank, number)
    saved = get_state_dict(model, straight, options=whole)
    again = sharded(case)
    fresh = made(case, again)
    # Whole tensors are kept by the first rank alone, and sent from there.
    sending = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)
    set_state_dict(again, fresh, model_state_dict=saved[0], optim_state_dict=saved[1], options=sending)
    for number in range(3, STEPS):
        step(again, fresh, rank, number)
    return gathered(again)


def averaged(model: torch.nn.Module, rank: int | None) -> torch.Tensor:
    """The weights to test, of a model trained with a moving average of them."""
    fresh = MADE["adamw"](model.parameters(), lr=0.05, ema=0.9)
    for number in range(STEPS):
        if rank is None:
            train(model, fresh, [number])
        else:
            step(model, fresh, rank, number)
    with fresh.averaged():
        return weights(model) if rank is None else gathered(model)


def spoiled(option: str, rank: int) -> tuple[str, torch.Tensor]:
    """What a rank does when a gradient that the other rank holds is not finite, and the weights after."""
    model = sharded()
    fresh = MADE["adamw"](model.parameters(), nonfinite=option)
    step(model, fresh, rank, 0)
    first = next(model.parameters())
    assert isinstance(first.grad, DTensor)
    if rank == 0:
        first.grad.to_local()[0, 0] = float("nan")
    try:
        fresh.step()
        did = "skipped" if fresh.skipped_steps else "stepped"
    except NonFiniteGradient as error:
        did = f"raised {error}"
    return did, gathered(model)


def sent(rank: int) -> Mapping[str, int]:
    """What a step of Muon sends: how often, by collective."""
    model = sharded("muon")
    fresh = made("muon", model)
    step(model, fresh, rank, 0)
    with CommDebugMode() as told:
        fresh.step()
    return {str(name): count for name, count in told.get_comm_counts().items()}


def work(rank: int) -> Mapping[str, Any]:
    return {
        **{case: trained(case, rank) for case in (*CASES, *OF_MATRICES)},
        "sent": sent(rank),
        "resumed": {case: resumed(case, rank) for case in RESUMED},
        "averaged": averaged(sharded(), rank),
        "spoiled": {option: spoiled(option, rank) for option in ("skip", "raise")},
    }


def alone(case: str) -> torch.Tensor:
    model = begun(case)
    return train(model, made(case, model), range(STEPS))


@pytest.mark.parametrize("case", ELEMENTWISE)
def test_two_ranks_are_one(case: str, ranks: Ranks) -> None:
    first, second = (rank["fsdp"][case] for rank in ranks)
    assert torch.equal(first["weights"], second["weights"])
    assert distance(first["weights"], alone(case)) < 1e-9
    # The state is sharded as its parameter is; its count, and what is kept for a tensor, are ordinary numbers.
    numbers = {"step", *(name for name, s in parts(CASES[case][0].rule, Scalar).items() if s.scope == "tensor")}
    assert not any(first["kinds"].pop(name) for name in numbers)
    assert all(first["kinds"].values())


@pytest.mark.parametrize("case", ADDING_UP)
def test_sums_over_all_ranks(case: str, ranks: Ranks) -> None:
    assert distance(ranks[0]["fsdp"][case]["weights"], alone(case)) < 1e-9


@pytest.mark.parametrize("case", OF_MATRICES)
def test_matrices_are_whole_where_they_are_multiplied(case: str, ranks: Ranks) -> None:
    first, second = (rank["fsdp"][case] for rank in ranks)
    assert torch.equal(first["weights"], second["weights"])
    assert distance(first["weights"], alone(case), lambda: begun(case)) < 1e-9
    assert not first["kinds"].pop("step")
    assert all(first["kinds"].values())


def test_every_matrix_is_gathered_once_a_step(ranks: Ranks) -> None:
    for rank in ranks:
        assert rank["fsdp"]["sent"] == {"c10d_functional.all_gather_into_tensor": 3}


@pytest.mark.parametrize("case", RESUMED)
def test_resumed(case: str, ranks: Ranks) -> None:
    assert distance(ranks[0]["fsdp"]["resumed"][case], alone(case), lambda: begun(case)) < 1e-9


def test_averaged_weights(ranks: Ranks) -> None:
    assert distance(ranks[0]["fsdp"]["averaged"], averaged(network(torch.float64), None)) < 1e-9


@pytest.mark.parametrize(("option", "did"), [("skip", "skipped"), ("raise", "raised")])
def test_ranks_agree_about_a_gradient_that_is_not_finite(option: str, did: str, ranks: Ranks) -> None:
    """Ranks that disagree wait for each other for ever, or train two different models."""
    assert [rank["fsdp"]["spoiled"][option][0].split()[0] for rank in ranks] == [did, did]
    assert all(rank["fsdp"]["spoiled"][option][1].isfinite().all() for rank in ranks)
