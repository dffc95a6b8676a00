"""Normalisation layers, faster than torch.nn's on the CPU, and where to place them.

``RMSNorm``, ``LayerNorm``, ``BatchNorm1d``, ``BatchNorm2d``, ``BatchNorm3d``  drop-in for torch.nn's
``convert``     a model's normalisation layers to these, and back
``functional``  the layers' functions
"""

from . import functional
from .convert import Change, Conversion, convert
from .layers import BatchNorm1d, BatchNorm2d, BatchNorm3d, LayerNorm, RMSNorm

__all__ = [
    "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "Change", "Conversion", "LayerNorm", "RMSNorm", "convert",
    "functional",
]  # fmt: skip
