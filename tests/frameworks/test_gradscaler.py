"""torch.amp.GradScaler on the CPU: scaled losses, steps that it leaves out, and clipping between the two."""

import copy
import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from small_training import EVERY, MADE, SHARED, distance, each_rule, loss_of, network, train, weights
from torch import Tensor, nn

import thalweg

Clip = Callable[[nn.Module], Any]


def scaler(scale: float = 2.0**8, interval: int = 1000) -> torch.amp.GradScaler:
    return torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=interval)


def scaled_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scaling: torch.amp.GradScaler,
    number: int,
    spoiled: bool = False,
    clip: Clip | None = None,
    half: bool = False,
) -> None:
    """One step as in torch's documentation. ``spoiled``: one gradient overflows; ``half``: under float16 autocast."""
    optimizer.zero_grad()
    with torch.autocast("cpu", torch.float16, enabled=half):
        loss = loss_of(model, number)
    scaling.scale(loss).backward()
    if spoiled:
        first = next(model.parameters()).grad
        assert first is not None
        first.view(-1)[1] = math.inf
    if clip is not None:
        scaling.unscale_(optimizer)
        clip(model)
    scaling.step(optimizer)
    scaling.update()


def scaled(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    spoiled: Sequence[int] = (),
    clip: Clip | None = None,
    scaling: torch.amp.GradScaler | None = None,
    steps: int = 6,
) -> Tensor:
    scaling = scaling or scaler()
    for number in range(steps):
        scaled_step(model, optimizer, scaling, number, number in spoiled, clip)
    return weights(model)


def clip_at_a_tenth(model: nn.Module) -> None:
    norm = nn.utils.clip_grad_norm_(model.parameters(), 0.1)
    assert norm > 0.1


@each_rule
class TestEveryRule:
    def test_scaling_changes_nothing(self, name: str) -> None:
        """The scale is a power of two, so scaling and unscaling are exact."""
        one, other = network(), network()
        plain = train(one, MADE[name](one.parameters(), **EVERY[name]))
        assert torch.equal(scaled(other, MADE[name](other.parameters(), **EVERY[name])), plain)

    @pytest.mark.parametrize("spoiled", [(3,), (0, 1, 4)], ids=str)
    def test_overflow_leaves_no_trace(self, name: str, spoiled: tuple[int, ...]) -> None:
        one, other = network(), network()
        good = [number for number in range(6) if number not in spoiled]
        expected = MADE[name](one.parameters(), **EVERY[name])
        found = MADE[name](other.parameters(), **EVERY[name])
        train(one, expected, good)
        assert torch.equal(scaled(other, found, spoiled), weights(one))
        assert [float(s["step"]) for s in found.state.values()] == [len(good)] * 6

    def test_overflow_in_the_first_step(self, name: str) -> None:
        model = network()
        made = MADE[name](model.parameters(), **EVERY[name])
        before = weights(model)
        scaled_step(model, made, scaler(), 0, spoiled=True)
        assert torch.equal(weights(model), before)
        assert made.state_dict()["state"] == {}

    def test_unscale_clip_step(self, name: str) -> None:
        one, other = network(), network()
        plain = MADE[name](one.parameters(), **EVERY[name])
        for number in range(6):
            plain.zero_grad()
            loss_of(one, number).backward()
            clip_at_a_tenth(one)
            plain.step()
        found = scaled(other, MADE[name](other.parameters(), **EVERY[name]), clip=clip_at_a_tenth)
        assert torch.equal(found, weights(one))

    def test_scaling_is_left_to_the_scaler(self, name: str) -> None:
        """The flag's presence alone makes Lightning refuse gradient clipping, whatever its value."""
        made = MADE[name](network().parameters())
        assert not getattr(made, "_step_supports_amp_scaling", False)
        assert "grad_scale" not in inspect.signature(made.step).parameters


@pytest.mark.parametrize("name", SHARED)
@pytest.mark.parametrize("clip", [None, clip_at_a_tenth], ids=["as it is", "clipped"])
def test_half_precision_training_as_torch(name: str, clip: Clip | None) -> None:
    """Under float16 autocast, with an overflow in the first step and one later, and a scale that grows and shrinks."""
    one, other = network(), network()
    ours = getattr(thalweg, name)(one.parameters(), **SHARED[name])
    theirs = getattr(torch.optim, name)(other.parameters(), foreach=False, **SHARED[name])
    scales: tuple[list[float], list[float]] = ([], [])
    scalings = (scaler(2.0**10, interval=2), scaler(2.0**10, interval=2))
    for number in range(8):
        for model, made, scaling, seen in zip((one, other), (ours, theirs), scalings, scales, strict=True):
            scaled_step(model, made, scaling, number, number in (0, 5), clip, half=True)
            seen.append(scaling.get_scale())
    assert distance(weights(one), weights(other)) < 0.01  # float16 has 11 bits
    assert scales[0] == scales[1] == [512, 512, 1024, 1024, 2048, 1024, 1024, 2048]


