"""What torch computes of a stack in a way whose bits may depend on a member's place, or on how many there are.

    ends        torch computes a tensor's numbers by vectors, two at a time, and what is left at the end one by one. Of
                some functions the bits differ between the two. A member of many numbers leaves the end to the ghosts
                behind it; one of very few (a scale that is learned, a batch of one) does not.
    products    of matrices, but for those of `products`: that file says why. Stacked matrices that all begin a cache
                line are safe; what takes members as rows of one matrix never is.

Copies of a member show such a difference only by chance, since most numbers round alike: so it is looked for by name.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from .products import LINE

_FUNCTIONS = (
    "sigmoid", "sigmoid_", "gelu", "gelu_backward", "silu", "silu_", "silu_backward", "mish", "mish_", "mish_backward",
    "softplus", "softplus_backward", "elu", "elu_", "elu_backward", "exp2", "sinh", "cosh", "atanh",
    "logaddexp", "hypot", "atan2", "pow",
)  # fmt: skip
_BY_VECTORS = frozenset(getattr(torch.ops.aten, name) for name in _FUNCTIONS)
# Powers that are products, quotients and roots, which have the same bits in either way.
_EXACT_POWERS = (-2, -1, -0.5, 0.5, 1, 2, 3)
_OF_STACKS = frozenset({torch.ops.aten.bmm.default, torch.ops.aten.baddbmm.default})
_OF_ROWS = frozenset(getattr(torch.ops.aten, name).default for name in ("mm", "addmm", "addbmm", "mv", "addmv", "dot"))


class watch(TorchDispatchMode):  # type: ignore[no-untyped-call]  # used as a function is: with watch(...) as seen:
    """Within, what torch computes is looked at.

    ``members``  of the stack, of which so many are ``ghosts``.
    ``depends``  whether bits may depend on the stack.
    """

    def __init__(self, members: int, ghosts: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._members, self._ghosts = members, ghosts
        self.depends = False

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Sequence[Any] = (), named: Mapping[str, Any] | None = None
    ) -> Any:
        result = function(*arguments, **(named or {}))
        if function in _OF_STACKS:
            self.depends |= not all(_is_on_lines(x) for x in (*arguments, result) if isinstance(x, Tensor))
        elif function in _OF_ROWS:
            self.depends = True
        elif function.overloadpacket in _BY_VECTORS and not _is_exact(function, arguments):
            longest = 2 * LINE // result.element_size() - 1
            self.depends |= result.numel() * self._ghosts < longest * self._members
        return result


def _is_on_lines(x: Tensor) -> bool:
    return x.data_ptr() % LINE == 0 and x.stride(0) * x.element_size() % LINE == 0


def _is_exact(function: Any, arguments: Sequence[Any]) -> bool:
    return function is torch.ops.aten.pow.Tensor_Scalar and arguments[1] in _EXACT_POWERS
