"""How a kernel is called: its block of words, its threads, and the memory of its results."""

import ctypes
import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from thalweg.formula import team
from thalweg.formula.loops import FIRST_WORD

from .served import NAMES

# From so many bytes on, memory comes from the system afresh and costs a page fault every 4 kB, which takes longer
# than the work itself; pages of 2 MB, which Linux gives on request, cost 500 times fewer.
_LARGE = 4 * 2**20
_PAGE = 4096
_HUGE_PAGES = 14  # Linux's MADV_HUGEPAGE


def run(assembly: str, claims: int, addresses: Sequence[int], sizes: Sequence[int], elements: int) -> None:
    """Run a kernel of `formula.loops.Loops`; the interpreter's lock is free meanwhile.

    ``elements`` is how many numbers it works on: few are not worth several threads.
    """
    from thalweg.formula.machine import machine_code  # where there is no compiler nothing gets here

    code = machine_code(assembly)
    words = (ctypes.c_int64 * (FIRST_WORD + len(addresses) + len(sizes)))(
        0, claims, *(0,) * (FIRST_WORD - 2), *addresses, *sizes
    )
    threads = 1 if elements < team.SERIAL_BELOW or claims == 1 else min(torch.get_num_threads(), claims)
    team.run(code.call, code.address, ctypes.addressof(words), threads)


def address(tensor: Tensor | None) -> int:
    """Where its numbers are; 0 if there is none."""
    return 0 if tensor is None else tensor.data_ptr()


def name(tensor: Tensor | None) -> str | None:
    """What the kernels call its element type."""
    return None if tensor is None else NAMES[tensor.dtype]


def real_type(x: Tensor) -> torch.dtype:
    """What is computed in: float64 for float64, else float32."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def vector_width(length: int, widest: int, x: str) -> int:
    """Numbers in a vector: several of the processor's at a time, so that additions overlap; fewer on short runs."""
    width = next(width for width in (16, 32, 64) if width >= min(length, widest))
    return width // 2 if x == "float64" else width


def fresh(like: Tensor) -> Tensor:
    """New memory laid out like a tensor's."""
    made = torch.empty_like(like)
    size = made.numel() * made.element_size()
    if size >= _LARGE and (advise := _advise()) is not None:
        first = -(-made.data_ptr() // _PAGE) * _PAGE
        advise(first, (made.data_ptr() + size - first) // _PAGE * _PAGE, _HUGE_PAGES)  # a wish; it may be refused
    return made


@cache
def _advise() -> Callable[[int, int, int], Any] | None:
    if sys.platform != "linux":
        return None
    function = ctypes.CDLL(None).madvise
    function.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return function