@pytest.mark.parametrize("scale", [2.0**20, 2.0**40], ids=["2^20", "2^40"])
def test_real_overflow_backs_off(scale: float) -> None:
    """float16 gradients of a loss scaled too far really are infinite; training starts once the scale has come down."""
    model = network(torch.float32)
    made = thalweg.AdamW(model.parameters(), lr=0.01, nonfinite="raise")
    scaling = scaler(scale)
    before, skipped = weights(model), 0
    for number in range(40):
        scaled_step(model, made, scaling, number, half=True)
        skipped += bool(torch.equal(weights(model), before))
    assert 0 < skipped < 39
    assert scaling.get_scale() == scale / 2**skipped
    assert {float(s["step"]) for s in made.state.values()} == {40.0 - skipped}
    assert weights(model).isfinite().all()


def test_own_clip_sees_unscaled_gradients() -> None:
    one, other = network(), network()
    clipped = scaled(one, thalweg.SGD(one.parameters(), lr=0.1, momentum=0.9, clip_norm=0.1))
    by_torch = scaled(other, thalweg.SGD(other.parameters(), lr=0.1, momentum=0.9), clip=clip_at_a_tenth)
    assert distance(clipped, by_torch) < 1e-5


def test_one_scaler_for_two_optimizers() -> None:
    """An overflow in one optimizer's gradients is no reason for the other to stand still."""
    model = network()
    halves = (model[0].parameters(), model[3].parameters())
    first, second = (thalweg.AdamW(half, lr=0.1) for half in halves)
    scaling = scaler()
    scaling.scale(loss_of(model, 0)).backward()
    model[3].weight.grad[0, 0] = math.nan
    before = model[0].weight.detach().clone(), model[3].weight.detach().clone()
    scaling.step(first)
    scaling.step(second)
    scaling.update()
    assert not torch.equal(model[0].weight, before[0])
    assert torch.equal(model[3].weight, before[1])
    assert second.state_dict()["state"] == {}


def test_resumed() -> None:
    one, other = network(), network()
    made, scaling = thalweg.AdamW(one.parameters(), lr=0.1), scaler(interval=2)
    scaled(one, made, (0,), scaling=scaling)
    saved = copy.deepcopy((one.state_dict(), made.state_dict(), scaling.state_dict()))
    scaled(one, made, (2,), scaling=scaling)
    again, scaling_again = thalweg.AdamW(other.parameters(), lr=0.5), scaler(interval=2)
    for target, state in zip((other, again, scaling_again), saved, strict=True):
        target.load_state_dict(state)
    assert torch.equal(scaled(other, again, (2,), scaling=scaling_again), weights(one))
    assert scaling.get_scale() == scaling_again.get_scale()


@pytest.mark.parametrize(
    "clear",
    [False, True],
    ids=["zero_grad", "clear"],
)
def test_spoiled_gradients_without_a_scaler(clear: bool) -> None:
    """``nonfinite="skip"`` alone does what a scaler would have done."""
    one, other = network(), network()
    made = thalweg.AdamW(one.parameters(), lr=0.1, nonfinite="skip", clear=clear)
    for number in range(4):
        if not clear:
            made.zero_grad()
        loss_of(one, number).backward()
        if number in (0, 2):
            one[0].weight.grad[1, 1] = math.inf
        made.step()
    assert torch.equal(scaled(other, thalweg.AdamW(other.parameters(), lr=0.1), (0, 2), steps=4), weights(one))
    assert made.skipped_steps == 2


