"""Element types, memory layouts and sizes: element i of weight, gradient and state is the same weight everywhere."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

import thalweg
from thalweg.formula import Hyper, Rule, State, torch_reader
from thalweg.formula.rule import decay_kind
from thalweg.optim import optimizer
from thalweg.rules import CATALOGUE

SIZES = [0, 1, 3, 15, 16, 17, 1023, 4097]
FULL = [torch.float32, torch.float64]
HALF = [torch.bfloat16, torch.float16]
TOLERANCE = {torch.float32: 2e-5, torch.float64: 1e-12}


def content(size: int, seed: int) -> torch.Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rectangle(size: int) -> tuple[int, int]:
    """A size as two sides, neither of them 1 where that is possible."""
    side = next((s for s in range(math.isqrt(size), 1, -1) if size % s == 0), 1) if size else 2
    return side, size // side


def contiguous(x: torch.Tensor) -> torch.Tensor:
    return x.clone()


def transposed(x: torch.Tensor) -> torch.Tensor:
    return x.view(rectangle(x.numel())).t().contiguous().t()


def rows_and_columns(x: torch.Tensor) -> torch.Tensor:
    return x.view(rectangle(x.numel())).clone()


def channels_last(x: torch.Tensor) -> torch.Tensor:
    a, b = rectangle(x.numel())
    return x.view(a, b, 1, 1).expand(a, b, 2, 1).contiguous(memory_format=torch.channels_last)


def strided(x: torch.Tensor) -> torch.Tensor:
    """Every other element of a larger memory."""
    memory = torch.full((2 * x.numel() + 1,), 99.0, dtype=x.dtype)
    memory[1::2] = x
    return memory[1::2]


def offset(x: torch.Tensor) -> torch.Tensor:
    """Dense, but not where allocations start."""
    memory = torch.full((x.numel() + 3,), 99.0, dtype=x.dtype)
    memory[3:] = x
    return memory[3:]


LAYOUTS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    f.__name__: f for f in (contiguous, transposed, rows_and_columns, channels_last, strided, offset)
}


def gradient_like(weight: torch.Tensor, seed: int, layout: str) -> torch.Tensor:
    """A gradient with the weight's layout, with another, or with one number for all."""
    if layout == "expanded":
        return torch.tensor(1.5 - seed, dtype=weight.dtype).expand_as(weight)
    dense = content(weight.numel(), seed).to(weight.dtype).view(weight.shape)
    if layout == "dense":
        return dense
    if layout == "as the weight":
        return torch.empty_like(weight).copy_(dense)
    return dense.permute(*reversed(range(dense.dim()))).contiguous().permute(*reversed(range(dense.dim())))


GRADIENTS = ["as the weight", "dense", "reversed", "expanded"]
RULES: dict[str, dict[str, Any]] = {
    "AdamW": {"lr": 0.01, "weight_decay": 0.1, "amsgrad": True},
    "SGD": {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1},
    "RMSprop": {"lr": 0.01, "momentum": 0.5},
    "Adagrad": {"lr": 0.1},
}


@settings(max_examples=120)
@given(
    size=st.sampled_from(SIZES),
    dtype=st.sampled_from(FULL),
    layout=st.sampled_from(sorted(LAYOUTS)),
    grads=st.lists(st.sampled_from(GRADIENTS), min_size=3, max_size=3),
    name=st.sampled_from(sorted(RULES)),
    clip=st.booleans(),
)
@example(17, torch.float32, "channels_last", ["dense"] * 3, "AdamW", True)
@example(1023, torch.float64, "strided", ["dense", "as the weight", "expanded"], "SGD", True)
def test_equals_torchs_loop(
    size: int, dtype: torch.dtype, layout: str, grads: list[str], name: str, clip: bool
) -> None:
    ours, theirs = (torch.nn.Parameter(LAYOUTS[layout](content(size, 0).to(dtype))) for _ in range(2))
    beside = torch.nn.Parameter(torch.ones(5, dtype=dtype))  # shares the kernel call
    beside.grad = torch.zeros_like(beside)
    made = getattr(thalweg, name)([ours, beside], clip_norm=1.0 if clip else None, **RULES[name])
    loop = getattr(torch.optim, name)([theirs], foreach=False, **RULES[name])
    strides = ours.stride()
    for seed, kind in enumerate(grads, start=1):
        ours.grad, theirs.grad = gradient_like(ours, seed, kind), gradient_like(theirs, seed, kind).clone()
        made.step()
        if clip:
            torch.nn.utils.clip_grad_norm_([theirs], 1.0)
        loop.step()
    assert ours.stride() == strides
    assert torch.isfinite(ours).all()
    torch.testing.assert_close(ours.detach(), theirs.detach(), rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype] / 10)
    memory = ours.detach().untyped_storage()
    if layout == "strided":  # what lies between the weights is somebody else's
        everything = torch.tensor([], dtype=dtype).set_(memory)
        assert (everything[::2] == 99.0).all()


