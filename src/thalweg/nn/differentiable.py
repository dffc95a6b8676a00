"""How the kernels stand in torch's graph of gradients; gradients of gradients are torch's own functions' affair."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


def applied(function: type[torch.autograd.Function], *inputs: Any) -> Any:
    """``function.apply``, without what it does for torch.func's transforms: kernels serve no call under those."""
    return super(torch.autograd.Function, function).apply(*inputs)  # type: ignore[misc]


def gradients(
    function: Callable[..., Tensor], inputs: Sequence[Tensor | None], dy: Tensor
) -> tuple[Tensor | None, ...]:
    """The gradients of ``function(*inputs)`` by those inputs that want one, themselves differentiable if asked for."""
    further = torch.is_grad_enabled()
    with torch.enable_grad():
        # By views of them: the hooks of the inputs themselves are run by whoever asked for this gradient.
        views = [None if x is None else x.view_as(x) for x in inputs]
        y = function(*views)
    wanted = [x for x in views if x is not None and x.requires_grad]
    found = iter(torch.autograd.grad(y, wanted, dy, create_graph=further, allow_unused=True))
    return tuple(next(found) if x is not None and x.requires_grad else None for x in views)


def stand_in(dtype: torch.dtype | None, shape: Sequence[int]) -> Tensor | None:
    """For a bias, whose value no gradient depends on: so it need not be kept, and may be changed meanwhile."""
    return None if dtype is None else torch.zeros(tuple(shape), dtype=dtype, requires_grad=True)
