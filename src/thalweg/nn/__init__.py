"""Normalisation layers, faster than torch.nn's on the CPU, and where to place them.

``RMSNorm``, ``LayerNorm``, ``BatchNorm1d``, ``BatchNorm2d``, ``BatchNorm3d``  drop-in for torch.nn's
``convert``     a model's normalisation layers to these, and back
``functional``  the layers' functions

Where they stand (docs/placement.md), with any layer:

``TransformerBlock``, ``TransformerStack``  before each sub-layer, after it, or both
``DenseBlock``, ``ConvBlock``               before or after the activation
``LayerNormGRU``                            inside a recurrent cell
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import functional
    from .blocks import ConvBlock, DenseBlock
    from .conversion import Change, Conversion, convert
    from .layers import BatchNorm1d, BatchNorm2d, BatchNorm3d, LayerNorm, RMSNorm
    from .recurrent import LayerNormGRU
    from .transformer import TransformerBlock, TransformerStack

__all__ = [
    "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "Change", "ConvBlock", "Conversion", "DenseBlock", "LayerNorm",
    "LayerNormGRU", "RMSNorm", "TransformerBlock", "TransformerStack", "convert", "functional",
]  # fmt: skip

_HOMES = {
    **dict.fromkeys(("ConvBlock", "DenseBlock"), "blocks"),
    **dict.fromkeys(("Change", "Conversion", "convert"), "conversion"),
    **dict.fromkeys(("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "LayerNorm", "RMSNorm"), "layers"),
    "LayerNormGRU": "recurrent",
    **dict.fromkeys(("TransformerBlock", "TransformerStack"), "transformer"),
}


def __getattr__(name: str) -> Any:
    # `formulas` are wanted where torch is not.
    if name == "functional":
        return import_module(".functional", __name__)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
