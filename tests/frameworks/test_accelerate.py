"""Hugging Face Accelerate on the CPU: prepare, bf16, accumulation, clipping, a scaler, save_state and load_state."""

import copy
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from accelerate.state import AcceleratorState, GradientState
from small_training import (
    EVERY,
    MADE,
    MATRICES,
    SHARED,
    batch,
    distance,
    each_matrix_rule,
    each_rule,
    layered,
    loss_of,
    network,
    train,
    weights,
)
from torch.utils.data import DataLoader, TensorDataset

import thalweg
from thalweg.testing.judging import case


@pytest.fixture(autouse=True)
def afresh() -> Iterator[None]:
    """Accelerate's states are singletons of the process."""
    yield
    forget()


def forget() -> None:
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


def loader(size: int = 8, batches: int = 6) -> DataLoader[Any]:
    xs, ys = zip(*(batch(number, size=size) for number in range(batches)), strict=True)
    return DataLoader(TensorDataset(torch.cat(xs), torch.cat(ys)), batch_size=size)


def same_state(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Whether two optimizers' state_dicts are equal to the bit."""
    if a["param_groups"] != b["param_groups"] or a["state"].keys() != b["state"].keys():
        return False
    return all(
        kept.keys() == b["state"][number].keys()
        and all(
            torch.equal(v, b["state"][number][k]) and v.dtype == b["state"][number][k].dtype for k, v in kept.items()
        )
        for number, kept in a["state"].items()
    )


def accelerated(
    make: Callable[[torch.nn.Module], torch.optim.Optimizer],
    batches: DataLoader[Any],
    clip: float | None = None,
    begun: Callable[[], torch.nn.Module] = network,
    **options: Any,
) -> tuple[Accelerator, Any, Any]:
    """One epoch as in Accelerate's documentation."""
    accelerator = Accelerator(cpu=True, **options)
    model: Any = begun()
    made = make(model)
    schedule = torch.optim.lr_scheduler.ExponentialLR(made, 0.9)
    model, made, batches, schedule = accelerator.prepare(model, made, batches, schedule)
    for x, y in batches:
        with accelerator.accumulate(model):
            loss = torch.nn.functional.mse_loss(model(x), y)
            accelerator.backward(loss)
            if clip is not None and accelerator.sync_gradients:
                accelerator.clip_grad_norm_(model.parameters(), clip)
            made.step()
            schedule.step()
            made.zero_grad()
    return accelerator, model, made


@each_rule
def test_is_the_plain_loop(name: str) -> None:
    model = network()
    made = MADE[name](model.parameters(), **EVERY[name])
    plain = train(model, made, after=torch.optim.lr_scheduler.ExponentialLR(made, 0.9).step)
    _, found, _ = accelerated(lambda m: MADE[name](m.parameters(), **EVERY[name]), loader())
    assert torch.equal(weights(found), plain)


@each_matrix_rule
def test_matrices_are_the_plain_loop(name: str) -> None:
    """Clipped by one norm over the gradients of both rules, with one schedule."""
    model = layered()
    made = MATRICES[name](model)
    schedule = torch.optim.lr_scheduler.ExponentialLR(made, 0.9)
    for number in range(6):
        made.zero_grad()
        loss_of(model, number).backward()
        assert torch.nn.utils.clip_grad_norm_(model.parameters(), 0.05) > 0.05
        made.step()
        schedule.step()
    _, found, prepared = accelerated(MATRICES[name], loader(), 0.05, layered)
    assert torch.equal(weights(found), weights(model))
    assert same_state(prepared.state_dict(), made.state_dict())


@pytest.mark.parametrize("name", SHARED)
def test_as_torch(name: str) -> None:
    for precision, clip, accumulated in product(("no", "bf16"), (None, 0.1), (1, 3)):
        with case(f"{precision}, clipped at {clip}, {accumulated} batches to a step"):
            as_torch(name, precision, clip, accumulated)


def as_torch(name: str, precision: str, clip: float | None, accumulated: int) -> None:
    found = []
    for made_by, options in ((getattr(thalweg, name), {}), (getattr(torch.optim, name), {"foreach": False})):
        options = {**options, **SHARED[name]}
        accelerator, model, _ = accelerated(
            lambda m, made_by=made_by, options=options: made_by(m.parameters(), **options),
            loader(),
            clip,
            mixed_precision=precision,
            gradient_accumulation_steps=accumulated,
        )
        assert accelerator.mixed_precision == precision
        found.append(weights(model))
        forget()
    assert distance(*found) < (1e-4 if precision == "no" else 0.02)  # bf16 has 8 bits


@each_rule
def test_preparing_changes_no_state(name: str) -> None:
    """`prepare` loads the optimizer's own state_dict into it, moved to the device."""
    model = network()
    made = MADE[name](model.parameters(), **EVERY[name])
    train(model, made, range(3))
    before = copy.deepcopy(made.state_dict())
    prepared = Accelerator(cpu=True).prepare(made)
    assert same_state(prepared.state_dict(), before)
    assert same_state(made.state_dict(), before)
    other = network()
    straight = train(other, MADE[name](other.parameters(), **EVERY[name]))
    assert torch.equal(train(model, prepared, range(3, 6)), straight)


@each_rule
def test_saved_and_loaded(name: str, tmp_path: Path) -> None:
    saved_and_loaded(lambda m: MADE[name](m.parameters(), **EVERY[name]), network, tmp_path)


@each_matrix_rule
def test_matrices_saved_and_loaded(name: str, tmp_path: Path) -> None:
    saved_and_loaded(MATRICES[name], layered, tmp_path)


def saved_and_loaded(
    make: Callable[[torch.nn.Module], torch.optim.Optimizer], begun: Callable[[], torch.nn.Module], tmp_path: Path
) -> None:
    accelerator, model, made = accelerated(make, loader(), begun=begun)
    state = copy.deepcopy(made.state_dict())
    accelerator.save_state(str(tmp_path / "saved"))
    # The same objects, after they have gone on, and new ones.
    went_on = train(model, made, range(6, 9))
    accelerator.load_state(str(tmp_path / "saved"))
    assert same_state(made.state_dict(), state)
    assert torch.equal(train(model, made, range(6, 9)), went_on)
    forget()
    again, fresh, made_fresh = accelerated(make, loader(batches=1), begun=begun)
    again.load_state(str(tmp_path / "saved"))
    assert same_state(made_fresh.state_dict(), state)
    assert torch.equal(train(fresh, made_fresh, range(6, 9)), went_on)


@each_rule
def test_scaler_skips(name: str) -> None:
    """With a scaler Accelerate replaces `step` by a plain function to see whether it was called."""
    Accelerator(cpu=True)
    one, other = network(), network()
    made = MADE[name](one.parameters(), **EVERY[name])
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**8)
    wrapped = AcceleratedOptimizer(made, scaler=scaler)
    skipped = []
    for number in range(5):
        wrapped.zero_grad()
        scaler.scale(loss_of(one, number)).backward()
        if number in (0, 3):
            one[0].weight.grad.fill_(torch.inf)
        wrapped.step()
        skipped.append(wrapped.step_was_skipped)
    assert skipped == [True, False, False, True, False]
    assert torch.equal(weights(one), train(other, MADE[name](other.parameters(), **EVERY[name]), (1, 2, 4)))


def test_closure() -> None:
    one, other = network(), network()
    plain = train(other, thalweg.AdamW(other.parameters(), lr=0.1), range(3))
    made = Accelerator(cpu=True).prepare(thalweg.AdamW(one.parameters(), lr=0.1))
    for number in range(3):

        def closure(number: int = number) -> torch.Tensor:
            made.zero_grad()
            loss = loss_of(one, number)
            loss.backward()
            return loss

        made.step(closure)
    assert torch.equal(weights(one), plain)


def test_train_and_eval_are_not_needed() -> None:
    made = Accelerator(cpu=True).prepare(thalweg.AdamW(network().parameters()))
    made.eval()
    made.train()
