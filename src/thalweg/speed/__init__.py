"""This machine: thalweg's step against torch's, side by side."""

from .command import speed

__all__ = ["speed"]
