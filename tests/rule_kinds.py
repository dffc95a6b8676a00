"""Kinds of rules that tests treat differently."""

from thalweg.formula import Rule, Scalar, Sum
from thalweg.formula.rule import layers, parts


def trains_together(rule: type[Rule]) -> bool:
    """Whether a parameter's step depends on others: on totals over all, or on scalars of the group that change."""
    named = {name for own in layers(rule) for f in ("prepare", "after") if f in own for name in own[f].returned}
    scalars = {name for name, scalar in parts(rule, Scalar).items() if scalar.scope != "tensor"}
    return bool(scalars & named) or any(total.scope == "all" for total in parts(rule, Sum).values())
