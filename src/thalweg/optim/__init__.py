"""Optimizers for torch, made from rules."""

from .catalogue import *
from .catalogue import OPTIMIZERS as OPTIMIZERS
from .optimizer import NonFiniteGradient as NonFiniteGradient
from .optimizer import Optimizer as Optimizer
from .optimizer import build as build
from .optimizer import optimizer as optimizer
