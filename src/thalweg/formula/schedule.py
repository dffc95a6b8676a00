"""A schedule: the factor on a hyperparameter, step by step, written once as a formula of the step.

Here too the text is all there is: the host computes the factor from it in float64, JAX on its arrays, `explain()` and
notebooks show it.
"""

import operator
from collections.abc import Callable, Mapping
from functools import cache
from inspect import Parameter, Signature
from math import inf
from numbers import Integral, Real
from types import MappingProxyType
from typing import Any, ClassVar

from thalweg.closest import did_you_mean
from thalweg.showing import shower

from .declare import Declared, Form, Hyper, Length
from .derivative import simple
from .expression import COMPARISONS, Expression, constant, leaves, number, rebuilt
from .host import float_function
from .language import Formula, FormulaError, read
from .operations import OPERATIONS

Given = float | str


class Schedule:
    """Base of every schedule. A subclass declares its numbers and writes its formula as a static method.

    ``factor(t, T, ...)`` returns the factor at step t, which is 1 at the first, of T steps; it may ask by name for what
    is declared: `Hyper`, `Length` (a number of steps), `Form` (one of several helper functions). The text is checked
    when the class is defined: mistakes raise `FormulaError`.

    An instance, ``WSD(steps=10_000, warmup=500)``, is a value: frozen, equal to one of the same numbers, and pickled.
    It raises TypeError for what it does not take, ValueError for a number outside its range and for lengths that take
    more steps together than there are.
    """

    declared: ClassVar[Mapping[str, Hyper | Form]] = MappingProxyType({})
    """Its declared parts, by name, in order."""
    formula: ClassVar[Formula]
    steps: int
    _compiled: Any
    _numbers: dict[str, float]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.declared = MappingProxyType({**cls.declared, **_declared(cls)})
        cls.formula = _read(cls)
        own = [Parameter(name, Parameter.KEYWORD_ONLY, default=each.default) for name, each in cls.declared.items()]
        cls.__signature__ = Signature([Parameter("steps", Parameter.POSITIONAL_OR_KEYWORD), *own])  # type: ignore[attr-defined]

    def __init__(self, steps: int, **given: Given) -> None:
        name = type(self).__name__
        if not hasattr(self, "formula"):
            raise TypeError("Schedule is the base of schedules; thalweg.schedules has some")
        if unknown := [key for key in given if key not in self.declared]:
            takes = ["steps", *self.declared]
            raise TypeError(
                f"{name} takes no {unknown[0]!r}{did_you_mean(unknown[0], takes)}; it takes {', '.join(takes)}"
            )
        if isinstance(steps, bool) or not isinstance(steps, Integral):
            raise TypeError(f"{name}: steps is how many steps there are, a whole number, got {steps!r}")
        if steps < 1:
            raise ValueError(f"{name}: steps must be at least 1, got {steps}")
        values = {key: _checked(name, key, each, given.get(key, each.default)) for key, each in self.declared.items()}
        vars(self).update(steps=int(steps), **values)
        numbers = {key: value for key, value in values.items() if not isinstance(value, str)}
        lengths = {key: each for key, each in self.declared.items() if isinstance(each, Length)}
        parts = {key: numbers[key] for key, each in lengths.items() if not each.cycle}
        rounded = {key: each.steps(numbers[key], self.steps) for key, each in lengths.items()}
        fitted = _fitted({key: rounded[key] for key in parts}, parts, self.steps)
        long = sum(value * (1 if value >= 1 else self.steps) for value in parts.values())
        if any(value >= 1 for value in parts.values()):  # of shares alone each has its step, be there fewer steps
            long = max(long, sum(fitted.values()))
        if long > self.steps * (1 + 1e-9):
            said = " and ".join(f"{key}={value:g}" for key, value in parts.items())
            raise ValueError(f"{name}: {said} take {long:g} steps, and there are {self.steps}")
        numbers |= {**rounded, **fitted}
        vars(self)["_numbers"] = {"T": float(steps), **{key: float(value) for key, value in numbers.items()}}
        vars(self)["_compiled"] = float_function(self.expression)

    def at(self, step: int) -> float:
        """The factor at a step: 1 is the first, and after the last one its factor stays.

        Raises ValueError for a step before the first, and where the formula gives none: nan, infinity, less than 0.
        """
        t = min(operator.index(step), self.steps)
        if t < 1:
            raise ValueError(f"{type(self).__name__}: steps are counted from 1, got {step}")
        found: float = self._compiled({**self._numbers, "t": float(t)})
        if not 0 <= found < inf:
            raise ValueError(f"{self!r}: its factor at step {t} is {found:g}; it must be finite and at least 0")
        return found

    def of(self, t: Any) -> Any:
        """The formula itself, of a step that may be an array of any library: JAX's, NumPy's, a tensor."""
        if isinstance(t, Real):  # where Python would raise for a part that is not chosen
            return self._compiled({**self._numbers, "t": float(t)})
        return self.formula({"t": t, **self._numbers, **self._forms})

    @property
    def _forms(self) -> dict[str, Any]:
        values = {key: value for key, value in self._values().items() if isinstance(value, str)}
        return {key: self.form(key, value) for key, value in values.items()}

    @classmethod
    def form(cls, name: str, choice: str) -> Callable[..., Any]:
        """The function that a choice stands for."""
        declared = cls.declared[name]
        assert isinstance(declared, Form)
        return declared.choices[choice]

    @property
    def numbers(self) -> Mapping[str, float]:
        """The numbers that its expression asks for but t, by name: T, and lengths in steps."""
        asked = leaves([self.expression], "number")
        return {key: value for key, value in self._numbers.items() if key in asked}

    @property
    def expression(self) -> Expression:
        """The formula as a tree, without what does nothing under these numbers: no warm-up, a decay down to 0."""
        return _expressed(type(self), tuple(self.known.items()))  # type: ignore[arg-type]

    @property
    def known(self) -> dict[str, Any]:
        """What stands for its parts in the expression: constants, of numbers that do nothing, and chosen functions."""
        plain = {key: constant(value) for key, value in self._numbers.items() if value in (0.0, 1.0) and key != "T"}
        return {**plain, **self._forms}

    def _values(self) -> dict[str, Given]:
        return {"steps": self.steps, **{key: vars(self)[key] for key in self.declared}}

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is a value and cannot be changed: make another one")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is a value and cannot be changed: make another one")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash((type(self), *self._values().items()))

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), self._values())

    def __repr__(self) -> str:
        chosen = {
            key: value for key, value in self._values().items() if key == "steps" or self.declared[key].default != value
        }
        return f"{type(self).__name__}({', '.join(f'{key}={value!r}' for key, value in chosen.items())})"

    def _repr_html_(self) -> str:
        found: str = shower().schedule_html(self)
        return found


