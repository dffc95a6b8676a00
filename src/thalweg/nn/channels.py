"""BatchNorm in training by kernels: every channel is a line, made of planes, or a column where channels lie last."""

import ctypes
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from thalweg.formula.vectors import SIZES

from . import columns, lines
from .differentiable import applied, gradients, stand_in
from .launch import address, fresh, name, real_type, run, vector_width
from .served import NAMES, served

# A plane shorter than this leaves most of a vector empty.
SHORTEST_PLANE = 16
_BLOCK_BYTES = 2**15  # of columns, what is worked on at a time: the nearest cache
_TILE = 256
_NUMBERS_A_PART, _MOST_PARTS = 2**16, 64


@dataclass(frozen=True)
class BatchResult:
    """y, and each channel's mean (as y is computed) and biased variance (float64)."""

    y: Tensor
    mean: Tensor
    variance: Tensor


def normalise(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> BatchResult:
    """x of shape (n, channels, ...), laid out as `channels_last_in` or `planes_in` say."""
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (x, weight, bias)):
        y, own, variance = applied(_Normalised, x, weight, bias, eps)
    else:
        y, own, variance = _layout(x, name(weight), name(bias)).normalised(x, weight, bias, eps)
    return BatchResult(y, own[0], variance)


def channels_last_in(x: Tensor) -> bool:
    """Whether memory holds all channels of a place side by side."""
    return x.movedim(1, -1).is_contiguous()


def planes_in(x: Tensor) -> bool:
    """Whether memory holds all places of a channel of an example side by side, and enough of them."""
    return x.is_contiguous() and x.dim() > 2 and x.numel() >= SHORTEST_PLANE * x.shape[0] * x.shape[1]


