"""Norms of gradient, weight and step, as the kernels add them up on their way."""

import math

import pytest
import torch

import thalweg
from thalweg.optim import Norms, Optimizer

SHAPES = [(3, 5), (), (0,), (1,), (70_000,), (4, 3, 2)]


def parameters(dtype: torch.dtype = torch.float64, seed: int = 0) -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.nn.Parameter(torch.randn(s, generator=generator, dtype=torch.float64).to(dtype)) for s in SHAPES]


def give_gradients(params: list[torch.nn.Parameter], seed: int = 1) -> None:
    generator = torch.Generator().manual_seed(seed)
    for p in params:
        p.grad = torch.randn(p.shape, generator=generator, dtype=torch.float64).to(p.dtype)


def norm(tensors: list[torch.Tensor]) -> float:
    return math.sqrt(sum(float(t.double().square().sum()) for t in tensors))


def close(found: Norms, gradient: float, weight: float, step: float, rel: float = 1e-9) -> bool:
    return [found.gradient, found.weight, found.step] == pytest.approx([gradient, weight, step], rel=rel, abs=1e-300)


def step(
    made: thalweg.Optimizer, params: list[torch.nn.Parameter], seed: int
) -> tuple[list[torch.Tensor], list[torch.Tensor], list[torch.Tensor]]:
    """One step on gradients of `seed`: the gradients, the weights before it, and how far each has gone."""
    give_gradients(params, seed)
    before = [p.detach().clone() for p in params]
    grads = [p.grad.clone() for p in params if p.grad is not None]
    made.step()
    return grads, before, [a.double() - p.detach().double() for a, p in zip(before, params, strict=True)]


@pytest.mark.parametrize(
    ("dtype", "rel"), [(torch.float64, 1e-12), (torch.float32, 1e-4), (torch.bfloat16, 5e-2), (torch.float16, 1e-2)]
)
@pytest.mark.parametrize("options", [{}, {"clip_norm": 0.1}, {"clip_value": 0.1, "clear": True}, {"maximize": True}])
def test_are_those_of_the_step(dtype: torch.dtype, rel: float, options: dict[str, object]) -> None:
    params = parameters(dtype)
    made = thalweg.AdamW(params, lr=0.1, weight_decay=0.3, **options)
    watched = made.watch(every=1)
    for seed in range(3):
        grads, before, moved = step(made, params, seed)
        assert close(watched.read()["all"], norm(grads), norm(before), norm(moved), rel)
        found = list(watched.read("tensor").values())
        for i in range(len(params)):
            # What is measured is the step before the weights are rounded: on few of them in half precision it shows.
            way = found[i].step if dtype.itemsize == 2 else norm([moved[i]])
            assert close(found[i], norm([grads[i]]), norm([before[i]]), way, rel)


def test_of_a_weight_that_moves_again_after_the_step() -> None:
    """Lookahead takes the weights back every other step: the step is the whole way that a weight has gone."""
    params = parameters()
    made = thalweg.wrap(thalweg.SGD, thalweg.Lookahead)(params, lr=0.1, momentum=0.9, k=2)
    watched = made.watch(every=1)
    for seed in range(4):
        grads, before, moved = step(made, params, seed)
        assert close(watched.read()["all"], norm(grads), norm(before), norm(moved), rel=1e-10), seed


def test_measuring_changes_no_bit() -> None:
    results = []
    for every in (0, 1, 3):
        params = parameters(torch.float32)
        made = thalweg.AdamW(params, lr=0.1, clip_norm=1.0)
        if every:
            made.watch(every)
        for seed in range(5):
            give_gradients(params, seed)
            made.step()
        results.append(torch.cat([p.detach().reshape(-1) for p in params]))
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


def test_scale_of_the_loss_is_taken_out() -> None:
    params = parameters()
    made = thalweg.SGD(params, lr=0.1)
    watched = made.watch(1)
    give_gradients(params)
    expected = norm([p.grad for p in params if p.grad is not None])
    for p in params:
        p.grad = p.grad * 1024 if p.grad is not None else None
    made.grad_scale = torch.tensor(1024.0)
    made.step()
    assert watched.read()["all"].gradient == pytest.approx(expected, rel=1e-12)


