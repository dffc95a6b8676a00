"""The scale on which runs are averaged and compared, and back to the metric's own values."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf, log, sqrt
from sys import float_info
from typing import Literal

# In relation to a value, spreads below this are the rounding of float32 numbers and no noise.
ROUNDING = 2.0**-20


@dataclass(frozen=True)
class Scale:
    """Values become scores, of which means and intervals are taken; scores keep the direction of the values.

    ``kind``   ``plain``: the value itself. ``errors``: of the accuracy of ``tests`` examples, minus the logarithm of
               (errors + 1/2) / (tests + 1), so that differences are ratios of errors, and an accuracy of 1 has a score
               (the 1/2: Anscombe 1956, Biometrika 43, 461). ``log``: the logarithm of a positive value without a floor.
    """

    kind: Literal["plain", "errors", "log"] = "plain"
    tests: int = 0

    @property
    def is_ratio(self) -> bool:
        """Whether differences of scores are logarithms of ratios."""
        return self.kind != "plain"

    def score(self, value: float) -> float:
        """Of a value; on a logarithmic scale one that is not positive counts as the smallest number there is."""
        if self.kind == "errors":
            return -log(((1 - value) * self.tests + 0.5) / (self.tests + 1))
        if self.kind == "log":
            return log(max(value, float_info.min))
        return value

    def value(self, score: float) -> float:
        """The value of a score, which may be infinite."""
        if self.kind == "errors":
            errors = (self.tests + 1) * exp(-score) - 0.5 if score > -700 else inf
            return min(max(1 - errors / self.tests, 0.0), 1.0)
        if self.kind == "log":
            return exp(score) if score < 700 else inf
        return score

    def resolution(self, scores: Sequence[float]) -> float:
        """The standard deviation that the rounding of values alone gives to such scores: of a whole error, 1/sqrt(12).

        0 where values are not counts.
        """
        if self.kind != "errors":
            return 0.0
        mean = sum(scores) / len(scores)
        return 1 / (sqrt(12) * (self.tests + 1) * exp(-mean))

    def rounding(self, scores: Sequence[float]) -> float:
        """The spread below which such scores differ by the rounding of float32 numbers alone.

        The logarithm of a value moves by as much as the value in relation to itself, however small the score is.
        """
        return ROUNDING * max(1.0 if self.is_ratio else 0.0, *map(abs, scores))


PLAIN = Scale()