def _by_torch(eps: float, x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    return functional.batch_norm(x, None, None, weight, bias, True, 0.0, eps)


class _Normalised(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        layout = _layout(x, name(weight), name(bias))
        y, own, variance = layout.normalised(x, weight, bias, eps)
        ctx.save_for_backward(x, weight, own)
        ctx.layout, ctx.eps, ctx.types = layout, eps, [None if p is None else p.dtype for p in (weight, bias)]
        ctx.mark_non_differentiable(own, variance)
        ctx.set_materialize_grads(False)
        return y, own, variance

    @staticmethod
    def backward(ctx: Any, dy: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:
        if dy is None:
            return None, None, None, None
        x, weight, own = ctx.saved_tensors
        layout: _Planes | _Columns = ctx.layout
        if torch.is_grad_enabled() or not (_reads(layout, x, weight, own) and served(dy)):
            bias = stand_in(ctx.types[1], (layout.channels,))
            found = gradients(partial(_by_torch, ctx.eps), (x, weight, bias), dy)
        else:
            dx, own_gradients = layout.input_gradients(x, weight, own, dy)
            parameters = (
                None if dtype is None else gradient.to(dtype)
                for gradient, dtype in zip(own_gradients, ctx.types, strict=True)
            )
            found = (dx, *parameters)
        return *(g if wanted else None for g, wanted in zip(found, ctx.needs_input_grad, strict=False)), None


@dataclass(frozen=True)
class _Planes:
    """A channel is a run of each example's memory."""

    kind: lines.Lines
    channels: int
    sizes: tuple[int, ...]

    def normalised(
        self, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        y, own, variance = _results(x, self.channels)
        number, (mean, scale) = ctypes.c_double(eps), _rows(own)
        places = (
            x.data_ptr(), 0, address(weight), address(bias), y.data_ptr(), 0,
            mean, scale, variance.data_ptr(), ctypes.addressof(number),
        )  # fmt: skip
        run(lines.forward(self.kind), self.channels, places, self.sizes, x.numel())
        return y, own, variance

    def input_gradients(self, x: Tensor, weight: Tensor | None, own: Tensor, dy: Tensor) -> tuple[Tensor, Tensor]:
        dy, dx, found = dy.contiguous(), fresh(x), torch.empty_like(own)
        places = (x.data_ptr(), dy.data_ptr(), 0, address(weight), *_rows(own), dx.data_ptr(), *_rows(found))
        run(lines.backward(self.kind), self.channels, places, self.sizes, x.numel())
        return dx, found


@dataclass(frozen=True)
class _Columns:
    """A channel is a column of memory's rows."""

    kind: columns.Columns
    channels: int
    parts: int
    claims: int
    sizes: tuple[int, ...]
    joined_sizes: tuple[int, ...]

    def normalised(
        self, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        y, own, variance = _results(x, self.channels)
        parts = torch.zeros(2, self.parts * self.channels, dtype=torch.float64)
        number, n = ctypes.c_double(eps), x.numel()
        run(columns.statistics(self.kind), self.claims, (x.data_ptr(), *_rows(parts)), self.sizes, n)
        places: tuple[int, ...] = (*_rows(parts), ctypes.addressof(number), *_rows(own), variance.data_ptr())
        run(columns.joined_statistics(self.kind), 1, places, self.joined_sizes, n)
        places = (x.data_ptr(), *_rows(own), address(weight), address(bias), y.data_ptr())
        run(columns.outputs(self.kind), self.claims, places, self.sizes, n)
        return y, own, variance

    def input_gradients(self, x: Tensor, weight: Tensor | None, own: Tensor, dy: Tensor) -> tuple[Tensor, Tensor]:
        dy = dy.movedim(1, -1).contiguous()  # this and x have the same places in memory
        dx, found, means = fresh(x), torch.empty_like(own), torch.empty_like(own)
        parts = torch.zeros(2, self.parts * self.channels, dtype=torch.float64)
        n = x.numel()
        both = (x.data_ptr(), dy.data_ptr(), *_rows(own))
        run(columns.sums(self.kind), self.claims, (*both, *_rows(parts)), self.sizes, n)
        joined = (*_rows(parts), address(weight), *_rows(found), *_rows(means))
        run(columns.joined_sums(self.kind), 1, joined, self.joined_sizes, n)
        written = (*both, address(weight), *_rows(means), dx.data_ptr())
        run(columns.input_gradients(self.kind), self.claims, written, self.sizes, n)
        return dx, found


def _results(x: Tensor, channels: int) -> tuple[Tensor, Tensor, Tensor]:
    """Memory for y, for each channel's mean and scale, and for its variance."""
    own = torch.empty(2, channels, dtype=real_type(x))
    return fresh(x), own, torch.empty(channels, dtype=torch.float64)


def _reads(layout: _Planes | _Columns, x: Tensor, weight: Tensor | None, own: Tensor) -> bool:
    """Whether what was kept is as it was: hooks on saved tensors may return others."""
    return (
        served(x, weight, own)
        and (planes_in(x) or channels_last_in(x))
        and _layout(x, name(weight), layout.kind.bias) == layout
        and own.dtype == real_type(x)
        and own.shape == (2, layout.channels)
        and all(kept is None or kept.is_contiguous() for kept in (weight, own))
    )


def _layout(x: Tensor, weight: str | None, bias: str | None) -> _Planes | _Columns:
    examples, channels = x.shape[:2]
    make = _planes if planes_in(x) else _columns
    return make(examples, channels, x.numel(), NAMES[x.dtype], weight, bias)


# Training asks for the same few over and over.
@lru_cache(maxsize=1024)
def _planes(examples: int, channels: int, numbers: int, x: str, weight: str | None, bias: str | None) -> _Planes:
    length = numbers // channels // examples
    width = vector_width(length, lines.WIDEST, x)
    kind = lines.Lines(x, weight, bias, centred=True, along=False, residual=False, width=width)
    return _Planes(kind, channels, (channels, 1, examples, length, channels * length, max(1, lines.CHUNK // length)))


@lru_cache(maxsize=1024)
def _columns(_: int, channels: int, numbers: int, x: str, weight: str | None, bias: str | None) -> _Columns:
    places = numbers // channels
    tile = min(channels, _TILE)
    block = max(8, min(128, _BLOCK_BYTES // (tile * SIZES[x])))
    parts = max(1, min(_MOST_PARTS, numbers // _NUMBERS_A_PART))
    part = -(-places // (parts * block)) * block  # a whole number of blocks
    parts, tiles = -(-places // part), -(-channels // tile)
    return _Columns(
        columns.Columns(x, weight, bias, vector_width(channels, columns.WIDEST, x)),
        channels, parts, parts * tiles,
        (places, channels, part, tiles, tile, block), (parts, places, part, channels),
    )  # fmt: skip


def _rows(pair: Tensor) -> tuple[int, int]:
    """The addresses of a contiguous tensor's two rows."""
    return pair.data_ptr(), pair.data_ptr() + pair.shape[1] * pair.element_size()