@settings(max_examples=60)
@given(
    size=st.sampled_from(SIZES),
    dtype=st.sampled_from(HALF),
    layout=st.sampled_from(sorted(LAYOUTS)),
    name=st.sampled_from(sorted(CATALOGUE)),
    kind=st.sampled_from(GRADIENTS),
)
def test_half_precision_is_float32_rounded_once(
    size: int, dtype: torch.dtype, layout: str, name: str, kind: str
) -> None:
    """Each step computes in float32 from what is stored, and rounds weight and states once: one ulp at most."""
    rule = CATALOGUE[name]
    weight = torch.nn.Parameter(LAYOUTS[layout](content(size, 0).to(dtype)))
    made = optimizer(rule)([weight], lr=0.1)
    known = torch_reader.values_of(rule, lr=0.1)
    decay = known["weight_decay"]
    known |= {"l2": decay} if decay_kind(rule) == "l2" else {"shrink": 0.1 * decay}
    begun = torch_reader.begin(rule, weight.detach().float(), known)
    states = {key: value.to(dtype).float() for key, value in begun.states.items()}
    expected = torch_reader.Trained(weight.detach().float(), states, {})
    for seed in (1, 2, 3):
        weight.grad = gradient_like(weight, seed, kind)
        made.step()
        expected = torch_reader.step(rule, expected, weight.grad.float(), known)
        expected = torch_reader.Trained(
            expected.weight.to(dtype).float(),
            {key: value.to(dtype).float() for key, value in expected.states.items()},
            {},
            expected.steps,
        )
        ulp = torch.finfo(dtype).eps * expected.weight.abs().clamp_min(torch.finfo(dtype).tiny)
        assert bool(((weight.detach().float() - expected.weight).abs() <= ulp).all())
    assert weight.dtype == dtype
    if size:
        assert not torch.equal(weight.detach().reshape(-1), LAYOUTS[layout](content(size, 0).to(dtype)).reshape(-1))
    for state in made.state.values():
        assert all(v.dtype == dtype for k, v in state.items() if k != "step")


@pytest.mark.parametrize("dtype", HALF, ids=str)
def test_half_precision_zero_gradient_is_no_nan(dtype: torch.dtype) -> None:
    """eps = 1e-8 is 0 in float16: computed there, 0 / (0 + eps) would be nan."""
    weight = torch.nn.Parameter(torch.ones(20, dtype=dtype))
    made = thalweg.Adam([weight], lr=0.1)
    weight.grad = torch.zeros_like(weight)
    made.step()
    assert torch.equal(weight.detach(), torch.ones(20, dtype=dtype))


