"""torch.distributed.checkpoint: it steps a fresh optimizer to create its state, and loads into memory in place."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from small_training import (
    EVERY,
    MADE,
    MATRICES,
    SHARED,
    SPAN,
    distance,
    divided,
    each_matrix_rule,
    layered,
    loss_of,
    network,
    train,
    weights,
)
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    get_state_dict,
    set_optimizer_state_dict,
    set_state_dict,
)

import thalweg
from rule_kinds import trains_together

# With numbers of their own by tensor, by group and for all.
SCALARS = ("nadam", "adabound", "prodigy")
each_rule = pytest.mark.parametrize("name", divided(EVERY, SPAN + SCALARS))
each_form = pytest.mark.parametrize("flat", [False, True], ids=["nested", "flattened"])


@pytest.fixture(scope="module", autouse=True)
def one_process() -> Iterator[None]:
    """A process group of this process alone, without a network."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def made(name: str, model: torch.nn.Module, **options: Any) -> torch.optim.Optimizer:
    return MADE[name](model.parameters(), **{**EVERY[name], **options})


@each_rule
@each_form
def test_creating_state_moves_nothing(name: str, flat: bool) -> None:
    options = StateDictOptions(flatten_optimizer_state_dict=flat)
    model, twin = network(), network()
    decaying = {"weight_decay": 0.5} if "weight_decay" in made(name, model).defaults else {}
    fresh, trained = made(name, model, **decaying), made(name, twin, **decaying)
    before, groups = weights(model), [dict(group) for group in fresh.param_groups]
    found = get_optimizer_state_dict(model, fresh, options=options)
    assert torch.equal(weights(model), before)
    assert all(now[key] == value for now, then in zip(fresh.param_groups, groups, strict=True)
               for key, value in then.items() if key != "params")  # fmt: skip
    assert all(p.grad is None for p in model.parameters())
    # What it created is what training creates.
    train(twin, trained, [0])
    expected = get_optimizer_state_dict(twin, trained, options=options)
    assert found.keys() == expected.keys()
    for key in () if flat else found["state"]:
        assert found["state"][key].keys() == expected["state"][key].keys()
        assert all(v.dtype == expected["state"][key][k].dtype for k, v in found["state"][key].items())


def test_creating_state_leaves_no_mark_in_the_groups() -> None:
    model = network()
    fresh = made("adabound", model, lr=0.01)
    get_optimizer_state_dict(model, fresh)
    train(model, fresh, [0])
    assert fresh.param_groups[0]["base_lr"] == 0.01
    assert weights(model).isfinite().all()


@each_rule
@each_form
def test_saved_and_loaded(name: str, flat: bool, tmp_path: Path) -> None:
    options = StateDictOptions(flatten_optimizer_state_dict=flat)
    model = network()
    straight = made(name, model)
    train(model, straight, range(3))
    weights_then, state = get_state_dict(model, straight, options=options)
    dcp.save({"model": weights_then, "optimizer": state}, checkpoint_id=tmp_path)
    train(model, straight, range(3, 6))

    again = network()
    fresh = made(name, again, lr=0.5)
    weights_now, state_now = get_state_dict(again, fresh, options=options)
    dcp.load({"model": weights_now, "optimizer": state_now}, checkpoint_id=tmp_path)
    set_state_dict(again, fresh, model_state_dict=weights_now, optim_state_dict=state_now, options=options)
    assert fresh.param_groups[0]["lr"] == straight.param_groups[0]["lr"]
    assert torch.equal(train(again, fresh, range(3, 6)), weights(model))


@each_matrix_rule
@each_form
def test_creating_state_leaves_matrices_at_0(name: str, flat: bool) -> None:
    """By a step of no length on gradients of 0. SOAP's axes are those of a matrix of 0 then: the weights' own."""
    model = layered()
    fresh = MATRICES[name](model)
    before, groups = weights(model), [{**group, "params": None} for group in fresh.param_groups]
    get_optimizer_state_dict(model, fresh, options=StateDictOptions(flatten_optimizer_state_dict=flat))
    assert torch.equal(weights(model), before)
    assert [{**group, "params": None} for group in fresh.param_groups] == groups
    for kept in fresh.state.values():
        for key, value in kept.items():
            if key.endswith("_axes"):
                assert torch.equal(value.abs().sum(0), torch.ones(len(value)))
                assert torch.equal(value @ value.T, torch.eye(len(value)))
            elif key != "step":
                assert not value.any()


