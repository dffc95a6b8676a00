"""The layers' formulas on float64 tensors against torch's functions, and the kernels against the formulas.

What is allowed: float64 1e-13, which leaves room for the order of sums; float32 1e-6, a few roundings. A gradient is
a difference, and may be near 0 (for two examples, or by chance): it is measured by the terms that it is made of.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import torch
from norm_cases import apart, by_kernels, drawn
from torch import Tensor

from thalweg.nn import formulas, functional

ALLOWED = {torch.float64: 1e-13, torch.float32: 1e-6}
WIDTHS = [1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 4095, 4096, 4097, 5000]


@dataclass(frozen=True)
class Numbers:
    """What the formulas give: y and the gradients of x, weight and bias, how large their terms are, and more."""

    values: tuple[Tensor, ...]
    terms: tuple[float, ...]
    mean: Tensor
    spread: Tensor


def by_formulas(
    x: Tensor, dy: Tensor, weight: Tensor, bias: Tensor, line: Sequence[int], own: Sequence[int], *, centred: bool
) -> Numbers:
    """``line``: the dimensions that are normalised together; ``own``: those that weight and bias are shared over."""
    x, dy, weight, bias = (t.double() for t in (x, dy, weight, bias))
    mean = x.mean(line, keepdim=True) if centred else torch.zeros(())
    spread = (x - mean).square().mean(line, keepdim=True)
    scale = formulas.scale(spread, 1e-5)
    z = formulas.normalised(x, mean, scale)
    g = dy * weight
    mean_g = g.mean(line, keepdim=True) if centred else torch.zeros(())
    dx = formulas.input_gradient(g, z, scale, mean_g, (g * z).mean(line, keepdim=True))
    y = formulas.output(z, weight, bias)
    dweight, dbias = ((dy * factor).sum(own).flatten() for factor in (z, torch.ones(())))
    terms = tuple(term.norm().item() for term in (y, g * scale, dy * z, dy))
    return Numbers((y, dx, dweight, dbias), terms, mean.flatten(), spread.flatten())


def parts(x: Tensor, weight: Tensor, bias: Tensor) -> list[Tensor]:
    return [t.detach().clone(memory_format=torch.preserve_format).requires_grad_() for t in (x, weight, bias)]


def check(found: Sequence[Tensor], expected: Numbers, allowed: float) -> None:
    names = ("y", "dx", "dweight", "dbias")
    for name, ours, theirs, size in zip(names, found, expected.values, expected.terms, strict=False):
        assert (ours.detach().double() - theirs).norm().item() <= allowed * max(size, 1.0), name


def check_tokens(name: str, x: Tensor, allowed: float, *, kernels: bool, torchs: bool = False) -> None:
    width, dtype = x.shape[-1], x.dtype
    dy, weight, bias = (drawn(s, seed, dtype) for seed, s in enumerate((x.shape, (width,), (width,)), start=1))
    leaf, w, b = parts(x, weight, bias)
    home = torch.nn.functional if torchs else functional
    if name == "layer":
        y = home.layer_norm(leaf, (width,), w, b)
        found = (y, *torch.autograd.grad(y, (leaf, w, b), dy))
    else:
        y = home.rms_norm(leaf, (width,), w, 1e-5)
        found = (y, *torch.autograd.grad(y, (leaf, w), dy))
        bias = torch.zeros(width)
    assert by_kernels(y) == kernels
    others = tuple(range(x.dim() - 1))
    check(found, by_formulas(x, dy, weight, bias, (-1,), others, centred=name == "layer"), allowed)


def check_channels(x: Tensor, allowed: float, *, kernels: bool, torchs: bool = False) -> None:
    count, dtype = x.shape[1], x.dtype
    dy = torch.empty_like(x).copy_(drawn(x.shape, 1, dtype))
    weight, bias = drawn((count,), 2, dtype), drawn((count,), 3, dtype)
    leaf, w, b = parts(x, weight, bias)
    home = torch.nn.functional if torchs else functional
    running = torch.zeros(count, dtype=dtype), torch.ones(count, dtype=dtype)
    y = home.batch_norm(leaf, *running, w, b, True, 0.25)
    found = (y, *torch.autograd.grad(y, (leaf, w, b), dy))
    assert by_kernels(y) == kernels
    line = [d for d in range(x.dim()) if d != 1]
    column = (1, count, *(1,) * (x.dim() - 2))
    expected = by_formulas(x, dy, weight.view(column), bias.view(column), line, line, centred=True)
    check(found, expected, allowed)
    n = x.numel() // count
    assert apart(running[0], 0.25 * expected.mean) < allowed
    assert apart(running[1], 0.75 + 0.25 * expected.spread * n / (n - 1)) < allowed


@pytest.mark.parametrize("shape", [(3, 7), (2, 3, 1), (1, 130)])
@pytest.mark.parametrize("name", ["layer", "rms"])
def test_formulas_of_tokens_are_torchs(name: str, shape: tuple[int, ...]) -> None:
    check_tokens(name, drawn(shape), 1e-13, kernels=False, torchs=True)


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 5), (2, 3, 4, 5), (2, 3, 2, 3, 4)])
def test_formulas_of_channels_are_torchs(shape: tuple[int, ...]) -> None:
    check_channels(drawn(shape), 1e-13, kernels=False, torchs=True)


def test_without_weight_and_bias() -> None:
    z = drawn((3,))
    assert formulas.output(z, None, None) is z
    assert torch.equal(formulas.output(z, None, z), z + z)
    assert torch.equal(formulas.output(z, z, None), z * z)


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("dtype", ALLOWED)
class TestKernels:
    """Shifted inputs, so that a mean left on shows."""

    @pytest.mark.parametrize("width", WIDTHS)
    @pytest.mark.parametrize("name", ["layer", "rms"])
    def test_widths(self, name: str, width: int, dtype: torch.dtype) -> None:
        for count in (1, 5):
            check_tokens(name, (drawn((count, width)) + 0.5).to(dtype), ALLOWED[dtype], kernels=True)

    @pytest.mark.parametrize("count", [7, 8, 9, 63, 64, 65, 127, 1000])
    @pytest.mark.parametrize("name", ["layer", "rms"])
    def test_numbers_of_lines(self, name: str, count: int, dtype: torch.dtype) -> None:
        """Claims are of several lines, and the last one of fewer."""
        for width in (17, 700):
            check_tokens(name, (drawn((count, width)) + 0.5).to(dtype), ALLOWED[dtype], kernels=True)

    @pytest.mark.parametrize("length", [16, 17, 31, 33, 49, 63, 64, 65, 127, 4095, 4096, 4097, 5000])
    def test_lengths_of_planes(self, length: int, dtype: torch.dtype) -> None:
        for examples, count in ((2, 1), (1, 3), (3, 2)):
            check_channels((drawn((examples, count, length)) + 0.5).to(dtype), ALLOWED[dtype], kernels=True)

    @pytest.mark.parametrize("shape", [(300, 3, 16), (257, 1, 17), (85, 2, 7, 7), (3, 5, 2, 3, 1400)])
    def test_many_segments(self, shape: tuple[int, ...], dtype: torch.dtype) -> None:
        check_channels((drawn(shape) + 0.5).to(dtype), ALLOWED[dtype], kernels=True)

    @pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 31, 33, 63, 64, 65, 127, 255, 256, 257, 513])
    def test_numbers_of_columns(self, count: int, dtype: torch.dtype) -> None:
        for rows in (6, 33):
            check_channels((drawn((rows, count)) + 0.5).to(dtype), ALLOWED[dtype], kernels=True)

    @pytest.mark.parametrize(
        ("rows", "count"), [(7, 3), (8, 3), (9, 3), (127, 3), (128, 3), (129, 3), (4999, 1), (1100, 257), (30_001, 9)]
    )
    def test_numbers_of_rows(self, rows: int, count: int, dtype: torch.dtype) -> None:
        """Blocks and parts that do not come out even."""
        check_channels((drawn((rows, count)) + 0.5).to(dtype), ALLOWED[dtype], kernels=True)

    @pytest.mark.parametrize("shape", [(3, 2, 2, 2), (3, 20, 7, 7), (3, 6, 2, 3, 4), (1, 6, 9)])
    def test_channels_last(self, shape: tuple[int, ...], dtype: torch.dtype) -> None:
        x = (drawn(shape) + 0.5).to(dtype).movedim(1, -1).contiguous().movedim(-1, 1)
        check_channels(x, ALLOWED[dtype], kernels=True)

    def test_one_number_a_channel_and_plane_is_torchs(self, dtype: torch.dtype) -> None:
        """Planes that leave most of a vector empty, in the order of planes."""
        check_channels(drawn((30, 4, 3), 0, dtype), ALLOWED[dtype], kernels=False)
