"""Outside of all of torch's modes: a step may be taken in any."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.utils._python_dispatch import _disable_current_modes


@contextmanager
def ordinary() -> Iterator[None]:
    """Within, tensors are made, and computed with, as outside of all modes: a step may be taken in any of them.

    Of torch's functions that take no device they are on the CPU, in the element types that they are asked for.
    """
    # A default device is a mode of torch functions.
    apart = torch.inference_mode(False), torch._C.DisableTorchFunction(), torch._C._DisableAutocast()
    with apart[0], apart[1], apart[2], _disable_current_modes(), torch._C._DisableFuncTorch():
        yield