@each_matrix_rule
@each_form
def test_matrices_saved_and_loaded(name: str, flat: bool, tmp_path: Path) -> None:
    options = StateDictOptions(flatten_optimizer_state_dict=flat)
    model = layered()
    straight = MATRICES[name](model)
    train(model, straight, range(3))
    saved = get_state_dict(model, straight, options=options)
    dcp.save(dict(zip(("model", "optimizer"), saved, strict=True)), checkpoint_id=tmp_path)
    train(model, straight, range(3, 6))

    again = layered()
    fresh = MATRICES[name](again)
    fresh.param_groups[0]["lr"] = 0.5
    now = dict(zip(("model", "optimizer"), get_state_dict(again, fresh, options=options), strict=True))
    dcp.load(now, checkpoint_id=tmp_path)
    set_state_dict(again, fresh, model_state_dict=now["model"], optim_state_dict=now["optimizer"], options=options)
    assert [group["lr"] for group in fresh.param_groups] == [group["lr"] for group in straight.param_groups]
    assert torch.equal(train(again, fresh, range(3, 6)), weights(model))


@pytest.mark.parametrize("name", SHARED)
def test_between_torch_and_ours(name: str) -> None:
    """By parameter name: what torch's optimizer saved goes on in ours, and back."""
    for first, second in ((torch.optim, thalweg), (thalweg, torch.optim)):
        model, other = network(torch.float64), network(torch.float64)
        begun = getattr(first, name)(model.parameters(), **SHARED[name])
        train(model, begun, range(3))
        goes_on = getattr(second, name)(other.parameters(), **{**SHARED[name], "lr": 0.9})
        set_optimizer_state_dict(other, goes_on, copy.deepcopy(get_optimizer_state_dict(model, begun)))
        other.load_state_dict(model.state_dict())
        train(model, begun, range(3, 6))
        assert distance(train(other, goes_on, range(3, 6)), weights(model)) < 1e-10


def steps_apart(name: str) -> tuple[Any, torch.optim.Optimizer]:
    """Training in which the first layer stood still for 4 of 6 steps, so that counts differ."""
    model = network()
    begun = made(name, model)
    for number in range(6):
        model[0].requires_grad_(number < 2)
        train(model, begun, [number])
    model[0].requires_grad_(True)
    return model, begun


@each_rule
def test_loaded_in_place(name: str, tmp_path: Path) -> None:
    """`dcp.load` writes into the tensors of ``optimizer.state_dict()``; nobody hands the result back."""
    model, begun = steps_apart(name)
    again, fresh = steps_apart(name)
    dcp.save({"model": model.state_dict(), "state": begun.state_dict()["state"]}, checkpoint_id=tmp_path)
    train(again, fresh, range(3))
    dcp.load({"model": again.state_dict(), "state": fresh.state_dict()["state"]}, checkpoint_id=tmp_path)
    for number, kept in begun.state_dict()["state"].items():
        for key, value in kept.items():
            assert torch.equal(fresh.state_dict()["state"][number][key], value)
    if not trains_together(fresh.rule):  # what is kept in the groups is not loaded here
        assert torch.equal(train(again, fresh, range(6, 9)), train(model, begun, range(6, 9)))


@pytest.mark.parametrize("name", ["sgd", "lion", "adam", "adamw"])
def test_loaded_in_place_with_counts_apart(name: str, tmp_path: Path) -> None:
    """As above, into an optimizer whose parameters have all taken as many steps, which the saved ones have not."""
    model, begun = steps_apart(name)
    again = network()
    fresh = made(name, again)
    train(again, fresh, range(2))
    dcp.save({"model": model.state_dict(), "state": begun.state_dict()["state"]}, checkpoint_id=tmp_path)
    dcp.load({"model": again.state_dict(), "state": fresh.state_dict()["state"]}, checkpoint_id=tmp_path)
    assert torch.equal(train(again, fresh, range(6, 9)), train(model, begun, range(6, 9)))


def test_gradients_at_hand_are_left_alone() -> None:
    """With gradients already there no state is created, and none is lost."""
    model = network()
    fresh = thalweg.AdamW(model.parameters(), lr=0.1)
    loss_of(model, 0).backward()
    grads = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    before = weights(model)
    get_optimizer_state_dict(model, fresh)
    assert torch.equal(weights(model), before)
    assert all(map(torch.equal, grads, [p.grad for p in model.parameters() if p.grad is not None]))


def test_learning_rate_in_a_tensor() -> None:
    model = network()
    fresh = thalweg.AdamW(model.parameters(), lr=torch.tensor(0.125), weight_decay=0.5)
    before = weights(model)
    get_optimizer_state_dict(model, fresh)
    assert torch.equal(weights(model), before)
    assert fresh.param_groups[0]["lr"] == 0.125


@pytest.mark.parametrize(
    "options", [{"clip_norm": 1.0}, {"nonfinite": "raise"}, {"nonfinite": "skip"}, {"clip_value": 1.0}]
)
def test_every_option_creates_state(options: dict[str, Any]) -> None:
    model = network()
    fresh = thalweg.AdamW(model.parameters(), lr=0.1, weight_decay=0.5, **options)
    before = weights(model)
    found = get_optimizer_state_dict(model, fresh)
    assert torch.equal(weights(model), before)
    assert set(found["state"]["0.weight"]) == {"step", "exp_avg", "exp_avg_sq"}
