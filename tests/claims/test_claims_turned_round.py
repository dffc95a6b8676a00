"""A claim turned round is refused by the same code: the opposite of a statement that holds does not."""

from dataclasses import replace
from math import inf

import pytest

from thalweg.claims import claim
from thalweg.claims.claim import Bound
from thalweg.claims.judging import intervals, judged


def opposite(bound: Bound) -> Bound:
    """At most what was at least asked for, and the other way round."""
    if bound.at_most == inf:
        return replace(bound, at_least=-inf, at_most=bound.at_least)
    assert bound.at_least == -inf, "the opposite of an interval is not one"
    return replace(bound, at_least=bound.at_most, at_most=inf)


# Momentum slows the descent; a smaller rate makes it pass the minimum by more; clipping by value keeps the direction.
@pytest.mark.slow
@pytest.mark.parametrize("name", ["momentum-accelerates", "momentum-smaller-rate", "clipping-by-value-turns"])
def test_the_opposite_is_refused(name):
    one = claim(name)
    other = replace(one, bounds=tuple(map(opposite, one.bounds)))
    measurement = other.measure(other.seeds_of(6))
    assert judged(one, intervals(one, measurement)).verdict == "holds"
    assert judged(other, intervals(other, measurement)).verdict == "does not hold"
