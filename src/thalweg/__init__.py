"""Write the weight update as a formula. Run it at memory speed. Know whether it helped.

Public names are loaded when first used: `import thalweg` is cheap, and the command line's help does not wait for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .formula import Rule
    from .optim import (
        SGD,
        Adagrad,
        Adam,
        AdamW,
        Lion,
        Momentum,
        NonFiniteGradient,
        Optimizer,
        RMSprop,
        optimizer,
    )
    from .study import compare

__version__ = "0.1.0"

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Lion",
    "Momentum",
    "NonFiniteGradient",
    "Optimizer",
    "RMSprop",
    "Rule",
    "compare",
    "optimizer",
]

_ELSEWHERE = {"Rule": "thalweg.formula", "compare": "thalweg.study"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'thalweg' has no attribute {name!r}")
    value = getattr(import_module(_ELSEWHERE.get(name, "thalweg.optim")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
