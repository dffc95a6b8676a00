"""The functions a formula may call. Each works on floats, NumPy arrays, torch tensors and traced expressions.

Numbers follow IEEE 754 everywhere: the root of a negative number is nan, 1/0 is inf, nothing raises.
"""

import sys
from typing import Any

import numpy as np

from .expression import Expression, apply

__all__ = ["abs", "clip", "exp", "floor", "log", "maximum", "minimum", "sign", "sqrt", "where"]


def sqrt(x: Any) -> Any:
    """Square root."""
    return _call("sqrt", x)


def abs(x: Any) -> Any:
    """Absolute value."""
    return _call("abs", x)


def exp(x: Any) -> Any:
    """Exponential."""
    return _call("exp", x)


def log(x: Any) -> Any:
    """Natural logarithm."""
    return _call("log", x)


def floor(x: Any) -> Any:
    """The largest integer not above x."""
    return _call("floor", x)


def maximum(x: Any, y: Any) -> Any:
    """The larger one; nan if either is nan."""
    return _call("maximum", x, y)


def minimum(x: Any, y: Any) -> Any:
    """The smaller one; nan if either is nan."""
    return _call("minimum", x, y)


def where(condition: Any, x: Any, y: Any) -> Any:
    """x where the condition (a comparison) holds, y elsewhere; both are computed."""
    return _call("where", condition, x, y)


def sign(x: Any) -> Any:
    """-1, 0 or 1; 0 for 0 and, as in torch, for nan."""
    return where(x > 0, 1.0, where(x < 0, -1.0, 0.0))


def clip(x: Any, low: Any, high: Any) -> Any:
    """x between low and high; nan stays nan."""
    return where(x < low, low, where(x > high, high, x))


def _call(name: str, *arguments: Any) -> Any:
    if any(isinstance(a, Expression) for a in arguments):
        return apply(name, *arguments)
    # A tensor can only exist if torch is loaded; rules alone never load it.
    torch = sys.modules.get("torch")
    tensor = next((a for a in arguments if isinstance(a, torch.Tensor)), None) if torch else None
    if torch is None or tensor is None:
        with np.errstate(all="ignore"):
            found = getattr(np, name)(*arguments)
        return found if np.ndim(found) else float(found)
    if name == "where":
        like = next((a for a in arguments[1:] if isinstance(a, torch.Tensor)), None)
        # Between two plain numbers nothing says how precise the result must be: as precise as the device can.
        widest = torch.float32 if tensor.device.type == "mps" else torch.float64
        dtype = widest if like is None else like.dtype
        condition = _tensor(torch, arguments[0], torch.bool, tensor.device)
        arguments = (condition, *(_tensor(torch, a, dtype, tensor.device) for a in arguments[1:]))
    elif len(arguments) > 1:
        arguments = tuple(_tensor(torch, a, tensor.dtype, tensor.device) for a in arguments)
    return getattr(torch, name)(*arguments)


def _tensor(torch: Any, value: Any, dtype: Any, device: Any) -> Any:
    return value if isinstance(value, torch.Tensor) else torch.tensor(value, dtype=dtype, device=device)
