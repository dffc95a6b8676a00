"""What more would tell: the difference that a larger comparison would, beside that which this one does."""

from collections.abc import Mapping, Sequence

from thalweg.stats.difference import Difference
from thalweg.stats.planning import detectable, spread
from thalweg.stats.pool import Estimate
from thalweg.study.model.metric import Metric
from thalweg.study.model.plan import Plan


def tells(found: Difference, estimate: Estimate, trials: float = 1.0, seeds: float = 1.0) -> float:
    """The difference that is told in 80% of such comparisons, were there so many times the trials and the seeds."""
    return detectable(spread(estimate, trials, seeds), estimate.df, 1 - found.interval.level)


def next_step(
    plan: Plan, metric: Metric, undecided: Sequence[tuple[Difference, Estimate]], names: Mapping[str, str]
) -> str:
    """For the pair that is known best of those that cannot be told; "" where all are, or nothing would help."""
    if plan.minutes is not None or not undecided:
        return ""
    found, estimate = min(undecided, key=lambda each: each[1].se)
    now = tells(found, estimate)
    ways = {
        f"--trials {2 * plan.trials - 1}": tells(found, estimate, trials=2.0),
        f"--seeds {2 * plan.seeds}": tells(found, estimate, seeds=2.0),
    }
    way = min(ways, key=lambda each: ways[each])
    unit = metric.unit
    return (
        f"Next: of {names[found.first]} and {names[found.second]} a comparison of this size tells {unit.size(now)} in "
        f"4 of 5 cases; with {way} it would tell {unit.size(ways[way])}. Decide now how far to go: who looks again "
        "until something is told finds what is not there."
    )
