"""What is shown of two of those compared, and of the procedures."""

from thalweg.stats.paired import Difference
from thalweg.stats.wording import counted
from thalweg.study.judge.procedures import Procedures

from .values import Budget, Pair


def budget(found: Procedures, minutes: float | None) -> Budget:
    """Of one budget; ``minutes`` of the whole search, of which it is a third."""
    floor = found.noise_floor
    pairs = tuple(
        found_pair(f"{pair.first} minus {pair.second}", pair, max(floor[pair.first], floor[pair.second]))
        for pair in found.pairs
    )
    tuning = tuple(
        found_pair(f"{label}: tuned minus default", pair, floor[label]) for label, pair in found.tuning.items()
    )
    switching = []
    for which, pair in found.switching.items():
        old, new = (name.removeprefix("default ") for name in (pair.second, pair.first))
        title = f"{new} minus {old}: {'both tuned' if which == 'tuned' else 'both defaults'}"
        switching.append(found_pair(title, pair, max(floor[old], floor[new])))
    return Budget(found.budget(minutes), found.trials, found.intervals, floor, pairs, tuning, tuple(switching))


def found_pair(title: str, found: Difference, floor: float = 0.0) -> Pair:
    """One difference; ``floor``: the size that a comparison of a rule with itself reaches."""
    return Pair(
        title=title,
        difference=found.interval,
        answer=answer(found),
        chance=found.superiority,
        quiet=abs(found.interval.mean) < floor and found.answer not in ("better", "worse"),
    )


def answer(found: Difference) -> str:
    """What may be said of the first, and what it would take to say more."""
    if found.answer != "cannot tell":
        return found.answer
    if found.why == "equal":
        return "no difference" if found.procedure else "equal in every seed"
    if found.why == "constant":
        return "cannot tell: the same difference in every seed"
    more = {"trial": found.more_trials, "seed": found.more_seeds}
    known = {thing: count for thing, count in more.items() if count is not None}
    if not known:
        return "cannot tell"
    thing = min(known, key=lambda name: known[name])
    return f"cannot tell; about {counted(known[thing], f'more {thing}')} might"
