"""Random shapes, element types, layouts and sizes around vectors, tiles and claims, against torch in float64.

What is allowed: float64 1e-11, float32 1e-5, bfloat16 1e-2, of the terms that an output is made of.
"""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from norm_cases import LAYOUTS, Layer, by_kernels, drawn, exactly, results
from torch import Tensor

import thalweg.nn

ALLOWED = {torch.float32: 1e-5, torch.float64: 1e-11, torch.bfloat16: 1e-2}
EDGES = [1, 2, 3, 7, 15, 16, 17, 31, 33, 49, 63, 64, 65, 127, 128, 129]
LAYOUT_NAMES = [*LAYOUTS, "reversed dimensions"]
QUIET = settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])


def laid(x: Tensor, layout: str) -> Tensor:
    if layout in LAYOUTS:
        return LAYOUTS[layout](x) if x.dim() > 1 or layout != "channels last" else x
    dims = tuple(reversed(range(x.dim())))
    return x.permute(dims).contiguous().permute(dims)


@dataclass(frozen=True)
class Case:
    """One call: the layer, its element type, how x and the gradient of y are laid out, and the rest."""

    layer: Layer
    dtype: torch.dtype
    layout: str
    grad_layout: str
    shift: float
    seed: int
    options: tuple[tuple[str, Any], ...]


@st.composite
def tokens(draw: DrawFn) -> Case:
    name = draw(st.sampled_from(["RMSNorm", "LayerNorm"]))
    last = draw(st.sampled_from([*EDGES, 255, 257, 1000]))
    inner = draw(st.sampled_from([(last,), (2, last), (1, last), (last, 1)]))
    leading = draw(st.lists(st.sampled_from([1, 2, 3, 5, 9]), max_size=3))
    affine = draw(st.booleans())
    return drawn_case(draw, Layer(name, (inner,), (*leading, *inner)), {"elementwise_affine": affine})


@st.composite
def channels(draw: DrawFn) -> Case:
    dims = draw(st.sampled_from([1, 2, 3]))
    count = draw(st.sampled_from([*EDGES, 255, 256, 257]))
    places = draw(st.lists(st.sampled_from([1, 2, 3, 4, 7, 17]), min_size=dims if dims > 1 else 0, max_size=dims))
    examples = draw(st.sampled_from([2, 3, 8, 9]))
    options = {"affine": draw(st.booleans()), "track_running_stats": draw(st.booleans())}
    return drawn_case(draw, Layer(f"BatchNorm{dims}d", (count,), (examples, count, *places)), options)


def drawn_case(draw: DrawFn, layer: Layer, options: dict[str, Any]) -> Case:
    return Case(
        layer,
        draw(st.sampled_from(list(ALLOWED))),
        draw(st.sampled_from(LAYOUT_NAMES)),
        draw(st.sampled_from(LAYOUT_NAMES)),
        draw(st.sampled_from([0.0, 0.5, -3.0])),
        draw(st.integers(0, 99)),
        tuple(options.items()),
    )


def check(case: Case) -> bool:
    """As torch; and whether kernels were used."""
    layer, options = case.layer, dict(case.options) | {"eps": 1e-2}  # so that a line of equal numbers is no cliff
    x = laid((drawn(layer.shape, case.seed) + case.shift).to(case.dtype), case.layout)
    dy = laid(drawn(layer.shape, case.seed + 1, case.dtype), case.grad_layout)
    kept = x.clone(), dy.clone()
    module = layer.pair(case.dtype, **options)[0]
    found = [*results(module, x, dy, list(module.parameters())), *module.buffers()]
    expected = exactly(layer, x, dy, **options)
    size = 1 + 10 * dy.double().norm().item() + 3 * expected[0].detach().norm().item()
    for mine, true in zip(found, expected, strict=True):
        assert mine.shape == true.shape
        assert (mine.detach().double() - true.detach()).norm().item() <= ALLOWED[case.dtype] * size
    assert torch.equal(x, kept[0])
    assert torch.equal(dy, kept[1])
    assert found[0].dtype == case.dtype
    return by_kernels(found[0])


