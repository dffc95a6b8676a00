"""The differences that a comparison's answer is about: one family, whose intervals hold together at 95%."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from math import inf, isfinite
from statistics import mean

from thalweg.stats.difference import Difference, answered, correlation, paired_interval
from thalweg.stats.intervals import Interval
from thalweg.stats.levels import search_interval
from thalweg.stats.pool import Estimate, Pool, gain, procedure, share_of_misses
from thalweg.stats.proportion import Rate
from thalweg.stats.scale import Scale
from thalweg.stats.simultaneous import share_of_each
from thalweg.stats.superiority import brunner_munzel_interval

# Of the 5% that an answer may be wrong: for every two untuned settings, and for the contrasts with the reference, which
# have all of it where nothing is searched. Divided so before the calibration, which is of the whole answer.
FALSE = 0.05
OF_SETTINGS = 0.01
# With fewer seeds, how often one run beats another is decoration.
SEEDS_FOR_CHANCES = 20


@dataclass(frozen=True)
class Family:
    """``reference``  the label of the contender that the others are compared with.

    ``contrasts``  each of the others minus the reference: of searches, or, where nothing is judged as a search, of the
                   configurations found. Single step, by the largest deviation: each with its own variance.
    ``settings``   every two untuned settings, the better mean first (Bonferroni); empty where nothing is searched, as
                   the contrasts are about them.
    ``miss``       the probability with which some interval of the contrasts may miss, ``settings_miss`` of the
                   settings. ``matters``: the smallest difference that does, on the scale; None: not said.
    """

    reference: str
    contrasts: tuple[Difference, ...]
    settings: tuple[Difference, ...]
    miss: float
    settings_miss: float
    matters: float | None = None


@dataclass(frozen=True)
class Configured:
    """Runs of one configuration: their scores, seed by seed, and which of them failed."""

    scores: tuple[float, ...]
    failed: tuple[bool, ...]

    @property
    def rate(self) -> Rate:
        """How many failed."""
        return Rate(sum(self.failed), len(self.failed))


@dataclass(frozen=True)
class Judged:
    """How differences are read. ``matters``: the smallest that does, on the scale; None: not said.

    ``span``  the largest difference that there can be, beyond which no interval reaches.
    """

    scale: Scale
    higher_is_better: bool
    matters: float | None
    span: float = inf

    def within(self, found: Interval) -> Interval:
        """An interval, cut at what is possible; one without bounds keeps none."""
        if not isfinite(found.low):
            return found
        return replace(found, low=max(found.low, -self.span), high=min(found.high, self.span))


def family_of_searches(
    pools: Mapping[str, Pool],
    trials: Mapping[str, int],
    failures: Mapping[str, Rate],
    defaults: Mapping[str, Configured],
    reference: str,
    judged: Judged,
    found: Mapping[str, Estimate],
) -> Family:
    """Of pools, judged as searches of so many trials; ``found``: their `differences_from` the reference."""
    miss = FALSE - OF_SETTINGS
    ours, n = pools[reference], trials[reference]
    share = share_of_misses(list(found.values()), miss)
    contrasts = tuple(
        answered(
            label,
            reference,
            judged.within(search_interval(found[label], share)),
            higher_is_better=judged.higher_is_better,
            matters=judged.matters,
            searches=True,
            noise=found[label].noise,
            quality=_quality(pools[label], trials[label], ours, n, share),
            failures=(failures[label], failures[reference]),
        )
        for label in found
    )
    return Family(reference, contrasts, _settings(defaults, judged), miss, OF_SETTINGS, judged.matters)


def family_of_configurations(
    configured: Mapping[str, Configured],
    defaults: Mapping[str, Configured],
    reference: str,
    judged: Judged,
) -> Family:
    """Of one configuration each; ``defaults``: the untuned settings, where these are others; empty: they are not."""
    miss = FALSE - OF_SETTINGS if defaults else FALSE
    others = [label for label in configured if label != reference]
    ours = configured[reference]
    first = [paired_interval(configured[label].scores, ours.scores, scale=judged.scale) for label in others]
    spread = [each for each in first if each.sd]
    share = share_of_each(correlation(spread), miss, len(ours.scores) - 1) if spread else miss
    contrasts = tuple(_of_two(label, reference, configured[label], ours, share, judged) for label in others)
    return Family(
        reference, contrasts, _settings(defaults, judged), miss, OF_SETTINGS if defaults else 0.0, judged.matters
    )


def described(first: str, second: str, found: Estimate, level: float, judged: Judged) -> Difference:
    """A difference outside the family: its own interval, and nothing said of it."""
    interval = judged.within(search_interval(found, 1 - level))
    return Difference(first, second, interval, "described", searches=True, noise=found.noise)


def differences_from(reference: str, pools: Mapping[str, Pool], trials: Mapping[str, int]) -> dict[str, Estimate]:
    """Each of the others minus the reference, by label."""
    ours, n = pools[reference], trials[reference]
    return {label: gain(pool, trials[label], ours, n) for label, pool in pools.items() if label != reference}


def levels_of(pools: Mapping[str, Pool], trials: Mapping[str, int]) -> dict[str, Estimate]:
    """The means of searches, by label."""
    return {label: procedure(pool, trials[label]) for label, pool in pools.items()}


def _settings(defaults: Mapping[str, Configured], judged: Judged) -> tuple[Difference, ...]:
    ranked = sorted(defaults, key=lambda label: mean(defaults[label].scores), reverse=judged.higher_is_better)
    pairs = list(combinations(ranked, 2))
    return tuple(_of_two(a, b, defaults[a], defaults[b], OF_SETTINGS / len(pairs), judged) for a, b in pairs)


def _of_two(first: str, second: str, a: Configured, b: Configured, miss: float, judged: Judged) -> Difference:
    interval = judged.within(paired_interval(a.scores, b.scores, miss=miss, scale=judged.scale))
    up = judged.higher_is_better
    many = len(a.scores) >= SEEDS_FOR_CHANCES
    return answered(
        first,
        second,
        interval,
        higher_is_better=up,
        matters=judged.matters,
        noise=interval.sd / 2**0.5,
        quality=_quality_of_two(a, b, miss, judged.scale),
        failures=(a.rate, b.rate),
        superiority=brunner_munzel_interval(a.scores, b.scores, higher_is_better=up) if many else None,
    )


def _quality(first: Pool, n: int, second: Pool, m: int, miss: float) -> Interval | None:
    """Of the runs that did not fail; None where none failed, or all of one."""
    if not first.failed and not second.failed:
        return None
    ours, theirs = first.trained(), second.trained()
    return search_interval(gain(ours, n, theirs, m), miss) if ours and theirs else None


def _quality_of_two(a: Configured, b: Configured, miss: float, scale: Scale) -> Interval | None:
    """Of the seeds in which neither failed; None where none failed, or too few are left."""
    both = [
        (x, y)
        for x, y, lost, lost_too in zip(a.scores, b.scores, a.failed, b.failed, strict=True)
        if not lost | lost_too
    ]
    if len(both) == len(a.scores) or len(both) < 2:
        return None
    ours, theirs = zip(*both, strict=True)
    return paired_interval(ours, theirs, miss=miss, scale=scale)
