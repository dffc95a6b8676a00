"""Recorded steps, replayed: judged by as many eager ones by the CPU, to the bit where nothing is added up."""

import copy
from collections.abc import Callable, Sequence
from typing import Any
from unittest.mock import patch

import pytest
import torch
from interpreted import interpreting
from recorded import Loop, Recording, Weights, judge

import thalweg
from thalweg.optim import Optimizer, multiply


def some(loop: Loop) -> None:
    """Recorded after three steps; replays and eager steps in turn."""
    loop.eager(3)
    replay = loop.record()
    loop.replayed(replay, 3)
    loop.eager(2)
    loop.replayed(replay, 2)


@pytest.mark.parametrize(
    ("rule", "options", "near"),
    [
        (thalweg.AdamW, {"weight_decay": 0.1}, 0.0),
        pytest.param(thalweg.AdamW, {"clip_norm": 0.5, "nonfinite": "skip"}, 1e-6, marks=pytest.mark.slow),
        pytest.param(thalweg.Lion, {"ema": 0.9, "clip_value": 0.5}, 0.0, marks=pytest.mark.slow),
        pytest.param(thalweg.SGD, {"momentum": 0.9, "clear": True}, 0.0, marks=pytest.mark.slow),
        pytest.param(thalweg.LAMB, {"clip_norm": 0.5, "clip_scope": "tensor"}, 1e-6, marks=pytest.mark.slow),
        pytest.param(thalweg.Adafactor, {"like": "torch", "nonfinite": "skip"}, 1e-6, marks=pytest.mark.slow),
        pytest.param(thalweg.CAME, {}, 1e-6, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_replays_are_steps(rule: type[Optimizer], options: dict[str, Any], near: float) -> None:
    device = judge(lambda of: rule(of, capturable=True, **options), some, near)
    assert not device.waited


def test_a_step_that_a_replay_leaves_out() -> None:
    """It is not counted; who asks in between reads what is there, and changes nothing."""

    def script(loop: Loop) -> None:
        loop.spoiled(loop.made.step)  # also the very first, whose states stay
        loop.eager(2)
        replay = loop.record()
        loop.replayed(replay, 2)
        loop.spoiled(replay)
        asked.append((loop.made.skipped_steps, loop.made.state_dict()["state"][0]["step"].item()))
        loop.replayed(replay, 2)
        loop.spoiled(replay)
        loop.spoiled(loop.made.step)
        loop.eager(1)

    asked: list[Any] = []
    judge(lambda of: thalweg.AdamW(of, nonfinite="skip", capturable=True), script)
    assert asked == [(2, 4.0)] * 2


@pytest.mark.slow
@pytest.mark.parametrize("absent", [(1,), (0, 2)])
def test_an_absent_gradient(absent: Sequence[int]) -> None:
    """In the recording, and only there; counts differ from then on, also in eager steps and another recording."""

    def script(loop: Loop) -> None:
        loop.eager(2)
        first = loop.record()
        loop.eager(2, absent=absent)
        second = loop.record()
        loop.replayed(second, 3, absent=absent)
        loop.eager(2)
        loop.replayed(second, 2, absent=absent)
        # What a graph reads are the gradients that there were.
        for p, grad in zip(loop.of, grads[len(grads) // 2 if loop.device else 0 :], strict=False):
            p.grad = grad
        loop.replayed(first, 2)

    grads: list[torch.Tensor] = []

    def kept(loop: Loop) -> None:
        loop.backward()
        grads.extend(p.grad for p in loop.of if p.grad is not None)
        script(loop)

    judge(lambda of: thalweg.AdamW(of, capturable=True, lr=0.1), kept)


@pytest.mark.parametrize(
    "options",
    [
        {"weight_decay": 0.1, "decay": "independent", "lr_scale": 0.5},
        *(pytest.param(each, marks=pytest.mark.slow) for each in ({}, {"clip_norm": 0.3})),
    ],
    ids=str,
)
def test_a_rate_that_changes_between_replays(options: dict[str, Any]) -> None:
    def script(loop: Loop) -> None:
        rate = loop.made.param_groups[0]["lr"]
        loop.eager(3)
        replay = loop.record()
        for _ in range(4):
            rate.mul_(0.7)
            loop.replayed(replay, 1)
        loop.eager(1)

    def make(of: Weights) -> Optimizer:
        groups = [{"params": of[:2], "lr": torch.tensor(0.01)}, {"params": of[2:], "lr": 0.02}]
        return thalweg.AdamW(groups, capturable=True, **options)

    judge(make, script, 1e-6 if "clip_norm" in options else 0.0)


def test_a_scaler_in_a_replay() -> None:
    """Whether it has found infinity, and its scale, are read in every replay."""

    def script(loop: Loop) -> None:
        found, scale = torch.zeros(1), torch.tensor(8.0)
        loop.made.found_inf, loop.made.grad_scale = found, scale
        loop.eager(3, factor=8.0)
        replay = loop.record()
        for power, bad in enumerate((0.0, 1.0, 0.0, 1.0, 0.0)):
            found.fill_(bad)
            scale.fill_(2.0**power)
            loop.replayed(replay, 1, factor=2.0**power)

    judge(lambda of: thalweg.AdamW(of, capturable=True, amp_fused=True, clip_norm=100.0), script)


@pytest.mark.parametrize("anew", [pytest.param(False, marks=pytest.mark.slow), True])
def test_two_recordings(anew: bool) -> None:
    """Of one optimizer, whose plan may be made anew between them: both count on one another."""

    def script(loop: Loop) -> None:
        loop.eager(2)
        first = loop.record()
        loop.replayed(first, 2)
        if anew:
            loop.made._plan = None
            loop.replayed(first, 2)
        loop.eager(2)
        second = loop.record()
        for replay in (first, second, first, second):
            loop.replayed(replay, 1)
        assert float(loop.made.state[loop.of[0]]["step"]) == (12 if anew else 10)
        loop.replayed(second, 1)

    judge(lambda of: thalweg.AdamW(of, capturable=True, lr=0.1), script)


@pytest.mark.slow
def test_matrices_in_a_graph() -> None:
    """torch's products are recorded beside the kernels, none of whose numbers the host asks for."""

    def make(of: Weights) -> Optimizer:
        groups = [{"params": of[:3]}, {"params": of[3:], "rule": "adamw"}]
        return thalweg.Muon(groups, lr=0.02, products="float32", capturable=True)

    with patch.object(multiply, "_by_each", multiply._at_once):
        judge(make, some, sizes=((12, 20), (20, 12), (12, 20), (7,)))


@pytest.mark.slow
def test_steps_that_wait_between_replays() -> None:
    """What the host counts itself, the device counts on from."""

    def script(loop: Loop) -> None:
        loop.eager(2)
        replay = loop.record()
        loop.replayed(replay, 2)
        loop.made.nonfinite = "raise"
        loop.eager(2)
        loop.made.nonfinite = "pass"
        loop.replayed(replay, 2)

    judge(lambda of: thalweg.AdamW(of, capturable=True, lr=0.1), script)


@pytest.mark.parametrize(
    "between",
    [lambda loop: loop.made.step(), pytest.param(lambda loop: None, marks=pytest.mark.slow)],
)
def test_a_graph_whose_states_were_replaced(between: Callable[[Loop], object]) -> None:
    """It writes to memory that is kept for it; that it counted on is said, once."""
    device = Recording()
    with interpreting(device):
        loop = Loop(lambda of: thalweg.AdamW(of, capturable=True), device)
        loop.eager(2)
        replay = loop.record()
        loop.made.load_state_dict(copy.deepcopy(loop.made.state_dict()))
        loop.eager(1)
        _ = loop.made.skipped_steps
        loop.replayed(replay, 1)
        between(loop)
        with pytest.raises(RuntimeError, match="a CUDA graph has been replayed that updates what this optimizer no"):
            _ = loop.made.skipped_steps
        assert loop.made.skipped_steps == 0


LATER = thalweg.schedules.Cosine(steps=10)


@pytest.mark.parametrize(
    ("options", "warm", "message"),
    [
        ({"capturable": False}, 2, "is made with capturable=True"),
        ({}, 0, "takes over what a step just like it has made, and there is none"),
        ({"nonfinite": "raise"}, 2, "nonfinite='raise' has to know of nan"),
        ({"schedule": LATER}, 2, "a schedule, or a window of weights, has to know.*lr=torch.tensor"),
        ({"nonfinite": "skip", "clear": True}, 2, "gradients are cleared, also in a step"),
    ],
)
def test_what_cannot_be_recorded(options: dict[str, Any], warm: int, message: str) -> None:
    """Said before anything is done; and eager steps go on."""

    def script(loop: Loop) -> None:
        loop.eager(warm)
        loop.backward()
        if loop.device is not None:
            with pytest.raises(RuntimeError, match=message):
                loop.record()
            loop.device.recording = False
        loop.eager(2)

    judge(lambda of: thalweg.AdamW(of, **{"capturable": True, **options}), script)


@pytest.mark.parametrize("what", ["a clip", "a gradient", "a count", "twice", "watched"])
def test_a_recording_unlike_the_steps_before(what: str) -> None:
    """Nothing is made while recording, so what it takes has to be there."""
    device = Recording()
    with interpreting(device):
        rate = torch.tensor(0.01)
        loop = Loop(lambda of: thalweg.AdamW(of, capturable=True, lr=rate), device)
        loop.eager(3)
        if what == "a clip":
            loop.made.clip_norm = 1.0
        if what == "a count":
            loop.made.state[loop.of[1]]["step"].fill_(9.0)
        if what == "a gradient":
            loop.of.append(torch.nn.Parameter(torch.ones(3)))
            loop.made.add_param_group({"params": loop.of[-1:]})
        if what == "twice":
            loop.record()
        if what == "watched":
            loop.made.watch()
        with pytest.raises(RuntimeError, match="watch" if what == "watched" else "or another recording has it"):
            loop.record()


def test_what_is_recorded_is_not_done() -> None:
    with interpreting(device := Recording()):
        loop = Loop(lambda of: thalweg.AdamW(of, capturable=True), device)
        loop.eager(2)
        before = copy.deepcopy([loop.of, loop.made.state_dict()["state"]])
        loop.record()
        torch.testing.assert_close([loop.of, loop.made.state_dict()["state"]], before, rtol=0, atol=0)


def test_tables_that_were_not_left_alone_are_noticed() -> None:
    """So that tests can fail: an eager step that goes on with what a graph has taken over."""
    with interpreting(device := Recording()):
        loop = Loop(lambda of: thalweg.AdamW(of, capturable=True), device)
        loop.eager(2)
        plan = loop.made._plan
        assert plan is not None
        kept = dict(plan._steps)
        for p in loop.of:
            assert p.grad is not None
            p.grad = p.grad.clone()
        loop.record()
        plan._steps.update(kept)
        for p in loop.of:
            p.grad = torch.ones_like(p)
        with pytest.raises(AssertionError, match="a table is written to that a graph reads"):
            loop.made.step()


def test_steps_alike_are_worked_out_once() -> None:
    """How a step is taken is one object while nothing that decides it has changed."""
    with interpreting(device := Recording()):
        loop = Loop(lambda of: thalweg.AdamW(of, capturable=True), device, ((3,),))
        loop.eager(2)
        ahead = loop.made._stepper._last
        loop.eager(1)
        assert loop.made._stepper._last is ahead
