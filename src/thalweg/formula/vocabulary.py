"""The functions a formula may call. Each works on floats, NumPy arrays, torch tensors and traced expressions.

Numbers follow IEEE 754 everywhere: the root of a negative number is nan, 1/0 is inf, nothing raises.
"""

import sys
from math import inf
from typing import Any

import numpy as np

from .expression import Expression, apply

__all__ = [
    "abs", "clip", "exp", "floor", "log", "maximum", "minimum", "share", "sign", "sqrt", "times", "towards", "where",
]  # fmt: skip


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


# Three products whose neutral numbers are neutral: 0 * infinity is nan, and weights may hold infinities that mean
# something (masks, transition tables). Of finite numbers they are the plain formulas, bit for bit.


def times(rate: Any, x: Any) -> Any:
    """rate * x, and 0 where the rate is 0, also of infinity."""
    return rate * where(abs(rate) > 0, x, where(abs(x) < inf, x, 0.0))


def share(rate: Any, x: Any) -> Any:
    """rate * x of a finite x, else 0: what decay takes of a weight, which does not bring an infinite one nearer."""
    return rate * where(abs(x) < inf, x, 0.0)


def towards(x: Any, y: Any, rate: Any) -> Any:
    """x + rate * (y - x), on the way from x to y; an infinite x stays where it is."""
    return where(abs(x) < inf, x + rate * (y - x), x)


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
    if isinstance(value, torch.Tensor):
        return value
    # torch 2.8 does not take a bool of NumPy's.
    return torch.tensor(bool(value) if isinstance(value, np.bool_) else value, dtype=dtype, device=device)
