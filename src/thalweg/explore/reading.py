"""What figures show beside the paths, read off the rules' own formulas: nothing of a rule is written a second time."""

from thalweg.formula import Rule, chain, compose
from thalweg.formula.derivative import simplified
from thalweg.formula.expression import Expression, constant, number
from thalweg.formula.javascript import function


def rate_of(rule: type[Rule], accumulator: str, **fixed: float) -> str:
    """What a step multiplies a gradient by, as JavaScript: ``(<accumulator>, lr, eps) => [rate]``.

    ``accumulator``  the name of the state it depends on, as it is after the step.
    ``fixed``        hyperparameters that the figure does not vary.
    """
    symbols = compose.symbols(rule, {**compose.usual_switches(rule), **chain.NO_DECAY})
    known: dict[Expression, Expression] = {number(name): constant(value) for name, value in fixed.items()}
    known[compose.updated(rule, symbols)[accumulator]] = number(accumulator)
    known[compose.seen(rule, symbols)["g"]] = constant(1.0)
    return function([accumulator, "lr", "eps"], [simplified(compose.moved(rule, symbols), known)])


def corrected(rule: type[Rule]) -> str:
    """Adam's averages, divided by what they lack at first: ``(m, v, t, beta1, beta2) => [m / c1, v / c2]``."""
    symbols = compose.symbols(rule, compose.usual_switches(rule))
    coefficients = compose.of_layer(compose.prepared(rule, symbols), 0)
    averages = [number("m") / coefficients["c1"], number("v") / coefficients["c2"]]
    return function(["m", "v", "t", "beta1", "beta2"], averages)
