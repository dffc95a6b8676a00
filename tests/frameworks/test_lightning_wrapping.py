"""How Lightning wraps an optimizer, without Lightning: a class made at run time, a forwarded or copied inside.

Lightning's wrapper is an instance of the optimizer's own class that never ran its ``__init__``, and the optimizer's
step gets a closure that runs the training step, unscales and clips.
"""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from small_training import EVERY, MADE, distance, each_rule, loss_of, network, train, weights

import thalweg

Closure = Callable[[], torch.Tensor]


def handles_unscaling(made: torch.optim.Optimizer) -> bool:
    """Lightning's question, asked before it clips under 16-bit mixed precision."""
    return bool(getattr(made, "_step_supports_amp_scaling", False))


class Wrapper:
    """A mixed-precision trainer's view of an optimizer: wraps its closure, clips, and leaves the scaling to torch."""

    def __init__(self, made: torch.optim.Optimizer, clip: float | None = None, scaled: bool = False) -> None:
        self._optimizer, self._clip = made, clip
        self._scaler = torch.amp.GradScaler("cpu", init_scale=2.0**8) if scaled else None
        # As one of the optimizer's class to anyone who asks.
        self.__class__ = type("Lightning" + type(made).__name__, (type(self), type(made)), {})

    def step(self, closure: Closure) -> Any:
        if self._scaler is None:
            return self._optimizer.step(lambda: self._before_step(closure))
        loss = closure()
        if not handles_unscaling(self._optimizer):
            self._scaler.unscale_(self._optimizer)
        self._clipped()
        self._scaler.step(self._optimizer)
        self._scaler.update()
        return loss

    def scaled(self, loss: torch.Tensor) -> torch.Tensor:
        return loss if self._scaler is None else self._scaler.scale(loss)

    def _before_step(self, closure: Closure) -> torch.Tensor:
        loss = closure()
        self._clipped()
        return loss

    def _clipped(self) -> None:
        if self._clip is None:
            return
        if self._scaler is not None and handles_unscaling(self._optimizer):
            raise RuntimeError("cannot clip: this optimizer unscales its gradients inside its step")
        params = [p for group in self._optimizer.param_groups for p in group["params"]]
        torch.nn.utils.clip_grad_norm_(params, self._clip)


class Forwarding(Wrapper):
    """What is not the wrapper's is looked up in the optimizer."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_optimizer"], name)


class Copying(Wrapper):
    """The optimizer's attributes are copied once; its containers are therefore shared."""

    def __init__(self, made: torch.optim.Optimizer, **options: Any) -> None:
        self.__dict__.update({k: v for k, v in made.__dict__.items() if k not in ("step", "__del__")})
        super().__init__(made, **options)


def fit(model: torch.nn.Module, wrapper: Any, steps: range = range(6)) -> torch.Tensor:
    """The loop that hands each training step to the optimizer as a closure."""
    for number in steps:

        def closure(number: int = number) -> torch.Tensor:
            assert torch.is_grad_enabled()
            wrapper.zero_grad()
            loss = loss_of(model, number)
            wrapper.scaled(loss).backward()
            return loss.detach()

        assert wrapper.step(closure) > 0
    return weights(model)


def clipped_by_hand(model: torch.nn.Module, made: torch.optim.Optimizer) -> torch.Tensor:
    for number in range(6):
        made.zero_grad()
        loss_of(model, number).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.05)
        made.step()
    return weights(model)


