"""Weights and gradients to try an optimizer on: seeded, so that a case that fails fails again."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from math import isqrt

import torch

Shape = tuple[int, ...]
Row = Sequence[torch.Tensor | None]

# Around a vector of 16 weights, none, one, and enough for several vectors and a rest.
SIZES = (0, 1, 3, 15, 16, 17, 1023, 4097)
SHAPES: tuple[Shape, ...] = ((), (0,), (1,), (3,), (15,), (16,), (17,), (31, 33), (4097,))
# A few of these, for many steps.
MIXED: tuple[Shape, ...] = ((), (0,), (17,), (31, 33))
FEW: tuple[Shape, ...] = ((3, 4), (), (17,))
# With axes that can change places, and four of them for channels_last.
ROOMY: tuple[Shape, ...] = ((), (0, 3), (3, 5), (4, 4), (31, 33), (2, 3, 2, 4), (5, 3, 3, 3), (241, 17))


_matrices: ContextVar[bool] = ContextVar("matrices", default=False)


@contextmanager
def as_matrices(asked: bool) -> Iterator[None]:
    """Within, what would be vectors and single numbers are matrices of as many numbers, for rules that see such."""
    token = _matrices.set(asked)
    try:
        yield
    finally:
        _matrices.reset(token)


def fitted(shape: Shape) -> Shape:
    """The shape that weights and gradients have that are asked for in this one."""
    if not _matrices.get() or len(shape) > 1:
        return shape
    size = torch.Size(shape).numel()
    rows = next((n for n in range(isqrt(size), 0, -1) if size % n == 0), 0)
    return (rows, size // rows) if rows else (0, 1)


def weights(dtype: torch.dtype, shapes: Sequence[Shape] = FEW, seed: int = 1) -> list[torch.Tensor]:
    """Parameters around 1 in size, whose values half precision can hold, so that every element type starts alike."""
    return [torch.nn.Parameter(part.bfloat16().to(dtype)) for part in _parts(shapes, seed)]


def gradients(
    steps: int, shapes: tuple[Shape, ...] = FEW, *, seed: int = 2, spikes: bool = False
) -> tuple[tuple[torch.Tensor, ...], ...]:
    """For each step a gradient for each shape, not to be written to: normal, with zeros, and on demand with spikes."""
    return _gradients(steps, tuple(map(fitted, shapes)), seed, spikes)


@lru_cache(64)
def _gradients(steps: int, shapes: tuple[Shape, ...], seed: int, spikes: bool) -> tuple[tuple[torch.Tensor, ...], ...]:
    rows = []
    for step in range(steps):
        kind = _parts(shapes, 7919 * seed + step, normal=False)
        row = _parts(shapes, 104729 * seed + step)
        if spikes:
            row = [torch.where(k > 0.99, 1e3 * g, g) for g, k in zip(row, kind, strict=True)]
        rows.append(tuple(torch.where(k < 0.1, 0.0, g) for g, k in zip(row, kind, strict=True)))
    return tuple(rows)


def give(params: Iterable[torch.Tensor], row: Row) -> None:
    """Set the parameters' gradients to copies of a row; None takes one away."""
    for p, g in zip(params, row, strict=True):
        p.grad = None if g is None else g.to(p.dtype, copy=True)


def run(made: torch.optim.Optimizer, rows: Iterable[Row]) -> None:
    """A step for each row of gradients."""
    params = [p for group in made.param_groups for p in group["params"]]
    for row in rows:
        give(params, row)
        made.step()


def _parts(shapes: Sequence[Shape], seed: int, normal: bool = True) -> list[torch.Tensor]:
    """Random numbers of the given shapes."""
    sizes = [torch.Size(shape).numel() for shape in shapes]
    seeded = torch.Generator().manual_seed(seed)
    drawn = (torch.randn if normal else torch.rand)(sum(sizes), generator=seeded)
    return [part.view(fitted(shape)) for part, shape in zip(torch.split(drawn, sizes), shapes, strict=True)]


def contiguous(x: torch.Tensor) -> torch.Tensor:
    """As torch makes tensors."""
    return x.clone(memory_format=torch.contiguous_format)


def transposed(x: torch.Tensor) -> torch.Tensor:
    """The axes in memory in the opposite order."""
    backwards = tuple(reversed(range(x.dim())))
    return contiguous(x.permute(backwards)).permute(backwards)


def channels_last(x: torch.Tensor) -> torch.Tensor:
    """Convolution weights as fast models keep them; only tensors with four axes can be."""
    return x.clone(memory_format=torch.channels_last) if x.dim() == 4 else contiguous(x)


def offset(x: torch.Tensor) -> torch.Tensor:
    """Not where allocations start."""
    return _within(x, start=3, step=1)


def gaps(x: torch.Tensor) -> torch.Tensor:
    """Every other element of a larger memory, whose other elements are `BETWEEN`."""
    return _within(x, start=1, step=2)


BETWEEN = 99.0

Layout = Callable[[torch.Tensor], torch.Tensor]
LAYOUTS: dict[str, Layout] = {f.__name__: f for f in (contiguous, transposed, channels_last, offset, gaps)}


def expanded(x: torch.Tensor) -> torch.Tensor:
    """One number for all elements, as the gradient of a sum is."""
    return x.mean().nan_to_num().expand(x.shape)


def _within(x: torch.Tensor, start: int, step: int) -> torch.Tensor:
    memory = torch.full((start + step * x.numel() + 1,), BETWEEN, dtype=x.dtype)
    strides = [step * stride for stride in contiguous(x).stride()]
    return memory.as_strided(x.shape, strides, start).copy_(x)
