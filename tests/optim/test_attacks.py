"""Attacks on weights, gradients and lists of parameters: done to ours, in every way a step is taken, and to torch."""

import collections
import gc
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

import thalweg
from attacking import MODES, Attack, Attacks, Boxed, Marked, Run, compare, drawn, fresh, use, weights
from rule_kinds import kind, trains_together
from thalweg.optim import OPTIMIZERS
from thalweg.optim.memory import Memory
from thalweg.optim.plan import Plan
from thalweg.rules import BY_WEIGHT

attack = Attacks()


@pytest.fixture(params=MODES)
def options(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    return use(request.param, monkeypatch)


# Weights


@attack()
def weights_elsewhere(run: Run) -> None:
    run.step(0, 1)
    run.give(2)
    for p in run.params:
        p.data = p.data * 2 + 1
    run.made.step()
    run.step(3)


@attack()
def weights_trade_places(run: Run) -> None:
    run.step(0)
    a, b = run.params[0], torch.nn.Parameter(torch.ones(3, 3, dtype=torch.float64))
    for _ in range(3):
        a.data, b.data = b.data, a.data
        run.step(1)


@attack()
def weight_with_other_strides(run: Run) -> None:
    run.step(0)
    p = run.params[0]
    p.data = p.data.t().contiguous().t()
    run.step(1)
    p.data = p.data.t()  # the same memory, read the other way
    run.step(2)


@attack()
def weight_with_gaps_and_back(run: Run) -> None:
    run.step(0)
    p = run.params[1]
    p.data = torch.arange(10.0, dtype=torch.float64)[::2]
    run.step(1, 2)
    p.data = torch.arange(5.0, dtype=torch.float64)
    run.step(3)


@attack()
def weight_of_another_size(run: Run) -> None:
    run.step(0)
    p = run.params[1]
    run.forget(1)
    p.grad = None
    p.data = torch.ones(4, 6, dtype=torch.float64)
    run.step(1, 2)


@attack(tolerance=1e-6)
def weight_of_another_type(run: Run) -> None:
    run.step(0)
    p = run.params[0]
    p.grad = None
    p.data = p.data.float()
    state = run.state(0)
    state.update({key: value.float() for key, value in state.items()})
    run.step(1, 2)


@attack()
def memory_under_a_weight_grows(run: Run) -> None:
    run.step(0)
    run.params[1].data.resize_(4000)
    with torch.no_grad():  # what the memory holds beyond the old end is not the weight's
        kept = [torch.zeros(5, dtype=torch.float64) for _ in range(50)]
    run.step(1)
    assert all(not k.any() for k in kept)


@attack()
def memory_of_weights_taken_and_given_back(run: Run) -> None:
    """As FSDP does with the memory of whole parameters."""
    run.step(0)
    for seed in (1, 2):
        for p in run.params:
            kept, size = p.detach().clone(), p.untyped_storage().nbytes()
            p.untyped_storage().resize_(0)
            others = [torch.full((5,), 7.0, dtype=torch.float64) for _ in range(20)]
            p.untyped_storage().resize_(size)
            p.data.copy_(kept)
            run.give(seed)
            assert all(bool((o == 7.0).all()) for o in others)
        run.made.step()
        assert all(bool((o == 7.0).all()) for o in others)


@attack()
def weight_set(run: Run) -> None:
    run.step(0)
    with torch.no_grad():
        run.params[0].set_(torch.ones(3, 3, dtype=torch.float64))
    run.step(1)


@attack()
def weights_become_shared_memory(run: Run) -> None:
    run.step(0)
    for p in run.params:
        p.share_memory_()
    run.step(1, 2)
    assert all(p.is_shared() for p in run.params)


@attack()
def lazily_cloned_weight(run: Run) -> None:
    """The clone shares memory until somebody writes: that must be us, to memory of our own."""
    run.step(0)
    lazy = torch._lazy_clone(run.params[0].detach())
    kept = lazy.clone()
    run.step(1, 2)
    assert torch.equal(lazy, kept)


@attack()
def weight_swapped_with_another_tensor(run: Run) -> None:
    run.step(0, 1)
    other = torch.nn.Parameter(torch.ones(3, 3, dtype=torch.float64))
    run.params[0].grad = None
    torch.utils.swap_tensors(run.params[0], other)
    run.step(2, 3)


@attack()
def weight_becomes_a_negative_view(run: Run) -> None:
    run.step(0)
    run.params[0].data = torch._neg_view(run.params[0].data)
    run.step(1, 2)
    run.params[0].data = run.params[0].data.resolve_neg()
    run.step(3)


@attack()
def weight_is_the_imaginary_part_of_a_conjugate(run: Run) -> None:
    run.step(0)
    run.params[1].data = torch.complex(*torch.ones(2, 5, dtype=torch.float64)).conj().imag
    run.step(1, 2)


def aliased(groups: Callable[[Any], list[dict[str, Any]]]) -> Attack:
    """Parameters over the same memory, each with its own state: one after the other, as in torch's loop."""

    def function(run: Run) -> None:
        memory = torch.linspace(-2, 2, 60, dtype=torch.float64)
        found = groups(lambda start, stop, stride=1: torch.nn.Parameter(memory[start:stop:stride]))
        run.made.param_groups.clear()
        for group in found:
            run.made.add_param_group(group)
        run.step(0, 1, 2)

    return function


ALIASED: dict[str, Callable[[Any], list[dict[str, Any]]]] = {
    "the same": lambda part: [{"params": [part(0, 20), part(0, 20), part(30, 40)]}],
    "overlapping": lambda part: [{"params": [part(0, 20), part(30, 40), part(10, 31)]}],
    "chain": lambda part: [{"params": [part(20, 40), part(0, 21), part(39, 60), part(0, 60)]}],
    "other switches": lambda part: [{"params": [part(0, 20)], "amsgrad": True}, {"params": [part(0, 20)]}],
    "two pairs": lambda part: [
        {"params": [part(0, 20)]},
        {"params": [part(0, 20)]},
        {"params": [part(30, 50)], "amsgrad": True},
        {"params": [part(30, 50)]},
    ],
    "gaps first": lambda part: [{"params": [part(0, 40, 2), part(0, 40)]}],
    "gaps last": lambda part: [{"params": [part(0, 40), part(0, 40, 2)]}],
}


@pytest.mark.parametrize(
    "groups",
    [pytest.param(groups, id=name) for name, groups in ALIASED.items()],
)
def test_weights_over_the_same_memory(groups: Any, options: dict[str, Any]) -> None:
    compare(aliased(groups), options, weight_decay=0.9)


# Gradients


@attack()
def gradients_that_stay(run: Run) -> None:
    run.step(0)
    for seed in range(1, 4):
        for i, p in enumerate(run.params):
            p.grad.copy_(drawn(p, 10 * seed + i))
        run.made.step()


@attack()
def gradients_freed_and_allocated_anew(run: Run) -> None:
    """The allocator hands out the addresses of gradients that are gone, to gradients of others among them."""
    for seed in range(8):
        for p in run.params if seed % 2 else reversed(run.params):
            p.grad = None
        if seed % 3 == 0:
            gc.collect(0)  # all of this process's objects take half a second
        hog = [torch.full((5,), math.nan, dtype=torch.float64) for _ in range(seed)]
        for i, p in enumerate(run.params if seed % 4 else reversed(run.params)):
            p.grad = drawn(p, 10 * seed + i)
        del hog
        run.made.step()


@attack()
def gradient_set(run: Run) -> None:
    run.step(0)
    run.give(1)
    for p in run.params:
        p.grad.set_(torch.full_like(p, 2.0))
    run.made.step()


@attack()
def gradient_data_replaced(run: Run) -> None:
    run.step(0)
    run.give(1)
    for p in run.params:
        p.grad.data = torch.full_like(p, 2.0)
    run.made.step()


@attack()
def memory_under_a_gradient_grows(run: Run) -> None:
    run.step(0)
    for i, p in enumerate(run.params):
        p.grad.untyped_storage().resize_(100_000)
        p.grad.copy_(drawn(p, i))
    run.made.step()


@attack()
def gradient_of_other_strides_and_back(run: Run) -> None:
    run.step(0)
    for seed in (1, 2):
        run.give(seed)
        run.params[0].grad = run.params[0].grad.t().contiguous().t()
        run.made.step()
        run.step(seed)


@attack()
def gradient_transposed_in_place(run: Run) -> None:
    run.step(0)
    run.params[0].grad.t_()
    run.made.step()


@attack()
def gradient_of_one_number(run: Run) -> None:
    run.step(0)
    run.params[0].grad = torch.tensor(2.0, dtype=torch.float64).expand(3, 3)
    run.params[1].grad = torch.tensor([-1.0], dtype=torch.float64).expand(5)
    run.made.step()


@attack()
def negative_gradient(run: Run) -> None:
    run.step(0)
    for seed in (1, 2):
        run.give(seed)
        for p in run.params:
            p.grad = torch._neg_view(p.grad)
        run.made.step()
    run.step(3)


@attack()
def imaginary_part_of_a_conjugate(run: Run) -> None:
    run.step(0)
    for p in run.params:
        p.grad = torch.complex(torch.ones_like(p), torch.full_like(p, 2.0)).detach().conj().imag
    run.made.step()


@attack(
    fails="a tensor of zeros without memory counts as no gradient: its step is counted and not taken", only=["python"]
)
def gradient_of_zeros_without_memory(run: Run) -> None:
    run.step(0)
    run.params[0].grad = torch._efficientzerotensor(3, 3, dtype=torch.float64)
    run.made.step()
    run.step(1)


@attack()
def inference_gradients(run: Run) -> None:
    with torch.inference_mode():
        grads = [torch.ones(p.shape, dtype=torch.float64) for p in run.params]
    for p, g in zip(run.params, grads, strict=True):
        p.grad = g
    run.made.step()
    run.step(0)


@attack()
def gradients_that_require_grad(run: Run) -> None:
    for _ in range(3):
        loss = sum((p**3).sum() for p in run.params)
        for p, grad in zip(run.params, torch.autograd.grad(loss, run.params, create_graph=True), strict=True):
            p.grad = grad
        assert run.params[0].grad.requires_grad
        run.made.step()


@attack()
def gradients_as_parts_of_one_memory(run: Run) -> None:
    """As distributed training's buckets are."""
    for seed in range(3):
        bucket = torch.linspace(-1, 1 + seed, 20, dtype=torch.float64)
        at = 1
        for p in run.params:
            p.grad = bucket[at : at + p.numel()].view(p.shape)
            at += p.numel()
        run.made.step()


@attack()
def lazily_cloned_gradient(run: Run) -> None:
    run.step(0)
    whole = torch.ones(3, 3, dtype=torch.float64)
    for factor in (1.0, 3.0):
        whole.fill_(factor)
        run.params[0].grad = torch._lazy_clone(whole)
        run.made.step()
        assert bool((whole == factor).all())


@attack()
def gradients_of_subclasses(run: Run) -> None:
    run.step(0)
    run.params[0].grad = drawn(run.params[0], 1).as_subclass(Marked)
    run.params[1].grad = Boxed(drawn(run.params[1], 2))
    run.made.step()
    run.step(3)


# Before 2.9 torch had a gradient be of its weight's type.
@attack(name="SGD", dtype=torch.float32, tolerance=1e-6, exists=hasattr(torch.Tensor, "grad_dtype"))
def gradient_of_another_type(run: Run) -> None:
    run.step(0)
    for dtype in (torch.bfloat16, torch.float64, torch.float32):
        for seed in (1, 2):
            run.give(seed)
            run.params[0].grad = None
            run.params[0].grad_dtype = dtype
            run.params[0].grad = drawn(run.params[0], seed).to(dtype)
            run.made.step()
            run.params[0].grad = None
            run.params[0].grad_dtype = torch.float32


@attack()
def one_gradient_of_two_parameters(run: Run) -> None:
    a, b = (torch.nn.Parameter(torch.full((4,), x, dtype=torch.float64)) for x in (1.0, 2.0))
    run.made.param_groups[0]["params"] += [a, b]
    for seed in range(3):
        run.give(seed)
        a.grad = b.grad
        run.made.step()


@attack()
def a_weight_is_its_own_gradient(run: Run) -> None:
    run.step(0)
    for _ in range(3):
        for p in run.params:
            p.grad = p.detach()
        run.made.step()


@attack()
def a_weight_is_anothers_gradient(run: Run) -> None:
    """In torch's loop the second parameter sees the first one's new weights."""
    run.step(0)
    other = torch.nn.Parameter(torch.ones(3, 3, dtype=torch.float64))
    run.made.param_groups[0]["params"].append(other)
    for seed in range(3):
        run.give(seed)
        other.grad = run.params[0].detach()
        run.made.step()


@attack()
def sparse_gradient_between_dense_ones(run: Run) -> None:
    run.step(0)
    run.give(1)
    run.params[0].grad = run.params[0].grad.to_sparse()
    before = run.params[0].detach().clone()
    with pytest.raises((TypeError, RuntimeError), match="sparse"):
        run.made.step()
    assert torch.equal(run.params[0].detach(), before)
    run.step(2)


@attack()
def hook_frees_gradients(run: Run) -> None:
    run.step(0)
    handle = run.made.register_step_pre_hook(lambda *_: setattr(run.params[0], "grad", None))
    run.step(1, 2)
    handle.remove()
    run.step(3)


@attack()
def closure_replaces_everything(run: Run) -> None:
    run.step(0)

    def closure() -> float:
        run.give(3)
        run.params[0].data = torch.ones(3, 3, dtype=torch.float64)
        run.params[1].grad = None
        return 0.0

    run.give(1)
    run.made.step(closure)
    run.step(2)


@attack()
def gradients_come_and_go(run: Run) -> None:
    masks = ("abc", "", "a", "bc", "c", "abc", "", "ab", "abc", "abc", "b")
    for seed, present in enumerate(masks):
        run.give(seed)
        for letter, p in zip("abc", run.params, strict=True):
            if letter not in present:
                p.grad = None
        run.made.step()


@attack()
def every_other_step(run: Run) -> None:
    for seed in range(9):
        run.give(seed)
        for i, p in enumerate(run.params):
            if (seed + i) % 2:
                p.grad = None
        run.made.step()


@attack()
def frozen_and_thawed(run: Run) -> None:
    for seed in range(8):
        run.params[0].requires_grad_(seed not in (2, 3, 4))
        run.made.zero_grad()
        sum((p**2).sum() for p in run.params).backward()
        run.made.step()


@attack()
def parameters_without_a_gradient_ever(run: Run) -> None:
    never = [torch.nn.Parameter(torch.ones(s, dtype=torch.float64)) for s in ((2,), (0,), ())]
    run.made.add_param_group({"params": never})
    for seed in range(3):
        run.give(seed)
        for p in never:
            p.grad = None
        run.made.step()
    assert all(p not in run.made.state for p in never)
    never[2].grad = torch.ones((), dtype=torch.float64)
    run.made.step()


@attack()
def nothing_and_single_numbers(run: Run) -> None:
    run.made.param_groups.clear()
    shapes = ((0,), (3, 0), (), (1,), (1, 1, 1), (0, 2), (2,))
    run.made.add_param_group({"params": weights(shapes)})
    for seed in range(4):
        run.give(seed)
        if seed == 2:
            run.everyone[0].grad = run.everyone[2].grad = None
        run.made.step()


@attack()
def parameter_whose_shape_is_not_known_yet(run: Run) -> None:
    layer = torch.nn.LazyLinear(2, dtype=torch.float64)
    run.made.add_param_group({"params": list(layer.parameters())})
    for p in run.params:
        p.grad = drawn(p, 0)
    run.made.step()
    layer(torch.ones(1, 3, dtype=torch.float64))
    with torch.no_grad():
        for p in layer.parameters():
            p.fill_(0.5)
    run.step(1, 2)


# Lists of parameters


@attack()
def list_appended_to(run: Run) -> None:
    run.step(0)
    run.made.param_groups[0]["params"].append(fresh())
    run.step(1, 2)


@attack()
def element_replaced_by_its_equal(run: Run) -> None:
    run.step(0)
    old = run.params[0]
    run.made.param_groups[0]["params"][0] = torch.nn.Parameter(old.detach().clone())
    kept = old.detach().clone()
    run.step(1, 2)
    assert torch.equal(old.detach(), kept)


@attack()
def list_reordered(run: Run) -> None:
    run.step(0)
    run.made.param_groups[0]["params"].reverse()
    run.step(1)
    run.made.param_groups[0]["params"].sort(key=lambda p: p.numel())
    run.step(2)


@attack()
def list_shortened(run: Run) -> None:
    run.step(0)
    gone = run.made.param_groups[0]["params"].pop(1)
    kept = gone.detach().clone()
    gone.grad = torch.ones_like(gone)
    run.step(1, 2)
    assert torch.equal(gone.detach(), kept)


@attack()
def list_replaced(run: Run) -> None:
    run.step(0)
    run.made.param_groups[0]["params"] = [run.params[2], fresh()]
    run.step(1, 2)


@attack()
def list_emptied_and_filled(run: Run) -> None:
    run.step(0)
    members = run.made.param_groups[0]["params"]
    kept = list(members)
    members.clear()
    run.made.step()
    members.extend(kept)
    run.step(1)


@attack()
def moved_to_another_group(run: Run) -> None:
    run.step(0)
    run.made.add_param_group({"params": [fresh()], "lr": 0.5})
    run.step(1)
    first, second = run.made.param_groups
    second["params"].append(first["params"].pop(0))
    run.step(2, 3)


@attack()
def groups_replaced(run: Run) -> None:
    run.step(0)
    run.made.param_groups[0] = {**run.made.param_groups[0], "lr": 0.3}
    run.step(1)
    run.made.param_groups = [{**group, "params": list(group["params"])} for group in run.made.param_groups]
    run.step(2)
    run.made.param_groups = [{**run.made.param_groups[0], "params": [p]} for p in run.params]
    run.made.param_groups[1]["lr"] = 0.7
    run.step(3)


@attack(fails="a parameter that stands twice in a list is updated twice with one step count; torch counts both")
def twice_in_a_list(run: Run) -> None:
    run.step(0)
    run.made.param_groups[0]["params"].append(run.params[1])
    run.step(1, 2)


# Where it is called


@attack()
def under_no_grad(run: Run) -> None:
    with torch.no_grad():
        run.step(0, 1)
    with torch.enable_grad():
        run.step(2)


@attack()
def in_inference_mode(run: Run) -> None:
    run.step(0)  # states that are made in inference mode stay there, in torch too
    run.give(1)
    with torch.inference_mode():
        run.made.step()
        run.made.step()
    run.step(2)


@attack()
def within_vmap(run: Run) -> None:
    run.step(0)
    run.give(1)

    def function(x: torch.Tensor) -> torch.Tensor:
        run.made.step()
        return x

    torch.vmap(function)(torch.ones(3))
    run.step(2)


@pytest.mark.parametrize(("function", "settings", "mode"), attack.cases())
def test_as_torch(function: Attack, settings: dict[str, Any], mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compare(function, use(mode, monkeypatch), **settings)


@pytest.mark.parametrize("mode", MODES)
def test_modes_are_what_they_say(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """How often a settled optimizer asks in each way, in three steps."""
    made = thalweg.Adam(weights(), **use(mode, monkeypatch))
    run = Run(made, [])
    run.step(0)
    calls = collections.Counter[str]()
    for owner, name in ((Memory, "run"), (Plan, "gather"), (Memory, "_asked")):
        real = getattr(owner, name)

        def counted(self: Any, *given: Any, real: Any = real, name: str = name) -> Any:
            found = real(self, *given)
            calls[name] += bool(found) if name == "run" else 1
            return found

        monkeypatch.setattr(owner, name, counted)
    made._plan = None  # the plan that is made now asks through what counts
    run.step(1, 2, 3)
    expected = {
        "one call": {"run": 3},
        "clipped": {"run": 3},
        "gathered": {"gather": 3},
        "python": {"gather": 3, "_asked": 3},
    }
    assert calls == expected[mode]


# What torch does otherwise


def test_gradient_that_changed_its_size(options: dict[str, Any]) -> None:
    weight = torch.nn.Parameter(torch.ones(4))
    made = thalweg.Adam([("w", weight)], lr=0.1, **options)
    weight.grad = torch.ones(4)
    made.step()
    for size in (6, 2, 0):
        weight.grad.resize_(size)
        before = weight.detach().clone()
        with pytest.raises(RuntimeError, match=rf"'w' is \(4,\) torch.float32, its gradient \({size},\)"):
            made.step()
        assert torch.equal(weight.detach(), before)
    weight.grad = torch.ones(4)
    made.step()
    assert float(made.state[weight]["step"]) == 2.0


def test_memory_that_was_taken_away(options: dict[str, Any]) -> None:
    """torch writes to it, and the process ends."""
    a, b = (torch.nn.Parameter(torch.ones(50)) for _ in range(2))
    whole = torch.ones(60)
    made = thalweg.Adam([("a", a), ("b", b)], lr=0.1, **options)
    a.grad, b.grad = torch.ones(50), torch.ones(50)
    made.step()
    b.grad = whole[10:]
    whole.untyped_storage().resize_(0)
    before = a.detach().clone()
    with pytest.raises(RuntimeError, match="the memory of the gradient of 'b' has been taken away"):
        made.step()
    b.grad = torch.ones(50)
    for size in (64, 0):
        a.untyped_storage().resize_(size)
        with pytest.raises(RuntimeError, match="the memory of 'a' has been taken away"):
            made.step()
    a.untyped_storage().resize_(200)
    a.data.copy_(before)
    made.step()
    assert [float(made.state[p]["step"]) for p in (a, b)] == [2.0, 2.0]


# One rule of each kind: how many steps each has counted shows in those that ask for it.
APART = {kind(rule): name for name, rule in reversed(BY_WEIGHT.items()) if not trains_together(rule)}


@pytest.mark.parametrize("name", APART.values())
def test_masks_as_of_experts(name: str, options: dict[str, Any]) -> None:
    """Many parameters, a few of which have gradients at each step: each is as if trained alone on its own gradients."""
    shapes = [(7,), (2, 3), (), (33,), (5,), (1, 4), (16,), (17,)] * 3
    params, alone = weights(shapes), weights(shapes)
    made = OPTIMIZERS[name](params, lr=0.05, **options)
    each = [OPTIMIZERS[name]([p], lr=0.05) for p in alone]
    seeded = torch.Generator().manual_seed(1)
    taken = [0] * len(params)
    for seed in range(40):
        mask = torch.rand(len(params), generator=seeded) < (0.0, 0.2, 0.9, 1.0)[seed % 4]
        for i, (p, q) in enumerate(zip(params, alone, strict=True)):
            p.grad = q.grad = None
            if mask[i]:
                p.grad, q.grad = drawn(p, 100 * seed + i), drawn(q, 100 * seed + i)
                each[i].step()
                taken[i] += 1
        made.step()
    for p, q in zip(params, alone, strict=True):
        torch.testing.assert_close(p.detach(), q.detach(), rtol=1e-12, atol=1e-14)
    assert [float(made.state[p]["step"]) for p in params] == taken
    assert len({*taken}) > 3
