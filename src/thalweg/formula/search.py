"""Where a hyperparameter is searched: a box declared once, beside the rule, before any run."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import exp, log
from typing import Literal


@dataclass(frozen=True)
class Search:
    """One side of a rule's search box.

    ``kind``    how a uniform draw becomes a value: ``log`` (log-uniform between ``low`` and ``high``),
                ``one minus log`` (the distance to 1 is log-uniform) or ``choice``.
    ``trials``  the side joins searches of at least so many trials: that is the budget that a study judges
                (``--budget``), however many trials its pool has. In smaller ones the hyperparameter keeps its default
                (few trials are best spent on the learning rate: google-research/tuning_playbook).
    ``axis``    rules that share an axis share its draws, so that their differences are paired;
                the hyperparameter's own name unless said.
    ``over``    the name of a hyperparameter h; the drawn value is divided by (1 - h).
    """

    kind: Literal["log", "one minus log", "choice"]
    low: float = 0.0
    high: float = 0.0
    choices: tuple[float, ...] = ()
    trials: int = 0
    axis: str | None = None
    over: str | None = None

    def value(self, draw: float, others: Mapping[str, float]) -> float:
        """The hyperparameter at a uniform ``draw`` in [0, 1); ``others`` are the values it may depend on."""
        if self.kind == "choice":
            return self.choices[int(draw * len(self.choices))]
        return self.hyperparameter(exp(log(self.low) + draw * (log(self.high) - log(self.low))), others)

    def hyperparameter(self, drawn: float, others: Mapping[str, float]) -> float:
        """The hyperparameter of a ``drawn`` quantity, which lies between ``low`` and ``high``."""
        value = 1.0 - drawn if self.kind == "one minus log" else drawn
        return value / (1.0 - others[self.over]) if self.over else value

    def position(self, value: float, others: Mapping[str, float]) -> float:
        """Where ``value`` lies in the box: 0 at ``low``, 1 at ``high``, outside [0, 1] when it is outside."""
        if self.kind == "choice":
            return 0.5 if value in self.choices else -1.0
        if self.over:
            value *= 1.0 - others[self.over]
        if self.kind == "one minus log":
            value = 1.0 - value
        if value <= 0.0:
            return float("-inf")
        return (log(value) - log(self.low)) / (log(self.high) - log(self.low))

    def __str__(self) -> str:
        if self.kind == "choice":
            text = "one of " + ", ".join(f"{c:g}" for c in self.choices)
        else:
            text = f"log-uniform {self.low:g} to {self.high:g}"
            text = f"1 - {text}" if self.kind == "one minus log" else text
        if self.over:
            text += f", divided by (1 - {self.over})"
        return f"{text} (in searches of {self.trials} trials or more)" if self.trials else text


def log_uniform(
    low: float, high: float, *, trials: int = 0, axis: str | None = None, over: str | None = None
) -> Search:
    """Log-uniform between two positive numbers; see `Search` for the options."""
    if not 0 < low < high:
        raise ValueError(f"log_uniform needs 0 < low < high, got {low} and {high}")
    return Search("log", low, high, trials=trials, axis=axis, over=over)


def one_minus_log_uniform(low: float, high: float, *, trials: int = 0, axis: str | None = None) -> Search:
    """1 minus a log-uniform draw: for averages' memories (betas, momentum), where the distance to 1 matters."""
    return replace(log_uniform(low, high, trials=trials, axis=axis), kind="one minus log")


def choice(*values: float, trials: int = 0, axis: str | None = None) -> Search:
    """One of a few values, equally likely."""
    if not values:
        raise ValueError("choice needs at least one value")
    return Search("choice", choices=values, trials=trials, axis=axis)
