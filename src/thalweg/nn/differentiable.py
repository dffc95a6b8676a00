"""Gradients of gradients: by torch's own functions, which know theirs."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def gradients(
    function: Callable[..., Tensor], inputs: Sequence[Tensor | None], dy: Tensor
) -> tuple[Tensor | None, ...]:
    """The gradients of ``function(*inputs)`` by those inputs that want one, themselves differentiable if asked for."""
    further = torch.is_grad_enabled()
    with torch.enable_grad():
        y = function(*inputs)
    wanted = [x for x in inputs if x is not None and x.requires_grad]
    found = iter(torch.autograd.grad(y, wanted, dy, create_graph=further, allow_unused=True))
    return tuple(next(found) if x is not None and x.requires_grad else None for x in inputs)
