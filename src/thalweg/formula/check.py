"""What only tracing a rule shows, said when its optimizer is made rather than at the first step."""

from collections.abc import Iterator, Mapping

from .compose import asked_by_matrix, called, program, tested, usual_switches
from .declare import Scalar, Sum, Switch
from .expression import leaves
from .language import FormulaError
from .lower import lower
from .rule import Rule, of_matrices, once, parts


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
    usual = usual_switches(rule)
    yield usual
    for name in (*parts(rule, Switch), *tested(rule)):
        yield {**usual, name: not usual[name]}


def _whom(scalar: Scalar) -> str:
    return "all weights" if scalar.scope == "all" else "a group"
