"""What only tracing a rule shows, said when its optimizer is made rather than at the first step."""

from collections.abc import Iterator, Mapping

from .compose import (
    asked_by_matrix,
    called,
    of_layer,
    program,
    settled,
    shapes_that_differ,
    symbols,
    tested,
    usual_switches,
)
from .declare import Scalar, State, Sum, Switch
from .expression import Expression, leaves
from .language import FormulaError
from .lower import lower
from .rule import Rule, by_lines, layers, of_matrices, once, parts


@once
def check(rule: type[Rule]) -> None:
    """Raise `FormulaError` for a rule whose formulas cannot be traced or compiled, or keep what is not theirs.

    Tried are the defaults, and each switch, and each hyperparameter that an `if` tests, the other way round.
    """
    for switches in _tried(rule):
        traced = program(rule, switches)
        try:
            for walk in (*traced.sums, traced.update, *([] if traced.enter is None else [traced.enter])):
                lower(walk)
            if of_matrices(rule):
                asked_by_matrix(rule, switches)
        except FormulaError as error:
            raise FormulaError(f"{called(rule)}: {error}") from error
        if by_lines(rule):
            _check_lines(rule, switches)
        by_tensor = {name for name, total in parts(rule, Sum).items() if total.scope == "tensor"}
        for name, scalar in parts(rule, Scalar).items():
            own = leaves([traced.scalars[name]], "number") & by_tensor
            if own and scalar.scope != "tensor":
                raise FormulaError(
                    f"{called(rule)}.{name}: it is kept for {_whom(scalar)}, but made from "
                    f"{', '.join(sorted(own))}, which differs by tensor: give the scalar the scope 'tensor', or the "
                    "sum the scope 'all'"
                )


def _tried(rule: type[Rule]) -> Iterator[Mapping[str, bool]]:
    for shape in shapes_that_differ(rule):
        usual = {**usual_switches(rule), **shape}
        yield usual
        for name in (*parts(rule, Switch), *tested(rule)):
            yield {**usual, name: not usual[name]}


def _check_lines(rule: type[Rule], switches: Mapping[str, bool]) -> None:
    """Refuse what is worked out between the passes and is not by line: a row and a column meet at a weight."""
    found = settled(rule, symbols(rule, switches))
    after = [(i, name) for i, own in enumerate(layers(rule)) if "after" in own for name in own["after"].returned]
    for i, name in after:
        value, kept = of_layer(found, i)[name], parts(rule, State).get(name)
        extent = value.extent if isinstance(value, Expression) else "number"
        if extent == "weight":
            raise FormulaError(
                f"{called(rule)}.after: {name} is made of a value by row and one by column, so it is a number per "
                "weight: return the two, and work it out in step"
            )
        if kept is not None and extent not in ("number", "matrix", kept.shape):
            raise FormulaError(
                f"{called(rule)}.after: {name} is kept by {kept.shape}, and its next value is by {extent}"
            )
        if name in parts(rule, Scalar) and extent != "number":
            raise FormulaError(f"{called(rule)}.after: {name} is one number, and its next value is by {extent}")


def _whom(scalar: Scalar) -> str:
    return "all weights" if scalar.scope == "all" else "a group"
