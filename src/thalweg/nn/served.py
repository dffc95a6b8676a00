"""Which calls the kernels serve; all others get torch's own functions, with the same numbers.

Kernels read memory behind torch's back, so they stay away wherever torch follows what is done with a tensor in another
way than by `torch.autograd`: while `torch.compile`, `torch.export` or `torch.jit.trace` record, under the transforms
of `torch.func` and forward-mode derivatives, under dispatch and function modes, and under autocast.
"""

import torch
from torch._C import _len_torch_dispatch_stack, _len_torch_function_stack
from torch.autograd import forward_ad

from thalweg.formula.kernel import available

# What kernels read, by LLVM's reader's names.
NAMES = {torch.float32: "float32", torch.float64: "float64", torch.bfloat16: "bfloat16"}
_PLAIN = (torch.Tensor, torch.nn.Parameter)


def served(x: torch.Tensor, *others: torch.Tensor | None) -> bool:
    """Whether kernels may read these tensors: ordinary ones on the CPU, of a type they know, and nobody watching."""
    return _unwatched() and plain(x) and all(other is None or plain(other) for other in others)


def plain(x: torch.Tensor) -> bool:
    """An ordinary tensor in the computer's own memory."""
    return (
        type(x) in _PLAIN
        and x.dtype in NAMES
        and x.is_cpu
        and x.layout is torch.strided
        and not x.is_neg()
        and not torch._C._functorch.is_functorch_wrapped_tensor(x)
    )


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
