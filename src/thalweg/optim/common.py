"""Scalars that parameters have in common: on a device each has a copy, which only like steps keep alike."""

from collections.abc import Sequence

from thalweg.formula import Rule, Scalar
from thalweg.formula.expression import Expression, leaves
from thalweg.formula.kernel import next_scalars
from thalweg.formula.rule import once, parts

from .launch import Launch
from .settings import GroupNumbers, Switches


def uneven(launches: Sequence[Launch], numbers: Sequence[GroupNumbers]) -> bool:
    """Whether copies would part: where not all take the same steps, or one launch works out otherwise what is for all.

    ``numbers``  of all groups.
    """
    known: dict[object, object] = {}
    for x in launches:
        if not x.shares:
            continue
        if not x.even:
            return True
        count, members = float(x.counts.steps[0]), x.members
        said: dict[object, object] = dict.fromkeys(members.groups, count)
        following, asked = _for_all(x.rule, x.switches)
        if following:
            first = numbers[members.groups[members.group_of[0]]]  # whose row decides
            said[x.rule] = count, following, [first[name] for name in asked if name in first]
        if any(known.setdefault(whose, each) != each for whose, each in said.items()):
            return True
    return False


@once
def _for_all(rule: type[Rule], switches: Switches) -> tuple[tuple[Expression, ...], tuple[str, ...]]:
    """What the next scalars that are one for all follow from: their formulas, and the numbers that these ask for."""
    nexts = zip(parts(rule, Scalar).values(), next_scalars(rule, switches), strict=True)
    own = tuple(after for scalar, after in nexts if scalar.scope == "all")
    return own, tuple(sorted(leaves(own, "number")))
