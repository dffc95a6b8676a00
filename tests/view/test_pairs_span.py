"""How far a picture of the answer reaches."""

from types import SimpleNamespace

import pytest

from thalweg.stats.difference import answered
from thalweg.stats.intervals import Interval
from thalweg.stats.proportion import Rate
from thalweg.view.pairs import answer, span

NONE, SOME = Rate(0, 20), Rate(3, 20)


def view(*ends, up=True):
    pairs = [SimpleNamespace(difference=Interval(mean, low, high, 0.1, 0.95, ())) for low, mean, high in ends]
    return SimpleNamespace(answer=pairs, metric=SimpleNamespace(higher_is_better=up))


@pytest.mark.parametrize(
    ("ends", "up", "reach"),
    [
        # A small difference in a wide interval: all of the interval.
        ([(-0.40, 0.01, 0.42)], True, (-0.40, 0.42)),
        # One that is wide beside one that is known: as far as the largest difference, thrice.
        ([(-9.0, 0.1, 9.0), (0.5, 1.0, 1.5)], True, (-3.0, 3.0)),
        ([(0.5, 1.0, 1.5)], False, (-1.5, 0.0)),
    ],
)
def test_a_picture_reaches_as_far_as_what_is_known(ends, up, reach):
    assert span(view(*ends, up=up)) == pytest.approx(reach)


def test_a_reason_names_the_one_whose_runs_failed():
    better = Interval(0.3, 0.1, 0.5, 0.1, 0.95, (0.3,) * 5)
    ours = answered("a", "b", better, higher_is_better=True, failures=(SOME, NONE))
    theirs = answered("a", "b", better.negative, higher_is_better=True, failures=(NONE, SOME))
    assert [answer(each) for each in (ours, theirs)] == [
        "cannot tell: a failed more often",
        "cannot tell: b failed more often",
    ]