@pytest.mark.parametrize("wrap", [Forwarding, Copying])
class TestWrapped:
    @each_rule
    def test_is_the_plain_loop(self, wrap: type[Wrapper], name: str) -> None:
        one, other = network(), network()
        plain = train(one, MADE[name](one.parameters(), **EVERY[name]))
        assert torch.equal(fit(other, wrap(MADE[name](other.parameters(), **EVERY[name]))), plain)

    @pytest.mark.parametrize("scaled", [False, True], ids=["plain", "scaled"])
    @each_rule
    def test_clipping(self, wrap: type[Wrapper], name: str, scaled: bool) -> None:
        """Gradient clipping under 16-mixed needs an optimizer that does not unscale by itself; ours does not."""
        one, other = network(), network()
        by_hand = clipped_by_hand(one, MADE[name](one.parameters(), **EVERY[name]))
        wrapped = wrap(MADE[name](other.parameters(), **EVERY[name]), clip=0.05, scaled=scaled)
        assert torch.equal(fit(other, wrapped), by_hand)

    def test_is_one_of_us(self, wrap: type[Wrapper]) -> None:
        wrapped: Any = wrap(thalweg.AdamW(network().parameters(), lr=0.25))
        assert isinstance(wrapped, thalweg.AdamW)
        assert isinstance(wrapped, torch.optim.Optimizer)
        assert type(wrapped).__name__ == "LightningAdamW"
        assert wrapped.defaults["lr"] == wrapped.param_groups[0]["lr"] == 0.25
        assert "lr: 0.25" in repr(wrapped)
        assert not handles_unscaling(wrapped)

    def test_group_added_through_the_wrapper(self, wrap: type[Wrapper]) -> None:
        found = []
        for wrapped_too in (False, True):
            model: Any = network()
            made: Any = thalweg.AdamW(model[0].parameters(), lr=0.1)
            outer = wrap(made)
            fit(model, outer, range(2))
            (outer if wrapped_too else made).add_param_group({"params": model[3].parameters(), "lr": 0.01})
            assert len(outer.param_groups) == len(made.param_groups) == 2
            found.append(fit(model, outer, range(2, 6)))
        assert torch.equal(*found)

    def test_state_dict(self, wrap: type[Wrapper]) -> None:
        model = network()
        made = thalweg.AdamW(model.parameters(), lr=0.1)
        wrapped: Any = wrap(made)
        fit(model, wrapped, range(3))
        inside, outside = made.state_dict(), wrapped.state_dict()
        assert outside["param_groups"] == inside["param_groups"]
        assert outside["state"].keys() == inside["state"].keys() == set(range(6))
        assert all(torch.equal(v, outside["state"][n][k]) for n, s in inside["state"].items() for k, v in s.items())
        again = network()
        again.load_state_dict(model.state_dict())
        fresh = thalweg.AdamW(again.parameters(), lr=0.5)
        fresh.load_state_dict(copy.deepcopy(outside))
        assert torch.equal(fit(again, wrap(fresh), range(3, 6)), fit(model, wrapped, range(3, 6)))

    def test_checkpoint_loaded_below_the_wrapper(self, wrap: type[Wrapper]) -> None:
        """The trainer loads into the optimizer that it has wrapped already."""
        model = network()
        made = thalweg.AdamW(model.parameters(), lr=0.1)
        wrapped = wrap(made)
        fit(model, wrapped, range(3))
        other = network()
        fresh = thalweg.AdamW(other.parameters(), lr=0.5)
        outer = wrap(fresh)
        fit(other, outer, range(1))
        other.load_state_dict(model.state_dict())
        fresh.load_state_dict(copy.deepcopy(made.state_dict()))
        assert torch.equal(fit(other, outer, range(3, 6)), fit(model, wrapped, range(3, 6)))

    def test_schedule_on_the_optimizer_below(self, wrap: type[Wrapper]) -> None:
        one, other = network(), network()
        plain = thalweg.SGD(one.parameters(), lr=0.1, momentum=0.9)
        train(one, plain, after=torch.optim.lr_scheduler.ExponentialLR(plain, 0.8).step)
        made = thalweg.SGD(other.parameters(), lr=0.1, momentum=0.9)
        schedule = torch.optim.lr_scheduler.ExponentialLR(made, 0.8)
        wrapped = wrap(made)
        for number in range(6):
            fit(other, wrapped, range(number, number + 1))
            schedule.step()
        assert torch.equal(weights(other), weights(one))

    def test_own_clip_instead_of_the_trainers(self, wrap: type[Wrapper]) -> None:
        one, other = network(), network()
        by_hand = clipped_by_hand(one, thalweg.SGD(one.parameters(), lr=0.1))
        wrapped = wrap(thalweg.SGD(other.parameters(), lr=0.1, clip_norm=0.05), scaled=True)
        assert distance(fit(other, wrapped), by_hand) < 1e-5

    def test_unscaling_in_the_step_excludes_the_trainers_clip(self, wrap: type[Wrapper]) -> None:
        """Who asks for it gets Lightning's refusal; without clipping it trains as ever."""
        one, other = network(), network()
        wrapped = wrap(thalweg.AdamW(one.parameters(), amp_fused=True), scaled=True)
        assert handles_unscaling(wrapped)
        assert distance(fit(one, wrapped), train(other, thalweg.AdamW(other.parameters()))) < 1e-5
        with pytest.raises(RuntimeError, match="cannot clip"):
            fit(one, wrap(thalweg.AdamW(one.parameters(), amp_fused=True), clip=0.05, scaled=True))


@each_rule
def test_step_replaced_on_the_instance(name: str) -> None:
    """Progress counters replace ``optimizer.step`` by a function of their own that calls the bound method."""
    one, other = network(), network()
    plain = train(one, MADE[name](one.parameters(), **EVERY[name]))
    made = MADE[name](other.parameters(), **EVERY[name])
    method, calls = made.step, []

    def counted(*arguments: Any, **named: Any) -> Any:
        calls.append(arguments)
        return method(*arguments, **named)

    assert method.__func__ is type(made).step
    made.step = counted
    assert torch.equal(train(other, made), plain)
    assert len(calls) == 6
