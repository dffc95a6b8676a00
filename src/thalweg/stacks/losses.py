"""Losses of all members in few calls.

torch's softmax over a short last dimension takes twenty times as long as over a first one, whose numbers are vectors:
of many members' scores for ten classes it would take longer than the products that made them.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional

# Numbers that torch's loops take at a time are a divisor of this.
VECTORS = 64


def cross_entropy(scores: Tensor, classes: Tensor) -> Tensor:
    """Each member's mean cross entropy, (members,), of scores (members, n, classes) and classes (members, n)."""
    if int(classes.min()) < 0:  # to be ignored: torch's own affair
        each = [functional.cross_entropy(*own) for own in zip(scores, classes, strict=True)]
        return torch.stack(each)
    result: Tensor = _CrossEntropy.apply(scores, classes)  # type: ignore[no-untyped-call]
    return result


class _CrossEntropy(Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor, classes: Tensor) -> Tensor:
        members, examples, count = ctx.shape = scores.shape
        # So long that all of it is computed as vectors: what is left at an end torch computes in another way.
        given = scores.new_zeros(count, -(-members * examples // VECTORS) * VECTORS)
        given[:, : members * examples].view(count, members, examples).copy_(scores.permute(2, 0, 1))
        logarithms = torch.log_softmax(given, 0)
        which = classes.flatten().unsqueeze(0)
        ctx.save_for_backward(logarithms, which)
        return logarithms.gather(0, which).view(classes.shape).neg_().mean(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        logarithms, which = ctx.saved_tensors
        members, examples, count = ctx.shape
        # The probabilities, less 1 for what was right.
        result = logarithms.exp().scatter_add_(0, which, logarithms.new_full((1, 1), -1.0).expand_as(which))
        each = result[:, : members * examples].view(count, members, examples) * (gradient / examples).view(1, -1, 1)
        return each.permute(1, 2, 0).contiguous(), None
