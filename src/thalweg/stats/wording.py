"""Numbers as people read them: the one place where a metric's values and hyperparameters become text."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, floor, isfinite, log10
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .intervals import Interval

# From here on digits say nothing: a loss that ran away is written 1.2e+30. With more decimals than MOST, nobody counts
# zeros: a loss that is nearly gone is written 1.235e-12.
HUGE = 1e6
MOST = 8
# Of what a search has drawn; what a user has written is written again.
DRAWN = 4


@dataclass(frozen=True)
class Unit:
    """How a metric's values and differences are written.

    ``share``  values are fractions, written as percent, their differences as points.
    ``ratio``  of what differences are ratios, on a scale of logarithms: ``errors`` or ``loss``; "": of nothing.
    ``falls``  whether a higher score is a smaller ratio, as of errors.

    What has an interval gets as many decimals as its half-width has something to say of: to its first digit where it is
    percent, to its second otherwise. What has none, such as the value of one training, gets four digits, of a percent
    two decimals.
    """

    share: bool = False
    ratio: str = ""
    falls: bool = False

    def value(self, value: float) -> str:
        """A value without an interval: 97.41%, 0.09312."""
        return self._level(value, None)

    def mean(self, interval: "Interval") -> str:
        """A mean, with its interval's digits: 97.4%, 0.0931."""
        return self._level(interval.mean, interval)

    def levels(self, interval: "Interval") -> str:
        """The interval of a mean: 96.9% to 97.9%."""
        if not isfinite(interval.low):
            return "no interval"
        return f"{self._level(interval.low, interval)} to {self._level(interval.high, interval)}"

    def difference(self, interval: "Interval") -> str:
        """A difference: +1.3 points, -0.012, 0.55 times the errors."""
        if self.ratio:
            return f"{_ratio(self._factor(interval.mean))} times the {self.ratio}"
        text = self._signed(interval.mean, interval)
        return f"{text} points" if self.share else text

    def bounds(self, interval: "Interval") -> str:
        """The interval of a difference: +0.4 to +2.2."""
        if not isfinite(interval.low):
            return "no interval"
        if self.ratio:
            low, high = sorted((self._factor(interval.low), self._factor(interval.high)))
            return f"{_ratio(low)} to {_ratio(high)}"
        return f"{self._signed(interval.low, interval)} to {self._signed(interval.high, interval)}"

    def size(self, value: float) -> str:
        """A difference's size without its direction: 0.4 points, a factor of 1.3."""
        if self.ratio:
            return f"a factor of {_ratio(_exp(abs(value)))}"
        text = _rounded(100 * value if self.share else value, 2)
        return f"{text} points" if self.share else text

    def _factor(self, difference: float) -> float:
        return _exp(-difference if self.falls else difference)

    def _level(self, value: float, interval: "Interval | None") -> str:
        decimals = self._decimals(interval, value)
        return f"{100 * value:.{decimals}f}%" if self.share else _number(value, decimals)

    def _signed(self, value: float, interval: "Interval") -> str:
        factor = 100 if self.share else 1
        decimals = self._decimals(interval, interval.mean)
        if interval.mean and not round(factor * interval.mean, decimals):
            decimals += 1  # a small difference between noisy values is small, not 0
        scaled = round(factor * value, decimals)
        return _number(scaled, decimals, "+") if scaled else "0"

    def _decimals(self, interval: "Interval | None", value: float) -> int:
        half = (interval.high - interval.low) / 2 if interval else 0.0
        known = half > 0 and isfinite(half)
        if self.share:
            return min(max(-_magnitude(100 * half), 1), 3) if known else 2
        size = half if known else abs(value) / 100
        return max(1 - _magnitude(size), 0) if size > 0 and isfinite(size) else 0


def value_text(value: float | bool | str, digits: int = 12) -> str:
    """A hyperparameter's or option's value: 0.001, true, layer. ``digits``: at most so many, `DRAWN` of a drawn one."""
    if isinstance(value, float):
        return f"{value:.{digits}g}"
    return str(value).lower() if isinstance(value, bool) else str(value)


def listed(words: Sequence[str], last: str = "and") -> str:
    """a, b and c."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def counted(number: int, thing: str) -> str:
    """1 seed, 2 seeds."""
    return f"{number} {thing}" + ("" if number == 1 else "s")


def _ratio(value: float) -> str:
    """Of what is near 1, as many decimals as tell it from 1; of what is small, as many as tell it from 0."""
    if value >= HUGE or not isfinite(value):
        return "a million or more" if value > 0 else "no number"
    if value <= 1 / HUGE:
        return "a millionth or less"
    if (away := abs(value - 1)) < 0.1:
        return f"{value:.{min(max(-_magnitude(away), 3), MOST) if away else 3}f}"
    return f"{value:.2g}" if value < 0.1 else f"{value:.2f}" if value < 10 else _rounded(value, 3)


def _rounded(value: float, digits: int) -> str:
    """To so many digits, without an exponent where it can be read: 140, not 1.4e+02."""
    return f"{float(f'{value:.{digits}g}'):g}"


def _exp(value: float) -> float:
    return exp(min(value, 700.0))


def _number(value: float, decimals: int, sign: str = "") -> str:
    if abs(value) >= HUGE:
        return f"{value:{sign}.3g}"
    if decimals > MOST and value:
        return f"{value:{sign}.{max(decimals + _magnitude(abs(value)), 0)}e}"
    return f"{value:{sign}.{min(decimals, MOST)}f}"


def _magnitude(value: float) -> int:
    return floor(log10(value))
