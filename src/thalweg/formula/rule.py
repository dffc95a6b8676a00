"""A rule: an update written once, for one weight, with what a reader must know beside it."""

import inspect
from collections.abc import Mapping
from functools import cache
from types import FunctionType, MappingProxyType
from typing import Any, ClassVar, TypeVar

from .declare import Decay, Declared, Hyper, Scalar, State, Sum, Switch
from .language import FormulaError, check, parameters, returned_names

T = TypeVar("T", Hyper, Decay, Switch, State, Scalar, Sum)

# What the readers give a meaning to: the weight, the gradient, the step count (1 at the first step).
RESERVED = ("w", "g", "t")


class Rule:
    """Base of every update rule. A subclass declares its parts and writes its formulas as static methods.

    ``step(g, ...)`` returns d, or d and next states (``return d, m, v``); the weight becomes w - d.
    It may ask by name for w, g, states, hyperparameters, switches and coefficients.
    ``prepare(t, ...)``, optional, runs once a step on the host in float64 and returns a dictionary of
    coefficients and next scalars.
    ``sums(g, ...)``, optional, returns per weight what is added up, under the names declared as `Sum`;
    ``after(...)`` gets the totals and returns further coefficients and next scalars.

    The text is checked when the class is defined: mistakes raise `FormulaError`.
    """

    year: ClassVar[int | None] = None
    declared: ClassVar[Mapping[str, Declared]] = MappingProxyType({})

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        own = {name: value for name, value in vars(cls).items() if isinstance(value, Declared)}
        cls.declared = MappingProxyType({**cls.declared, **own})
        _check_declarations(cls)
        _check_formulas(cls)

    def __init__(self) -> None:
        name = type(self).__name__
        raise TypeError(f"{name} is a rule, not an optimizer; thalweg.optimizer({name}) makes the optimizer class")


def parts(rule: type[Rule], kind: type[T]) -> dict[str, T]:
    """The declared parts of one kind, by name, in order."""
    return {name: value for name, value in rule.declared.items() if isinstance(value, kind)}


def hypers(rule: type[Rule]) -> dict[str, Hyper]:
    """Every number a user sets, weight decay included, by name, in order."""
    return {
        name: value.hyper if isinstance(value, Decay) else value
        for name, value in rule.declared.items()
        if isinstance(value, Hyper | Decay)
    }


def formula(rule: type[Rule], name: str) -> FunctionType | None:
    """One of the rule's functions: step, prepare, sums, after."""
    return getattr(rule, name, None)


def decay_kind(rule: type[Rule]) -> str:
    """Who does weight decay: ``l2``, ``decoupled``, ``own``; ``none`` for a rule without it."""
    return next((value.kind for value in parts(rule, Decay).values()), "none")


def text(rule: type[Rule]) -> str:
    """The rule as its author wrote it, with the rules it inherits its formulas from."""
    written = [c for c in rule.__mro__ if issubclass(c, Rule) and c is not Rule]
    return "\n\n".join(inspect.getsource(c).rstrip() for c in written)


def _check_declarations(rule: type[Rule]) -> None:
    def refuse(name: str, what: str) -> None:
        raise FormulaError(f"{rule.__module__}.{rule.__qualname__}.{name}: {what}")

    numbers, switches = hypers(rule), parts(rule, Switch)
    for name in rule.declared:
        if name in RESERVED:
            refuse(name, f"{', '.join(RESERVED)} mean the weight, the gradient and the step count; choose another name")
    for name, value in rule.declared.items():
        if isinstance(value, Decay) and name != "weight_decay":
            refuse(name, "weight decay is declared under the name weight_decay")
        if isinstance(value, State) and value.when is not None and value.when not in {*switches, *numbers}:
            refuse(name, f"when={value.when!r} is neither a switch nor a hyperparameter of this rule")
        if isinstance(value, State) and isinstance(value.start, str) and value.start not in {"w", "g", *numbers}:
            refuse(name, f"start={value.start!r} is neither a hyperparameter nor 'w' or 'g'")
        if isinstance(value, Scalar) and isinstance(value.start, str) and value.start not in numbers:
            refuse(name, f"start={value.start!r} is not a hyperparameter of this rule")
    defaults = {name: hyper.default for name, hyper in numbers.items()}
    for name, hyper in numbers.items():
        if problem := hyper.problem(hyper.default):
            refuse(name, f"its default {problem}")
        if hyper.search and hyper.search.over and hyper.search.over not in numbers:
            refuse(name, f"its search is divided by 1 - {hyper.search.over}, which is not a hyperparameter")
        inside = hyper.search is None or 0 <= hyper.search.position(hyper.default, defaults) <= 1
        if not inside and hyper.default != 0:
            refuse(name, f"its default {hyper.default:g} lies outside its search: {hyper.search}")


def _check_formulas(rule: type[Rule]) -> None:
    where = rule.__qualname__
    numbers, switches, sums = hypers(rule), parts(rule, Switch), parts(rule, Sum)
    states, scalars = parts(rule, State), parts(rule, Scalar)
    known = {name for name in numbers if name != "weight_decay" or decay_kind(rule) == "own"} | {*switches}
    branches = {*numbers, *switches}
    step, prepare, total, after = (formula(rule, name) for name in ("step", "prepare", "sums", "after"))
    if step is None:
        raise FormulaError(f"{where} has no step: write `def step(g, ...)` that returns what to subtract from the weight")
    for name, function in rule.__dict__.items():
        if name in ("step", "prepare", "sums", "after") and not isinstance(function, staticmethod):
            raise FormulaError(f"{where}.{name}: put @staticmethod above it; a formula has no self")
    coefficients: set[str] = set()
    if prepare:
        check(prepare, where, names=known | {*scalars, "t"}, switches=branches)
        coefficients |= set(returned_names(prepare, where)) - {*scalars}
    if bool(sums) != bool(total):
        raise FormulaError(f"{where}: declare each total as Sum and compute it in sums(...); one is there without the other")
    weights = known | {*scalars, *states, "w", "g"}
    if total:
        check(total, where, names=weights | coefficients, switches=branches)
        if set(found := returned_names(total, where)) != set(sums):
            raise FormulaError(f"{where}.sums returns {found}, but the declared sums are {list(sums)}")
        if after is None:
            raise FormulaError(f"{where}: after(...) is missing: it turns the totals into coefficients")
        check(after, where, names=known | coefficients | {*scalars, *sums, "t"}, switches=branches)
        coefficients |= set(returned_names(after, where)) - {*scalars}
    if clash := coefficients & {*rule.declared, *RESERVED}:
        raise FormulaError(f"{where}: the coefficient {clash.pop()!r} has the name of a declared part; rename it")
    check(step, where, names=weights | coefficients, switches=branches)
    for name in returned_names(step, where):
        if name not in states:
            raise FormulaError(f"{where}.step returns {name!r}, which is not a declared state; return d, then states")


@cache
def asked(rule: type[Rule], name: str) -> tuple[str, ...]:
    """The names that one of the rule's functions asks for; none if the rule does not have it."""
    function = formula(rule, name)
    return parameters(function) if function else ()