def test_by_group_and_by_name() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))
    made: Optimizer = thalweg.AdamW(
        [
            {"params": list(model[0].named_parameters(prefix="first")), "name": "body"},
            {"params": list(model[1].named_parameters(prefix="last"))},
        ]
    )
    watched = made.watch()
    assert watched.read() == {}
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    made.step()
    assert list(watched.read("tensor")) == ["first.weight", "first.bias", "last.weight", "last.bias"]
    groups = watched.read("group")
    assert list(groups) == ["body", "group 1"]
    assert [groups[n].gradient for n in groups] == pytest.approx([3.0, 2.0])
    assert groups["body"].relative == pytest.approx(groups["body"].step / groups["body"].weight)


def test_every_tenth_step() -> None:
    params = parameters()
    made = thalweg.SGD(params, lr=0.1)
    watched = made.watch(every=10)
    measured = []
    for _ in range(25):
        give_gradients(params)
        made.step()
        measured.append(watched.measured_step)
    assert sorted(set(measured)) == [1, 11, 21]


def test_absent_gradients_are_left_out() -> None:
    params = parameters()
    made = thalweg.SGD(params, lr=0.1)
    watched = made.watch(1)
    give_gradients(params)
    made.step()
    give_gradients(params)
    params[0].grad = None
    made.step()
    assert len(watched.read("tensor")) == len(params) - 1


def test_share_of_clipped_steps() -> None:
    a, b = torch.nn.Parameter(torch.zeros(1)), torch.nn.Parameter(torch.zeros(1))
    together = thalweg.SGD([a, b], lr=0.1, clip_norm=1.0)
    each = thalweg.SGD([a, b], lr=0.1, clip_norm=1.0, clip_scope="tensor")
    watching = together.watch(1), each.watch(1)
    for size in (0.5, 2.0, 3.0, 0.1):
        a.grad, b.grad = torch.tensor([size]), torch.tensor([0.1])
        together.step()
        each.step()
    assert watching[0].read()["all"].clipped == 0.5
    assert [n.clipped for n in watching[1].read("tensor").values()] == [0.5, 0.0]


@pytest.mark.parametrize("nonfinite", ["pass", "skip", "raise"])
def test_counts_gradients_that_are_not_finite(nonfinite: str) -> None:
    a, b = torch.nn.Parameter(torch.zeros(2)), torch.nn.Parameter(torch.zeros(2))
    made = thalweg.SGD([a, b], lr=0.1, nonfinite=nonfinite)
    watched = made.watch(1)
    for bad in (False, True, True, False):
        a.grad, b.grad = torch.tensor([1e30, 1e-30]), torch.tensor([math.inf if bad else 0.0, 1.0])
        try:
            made.step()
        except thalweg.NonFiniteGradient:
            assert nonfinite == "raise"
    assert [n.nonfinite for n in watched.read("tensor").values()] == [0, 2]


def test_parameters_no_kernel_serves() -> None:
    gaps = torch.nn.Parameter(torch.randn(6, 8)[:, ::2])
    made = thalweg.SGD([gaps], lr=0.5)
    watched = made.watch(1)
    gaps.grad = torch.ones(6, 4)
    made.step()
    found = watched.read()["all"]
    assert [found.gradient, found.step] == pytest.approx([math.sqrt(24), 0.5 * math.sqrt(24)], rel=1e-5)


def test_mistakes_are_named() -> None:
    made = thalweg.SGD(parameters(), lr=0.1)
    with pytest.raises(ValueError, match="every must be a whole number of steps, at least 1, got 0"):
        made.watch(0)
    with pytest.raises(ValueError, match="by must be 'all', 'group' or 'tensor', got 'layer'"):
        made.watch().read("layer")  # type: ignore[arg-type]


def test_shows_itself_as_a_table() -> None:
    a, b = torch.nn.Parameter(torch.ones(4)), torch.nn.Parameter(torch.zeros(1))
    made = thalweg.SGD([{"params": [a], "name": "first"}, {"params": [b]}], lr=0.1, clip_norm=1.0)
    watched = made.watch(2)
    assert str(watched) == "no step has been measured yet"
    for _ in range(2):
        a.grad, b.grad = torch.full((4,), 1.5), torch.zeros(1)
        made.step()
    assert str(watched).splitlines() == [
        "norms of step 1 since watch(); one in 2 is measured",
        "         gradient  weight  step  relative  clipped  nonfinite",
        "first           3       2   0.1      0.05        1          0",
        "group 1         0       0     0       nan        1          0",
        "all             3       2   0.1      0.05        1          0",
    ]
    assert str(watched.read("group")["group 1"]) == (
        "Norms(gradient=0, weight=0, step=0, relative=nan, clipped=1, nonfinite=0)"
    )
