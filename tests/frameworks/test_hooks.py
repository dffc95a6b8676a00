"""Hooks around the step and the checkpoint, gradients that accumulate, and steps taken inside the backward pass."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from small_training import EVERY, MADE, SHARED, distance, divided, each_rule, loss_of, network, train, weights

import thalweg
from rule_kinds import trains_together

# Rules of which a parameter's step does not depend on the others, so that each may have an optimizer of its own.
APART = [name for name in EVERY if not trains_together(MADE[name].rule) and name != "joined"]
each_apart = pytest.mark.parametrize("name", divided(APART))


@pytest.fixture
def everywhere() -> Iterator[list[Any]]:
    """Hooks on every optimizer's step, and what they saw."""
    from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

    seen: list[Any] = []
    handles = (
        register_optimizer_step_pre_hook(lambda made, args, kwargs: seen.append(("before", made))),
        register_optimizer_step_post_hook(lambda made, args, kwargs: seen.append(("after", made))),
    )
    yield seen
    for handle in handles:
        handle.remove()


class TestStepHooks:
    def test_order(self, everywhere: list[Any]) -> None:
        model = network()
        made = thalweg.AdamW(model.parameters())
        made.register_step_pre_hook(lambda *_: everywhere.append("own before"))
        made.register_step_post_hook(lambda *_: everywhere.append("own after"))
        train(model, made, [0])
        assert everywhere == [("before", made), "own before", "own after", ("after", made)]

    def test_arguments_may_be_changed(self) -> None:
        """A hook before the step may hand it another closure."""
        model = network()
        made = thalweg.SGD(model.parameters(), lr=0.1)
        made.register_step_pre_hook(lambda made, args, kwargs: ((made, lambda: 5.0), {}))
        loss_of(model, 0).backward()
        assert made.step(lambda: 1.0) == 5.0

    @pytest.mark.parametrize("name", SHARED)
    def test_gradients_changed_before_the_step(self, name: str) -> None:
        """Clipping, noise or masks in a hook act on the step that follows."""

        def halve(made: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
            for group in made.param_groups:
                for p in group["params"]:
                    p.grad = p.grad * 0.5 if p.dim() == 2 else p.grad

        found = []
        for made_by, options in ((getattr(thalweg, name), {}), (getattr(torch.optim, name), {"foreach": False})):
            model = network(torch.float64)
            made = made_by(model.parameters(), **SHARED[name], **options)
            made.register_step_pre_hook(halve)
            found.append(train(model, made))
        assert distance(*found) < 1e-10

    @pytest.mark.parametrize("name", SHARED)
    def test_weights_changed_after_the_step(self, name: str) -> None:
        """A projection back onto what is allowed, as for weight norms or positivity."""

        @torch.no_grad()
        def project(made: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
            for group in made.param_groups:
                for p in group["params"]:
                    p.clamp_(-0.25, 0.25)

        found = []
        for made_by, options in ((getattr(thalweg, name), {}), (getattr(torch.optim, name), {"foreach": False})):
            model = network(torch.float64)
            made = made_by(model.parameters(), **SHARED[name], **options)
            made.register_step_post_hook(project)
            found.append(train(model, made))
            assert found[-1].abs().max() <= 0.25
        assert distance(*found) < 1e-10


def test_profiler_sees_the_step() -> None:
    """By the name that torch gives the steps of its own optimizers."""
    model = network()
    made = thalweg.AdamW(model.parameters())
    train(model, made, [0])
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        train(model, made, [1, 2])
    counts = {event.key: event.count for event in profile.key_averages()}
    assert counts["Optimizer.step#AdamW.step"] == 2


class TestCheckpointHooks:
    def test_order_and_content(self) -> None:
        model = network()
        made = thalweg.AdamW(model.parameters(), lr=0.1)
        train(model, made, range(2))
        seen: list[Any] = []
        made.register_state_dict_pre_hook(lambda made: seen.append("saving"))
        made.register_state_dict_post_hook(lambda made, state: {**state, "note": "from the hook"})
        made.register_load_state_dict_pre_hook(lambda made, state: seen.append(state["note"]))
        made.register_load_state_dict_post_hook(lambda made: seen.append("loaded"))
        made.load_state_dict(made.state_dict())
        assert seen == ["saving", "from the hook", "loaded"]

    @each_apart  # what groups keep is not in the states
    def test_state_changed_while_loading(self, name: str) -> None:
        """A hook that hands on another state_dict: here one that forgets all averages."""

        def forgetful(made: torch.optim.Optimizer, state: dict[str, Any]) -> dict[str, Any]:
            return {**state, "state": {}}

        model, other = network(), network()
        made = MADE[name](model.parameters(), **EVERY[name])
        train(model, made, range(3))
        other.load_state_dict(model.state_dict())
        fresh = MADE[name](other.parameters(), **EVERY[name])
        made.register_load_state_dict_pre_hook(forgetful)
        made.load_state_dict(made.state_dict())
        assert torch.equal(train(model, made, range(3, 6)), train(other, fresh, range(3, 6)))

    @pytest.mark.parametrize("name", SHARED)
    def test_state_changed_after_loading(self, name: str) -> None:
        @torch.no_grad()
        def double(made: torch.optim.Optimizer) -> None:
            for state in made.state.values():
                for key, value in state.items():
                    if key != "step":
                        value.mul_(2.0)

        found = []
        for made_by, options in ((getattr(thalweg, name), {}), (getattr(torch.optim, name), {"foreach": False})):
            model = network(torch.float64)
            made = made_by(model.parameters(), **SHARED[name], **options)
            made.register_load_state_dict_post_hook(double)
            train(model, made, range(3))
            made.load_state_dict(copy.deepcopy(made.state_dict()))
            found.append(train(model, made, range(3, 6)))
        assert distance(*found) < 1e-10


class TestAccumulation:
    @pytest.mark.parametrize("to_none", [True, False])
    @each_rule
    def test_of_gradients(self, name: str, to_none: bool) -> None:
        """Three batches to a step is one batch of three times the size."""
        found = []
        for apart in (True, False):
            model = network(torch.float64)
            made = MADE[name](model.parameters(), **EVERY[name])
            for first in range(0, 12, 3):
                losses = [loss_of(model, number) / 3 for number in range(first, first + 3)]
                for loss in losses if apart else [sum(losses)]:
                    loss.backward()
                made.step()
                made.zero_grad(set_to_none=to_none)
            found.append(weights(model))
        assert distance(*found) < 1e-9

    @pytest.mark.parametrize("name", SHARED)
    def test_until_some_have_gradients(self, name: str) -> None:
        """Parts of a model that are used in some batches only."""
        found = []
        for made_by, options in ((getattr(thalweg, name), {}), (getattr(torch.optim, name), {"foreach": False})):
            model: Any = network(torch.float64)
            made = made_by(model.parameters(), **SHARED[name], **options)
            for number in range(9):
                model[0].requires_grad_(number % 3 == 0)
                loss_of(model, number).backward()
                if number % 2:
                    made.step()
                    made.zero_grad()
            found.append(weights(model))
        assert distance(*found) < 1e-10


class TestInsideTheBackwardPass:
    """torch's recipe for small memory: an optimizer a parameter, stepped as soon as its gradient is there."""

    @each_apart
    def test_is_the_plain_loop(self, name: str) -> None:
        one, other = network(), network()
        plain = train(one, MADE[name](one.parameters(), **EVERY[name]))
        each = {p: MADE[name]([p], **EVERY[name]) for p in other.parameters()}

        def step(p: torch.Tensor) -> None:
            each[p].step()
            each[p].zero_grad()

        for p in each:
            p.register_post_accumulate_grad_hook(step)
        for number in range(6):
            loss_of(other, number).backward()
            assert all(p.grad is None for p in each)
        assert torch.equal(weights(other), plain)

    def test_with_a_schedule(self) -> None:
        one, other = network(), network()
        made = thalweg.AdamW(one.parameters(), lr=0.1)
        train(one, made, after=torch.optim.lr_scheduler.ExponentialLR(made, 0.8).step)
        each = {p: thalweg.AdamW([p], lr=0.1) for p in other.parameters()}
        schedules = [torch.optim.lr_scheduler.ExponentialLR(made, 0.8) for made in each.values()]
        for p in each:
            p.register_post_accumulate_grad_hook(lambda p: (each[p].step(), each[p].zero_grad())[1])
        for number in range(6):
            loss_of(other, number).backward()
            for schedule in schedules:
                schedule.step()
        assert torch.equal(weights(other), weights(one))

    def test_weights_that_are_used_again(self) -> None:
        """A step inside the backward pass of a graph that is kept: autograd notices the weight that moved."""
        model: Any = network()
        each = {p: thalweg.SGD([p], lr=0.1) for p in model.parameters()}
        for p in each:
            p.register_post_accumulate_grad_hook(lambda p: each[p].step())
        loss = loss_of(model, 0)
        loss.backward(retain_graph=True)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()


@each_rule
def test_closure(name: str) -> None:
    """The closure is called once a step, with gradients on, and its loss comes back."""
    one, other = network(), network()
    plain = train(one, MADE[name](one.parameters(), **EVERY[name]))
    made = MADE[name](other.parameters(), **EVERY[name])
    losses = []
    for number in range(6):

        def closure(number: int = number) -> torch.Tensor:
            made.zero_grad()
            loss = loss_of(other, number)
            loss.backward()
            losses.append(loss)
            return loss

        with torch.no_grad():
            assert made.step(closure) is losses[-1]
    assert len(losses) == 6
    assert torch.equal(weights(other), plain)