@each_rule
class TestUnscalingInTheStep:
    """``amp_fused=True``: the optimizer divides by the scale itself and leaves out the step that overflowed."""

    def make(self, name: str, model: nn.Module, **options: Any) -> torch.optim.Optimizer:
        return MADE[name](model.parameters(), amp_fused=True, **EVERY[name], **options)

    def test_flag(self, name: str) -> None:
        made = self.make(name, network())
        assert made._step_supports_amp_scaling is True
        assert "grad_scale" not in inspect.signature(made.step).parameters
        assert copy.deepcopy(made)._step_supports_amp_scaling is True

    @pytest.mark.parametrize("spoiled", [(), (0, 1, 4)], ids=str)
    def test_same_training(self, name: str, spoiled: tuple[int, ...]) -> None:
        one, other = network(), network()
        apart = scaled(one, MADE[name](one.parameters(), **EVERY[name]), spoiled)
        assert distance(scaled(other, self.make(name, other), spoiled), apart) < 1e-5

    @pytest.mark.parametrize("spoiled", [0, 2])
    def test_overflow_touches_nothing(self, name: str, spoiled: int) -> None:
        model, scaling = network(), scaler()
        made = self.make(name, model)
        for number in range(spoiled):
            scaled_step(model, made, scaling, number)
        before, state = weights(model), copy.deepcopy(made.state_dict())
        scaled_step(model, made, scaling, spoiled, spoiled=True)
        assert torch.equal(weights(model), before)
        after = made.state_dict()
        assert after["param_groups"] == state["param_groups"]
        assert after["state"].keys() == state["state"].keys()
        for number, kept in state["state"].items():
            assert all(torch.equal(value, after["state"][number][key]) for key, value in kept.items())
        assert scaling.get_scale() == 2.0**7

    @pytest.mark.parametrize("option", ["raise", "skip"])
    def test_overflow_is_the_scalers_business(self, name: str, option: str) -> None:
        model = network()
        made = self.make(name, model, nonfinite=option)
        before = weights(model)
        scaled_step(model, made, scaler(), 0, spoiled=True)
        assert torch.equal(weights(model), before)

    def test_unscaled_before(self, name: str) -> None:
        """After `unscale_` the scaler hands over no scale: the gradients must not be divided a second time."""
        one, other = network(), network()
        apart = scaled(one, MADE[name](one.parameters(), **EVERY[name]), (1,), clip_at_a_tenth)
        assert torch.equal(scaled(other, self.make(name, other), (1,), clip_at_a_tenth), apart)

    def test_own_clip(self, name: str) -> None:
        """The norm that is limited is that of the unscaled gradients."""
        one, other = network(), network()
        apart = scaled(one, MADE[name](one.parameters(), clip_norm=0.1, **EVERY[name]), (2,))
        assert distance(scaled(other, self.make(name, other, clip_norm=0.1), (2,)), apart) < 1e-5

    def test_without_a_scaler(self, name: str) -> None:
        """Before the first scaled step and after the last: the scale of a step is forgotten with it."""
        one, other = network(), network()
        plain, made = MADE[name](one.parameters(), **EVERY[name]), self.make(name, other)
        train(one, plain, range(2))
        train(other, made, range(2))
        assert torch.equal(weights(other), weights(one))
        scaled(one, plain, (0,))
        scaled(other, made, (0,))
        assert distance(train(other, made, range(6, 8)), train(one, plain, range(6, 8))) < 1e-5

    def test_no_scale(self, name: str) -> None:
        """A scaler that has unscaled the gradients already may say None."""
        one, other = network(), network()
        plain = train(one, MADE[name](one.parameters(), **EVERY[name]), [0])
        made = self.make(name, other)
        made.grad_scale, made.found_inf = None, torch.zeros(())
        assert torch.equal(train(other, made, [0]), plain)

    def test_overflow_is_cleared(self, name: str) -> None:
        """With ``clear=True`` nobody calls `zero_grad`: an infinity that stays makes all later gradients infinite."""
        one, other = network(), network()
        scaled(one, MADE[name](one.parameters(), **EVERY[name]), (1,), steps=4)
        made, scaling = self.make(name, other, clear=True), scaler()
        for number in range(4):
            scaling.scale(loss_of(other, number)).backward()
            if number == 1:
                other[0].weight.grad[0, 0] = math.inf
            scaling.step(made)
            scaling.update()
        assert distance(weights(other), weights(one)) < 1e-5

    def test_gradients_in_memory_stay_scaled(self, name: str) -> None:
        model = network()
        made = self.make(name, model)
        scaling = scaler()
        scaling.scale(loss_of(model, 0)).backward()
        before = [p.grad.clone() for p in model.parameters() if p.grad is not None]
        scaling.step(made)
        after = [p.grad for p in model.parameters() if p.grad is not None]
        assert all(map(torch.equal, before, after))
