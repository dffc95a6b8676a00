"""Numbers as people read them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, isfinite, log10

from .intervals import Interval

# From here on digits say nothing: a loss that ran away is written 1.2e+30.
HUGE = 1e6


@dataclass(frozen=True)
class Unit:
    """How a metric's values are written. ``share``: fractions, written as percent, their differences as points."""

    share: bool = False

    def value(self, value: float, interval: Interval | None = None) -> str:
        """A level: 97.4%, 0.0931."""
        if self.share:
            return f"{100 * value:.{self._decimals(interval, value)}f}%"
        return f"{value:.3g}" if abs(value) >= HUGE else f"{value:.{self._decimals(interval, value)}f}"

    def difference(self, interval: Interval) -> str:
        """A difference: +1.3 points, -0.012."""
        text = self._signed(interval.mean, interval)
        return f"{text} points" if self.share else text

    def bounds(self, interval: Interval) -> str:
        """The interval of a difference: +0.4 to +2.2."""
        if not isfinite(interval.low):
            return "unknown"
        return f"{self._signed(interval.low, interval)} to {self._signed(interval.high, interval)}"

    def levels(self, interval: Interval) -> str:
        """The interval of a level: 96.9% to 97.9%."""
        if not isfinite(interval.low):
            return "unknown"
        return f"{self.value(interval.low, interval)} to {self.value(interval.high, interval)}"

    def size(self, value: float) -> str:
        """A difference's size without its direction: 0.4 points."""
        text = f"{100 * value:.2g}" if self.share else f"{value:.2g}"
        return f"{text} points" if self.share else text

    def _signed(self, value: float, interval: Interval) -> str:
        if abs(value) >= HUGE:
            return f"{value:+.3g}"
        factor = 100 if self.share else 1
        decimals = self._decimals(interval, interval.mean)
        if interval.mean and not round(factor * interval.mean, decimals):
            decimals += 1  # a small difference between noisy values is small, not 0
        scaled = round(factor * value, decimals)
        return f"{scaled:+.{decimals}f}" if scaled else "0"

    def _decimals(self, interval: Interval | None, value: float) -> int:
        """One digit of the half-width for percent, two for other numbers; without a spread, from the value."""
        half = (interval.high - interval.low) / 2 if interval else 0.0
        if self.share:
            return min(max(-_magnitude(100 * half), 1), 3) if half > 0 and isfinite(half) else 1
        size = half if half > 0 and isfinite(half) else abs(value) / 100
        return min(max(1 - _magnitude(size), 0), 8) if size > 0 else 0


def listed(words: Sequence[str], last: str = "and") -> str:
    """a, b and c."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def counted(number: int, thing: str) -> str:
    """1 seed, 2 seeds."""
    return f"{number} {thing}" + ("" if number == 1 else "s")


def _magnitude(value: float) -> int:
    return floor(log10(value))
