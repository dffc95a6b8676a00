"""What is shown of two of those compared."""

from math import isfinite

from thalweg.stats.difference import Difference
from thalweg.stats.proportion import Rate

from .values import Pair, View

# A picture of differences reaches as far as their intervals, but no further than so many times the largest of them, or
# than the interval that is known best.
REACH = 3.0


def span(view: View) -> tuple[float, float]:
    """From where to where a picture of the answer reaches, better being higher; 0 is within."""
    sign = 1 if view.metric.higher_is_better else -1
    known = [pair.difference for pair in view.answer if isfinite(pair.difference.low)]
    ends = [sign * end for each in known for end in (each.low, each.high)] or [-1.0, 1.0]
    largest = max((abs(pair.difference.mean) for pair in view.answer), default=0.0)
    closest = min((max(abs(each.low), abs(each.high)) for each in known), default=1.0)
    reach = max(REACH * largest, closest)
    return max(min(*ends, 0.0), -reach), min(max(*ends, 0.0), reach)


def pair_of(title: str, found: Difference) -> Pair:
    """One difference."""
    return Pair(
        title=title,
        difference=found.interval,
        answer=answer(found),
        first=found.first,
        second=found.second,
        quality=found.quality,
        failures=", ".join(map(failed, found.failures)) if any(rate.count for rate in found.failures) else "",
        chance=found.superiority,
    )


def answer(found: Difference) -> str:
    """What may be said of the first, and why no more."""
    if found.answer == "described":
        return ""
    if found.slight:
        return f"{found.answer}, by less than matters"
    if found.answer == "equal":
        return "equal within what matters"
    if found.answer != "cannot tell":
        return found.answer
    reasons = {
        "equal": "no difference" if found.searches else "equal in every seed",
        "constant": "cannot tell: the same difference in every seed",
        "failures": f"cannot tell: {found.failed_more} failed more often",
        "quality": "cannot tell: the opposite where none failed",
    }
    return reasons.get(found.why, "cannot tell")


def failed(rate: Rate) -> str:
    """3 of 45 failed, or what is not excluded."""
    return f"{rate.count} of {rate.total} failed" + (
        "" if rate.count else f" (up to {rate.not_excluded:.0%} not excluded)"
    )
