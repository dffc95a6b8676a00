"""Who runs a kernel: this thread, or the OpenMP team that torch's own operations already use.

A second pool of threads would fight torch's spinning workers for the cores.
"""

import ctypes
import os
from collections.abc import Callable
from functools import cache

# Below this many weights a dispatch (3-4 us) costs more than it saves; measured, see docs/design.md.
SERIAL_BELOW = 40_000
_LIBRARIES = ("libgomp.so.1", "libomp.dylib")

_in_child = False


def _mark_child() -> None:
    global _in_child
    _in_child = True


# After a fork the team's threads do not exist in the child, and waiting for them would never end.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_mark_child)


def run(call: Callable[[int], None], address: int, task: int, threads: int) -> None:
    """Run a kernel on a task block. ``call`` and ``address`` are the same function, for one thread and for many."""
    parallel = _gomp_parallel() if usable(threads) > 1 else None
    if parallel is None:
        call(task)
    else:
        parallel(address, task, threads, 0)


def usable(threads: int) -> int:
    """How many of so many threads there are: one in a forked child, or without the library."""
    return threads if threads > 1 and not _in_child and _gomp_parallel() is not None else 1


def parallel_address() -> int:
    """The address of ``GOMP_parallel``, for machine code; 0 if there is none."""
    function = _gomp_parallel()
    return int(ctypes.cast(function, ctypes.c_void_p).value or 0) if function is not None else 0  # type: ignore[arg-type]


def library() -> str | None:
    """The OpenMP library that torch has loaded, by its file's name; None if there is none that is known here."""
    return next((name for name in _LIBRARIES if _parallel_in(name) is not None), None)


@cache
def _gomp_parallel() -> Callable[[int, int, int, int], None] | None:
    """``GOMP_parallel`` of the OpenMP library that torch has loaded; None if there is none."""
    name = library()
    return None if name is None else _parallel_in(name)


def _parallel_in(name: str) -> Callable[[int, int, int, int], None] | None:
    try:
        loaded = ctypes.CDLL(name, mode=getattr(os, "RTLD_NOLOAD", 0) | ctypes.RTLD_LOCAL)
        function = loaded.GOMP_parallel
    except (OSError, AttributeError):
        return None
    function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    function.restype = None
    return function
