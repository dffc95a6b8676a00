"""A rule inside its chain, as passes over memory.

The composition is written once and works on any kind of value: on tensors it is the `torch` reader,
on symbols it yields the expressions that the compiled readers read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import chain
from .declare import Scalar, State, Sum
from .expression import Expression, constant, leaves, number, weight
from .language import FormulaError
from .rule import Rule, hypers, once, parts

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Pass:
    """One walk over memory: what each weight adds to the totals, and what is written back."""

    totals: Mapping[str, Expression]
    writes: Mapping[str, Expression]

    @property
    def operands(self) -> tuple[str, ...]:
        """What is read or written, w and g first."""
        outputs = (*self.totals.values(), *self.writes.values())
        names = leaves(outputs, "weight") | {*self.writes}
        return tuple(sorted(names, key=lambda name: (name != "w", name != "g", name)))


@dataclass(frozen=True)
class Program:
    """A rule with its switches resolved. ``sums`` is None for a rule that needs no totals."""

    norm: Pass
    limited_norm: Pass
    sums: Pass | None
    update: Pass
    scalars: Mapping[str, Expression]


def live_states(rule: type[Rule], values: Values) -> dict[str, State]:
    """The states that exist under the given switches and hyperparameters."""
    return {name: state for name, state in parts(rule, State).items() if state.when is None or values[state.when]}


def start_value(start: str | float, values: Values) -> float:
    """The number that a state or scalar starts at; one that starts as the first gradient is 0 until it comes."""
    return 0.0 if start == "g" else float(values[start] if isinstance(start, str) else start)


def norm_totals(values: Values) -> dict[str, Any]:
    """What each weight adds to the gradient's squared norm, in the gradient's own units.

    The host multiplies by unscale squared: this pass should only wait for memory.
    """
    return {"squares": values["g"] * values["g"]}


def limited_norm_totals(values: Values) -> dict[str, Any]:
    """The same after the clip by value, unscaled."""
    g = chain.limited(values["g"], values["unscale"], values["clip_value"])
    return {"squares": g * g}


def seen(rule: type[Rule], values: Values) -> dict[str, Any]:
    """The values as the rule sees them: the chain's gradient, states started, coefficients prepared."""
    g = chain.limited(values["g"], values["unscale"], values["clip_value"])
    g = chain.regularised(g, values["w"], values["clip_scale"], values["l2"])
    live = live_states(rule, values)
    first = {name for name, state in live.items() if state.start == "g"}
    started = {name: chain.first_or_kept(values[name], g, values["t"]) for name in first}
    missing = {name: None for name in parts(rule, State) if name not in live}
    return {**prepared(rule, values), **missing, **started, "g": g}


def prepared(rule: type[Rule], values: Values) -> dict[str, Any]:
    """The values with the coefficients and next scalars of ``prepare``."""
    return _with(rule, "prepare", values)


def rule_totals(rule: type[Rule], values: Values) -> dict[str, Any]:
    """What each weight adds to the rule's own totals."""
    found: dict[str, Any] = rule.formulas["sums"](seen(rule, values))
    return found


def settled(rule: type[Rule], values: Values) -> dict[str, Any]:
    """The values with what ``after`` makes of the totals, if the rule has any."""
    return _with(rule, "after", prepared(rule, values))


def updated(rule: type[Rule], values: Values) -> dict[str, Any]:
    """The next weight and states."""
    ready = _with(rule, "after", seen(rule, values))
    result = rule.formulas["step"](ready)
    d, *states = result if isinstance(result, tuple) else (result,)
    live = live_states(rule, values)
    returned = zip(rule.formulas["step"].returned, states, strict=True)
    written = {name: value for name, value in returned if name in live}
    # A state that starts as the first gradient must be stored even by a rule that never assigns to it.
    started = {name: ready[name] for name, state in live.items() if state.start == "g" and name not in written}
    return {"w": chain.moved(values["w"], d, values["shrink"]), **written, **started}


def program(rule: type[Rule], switches: Mapping[str, bool]) -> Program:
    """Trace a rule with symbols. ``switches`` are its switches, and its hyperparameters' being other than 0."""
    names = {*hypers(rule), *parts(rule, Scalar), *parts(rule, Sum), *chain.NUMBERS, "t"}
    values: dict[str, Any] = {name: number(name) for name in names}
    values |= {name: weight(name) for name in ("w", "g", *parts(rule, State))}
    # A hyperparameter that an `if` tests is a number in the formula; only the test sees its switch.
    values |= {name: Tested(name, on) if name in names else on for name, on in switches.items()}
    try:
        return _traced(rule, values)
    except (TypeError, UnboundLocalError) as error:
        raise FormulaError(f"{rule.__module__}.{rule.__qualname__}: {error}") from error


def _traced(rule: type[Rule], values: Values) -> Program:
    totals = settled(rule, values)
    return Program(
        norm=Pass(norm_totals(values), {}),
        limited_norm=Pass(limited_norm_totals(values), {}),
        sums=Pass(_expressions(rule_totals(rule, values)), {}) if "sums" in rule.formulas else None,
        update=Pass({}, _expressions(updated(rule, values))),
        scalars=_expressions({name: totals[name] for name in parts(rule, Scalar)}),
    )


def _expressions(values: Values) -> dict[str, Expression]:
    """What a formula returned; a plain number among it (m = 0) is a constant."""
    return {name: value if isinstance(value, Expression) else constant(value) for name, value in values.items()}


class Tested(Expression):
    """A hyperparameter whose being other than 0 is known when the kernel is made."""

    on: bool

    def __init__(self, name: str, on: bool) -> None:
        object.__setattr__(self, "op", "number")
        object.__setattr__(self, "arguments", (name,))
        object.__setattr__(self, "on", on)
        self.__post_init__()

    def __bool__(self) -> bool:
        return self.on


@once
def tested(rule: type[Rule]) -> tuple[str, ...]:
    """The hyperparameters whose being 0 changes the formula: those a state's existence or an `if` depends on."""
    names = {state.when for state in parts(rule, State).values()}
    names |= {name for formula in rule.formulas.values() for name in formula.tested}
    return tuple(name for name in hypers(rule) if name in names)


def _with(rule: type[Rule], name: str, values: Values) -> dict[str, Any]:
    """The values and what one of the rule's host functions, if it has it, makes of them."""
    return {**values, **rule.formulas[name](values)} if name in rule.formulas else dict(values)
