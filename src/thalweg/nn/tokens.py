"""LayerNorm and RMSNorm by kernels: every token's features are a line, one run of memory."""

import ctypes
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from .differentiable import applied, gradients, stand_in
from .launch import address, fresh, name, real_type, run, vector_width
from .lines import WIDE_LINE, WIDEST, Lines, backward, forward
from .served import NAMES, TYPES, served

# A claim has a row of its own for the weight's gradients: so many numbers are worth one. Fewer, while there are few
# claims, so that threads have something to share.
_NUMBERS_A_CLAIM, _AT_LEAST = 2**17, 2**14
_MOST_CLAIMS, _FEW_CLAIMS = 64, 8


@dataclass(frozen=True)
class TokenNorm:
    """Which function: LayerNorm (``centred``) or RMSNorm over the last dimensions, whose sizes are ``shape``."""

    shape: tuple[int, ...]
    eps: float
    centred: bool

    def by_torch(self, x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
        """torch's own function."""
        if self.centred:
            return functional.layer_norm(x, self.shape, weight, bias, self.eps)
        return functional.rms_norm(x, self.shape, weight, self.eps)


@dataclass(frozen=True)
class _Walk:
    """One call's kernel, and how the lines are shared out."""

    kind: Lines
    lines: int
    length: int
    per: int
    claims: int

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """As `lines.SIZES` names them."""
        return self.lines, self.per, 1, self.length, 0, 1

    def reads(self, x: Tensor, weight: Tensor | None, own: Tensor) -> bool:
        """Whether what was kept is as it was: hooks on saved tensors may return others."""
        return (
            served(x, weight, own)
            and NAMES[x.dtype] == self.kind.x
            and x.numel() == self.lines * self.length
            and name(weight) == self.kind.weight
            and (weight is None or weight.numel() == self.length)
            and own.dtype == real_type(x)
            and own.shape == (2, self.lines)
            and all(kept is None or kept.is_contiguous() for kept in (x, weight, own))
        )

    @cached_property
    def forward(self) -> str:
        """The kernel's text."""
        return forward(self.kind)

    @cached_property
    def backward(self) -> str:
        """The text of the gradient's kernel, where nothing but y has one."""
        return backward(replace(self.kind, residual=False))

    @cached_property
    def backward_of_both(self) -> str:
        """The text of the gradient's kernel, where the sum has one too."""
        return backward(replace(self.kind, residual=True))


def normalise(
    norm: TokenNorm, x: Tensor, residual: Tensor | None, weight: Tensor | None, bias: Tensor | None
) -> tuple[Tensor, ...]:
    """(y,), or (y, x + residual) if there is a residual. All are contiguous, of types that kernels read."""
    inputs = (x, residual, weight, bias)
    if torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in inputs):
        results: tuple[Tensor, ...] = applied(_Normalised, norm, *inputs)
        return results
    return _normalised(_walk_of(norm, *inputs), norm, *inputs)[0]


class _Normalised(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, norm: TokenNorm, *inputs: Tensor | None) -> tuple[Tensor, ...]:
        x, residual, weight, bias = inputs
        walk = _walk_of(norm, *inputs)  # type: ignore[arg-type]
        results, own = _normalised(walk, norm, *inputs)  # type: ignore[arg-type]
        ctx.save_for_backward(results[1] if residual is not None else x, weight, own)
        ctx.norm, ctx.walk, ctx.bias_type = norm, walk, None if bias is None else bias.dtype
        ctx.set_materialize_grads(False)
        if residual is not None and not any(ctx.needs_input_grad[1:3]):
            ctx.mark_non_differentiable(results[1])
        return results

    @staticmethod
    def backward(ctx: Any, dy: Tensor | None, dsum: Tensor | None = None) -> tuple[Tensor | None, ...]:
        x, weight, own = ctx.saved_tensors
        _, wants_x, wants_residual, wants_weight, wants_bias = ctx.needs_input_grad
        walk: _Walk = ctx.walk
        dx, dweight, dbias = dsum, None, None
        if dy is not None and not torch.is_grad_enabled() and walk.reads(x, weight, own) and served(dy, dsum):
            dx, dweight, dbias = _gradients(walk, ctx.norm, x, weight, own, dy, dsum)
        elif dy is not None:
            bias = stand_in(ctx.bias_type, ctx.norm.shape)
            dx, dweight, dbias = gradients(ctx.norm.by_torch, (x, weight, bias), dy)
            dx = dx + dsum if dx is not None and dsum is not None else dx
        return (
            None, dx if wants_x else None, dx if wants_residual else None,
            dweight if wants_weight else None, dbias if wants_bias else None,
        )  # fmt: skip