def traced(schedule: type[Schedule], values: Mapping[str, Any] = MappingProxyType({})) -> Expression:
    """A schedule's formula as a tree; ``values`` stand for some of its parts, the others are numbers of their name."""
    usual = {
        key: each.choices[each.default] if isinstance(each, Form) else number(key)
        for key, each in schedule.declared.items()
    }
    found = schedule.formula({"t": number("t"), "T": number("T"), **usual, **values})
    if not isinstance(found, Expression):
        return constant(found)
    if found.op in COMPARISONS:
        raise FormulaError(f"{schedule.__qualname__}.factor returns a comparison; write where(condition, x, y)")
    return simplified(found)


@cache
def _expressed(schedule: type[Schedule], known: tuple[tuple[str, Any], ...]) -> Expression:
    """`traced`, once in a process: schedules by the epoch are made anew for each."""
    return traced(schedule, dict(known))


def simplified(e: Expression) -> Expression:
    """An expression of a schedule without what does nothing."""
    return rebuilt(e, {}, _simple)


def _simple(op: str, *a: Expression) -> Expression:
    if op in COMPARISONS:
        if a[0].op == a[1].op == "constant":
            return constant(OPERATIONS[op].python(a[0].arguments[0], a[1].arguments[0]))
        if op == "<=" and a[0] == number("t") and a[1] == constant(0.0):
            return constant(0.0)  # the first step is 1
        return Expression(op, a)
    return simple(op, *a)


def _again(schedule: type[Schedule], values: dict[str, Any]) -> Schedule:
    return schedule(**values)


def _checked(name: str, key: str, declared: Hyper | Form, value: Any) -> Given:
    """A value of a declared part as plain Python."""
    if isinstance(declared, Form):
        if not isinstance(value, str) or value not in declared.choices:
            raise ValueError(
                f"{name}: {key} is one of {', '.join(declared.choices)}; "
                f"got {value!r}{did_you_mean(str(value), declared.choices)}"
            )
        return value
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name}: {key} must be a number, got {value!r}")
    plain = int(value) if isinstance(value, Integral) else float(value)
    if problem := declared.problem(plain):
        raise ValueError(f"{name}: {key} {problem}")
    return plain


def _fitted(steps: Mapping[str, int], given: Mapping[str, float], total: int) -> dict[str, int]:
    """Lengths in steps, with shares shortened that are too long together: the last first, to one step at least."""
    found = dict(steps)
    over = sum(found.values()) - total
    for key in reversed(found):
        if over > 0 and 0 < given[key] < 1:
            less = min(over, found[key] - 1)
            found[key] -= less
            over -= less
    return found


def _declared(schedule: type[Schedule]) -> dict[str, Hyper | Form]:
    """What a class declares itself."""

    def refuse(name: str, what: str) -> None:
        raise FormulaError(f"{schedule.__module__}.{schedule.__qualname__}.{name}: {what}")

    found: dict[str, Hyper | Form] = {}
    for name, value in vars(schedule).items():
        if isinstance(value, Declared) and not isinstance(value, Hyper | Form):
            refuse(name, "a schedule declares Hyper, Length and Form, since it knows nothing but the step")
        if not isinstance(value, Hyper | Form):
            continue
        if name in ("t", "T", "steps") or name.startswith("_") or hasattr(Schedule, name):
            refuse(name, "every schedule has something of this name, with another meaning; choose another")
        if isinstance(value, Form) and value.default not in value.choices:
            refuse(name, f"its default {value.default!r} is none of {', '.join(value.choices)}")
        if isinstance(value, Hyper) and (problem := value.problem(value.default)):
            refuse(name, f"its default {problem}")
        found[name] = value
    return found


def _read(schedule: type[Schedule]) -> Formula:
    where = schedule.__qualname__
    written = getattr(schedule, "factor", None)
    if written is None:
        raise FormulaError(f"{where} has no factor: write def factor(t, T, ...) that returns the factor at step t of T")
    if "factor" in vars(schedule) and not isinstance(vars(schedule)["factor"], staticmethod):
        raise FormulaError(f"{where}.factor: put @staticmethod above it; a formula has no self")
    forms = {key: [*each.choices.values()] for key, each in schedule.declared.items() if isinstance(each, Form)}
    found = read(written, where, names={"t", "T", *schedule.declared}, switches=(), forms=forms)
    if found.returned:
        raise FormulaError(f"{where}.factor returns one number, the factor")
    if forgotten := [name for name in schedule.declared if name not in found.parameters]:
        name = f"{schedule.__module__}.{where}.{forgotten[0]}"
        raise FormulaError(f"{name}: factor does not ask for it, so it would do nothing; leave it out")
    return found
