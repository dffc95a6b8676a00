"""What can be said without torch, and so even where it cannot be imported."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from thalweg import __version__
from thalweg.cpu import cpu_name

_PACKAGES = ("torch", "triton", "numpy", "llvmlite")
_VARIABLES = ("THALWEG_CACHE", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "KMP_AFFINITY", "OMP_WAIT_POLICY", "LD_PRELOAD")


def facts() -> dict[str, Any]:
    """Versions, processor, and what is set in the environment; None for a package that is not installed."""
    affinity = getattr(os, "sched_getaffinity", None)
    return {
        "thalweg": __version__,
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        **{name: _installed(name) for name in _PACKAGES},
        "system": platform.platform(),
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "cores_usable": len(affinity(0)) if affinity else os.cpu_count(),
        "environment": {name: os.environ[name] for name in _VARIABLES if name in os.environ},
    }


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
