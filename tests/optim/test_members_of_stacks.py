"""One learning rate for each member of stacked parameters: slices of a stack are parameters in groups of their own."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

import thalweg

RATES = (1e-3, 4e-3, 3e-2)
Stacks = Mapping[str, nn.Parameter]


def network(number: int, dtype: torch.dtype = torch.float64) -> nn.Module:
    """Its tensors' lengths are no multiples of a vector's, so that slices begin anywhere."""
    layers = nn.Sequential(nn.Linear(3, 7), nn.Tanh(), nn.Linear(7, 5), nn.Tanh(), nn.Linear(5, 1))
    drawn = torch.Generator().manual_seed(number)
    for p in layers.parameters():
        nn.init.uniform_(p, -0.5, 0.5, generator=drawn)
    return layers.to(dtype)


def batch(step: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    drawn = torch.Generator().manual_seed(100 + step)
    x = torch.randn(16, 3, generator=drawn, dtype=torch.float64).to(dtype)
    return x, torch.sin(3 * x.sum(1, keepdim=True))


def in_slices(stacks: Stacks) -> list[dict[str, Any]]:
    """A group for each member; gradients are slices of the stacks' from the beginning."""
    groups = []
    for stack in stacks.values():
        stack.grad = torch.zeros_like(stack)
    for i, lr in enumerate(RATES):
        params = [nn.Parameter(stack[i].detach()) for stack in stacks.values()]
        for part, stack in zip(params, stacks.values(), strict=True):
            assert stack.grad is not None
            part.grad = stack.grad[i]
        groups.append({"params": params, "lr": lr})
    return groups


def backward(model: nn.Module, stacks: Stacks, buffers: Any, step: int) -> None:
    def loss(stacks: Stacks, buffers: Any, x: Tensor, y: Tensor) -> Tensor:
        return nn.functional.mse_loss(functional_call(model, (stacks, buffers), (x,)), y)

    x, y = batch(step, next(iter(stacks.values())).dtype)
    vmap(loss, in_dims=(0, 0, None, None))(stacks, buffers, x, y).sum().backward()


@pytest.mark.parametrize("clears", [True, False])
def test_members_are_as_separately_trained_by_torch(clears: bool) -> None:
    models = [network(i) for i in range(len(RATES))]
    stacks, buffers = stack_module_state(models)
    made = thalweg.AdamW(in_slices(stacks), weight_decay=0.1, clear=clears)
    others = [torch.optim.AdamW(m.parameters(), lr=lr, weight_decay=0.1) for m, lr in zip(models, RATES, strict=True)]
    for step in range(20):
        if not clears:
            made.zero_grad(set_to_none=False)
        backward(models[0], stacks, buffers, step)
        if step == 10:  # a scheduler of one member
            made.param_groups[1]["lr"] = others[1].param_groups[0]["lr"] = 0.01
        made.step()
        for model, other in zip(models, others, strict=True):
            x, y = batch(step)
            other.zero_grad()
            nn.functional.mse_loss(model(x), y).backward()
            other.step()
    for i, model in enumerate(models):
        for name, p in model.named_parameters():
            assert not torch.equal(p, network(i).get_parameter(name))
            torch.testing.assert_close(stacks[name][i], p, rtol=0, atol=1e-12)
        assert [float(made.state[p]["step"]) for p in made.param_groups[i]["params"]] == [20] * 6


RULES: dict[str, Callable[[Any], thalweg.Optimizer]] = {
    "adamw": lambda groups: thalweg.AdamW(groups, ema=0.9),
    "lamb": thalweg.LAMB,
    "cautious": lambda groups: thalweg.wrap(thalweg.Lion, thalweg.Cautious)(groups),
    "adafactor": thalweg.Adafactor,
}


@pytest.mark.parametrize("rule", RULES)
def test_members_have_the_bits_of_separate_training(rule: str) -> None:
    """With the same gradients: sums by tensor, lines and states are each member's own. One stands still for a while."""
    stacks, buffers = stack_module_state([network(i, torch.float32) for i in range(len(RATES))])
    groups = in_slices(stacks)
    copies = [[nn.Parameter(p.detach().clone()) for p in group["params"]] for group in groups]
    grads = [[p.grad for p in group["params"]] for group in groups]
    made = RULES[rule](groups)
    alone = [RULES[rule]([{"params": own, "lr": lr}]) for own, lr in zip(copies, RATES, strict=True)]
    for step in range(8):
        made.zero_grad(set_to_none=False)
        backward(network(0, torch.float32), stacks, buffers, step)
        for i, own in enumerate(copies):
            still = i == 1 and 2 <= step < 4
            for p, part, grad in zip(own, groups[i]["params"], grads[i], strict=True):
                part.grad = None if still else grad
                p.grad = None if still else grad.clone()
            alone[i].step()
        made.step()
    for i, own in enumerate(copies):
        for stack, p in zip(stacks.values(), own, strict=True):
            assert torch.equal(stack[i], p)
            kept, expected = made.state[groups[i]["params"][0]], alone[i].state[own[0]]
            assert all(torch.equal(kept[key], expected[key]) for key in expected)


def launches(made: Any) -> Sequence[Any]:
    found: Sequence[Any] = made._stepper.plan.launches
    return found


def test_all_members_are_one_launch() -> None:
    """A row of numbers for each, and a step that is one call of machine code."""
    stacks, buffers = stack_module_state([network(i, torch.float32) for i in range(len(RATES))])
    made = thalweg.AdamW(in_slices(stacks), clear=True)
    for step in range(2):
        backward(network(0, torch.float32), stacks, buffers, step)
        made.step()
    (launch,) = launches(made)
    assert len(launch.members.params) == 18
    assert made._stepper.plan.direct
    told = str(made.explain())
    assert told.count("pass 1 of 1") == 1
    assert all(f"group {i}: lr={lr:g}" in told for i, lr in enumerate(RATES))
    assert "copied" not in told


def test_matrices_of_members() -> None:
    """Each slice is a matrix by itself, of its own rate; all are multiplied as one batch a rate."""
    drawn = torch.Generator().manual_seed(3)
    stack = nn.Parameter(torch.randn(3, 6, 10, generator=drawn, dtype=torch.float64))
    groups = in_slices({"weight": stack})
    made = thalweg.Muon(groups)
    copies = [nn.Parameter(part.clone()) for part in stack.detach()]
    alone = [thalweg.Muon([p], lr=lr) for p, lr in zip(copies, RATES, strict=True)]
    for _ in range(4):
        assert stack.grad is not None
        stack.grad.copy_(torch.randn(stack.shape, generator=drawn, dtype=torch.float64))
        for p, grad, other in zip(copies, stack.grad, alone, strict=True):
            p.grad = grad.clone()
            other.step()
        made.step()
    torch.testing.assert_close(stack.detach(), torch.stack([p.detach() for p in copies]), rtol=0, atol=1e-12)
    assert len(launches(made)) == 1
