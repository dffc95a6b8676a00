"""What a comparison says of the procedures "tune with n trials, then train": pools, their means and differences."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from thalweg.stats.holm import holm_together
from thalweg.stats.intervals import Interval
from thalweg.stats.paired import Difference, procedure_difference
from thalweg.stats.pool import Estimate, Pool, gain, procedure
from thalweg.stats.pool_superiority import superiority


@dataclass(frozen=True)
class Procedures:
    """Of one budget.

    ``trials``     of the virtual studies of each of those compared, by label: the same number, or, where minutes count,
                   what a third of them holds.
    ``means``      test value over new studies and seeds, by label; ``intervals`` the same with their 95% intervals.
    ``pairs``      every two, the better mean first; an interval excludes 0 where Holm's test rejects.
    ``tuning``     n trials against the default alone, by label.
    ``switching``  the best of the others against the first of those compared: ``tuned``, n trials of both, and
                   ``default``, both defaults. Empty with one.
    ``noise_floor``  of each, by label: how far a comparison of it with itself (other draws, other seeds) goes, at
                   most, in 19 of 20 cases.
    """

    trials: Mapping[str, int]
    means: Mapping[str, Estimate]
    intervals: Mapping[str, Interval]
    pairs: tuple[Difference, ...]
    tuning: Mapping[str, Difference]
    switching: Mapping[str, Difference]
    noise_floor: Mapping[str, float]

    @property
    def together(self) -> int | None:
        """The number of trials of all; None where they differ."""
        numbers = set(self.trials.values())
        return numbers.pop() if len(numbers) == 1 else None

    def budget(self, minutes: float | None) -> str:
        """What each search was given, in words; ``minutes`` of the whole search, of which it is a third."""
        if minutes:
            return f"{minutes / 3:.3g} minutes"
        return f"{self.together} trials" if self.together else "a third of the trials"


def procedures(
    pools: Mapping[str, Pool],
    trials: Mapping[str, int],
    *,
    higher_is_better: bool,
    level: float,
    possible: tuple[float, float],
) -> Procedures:
    """From the pool of each of those compared, in their order, and the size of its virtual studies."""
    means = {label: procedure(pool, trials[label]) for label, pool in pools.items()}

    def interval(found: Estimate) -> Interval:
        half = found.half(level)
        low, high = max(found.mean - half, possible[0]), min(found.mean + half, possible[1])
        return Interval(found.mean, low, high, found.noise, level, ())

    def between(
        first: str,
        second: str,
        n: int,
        m: int,
        names: tuple[str, str],
        found: Estimate | None = None,
        together: int = 1,
    ) -> Difference:
        a, b = pools[first], pools[second]
        return procedure_difference(
            *names,
            found or gain(a, n, b, m),
            trials=min(a.size, b.size),
            seeds=a.seeds,
            higher_is_better=higher_is_better,
            level=level,
            together=together,
            superiority=superiority(a, n, b, m, higher_is_better=higher_is_better) if first != second else None,
        )

    ranked = sorted(pools, key=lambda label: means[label].mean, reverse=higher_is_better)
    two = list(combinations(ranked, 2))
    gains = [gain(pools[a], trials[a], pools[b], trials[b]) for a, b in two]
    together = holm_together([found.p for found in gains], 1 - level)
    return Procedures(
        trials=trials,
        means=means,
        intervals={label: interval(found) for label, found in means.items()},
        pairs=tuple(
            between(a, b, trials[a], trials[b], (a, b), found, share)
            for (a, b), found, share in zip(two, gains, together, strict=True)
        ),
        tuning={
            label: between(label, label, trials[label], 1, (f"tuned {label}", f"default {label}")) for label in pools
        },
        switching=_switching(next(iter(pools)), ranked, trials, between),
        # Two independent means of one variance.
        noise_floor={label: 2**0.5 * found.half(level) for label, found in means.items()},
    )


def _switching(
    first: str, ranked: Sequence[str], trials: Mapping[str, int], between: Callable[..., Difference]
) -> dict[str, Difference]:
    others = [label for label in ranked if label != first]
    if not others:
        return {}
    best = others[0]
    return {
        "tuned": between(best, first, trials[best], trials[first], (best, first)),
        "default": between(best, first, 1, 1, (f"default {best}", f"default {first}")),
    }
