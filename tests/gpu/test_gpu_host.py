"""The host's side of a step on a GPU: what is launched, that nothing is waited for, that nothing is sent too late."""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

import pytest
import torch
from stand_in import StandIn, standing_in

import thalweg
from thalweg.optim import Optimizer

WAYS = [
    pytest.param(thalweg.AdamW, {}, ["walk"], id="plain"),
    pytest.param(thalweg.Lion, {"clip_value": 1.0, "weight_decay": 0.1}, ["walk"], id="chain"),
    pytest.param(thalweg.AdamW, {"clip_norm": 1.0}, ["walk", "between", "walk"], id="clip"),
    pytest.param(thalweg.AdamW, {"nonfinite": "skip"}, ["walk", "between", "walk"], id="skip"),
    pytest.param(thalweg.AdamW, {"nonfinite": "skip", "clip_norm": 1.0}, ["walk", "between", "walk"], id="both"),
    pytest.param(thalweg.LAMB, {}, ["walk", "between", "walk"], id="sums"),
    pytest.param(thalweg.LAMB, {"clip_norm": 1.0}, ["walk", "between"] * 2 + ["walk"], id="sums and clip"),
    pytest.param(
        thalweg.Adafactor,
        {},
        ["added", "between", "along", "along", "between", "walk", "between", "between", "walk", "along"],
        id="lines",
    ),
]
# What would wait for a GPU if the tensor were there.
WAITING = ("item", "cpu", "numpy", "tolist", "nonzero", "__float__", "__bool__", "__int__", "__index__")


def params(count: int) -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(torch.zeros(3, 2)) for _ in range(count)]


def give_gradients(of: list[torch.nn.Parameter]) -> None:
    for p in of:
        p.grad = torch.ones_like(p)


@contextmanager
def nothing_waits() -> Iterator[None]:
    """Within, whatever waits for a tensor's device raises, and a copy to the host does."""

    def refuse(*arguments: Any, **named: Any) -> Any:
        raise AssertionError("the host waits for the device")

    patches = [patch.object(torch.Tensor, name, refuse) for name in WAITING]
    for each in patches:
        each.start()
    try:
        yield
    finally:
        for each in patches:
            each.stop()


@pytest.mark.parametrize(("kind", "options", "expected"), WAYS)
@pytest.mark.parametrize("count", [10, pytest.param(2_000, marks=pytest.mark.slow)])
def test_as_many_kernels_for_any_number_of_tensors(
    kind: type[Optimizer], options: dict[str, Any], expected: list[str], count: int
) -> None:
    with standing_in(StandIn()) as device:
        of = params(count)
        optimizer = kind(of, **options)
        give_gradients(of)
        with device.waited_for():
            optimizer.step()
        for _ in range(2):
            give_gradients(of)
            before = len(device.launched)
            optimizer.step()
            assert [name for name, _ in device.launched[before:]] == expected
        # A program for each small tensor; of states by line, for the rows of each and the columns.
        assert device.launched[-1][1] == (count if device.launched[-1][0] == "walk" else 2 * count)
    assert device.wrong == 0


@pytest.mark.parametrize(("kind", "options", "expected"), WAYS)
def test_no_step_waits(kind: type[Optimizer], options: dict[str, Any], expected: list[str]) -> None:
    """Nor does one whose gradients are new, some absent, and whose rates are scheduled by group."""
    with standing_in(StandIn(prompt=False)) as device:
        of = params(6)
        optimizer = kind([{"params": of[:3]}, {"params": of[3:], "lr": 0.01}], **options)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
        give_gradients(of)
        with device.waited_for():
            optimizer.step()
        for step in range(6):
            give_gradients(of)
            for p in of[step % 3 : step]:
                p.grad = None
            with nothing_waits():
                optimizer.step()
            scheduler.step()