@pytest.mark.parametrize("dtype", FULL, ids=str)
def test_contiguous_checkpoint_in_a_channels_last_model(dtype: torch.dtype) -> None:
    """The layout of the state must follow the weight's, not the file's."""
    results = []
    for made_by, kwargs in ((thalweg.AdamW, {}), (torch.optim.AdamW, {"foreach": False})):
        torch.manual_seed(0)
        model = torch.nn.Conv2d(3, 8, 3).to(dtype)
        made = made_by(model.parameters(), lr=0.01, **kwargs)
        image = torch.linspace(-1, 1, 2 * 3 * 36).view(2, 3, 6, 6).to(dtype)

        def train(model: torch.nn.Module, made: Any, steps: int, image: torch.Tensor = image) -> None:
            for _ in range(steps):
                made.zero_grad()
                model(image).pow(2).sum().backward()
                made.step()

        train(model, made, 3)
        saved = made.state_dict()
        other = torch.nn.Conv2d(3, 8, 3).to(dtype)
        other.load_state_dict(model.state_dict())
        other = other.to(memory_format=torch.channels_last)
        resumed = made_by(other.parameters(), lr=0.01, **kwargs)
        resumed.load_state_dict(saved)
        train(other, resumed, 3)
        assert other.weight.is_contiguous(memory_format=torch.channels_last)
        assert not other.weight.is_contiguous()
        if made_by is thalweg.AdamW:
            assert resumed.state[other.weight]["exp_avg"].stride() == other.weight.stride()
        results.append(other.weight.detach().contiguous())
    torch.testing.assert_close(*results, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


class TestRefused:
    def test_sparse(self) -> None:
        model = torch.nn.Embedding(5, 3, sparse=True)
        made = thalweg.AdamW(model.named_parameters())
        model(torch.tensor([1, 2])).sum().backward()
        before = model.weight.detach().clone()
        with pytest.raises(TypeError, match=r"the gradient of 'weight' is sparse; make it dense .*SparseAdam"):
            made.step()
        assert torch.equal(model.weight.detach(), before)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
    def test_sparse_after_dense(self, dtype: torch.dtype) -> None:
        weight = torch.nn.Parameter(torch.ones(4, 3, dtype=dtype))
        made = thalweg.SGD([weight], lr=0.1)
        weight.grad = torch.ones_like(weight)
        made.step()
        weight.grad = weight.grad.to_sparse()
        with pytest.raises(TypeError, match="is sparse"):
            made.step()
        weight.grad = torch.ones_like(weight)
        made.step()

    def test_complex(self) -> None:
        weight = torch.nn.Parameter(torch.ones(3, dtype=torch.complex64))
        made = thalweg.SGD([weight], lr=0.1)
        weight.grad = torch.ones_like(weight)
        with pytest.raises(TypeError, match=r"parameter 0 of group 0 \(3\) is complex; use torch\.view_as_real"):
            made.step()


class Handing(Rule):
    """Hands on what it was given: the weight before the step, and its two states exchanged."""

    lr = Hyper(0.5)
    before = State("before", start="w")
    a = State("a", start=1.0)
    b = State("b", start=2.0)
    fixed = State("fixed")

    @staticmethod
    def step(w, g, before, a, b, lr, fixed):
        before = w
        a, b = b, a
        fixed = lr
        return lr * g, before, a, b, fixed


@pytest.mark.parametrize("layout", ["contiguous", "strided"])
@pytest.mark.parametrize("dtype", [*FULL, torch.bfloat16], ids=str)
def test_everything_is_read_before_anything_is_written(dtype: torch.dtype, layout: str) -> None:
    weight = torch.nn.Parameter(LAYOUTS[layout](torch.full((20,), 4.0, dtype=dtype)))
    made = optimizer(Handing)([weight])
    for step in range(1, 4):
        weight.grad = torch.ones_like(weight)
        made.step()
        state = made.state[weight]
        assert weight.detach().unique().tolist() == [4.0 - 0.5 * step]
        assert state["before"].unique().tolist() == [4.0 - 0.5 * (step - 1)]
        assert (state["a"].unique().tolist(), state["b"].unique().tolist()) == (([2.0], [1.0]) if step % 2 else
                                                                               ([1.0], [2.0]))  # fmt: skip
        assert state["fixed"].unique().tolist() == [0.5]


def test_a_model_of_many_kinds_at_once() -> None:
    """Types and layouts in one optimizer: several launches, one step, and each as if alone."""
    kinds = [(layout, dtype) for layout in LAYOUTS for dtype in FULL]
    together = [
        torch.nn.Parameter(LAYOUTS[layout](content(24, i).to(dtype))) for i, (layout, dtype) in enumerate(kinds)
    ]
    apart = [torch.nn.Parameter(LAYOUTS[layout](content(24, i).to(dtype))) for i, (layout, dtype) in enumerate(kinds)]
    made = thalweg.AdamW(together, lr=0.1)
    alone = [thalweg.AdamW([p], lr=0.1) for p in apart]
    for seed in range(3):
        for params in (together, apart):
            for i, p in enumerate(params):
                p.grad = gradient_like(p, 100 * seed + i, GRADIENTS[i % 3])
        made.step()
        for each in alone:
            each.step()
    for a, b in zip(together, apart, strict=True):
        assert torch.equal(a.detach(), b.detach())


class Marked(torch.Tensor):
    """A tensor subclass, as quantised and distributed tensors are."""


def test_tensor_subclass_is_not_walked_as_plain_memory() -> None:
    data = content(10, 0).as_subclass(Marked)
    weight = torch.nn.Parameter(data)
    plain = torch.nn.Parameter(content(10, 0))
    for p in (weight, plain):
        made = thalweg.AdamW([p], lr=0.1)
        p.grad = torch.ones_like(p)
        made.step()
    torch.testing.assert_close(weight.detach().as_subclass(torch.Tensor), plain.detach(), rtol=1e-12, atol=0)
