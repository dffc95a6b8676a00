"""What training loops, schedulers and checkpoint libraries expect of an object that is a torch optimizer."""

import copy
from typing import Any

import torch
from torch.optim import lr_scheduler

from thalweg.formula.rule import decay_kind

from . import oracle
from .cases import FEW, fitted, give, gradients, run, weights
from .judging import case, require, same_bits, same_state
from .subject import Subject, params_of
from .suite import Suite


class Contract(Suite):
    """torch's contract of an optimizer."""

    def test_is_a_torch_optimizer(self, subject: Subject) -> None:
        """By class, with a learning rate where schedulers look, and a step that they can patch."""
        made = subject(weights(torch.float32))
        require(isinstance(made, torch.optim.Optimizer), "it is not a torch.optim.Optimizer")
        require(
            "lr" in made.defaults and "lr" in made.param_groups[0],
            "it takes no lr: learning rate schedulers need one, so declare lr = Hyper(...)",
        )
        require(getattr(made.step, "__self__", None) is made, "step is not a method: schedulers patch step.__func__")

    def test_state_is_plain(self, subject: Subject) -> None:
        """States are tensors outside of autograd, which any checkpoint can hold; parameters stay leaves."""
        made = subject(weights(torch.float32))
        run(made, gradients(2))
        for p in params_of(made):
            for key, value in made.state[p].items():
                require(isinstance(value, torch.Tensor), f"the state {key!r} is {value!r}, not a tensor")
                require(not value.requires_grad and value.grad_fn is None, f"the state {key!r} is part of a graph")
            step = made.state[p].get("step", torch.empty(1))
            require(
                (step.shape, step.dtype) == ((), torch.float32), f"the step count is {step!r}, not a float32 number"
            )
            require(p.is_leaf and p.requires_grad, "a parameter is no leaf that wants gradients any more")

    def test_no_gradient_no_trace(self, subject: Subject) -> None:
        """For a parameter without a gradient a step has not been: not the weight, not the state, not the count."""
        options: dict[str, Any]
        for options in ({}, {"clip_norm": 1.0}, {"nonfinite": "raise"}):
            with case(options):
                params = weights(torch.float32)
                made = subject(params, **options)
                made.step()
                same_bits(params, weights(torch.float32), "a step without any gradient has moved a weight")
                require(not made.state_dict()["state"], "a step without any gradient has created states")
                rows = gradients(3)
                for row in ([rows[0][0], None, rows[0][2]], [rows[1][0], rows[1][1], None]):
                    idle = [i for i, g in enumerate(row) if g is None]
                    before = copy.deepcopy(([params[i].detach() for i in idle], _states(made, idle)))
                    run(made, [row])
                    same_bits([params[i] for i in idle], before[0], "a weight without a gradient has been moved")
                    same_state(_states(made, idle), before[1], "the state of a weight without a gradient has changed")
                everything = copy.deepcopy((params, made.state_dict()))
                run(made, [[None] * len(params)])
                same_bits(params, everything[0], "a step without any gradient has moved a weight")
                same_state(made.state_dict(), everything[1], "a step without any gradient has changed the state")

    def test_late_group(self, subject: Subject) -> None:
        """Parameters that are added while training begin with their first step, with the numbers of their group."""
        params, late = weights(torch.float64), weights(torch.float64, FEW, seed=8)
        made = subject(params)
        run(made, gradients(3))
        made.add_param_group({"params": late, "lr": 2 * subject.lr})
        rows = gradients(4, FEW * 2, seed=4)
        run(made, rows)
        values = [subject.values()] * len(FEW) + [subject.values(lr=2 * subject.lr)] * len(FEW)
        now = oracle.trained(subject.rule, weights(torch.float64), gradients(3), subject.values())
        begun = oracle.begun(subject.rule, weights(torch.float64, FEW, seed=8), values[-1])
        now = oracle.joined(subject.rule, now, begun)
        for row in rows:
            now = oracle.step(subject.rule, now, [g.double() for g in row], values, [0] * len(FEW) + [1] * len(FEW))
        self.close(
            params,
            oracle.weights_of(now[: len(FEW)]),
            "with a group added later the first group's weights are not what the formula says",
        )
        self.close(
            late,
            oracle.weights_of(now[len(FEW) :]),
            "the weights of a group that was added later are not what the formula says",
        )

    def test_lr_changes(self, subject: Subject) -> None:
        """A learning rate that is set between steps is the one that the next step takes."""
        rates = [subject.lr / (1 + step) for step in range(6)]
        made = subject(weights(torch.float64))
        for rate, row in zip(rates, gradients(6), strict=True):
            made.param_groups[0]["lr"] = rate
            run(made, [row])
        values = [subject.values(first_lr=subject.lr, lr=rate) for rate in rates]
        truth = oracle.trained(subject.rule, weights(torch.float64), gradients(6), lambda step: values[step])
        self.close(
            params_of(made),
            oracle.weights_of(truth),
            "with lr set between steps the weights are not what the formula says",
        )

    def test_lr_is_a_tensor(self, subject: Subject) -> None:
        """A learning rate in a tensor, as torch.compile wants it, is read at each step: the same bits."""
        lr = torch.tensor(subject.lr, dtype=torch.float64)
        made, plain = subject(weights(torch.float32), lr=lr), subject(weights(torch.float32))
        for number, row in enumerate(gradients(4)):
            if number == 2:
                made.param_groups[0]["lr"].fill_(subject.lr / 3)
                plain.param_groups[0]["lr"] = subject.lr / 3
            run(made, [row])
            run(plain, [row])
        require(made.param_groups[0]["lr"] is lr, "the lr of the group is another tensor than the one given")
        same_bits(params_of(made), params_of(plain), "a learning rate in a tensor gives other weights than a number")

    def test_scheduler(self, subject: Subject) -> None:
        """Schedulers, here two that are chained, do what setting their rates by hand does."""
        for lr in (subject.lr, torch.tensor(subject.lr, dtype=torch.float64)):
            with case(f"lr = {lr}"):
                made, plain = subject(weights(torch.float32), lr=lr), subject(weights(torch.float32))
                schedules: list[lr_scheduler.LRScheduler] = [
                    lr_scheduler.LambdaLR(made, lambda epoch: 1 / (1 + epoch)),
                    lr_scheduler.MultiStepLR(made, [2], 0.5),
                ]
                seen = []
                for row in gradients(5):
                    seen.append(float(made.param_groups[0]["lr"]))
                    plain.param_groups[0]["lr"] = seen[-1]
                    run(made, [row])
                    run(plain, [row])
                    for schedule in schedules:
                        schedule.step()
                require(len({*seen}) == len(seen), f"the scheduler has left the rates at {seen}")
                same_bits(
                    params_of(made), params_of(plain), "scheduled rates give other weights than the same set by hand"
                )

    def test_closure(self, subject: Subject) -> None:
        """A closure is called once, with gradients on; its loss is returned, its gradients are those of the step."""
        params = weights(torch.float64)
        made, plain = subject(params), subject(weights(torch.float64))
        row = gradients(1)[0]
        calls = []

        def closure() -> float:
            calls.append(torch.is_grad_enabled())
            give(params, row)
            return 7.5

        with torch.no_grad():
            loss = made.step(closure)
            require(not torch.is_grad_enabled(), "the step has turned gradients on and left them on")
        run(plain, [row])
        require(len(calls) == 1, f"the closure was called {len(calls)} times")
        require(calls == [True], "the closure was called with gradients off: loss.backward() in it would fail")
        require(loss == 7.5, f"the step has returned {loss!r} instead of the closure's loss")
        same_bits(params, params_of(plain), "a step with a closure differs from one without")
        require(made.step() is None, "a step without a closure returns something")

    def test_zero_grad(self, subject: Subject) -> None:
        """Gradients are taken away, or set to 0 in place; the next step is as ever."""
        for to_none in (True, False):
            params = weights(torch.float64)
            made, plain = subject(params), subject(weights(torch.float64))
            run(made, gradients(1))
            before = [p.grad for p in params]
            made.zero_grad(set_to_none=to_none)
            grads = [p.grad for p in params]
            if to_none:
                require(all(g is None for g in grads), "zero_grad() has left a gradient")
            else:
                same = all(g is b and g is not None and not g.any() for g, b in zip(grads, before, strict=True))
                require(same, "zero_grad(set_to_none=False) has not set the gradients to 0 where they are")
            run(made, gradients(2)[1:])
            run(plain, gradients(2))
            same_bits(params, params_of(plain), "after zero_grad() the next step is another")

    def test_hooks_are_called(self, subject: Subject) -> None:
        """Hooks before and after each step, in this order, and only while they are registered."""
        params = weights(torch.float32)
        made = subject(params)
        calls: list[str] = []
        run(made, gradients(1))  # some rules do not move at their first step
        start = params[0].detach().clone()
        handles = [
            made.register_step_pre_hook(lambda *_: calls.append("before" if _at(params, start) else "too late")),
            made.register_step_post_hook(lambda *_: calls.append("too early" if _at(params, start) else "after")),
        ]
        run(made, gradients(1))
        require(calls == ["before", "after"], f"hooks of the step: instead of before and after were called {calls}")
        for handle in handles:
            handle.remove()
        run(made, gradients(1))
        require(len(calls) == 2, "hooks of the step are called after they were removed")

    def test_state_is_created_without_moving(self, subject: Subject) -> None:
        """torch.distributed.checkpoint steps a fresh optimizer with zero gradients and lr = 0 to create its state."""
        for dtype in (torch.float32, torch.bfloat16, torch.float16):
            with case(dtype):
                decay = {"weight_decay": 0.5} if decay_kind(subject.rule) != "none" else {}
                params = weights(dtype)
                made, trained = subject(params, **decay), subject(weights(dtype))
                made.param_groups[0]["lr"] = 0.0
                run(made, [[torch.zeros(fitted(shape)) for shape in FEW]])
                same_bits(params, weights(dtype), "zero gradients and lr = 0 move the weights")
                run(trained, gradients(1))
                for p, q in zip(params, params_of(trained), strict=True):
                    found, expected = (
                        {k: v.dtype for k, v in m.state[w].items()} for m, w in ((made, p), (trained, q))
                    )
                    require(found == expected, f"that step creates the states {found}, training has {expected}")


def _states(made: torch.optim.Optimizer, places: list[int]) -> dict[int, Any]:
    """The states of the parameters at some places, which they have before they are looked for or not at all."""
    kept = made.state_dict()["state"]
    return {i: dict(kept[i]) for i in places if i in kept}


def _at(params: list[torch.Tensor], start: torch.Tensor) -> bool:
    return torch.equal(params[0].detach(), start)
