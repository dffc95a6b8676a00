"""What a comparison of a given size would tell."""

from math import inf, sqrt

from scipy.optimize import brentq
from scipy.special import nctdtr, stdtrit

from .pool import Estimate

POWER = 0.8


def detectable(se: float, df: float, miss: float, power: float = POWER) -> float:
    """The true difference whose interval leaves out 0 with probability ``power``, on the right side of it.

    ``se`` and ``df`` standard error and degrees of freedom of its estimate; ``miss`` the probability with which its
    interval may miss. From the noncentral t distribution; infinite where the spread is not known.
    """
    if not se > 0:
        return inf
    critical = float(stdtrit(df, 1 - miss / 2))

    def lacking(effect: float) -> float:
        return float(nctdtr(df, effect, critical)) - (1 - power)

    return se * float(brentq(lacking, 0.0, 3 * critical + 10))


def spread(found: Estimate, more_trials: float = 1.0, more_seeds: float = 1.0) -> float:
    """The standard error of an estimate, were there so many times the trials and the seeds.

    A guide: the part that trials shrink is taken to fall with their number, as that of independent ones does; that of
    points which lie evenly falls faster where luck is small.
    """
    return sqrt(found.trials_part / more_trials + found.seeds_part / more_seeds)
