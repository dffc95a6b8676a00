"""Normalisation layers, faster than torch.nn's on the CPU, and where to place them.

``RMSNorm``, ``LayerNorm``, ``BatchNorm1d``, ``BatchNorm2d``, ``BatchNorm3d``  drop-in for torch.nn's
``convert``     a model's normalisation layers to these, and back
``functional``  the layers' functions

Where they stand (docs/placement.md), with any layer:

``TransformerBlock``, ``TransformerStack``  before each sub-layer, after it, or both
``DenseBlock``, ``ConvBlock``               before or after the activation
``LayerNormGRU``                            inside a recurrent cell
"""

from . import functional
from .blocks import ConvBlock, DenseBlock
from .convert import Change, Conversion, convert
from .layers import BatchNorm1d, BatchNorm2d, BatchNorm3d, LayerNorm, RMSNorm
from .recurrent import LayerNormGRU
from .transformer import TransformerBlock, TransformerStack

__all__ = [
    "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "Change", "ConvBlock", "Conversion", "DenseBlock", "LayerNorm",
    "LayerNormGRU", "RMSNorm", "TransformerBlock", "TransformerStack", "convert", "functional",
]  # fmt: skip
