"""From short trainings to a range of learning rates: what is good, what fails, what to search. Nothing here trains."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from math import inf, isfinite, sqrt
from statistics import mean, median, stdev
from typing import Literal

from thalweg.stats.wording import counted
from thalweg.study.ask.arguments import written_arguments
from thalweg.study.model.cells import Curve, Status
from thalweg.study.model.errors import StudyError
from thalweg.study.model.metric import Metric, choose_metric, reported_by, unit_of

# A rate is good if it makes all but this part of the best rate's progress. A convention, as wide as "about as good".
MARGIN = 0.05
# Standard errors of a difference that are still noise: about 95% where seeds are many, less with two.
ERRORS = 2.0
# So far above what is good a search should still look: a factor between two rates people would try.
ABOVE = 3.0
# Where a script does not say how long its whole training is.
SHARE = 10.0


@dataclass(frozen=True)
class ShortRun:
    """One short training. ``planned``: the epochs of the whole training, where it counts them by ``trial.epochs``."""

    lr: float
    seed: int
    status: Status
    message: str = ""
    curves: Mapping[str, Curve] = field(default_factory=dict)
    planned: int | None = None


@dataclass(frozen=True)
class Rate:
    """What came of one learning rate.

    ``status``   ``done``; ``worse``: it ended no better than it began; else how the first seed that was lost ended.
    ``message``  of a rate that diverged or failed.
    ``mean``     of the judged metric at the end, over seeds; infinite, in the bad direction, where a seed has none.
    ``values``   the same for each seed; None where it diverged or failed.
    ``train``    the mean of the same metric on the training data; None where it is not reported.
    """

    lr: float
    status: Status | Literal["worse"]
    message: str
    mean: float
    values: tuple[float | None, ...]
    train: float | None = None


@dataclass(frozen=True)
class LearningRates:
    """A range of learning rates, and what it was read from.

    ``metric``      the reported metric that was judged; ``start`` its mean before training, or, where the script does
                    not report that, after the first epoch at the smallest rate.
    ``epochs``      that were trained, of ``planned`` (None: the script counts them itself).
    ``rates``       one for each learning rate, rising.
    ``noise``       the standard error of a difference between two rates, over seeds; None with one seed.
    ``best``        the rate with the best mean; ``good`` the rates around it that are as good, smallest and largest:
                    within 5% of its progress since ``start``, or within two ``noise``.
    ``fails_from``  the smallest rate above ``best`` that diverged, failed or got worse; None if none did.
    ``search``      the range recommended for a search. It begins as many times below ``good`` as the whole training is
                    longer (10, where that is not known), since a smaller rate gets as far in as many more steps; and
                    ends threefold above, or halfway to ``fails_from``.
    ``arguments``   of the script.
    ``suggestion``  the middle of ``good``, for a first training. Middles are geometric.
    """

    task: str
    rule: str
    metric: str
    higher_is_better: bool
    seeds: tuple[int, ...]
    epochs: int
    planned: int | None
    start: float
    rates: tuple[Rate, ...]
    noise: float | None
    best: float
    good: tuple[float, float]
    fails_from: float | None
    search: tuple[float, float]
    suggestion: float
    arguments: tuple[str, ...] = ()
    asked: str = ""
    place: str = ""

    @property
    def command(self) -> str:
        """What searches the range; beside it stands what it is to be compared with."""
        searched = f"{self.asked or self.rule}:lr={self.search[0]:.2g}..{self.search[1]:.2g}"
        if not self.place:
            return f'thalweg.compare({self.task}, ["{searched}", ...])'
        again = ["thalweg", "compare", self.place, "-r", searched, *written_arguments(self.arguments)]
        return shlex.join(again)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What was found, in words, with what it does not say."""
        unit = unit_of(self.metric)
        best = next(rate for rate in self.rates if rate.lr == self.best)
        lowest, highest = self.rates[0].lr, self.rates[-1].lr
        said = [
            f"Search lr from {self.search[0]:.2g} to {self.search[1]:.2g} ({self.command}); for a first training, "
            f"lr={self.suggestion:.2g}.",
            f"Best after {self._length}: lr={self.best:.3g}, with {self.metric} {unit.value(best.mean)}"
            + (
                f"; as good within 5% of its progress, or the noise: {self.good[0]:.3g} to {self.good[1]:.3g}."
                if self.good[0] < self.good[1]
                else "; no neighbour is as good."
            ),
        ]
        if self.fails_from is not None:
            row = next(rate for rate in self.rates if rate.lr == self.fails_from)
            ends = "ends no better than it began" if row.status == "worse" else row.status
            said.append(f"The smallest rate above it that does not train is {self.fails_from:.3g} ({ends}).")
        else:
            said.append(f"No rate up to {highest:.3g} failed: the edge of what trains was not seen.")
        if self.good[1] == highest:
            said.append(f"What is good reaches the largest rate tried: look higher too, with high={10 * highest:.2g}.")
        if self.good[0] == lowest:
            said.append(f"What is good reaches the smallest rate tried: look lower too, with low={lowest / 10:.2g}.")
        said.append(
            "A range, not a winner. A short training rewards fast progress, so it favours larger rates than the whole "
            "training would at a constant rate; one that trains for a while may still diverge later."
            if self.planned is None or self.epochs < self.planned
            else "These were whole trainings, but few seeds: a range, not a winner."
        )
        return tuple(said)

    @property
    def _length(self) -> str:
        whole = f" of {self.planned}" if self.planned else ""
        return f"{self.epochs}{whole} epochs" if self.planned or self.epochs != 1 else "1 epoch"

    def __repr__(self) -> str:
        """What was tried, and the sentences."""
        tried = f"{counted(len(self.rates), 'learning rate')} x {counted(len(self.seeds), 'seed')}"
        return "\n".join((f"Learning rates for {self.task} with {self.rule}: {tried}", *self.sentences))


