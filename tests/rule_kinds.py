"""Kinds of rules that tests treat differently."""

from collections.abc import Hashable

from thalweg.formula import Rule, Scalar, State, Sum
from thalweg.formula.compose import usual_switches
from thalweg.formula.kernel import counts_steps
from thalweg.formula.rule import layers, parts


def trains_together(rule: type[Rule]) -> bool:
    """Whether a parameter's step depends on others: on totals over all, or on scalars of the group that change."""
    named = {name for own in layers(rule) for f in ("prepare", "after") if f in own for name in own[f].returned}
    scalars = {name for name, scalar in parts(rule, Scalar).items() if scalar.scope != "tensor"}
    return bool(scalars & named) or any(total.scope == "all" for total in parts(rule, Sum).values())


def kind(rule: type[Rule]) -> Hashable:
    """What who steps, copies, saves or shards a rule's optimizer can tell of it; its formulas they do not see.

    How its states start, when they are there, how wide and of which shape they are; whose its scalars are; what its
    sums are over; whether its numbers follow from the step count, and what it tests from other weights.
    """
    states, scalars, sums = (parts(rule, of).values() for of in (State, Scalar, Sum))
    return (
        frozenset((isinstance(s.start, str) and s.start, s.when is None, s.dtype, s.shape) for s in states),
        frozenset((isinstance(scalar.start, str), scalar.scope) for scalar in scalars),
        frozenset(total.scope for total in sums),
        counts_steps(rule, tuple(usual_switches(rule).items())),
        any("evaluate" in own for own in layers(rule)),
    )