def test_a_step_that_has_to_know_waits() -> None:
    """So that the test before can fail: what "raise" asks for is on the device."""
    with standing_in(StandIn()):
        of = params(2)
        give_gradients(of)
        with pytest.raises(AssertionError, match="waits"):
            thalweg.AdamW(of, nonfinite="raise").step()


@pytest.mark.parametrize(("kind", "options", "expected"), WAYS)
def test_what_a_recording_does_without(kind: type[Optimizer], options: dict[str, Any], expected: list[str]) -> None:
    """It makes no memory, loads no kernel, touches no event, waits for nothing; the card refuses each of them.

    Nor does the host write later to what the graph reads: it is twenty steps ahead of a replay.
    """
    with standing_in(StandIn(prompt=False)) as device:
        of = params(6)
        optimizer = kind(of, capturable=True, **options)
        for step in range(4):
            give_gradients(of)  # elsewhere each time, and a graph has memory of its own
            optimizer.param_groups[0]["lr"] = 0.01 * (step + 1)
            before, device.recording = len(device.given), step == 3
            pinned = [weakref.ref(piece) for table in device.tables for piece in table.pieces]
            with nothing_waits() if step else nullcontext():  # states that are made are the CPU's own
                optimizer.step()
        assert all(piece() for piece in pinned), "pinned memory that is let go records an event"
        device.recording = False
        kept, graph = [p.grad for p in of], device.given[before:]
        sent = [each for each in graph if each.func is torch.Tensor.copy_]  # type: ignore[attr-defined]
        assert len(sent) >= 2, "numbers, and addresses"
        for _ in range(20):
            give_gradients(of)
            optimizer.step()
        device.catch_up()
        for each in graph:
            each()
        assert device.wrong == 0
        assert len(kept) == 6


def test_a_scalers_numbers_stay_on_the_device() -> None:
    with standing_in(StandIn(prompt=False)) as device:
        of = params(3)
        optimizer = thalweg.AdamW(of, amp_fused=True)
        give_gradients(of)
        optimizer.step()
        optimizer.found_inf, optimizer.grad_scale = torch.zeros(1), torch.full((), 1024.0)
        give_gradients(of)
        with nothing_waits():
            optimizer.step()
        assert [name for name, _ in device.launched] == ["walk", "between", "walk"]


@pytest.mark.parametrize(("kind", "options", "expected"), WAYS)
def test_what_is_sent_is_what_the_device_finds_however_late(
    kind: type[Optimizer], options: dict[str, Any], expected: list[str]
) -> None:
    """The host is twenty steps ahead, and each kernel still finds the rows and addresses of its own step."""
    with standing_in(StandIn(prompt=False)) as device:
        of = params(6)
        optimizer = kind([{"params": of[:3]}, {"params": of[3:], "lr": 0.01}], **options)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
        give_gradients(of)
        with device.waited_for():
            optimizer.step()
        for _ in range(20):
            give_gradients(of)
            optimizer.step()
            scheduler.step()
        assert device.done == 0
        device.catch_up()
        assert device.wrong == 0


def test_memory_that_has_been_copied_is_used_again() -> None:
    """A prompt device needs no more than one or two pieces of pinned memory for each table."""
    with standing_in(StandIn()) as device:
        of = params(4)
        optimizer = thalweg.AdamW([{"params": of[:2]}, {"params": of[2:], "lr": 0.01}])
        for _ in range(30):
            give_gradients(of)
            optimizer.step()
        assert max(len(table.pieces) for table in device.tables) <= 2


def test_one_piece_of_memory_would_not_do() -> None:
    """So that the lagging device's test can fail: a table that never asks whether the device has copied is wrong."""
    with standing_in(StandIn(prompt=False)) as device, patch("stand_in._Event.query", lambda self: True):
        of = params(4)
        optimizer = thalweg.AdamW([{"params": of[:2]}, {"params": of[2:], "lr": 0.01}])
        for _ in range(5):
            give_gradients(of)
            optimizer.step()
        device.catch_up()
        assert device.wrong > 0