def _walk_of(norm: TokenNorm, x: Tensor, residual: Tensor | None, weight: Tensor | None, bias: Tensor | None) -> _Walk:
    names = NAMES[x.dtype], name(weight), name(bias)
    return _walk(norm.centred, prod(norm.shape), x.numel(), *names, residual is not None)


# Training asks for the same few over and over.
@lru_cache(maxsize=1024)
def _walk(
    centred: bool, length: int, numbers: int, x: str, weight: str | None, bias: str | None, residual: bool
) -> _Walk:
    lines = numbers // length
    kind = Lines(
        x, weight, bias, centred, along=True, residual=residual, width=vector_width(length, WIDEST, x),
        together=4 if length > WIDE_LINE else 1,
    )  # fmt: skip
    few = min(_FEW_CLAIMS, numbers // _AT_LEAST)
    most = min(lines, _MOST_CLAIMS, max(1, few, numbers // _NUMBERS_A_CLAIM))
    per = -(-lines // most)
    return _Walk(kind, lines, length, per, -(-lines // per))


def _normalised(
    walk: _Walk, norm: TokenNorm, x: Tensor, residual: Tensor | None, weight: Tensor | None, bias: Tensor | None
) -> tuple[tuple[Tensor, ...], Tensor]:
    """The results, and the lines' own numbers: means, then scales."""
    y = fresh(x)
    total = None if residual is None else fresh(x)
    own = torch.empty(2, walk.lines, dtype=real_type(x))
    eps = ctypes.c_double(norm.eps)
    at = own.data_ptr()
    places = (
        x.data_ptr(), address(residual), address(weight), address(bias), y.data_ptr(), address(total),
        at, at + walk.lines * own.element_size(), 0, ctypes.addressof(eps),
    )  # fmt: skip
    run(walk.forward, walk.claims, places, walk.sizes, x.numel())
    return (y,) if total is None else (y, total), own


def _gradients(
    walk: _Walk, norm: TokenNorm, x: Tensor, weight: Tensor | None, own: Tensor, dy: Tensor, dsum: Tensor | None
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    dy, dsum = dy.contiguous(), None if dsum is None else dsum.contiguous()
    dx = fresh(x)
    # What kernels add up in starts from 0.
    rows = {
        parameter: torch.zeros(walk.claims, walk.length, dtype=own.dtype)
        for parameter, wanted in (("weight", walk.kind.weight), ("bias", walk.kind.bias))
        if wanted
    }
    at = own.data_ptr()
    places = (
        x.data_ptr(), dy.data_ptr(), address(dsum), address(weight), at, at + walk.lines * own.element_size(),
        dx.data_ptr(), address(rows.get("weight")), address(rows.get("bias")),
    )  # fmt: skip
    run(walk.backward if dsum is None else walk.backward_of_both, walk.claims, places, walk.sizes, x.numel())
    dweight, dbias = (
        rows[parameter].sum(0).to(TYPES[kind]).view(norm.shape) if kind else None
        for parameter, kind in (("weight", walk.kind.weight), ("bias", walk.kind.bias))
    )
    return dx, dweight, dbias
