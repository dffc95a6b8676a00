"""Optimizers for torch, made from rules."""

from .catalogue import *
from .catalogue import OPTIMIZERS
from .optimizer import NonFiniteGradient, Optimizer, build, optimizer
