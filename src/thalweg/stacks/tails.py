"""Whether the end of a stack's tensors, which torch computes in another way, is all ghosts'.

torch computes a tensor's numbers by vectors, two at a time, and what is left at the end one by one. Of the functions
below the bits differ between the two. A member of many numbers leaves the end to the ghosts behind it; one of very few
(a scale that is learned, a batch of one) does not.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from .products import LINE

_FUNCTIONS = (
    "sigmoid", "sigmoid_", "gelu", "gelu_backward", "silu", "silu_", "silu_backward", "mish", "mish_", "mish_backward",
    "softplus", "softplus_backward", "elu", "elu_", "elu_backward", "exp2", "sinh", "cosh", "atanh",
    "logaddexp", "hypot", "atan2", "pow",
)  # fmt: skip
BY_VECTORS = frozenset(getattr(torch.ops.aten, name) for name in _FUNCTIONS)
# Powers that are products, quotients and roots, which have the same bits in either way.
_EXACT_POWERS = (-2, -1, -0.5, 0.5, 1, 2, 3)


class ends(TorchDispatchMode):  # type: ignore[no-untyped-call]  # used as a function is: with ends(...) as seen:
    """Within, what torch computes is looked at.

    ``members``  of the stack, of which so many are ``ghosts``.
    ``reached``  whether the end of some tensor was longer than the ghosts.
    """

    def __init__(self, members: int, ghosts: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._members, self._ghosts = members, ghosts
        self.reached = False

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Sequence[Any] = (), named: Mapping[str, Any] | None = None
    ) -> Any:
        result = function(*arguments, **(named or {}))
        if function.overloadpacket in BY_VECTORS and not _is_exact(function, arguments):
            longest = 2 * LINE // result.element_size() - 1
            self.reached |= result.numel() * self._ghosts < longest * self._members
        return result


def _is_exact(function: Any, arguments: Sequence[Any]) -> bool:
    return function is torch.ops.aten.pow.Tensor_Scalar and arguments[1] in _EXACT_POWERS
