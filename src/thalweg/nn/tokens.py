"""LayerNorm and RMSNorm by kernels: every token's features are a line, one run of memory."""

import ctypes
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from .differentiable import applied, gradients
from .launch import address, fresh, name, real_type, run, vector_width
from .lines import Lines, backward, forward
from .served import NAMES, plain

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
        x, _, weight, bias = inputs
        walk = _walk_of(norm, *inputs)  # type: ignore[arg-type]
        results, own = _normalised(walk, norm, *inputs)  # type: ignore[arg-type]
        ctx.save_for_backward(results[1] if walk.kind.residual else x, weight, bias, own)
        ctx.norm, ctx.walk = norm, walk
        ctx.set_materialize_grads(False)
        return results

    @staticmethod
    def backward(ctx: Any, dy: Tensor | None, dsum: Tensor | None = None) -> tuple[Tensor | None, ...]:
        x, weight, bias, own = ctx.saved_tensors
        if dy is None:
            return None, dsum, dsum, None, None
        if torch.is_grad_enabled() or not (plain(dy) and (dsum is None or plain(dsum))):
            dx, dweight, dbias = gradients(ctx.norm.by_torch, (x, weight, bias), dy)
            if dsum is not None and dx is not None:
                dx = dx + dsum
        else:
            dx, dweight, dbias = _gradients(ctx.walk, x, weight, bias, own, dy, dsum)
        _, wants_x, wants_residual, *_ = ctx.needs_input_grad
        return None, dx if wants_x else None, dx if wants_residual else None, dweight, dbias


def _walk_of(norm: TokenNorm, x: Tensor, residual: Tensor | None, weight: Tensor | None, bias: Tensor | None) -> _Walk:
    names = NAMES[x.dtype], name(weight), name(bias)
    return _walk(norm.centred, prod(norm.shape), x.numel(), *names, residual is not None)


# Training asks for the same few over and over.
@lru_cache(maxsize=1024)
def _walk(
    centred: bool, length: int, numbers: int, x: str, weight: str | None, bias: str | None, residual: bool
) -> _Walk:
    lines = numbers // length
    kind = Lines(x, weight, bias, centred, along=True, residual=residual, width=vector_width(length, x))
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
    walk: _Walk, x: Tensor, weight: Tensor | None, bias: Tensor | None, own: Tensor, dy: Tensor, dsum: Tensor | None
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    dy, dsum = dy.contiguous(), None if dsum is None else dsum.contiguous()
    dx = fresh(x)
    # What kernels add up in starts from 0.
    rows = {
        key: torch.zeros(walk.claims, walk.length, dtype=own.dtype)
        for key, parameter in (("weight", weight), ("bias", bias))
        if parameter is not None
    }
    at = own.data_ptr()
    places = (
        x.data_ptr(), dy.data_ptr(), address(dsum), address(weight), at, at + walk.lines * own.element_size(),
        dx.data_ptr(), address(rows.get("weight")), address(rows.get("bias")),
    )  # fmt: skip
    run(walk.backward if dsum is None else walk.backward_of_both, walk.claims, places, walk.sizes, x.numel())
    dweight, dbias = (
        None if parameter is None else rows[key].sum(0).to(parameter.dtype).view_as(parameter)
        for key, parameter in (("weight", weight), ("bias", bias))
    )
    return dx, dweight, dbias