@pytest.mark.usefixtures("kernels")
class TestRandom:
    @QUIET
    @given(tokens())
    def test_tokens(self, case: Case) -> None:
        served = check(case)
        assert served or case.layout not in ("contiguous", "offset")

    @QUIET
    @given(channels())
    def test_channels(self, case: Case) -> None:
        served = check(case)
        plane = torch.Size(case.layer.shape[2:]).numel()
        if case.layout == "channels last" or (case.layout in ("contiguous", "offset") and plane >= 16):
            assert served

    @QUIET
    @given(tokens(), st.sampled_from(LAYOUT_NAMES), st.sampled_from(["y", "sum", "both"]))
    def test_residuals(self, case: Case, residual_layout: str, half: str) -> None:
        layer, options = case.layer, dict(case.options) | {"eps": 1e-2}
        dy, dsum, other = (drawn(layer.shape, case.seed + i, case.dtype) for i in (1, 2, 3))
        numbers = []
        for module, dtype in ((layer.pair(case.dtype, **options)[0], case.dtype), (None, torch.float64)):
            x = (
                laid((drawn(layer.shape, case.seed) + case.shift).to(case.dtype), case.layout)
                .to(dtype)
                .requires_grad_()
            )
            residual = laid(other, residual_layout).to(dtype).requires_grad_()
            if module is None:
                module = layer.pair(case.dtype, **options)[1].double()
                total = x + residual
                total = total + (total.detach().to(case.dtype).double() - total.detach())  # as memory holds it
                y = module(total)
            else:
                y, total = module(x, residual)
            pairs = {"y": [(y, dy)], "sum": [(total, dsum)], "both": [(y, dy), (total, dsum)]}[half]
            leaves = (x, residual, *module.parameters())
            outputs, given_ = zip(*pairs, strict=True)
            gradients = torch.autograd.grad(
                outputs, leaves, [g.to(dtype) for g in given_], allow_unused=True, materialize_grads=True
            )
            numbers.append([y, total, *gradients])
        size = 1 + 10 * dy.double().norm().item() + 3 * sum(t.detach().norm().item() for t in numbers[1][:2])
        for mine, true in zip(*numbers, strict=True):
            assert (mine.detach().double() - true.detach()).norm().item() <= ALLOWED[case.dtype] * size

    @QUIET
    @given(st.one_of(tokens(), channels()))
    def test_the_same_bits_without_a_graph(self, case: Case) -> None:
        """What the gradient is saved for does not change what is computed; nor does inference mode."""
        module = case.layer.pair(case.dtype, **dict(case.options))[0]
        x = laid((drawn(case.layer.shape, case.seed) + case.shift).to(case.dtype), case.layout)
        expected = module(x.detach().requires_grad_())
        with torch.no_grad():
            assert torch.equal(module(x), expected)
        with torch.inference_mode():
            assert torch.equal(module(x), expected)


@pytest.mark.slow
@pytest.mark.usefixtures("kernels")
@settings(QUIET, max_examples=150)
@given(st.one_of(tokens(), channels()))
def test_many_random_cases(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("layout", ["contiguous", "channels last", pytest.param("sliced", marks=pytest.mark.slow)])
def test_large_enough_by_itself(layout: str) -> None:
    """Without the sizes set to 1."""
    for layer in (
        Layer("RMSNorm", (96,), (4, 130, 96)),
        Layer("LayerNorm", (600,), (7000, 600)),
        Layer("BatchNorm2d", (12,), (24, 12, 31, 31)),
        Layer("BatchNorm2d", (70,), (16, 70, 31, 31)),
    ):
        check(Case(layer, torch.float32, layout, "contiguous", 0.5, 3, ()))
    assert check(Case(Layer("BatchNorm1d", (512,), (8300, 512)), torch.float32, "contiguous", "sliced", 0.5, 3, ()))


@pytest.mark.usefixtures("kernels")
def test_memory_that_begins_anywhere() -> None:
    """Numbers need not lie at a multiple of a vector."""
    for layer in (Layer("LayerNorm", (70,), (3, 70)), Layer("BatchNorm1d", (3,), (2, 3, 70))):
        for start in range(1, 17):
            room = drawn((17 + 420,), 1, torch.float32)
            x = room[start : start + torch.Size(layer.shape).numel()].view(layer.shape)
            module = layer.pair()[0]
            module.weight = torch.nn.Parameter(drawn((99,), 2, torch.float32)[start : start + len(module.weight)])
            y = module(x.detach().requires_grad_())
            assert by_kernels(y)
            assert torch.equal(y, module(x.clone()))


@pytest.mark.parametrize("name", ["RMSNorm", "LayerNorm", "BatchNorm1d"])
def test_parameters_with_gaps(name: str) -> None:
    """No kernel reads them as if they had none."""
    found = []
    for home in (thalweg.nn, torch.nn):
        norm = getattr(home, name)(64, dtype=torch.float64)
        for key, p in norm.named_parameters():
            setattr(norm, key, torch.nn.Parameter(torch.linspace(-1, 1, 2 * p.numel(), dtype=p.dtype)[::2]))
        x = torch.linspace(-2, 3, 64 * 256, dtype=torch.float64).sin().view(256, 64).requires_grad_()
        norm(x).square().sum().backward()
        found.append([x.grad, *(p.grad for p in norm.parameters())])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
