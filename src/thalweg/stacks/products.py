"""Products of matrices, member by member: the bits of each depend on its own matrices, and on no neighbour.

torch.bmm's library chooses its way by where a matrix lies in memory: in a stack of matrices whose size is no multiple
of 64 bytes, that is by the member's place. So such stacks are laid out with gaps.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

# Where a matrix begins: at the start of a cache line, and of the widest vector.
LINE = 64


def product(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """The products of a, (members, m, k), and b, (members, k, n), plus the bias, (members, n): (members, m, n).

    What autograd records of it is nothing: `linear` and `matmul` are for that.
    """
    result = _room(len(a), a.shape[1], b.shape[2], a)
    if bias is None:
        return torch.bmm(_aligned(a), _aligned(b), out=result)
    return torch.baddbmm(bias.unsqueeze(1), _aligned(a), _aligned(b), out=result)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Each member's `torch.nn.functional.linear`, of x, (members, ..., k), and weight, (members, n, k)."""
    if x.ndim != 3:
        rows = linear(x.reshape(len(x), -1, x.shape[-1]), weight, bias)
        return rows.reshape(*x.shape[:-1], weight.shape[1])
    result: Tensor = _Linear.apply(x, weight, bias)  # type: ignore[no-untyped-call]
    return result


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """Each member's a @ b, of tensors (members, ..., m, k) and (members, ..., k, n) that agree in all but m and n."""
    result: Tensor = _Matmul.apply(a.flatten(0, -3), b.flatten(0, -3))  # type: ignore[no-untyped-call]
    return result.view(*a.shape[:-1], b.shape[-1])


def _room(members: int, rows: int, columns: int, like: Tensor) -> Tensor:
    line = LINE // like.element_size()
    stride = -(-rows * columns // line) * line
    return like.new_empty(members * stride).as_strided((members, rows, columns), (stride, columns, 1))


def _aligned(x: Tensor) -> Tensor:
    """The stack itself, where each matrix begins a cache line and lies by rows or by columns; else a copy."""
    members, rows, columns = x.shape
    begin = x.data_ptr() % LINE == 0 and x.stride(0) * x.element_size() % LINE == 0
    if begin and x.stride()[1:] in ((columns, 1), (1, rows)):
        return x
    if x.stride(1) == 1:
        return _room(members, columns, rows, x).copy_(x.mT).mT
    return _room(members, rows, columns, x).copy_(x)


class _Linear(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return product(x, weight.mT, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad
        return (
            product(gradient, weight) if of_x else None,
            product(gradient.mT, x) if of_weight else None,
            gradient.sum(1) if of_bias else None,
        )


class _Matmul(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(a, b)
        return product(a, b)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        a, b = ctx.saved_tensors
        of_a, of_b = ctx.needs_input_grad
        return product(gradient, b.mT) if of_a else None, product(a.mT, gradient) if of_b else None