def middle(low: float, high: float) -> float:
    """Halfway on a logarithmic scale: the geometric mean."""
    return sqrt(low) * sqrt(high)


def judged(
    task: str,
    rule: str,
    runs: Sequence[ShortRun],
    wanted: str | None,
    arguments: tuple[str, ...] = (),
    asked: str = "",
    place: str = "",
) -> LearningRates:
    """The range that short runs show; `StudyError` if there is none, because no rate trained."""
    metric = _metric(wanted, runs)
    up, name = metric.higher_is_better, metric.selection
    seeds = tuple(sorted({run.seed for run in runs}))
    by_rate = [
        sorted((run for run in runs if run.lr == lr), key=lambda run: run.seed) for lr in sorted({r.lr for r in runs})
    ]
    start = _start(by_rate, name)
    rates = tuple(_rate(same, name, metric, start) for same in by_rate)
    trained = [rate for rate in rates if rate.status == "done"]
    if not trained:
        raise StudyError(
            f"no learning rate from {rates[0].lr:.3g} to {rates[-1].lr:.3g} made {name} of {task} better than its "
            f"{start:.4g} at the start: look elsewhere, for instance lr_find(..., low={rates[0].lr / 1000:.2g}, "
            f"high={rates[0].lr:.2g}), or train longer, epochs=..."
        )
    sign = -1.0 if up else 1.0
    best = min(trained, key=lambda rate: sign * rate.mean)
    noise = _noise(best, trained)
    reach = max(MARGIN * abs(best.mean - start), ERRORS * (noise or 0.0))
    good = _around(rates, best, lambda rate: rate.status == "done" and sign * (rate.mean - best.mean) <= reach)
    fails = next((rate.lr for rate in rates if rate.lr > best.lr and rate.status != "done"), None)
    ended = [run for same in by_rate for run in same if run.status == "done"]
    epochs = max(run.curves[name].epochs[-1] for run in ended if name in run.curves)
    planned = next((run.planned for run in ended if run.planned is not None), None)
    share = planned / epochs if planned else SHARE
    edge = inf if fails is None else middle(fails, max(rate.lr for rate in trained if rate.lr < fails))
    return LearningRates(
        task=task,
        rule=rule,
        metric=name,
        higher_is_better=up,
        seeds=seeds,
        epochs=epochs,
        planned=planned,
        start=start,
        rates=rates,
        noise=noise,
        best=best.lr,
        good=good,
        fails_from=fails,
        search=(good[0] / share, min(ABOVE * good[1], edge)),
        suggestion=middle(*good),
        arguments=arguments,
        asked=asked,
        place=place,
    )


def _metric(wanted: str | None, runs: Sequence[ShortRun]) -> Metric:
    """The loss unless told: it moves where an accuracy still stands."""
    reported = reported_by(run.curves for run in runs)
    if not reported:
        raise StudyError(f"no training got as far as its first report: {runs[0].message}")
    return choose_metric("loss" if wanted is None and "valid_loss" in reported else wanted, reported)


def _start(by_rate: Sequence[Sequence[ShortRun]], name: str) -> float:
    """The mean over seeds of the first value, of the smallest rate that has one for every seed."""
    for same in by_rate:
        if all(name in run.curves for run in same):
            return mean(run.curves[name].values[0] for run in same)
    raise StudyError(f"no learning rate got as far as reporting {name} with every seed: look lower, with low=...")


def _rate(same: Sequence[ShortRun], name: str, metric: Metric, start: float) -> Rate:
    sign = -1.0 if metric.higher_is_better else 1.0
    values = tuple(r.curves[name].values[-1] if r.status == "done" and name in r.curves else None for r in same)
    known = [value for value in values if value is not None]
    whole = len(known) == len(values)
    ended = mean(known) if whole else sign * inf
    lost = next((run for run in same if run.status != "done"), None)
    status: Status | Literal["worse"] = lost.status if lost else "done"
    if status == "done" and not (isfinite(ended) and sign * ended < sign * start):
        status = "worse"
    train = [r.curves[t].values[-1] for r in same if (t := f"train_{metric.name}") in r.curves]
    message = lost.message if lost else ""
    return Rate(same[0].lr, status, message, ended, values, mean(train) if whole and len(train) == len(same) else None)


def _noise(best: Rate, trained: Sequence[Rate]) -> float | None:
    """The standard error of a difference to the best, seed by seed; the median over rates, since edges are noisier."""
    spreads = []
    for rate in trained:
        pairs = [(a, b) for a, b in zip(rate.values, best.values, strict=True) if a is not None and b is not None]
        if rate is not best and len(pairs) > 1:
            spreads.append(stdev(a - b for a, b in pairs) / sqrt(len(pairs)))
    return median(spreads) if spreads else None


def _around(rates: Sequence[Rate], best: Rate, good: Callable[[Rate], bool]) -> tuple[float, float]:
    """The ends of the unbroken row of good rates with the best in it."""
    place = rates.index(best)
    below = list(takewhile(good, reversed(rates[:place])))
    above = list(takewhile(good, rates[place + 1 :]))
    return (below or [best])[-1].lr, (above or [best])[-1].lr
