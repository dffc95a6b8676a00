"""What goes around any rule: one wrapper a file, in the language of rules."""

from .cautious import Cautious
from .weight_average import WeightAverage

__all__ = ["Cautious", "WeightAverage"]
