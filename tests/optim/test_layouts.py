"""Element types, memory layouts and sizes: element i of weight, gradient and state is the same weight everywhere."""

import math
from collections.abc import Callable

import pytest
import torch

import thalweg
from thalweg.formula import Hyper, Rule, State
from thalweg.optim import optimizer

FULL = [torch.float32, torch.float64]


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
