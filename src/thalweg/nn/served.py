"""Which calls the kernels serve; all others get torch's own functions, with the same numbers.

Kernels read memory behind torch's back, so they stay away wherever torch follows what is done with a tensor in another
way than by `torch.autograd`: while `torch.compile`, `torch.export` or `torch.jit.trace` record, under the transforms
of `torch.func` and forward-mode derivatives, under dispatch and function modes, and under autocast.
"""

from functools import cache

import torch
from torch import Tensor
from torch._C import _len_torch_dispatch_stack, _len_torch_function_stack
from torch.autograd import forward_ad

from thalweg.formula.kernel import available

# What kernels read, by the names that LLVM's reader has for them.
NAMES = {torch.float32: "float32", torch.float64: "float64", torch.bfloat16: "bfloat16"}
TYPES = {name: dtype for dtype, name in NAMES.items()}
_PLAIN = (torch.Tensor, torch.nn.Parameter)


def served(x: Tensor, *others: Tensor | None) -> bool:
    """Whether kernels may read these tensors: ordinary ones on the CPU, of a type they know, and nobody watching."""
    # What records is asked first, since it would record the other questions.
    return _unwatched() and plain(x) and all(other is None or plain(other) for other in others)


def plain(x: Tensor) -> bool:
    """An ordinary tensor in the computer's own memory."""
    # The keys show another device or layout, negative views and zeros without memory, and what transforms wrap.
    return type(x) in _PLAIN and x.dtype in NAMES and torch._C._dispatch_keys(x).raw_repr() in _ordinary_keys()


def alike(x: Tensor, parameters: list[Tensor]) -> bool:
    """Whether torch's norms take parameters of their type: x's, or float32 beside bfloat16; all the same."""
    types = {parameter.dtype for parameter in parameters}
    return types <= {x.dtype} or (x.dtype == torch.bfloat16 and types == {torch.float32})


@cache
def _ordinary_keys() -> frozenset[int]:
    with torch.inference_mode():
        inference = torch.empty(0)
    return frozenset(torch._C._dispatch_keys(x).raw_repr() for x in (torch.empty(0), inference))


def _unwatched() -> bool:
    return not (
        torch.compiler.is_compiling()
        or torch._C._get_tracing_state() is not None
        or torch._C._are_functorch_transforms_active()
        or _len_torch_dispatch_stack()
        or _len_torch_function_stack()
        or forward_ad._current_level >= 0
        or torch.is_autocast_enabled("cpu")
        or not available()
    )
