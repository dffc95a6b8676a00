"""A rule: an update written once, for one weight, with what a reader must know beside it."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import wraps
from types import MappingProxyType
from typing import Any, ClassVar, Concatenate, ParamSpec, TypeVar

from thalweg.showing import shower

from . import definition
from .declare import BySize, Coefficients, Declared, Hyper, Shaped, State, Sum
from .declared import LINES, RATES, T, by_word, hyperparameters, kind_of_decay, of_chain, of_kind
from .language import Formula, FormulaError

P = ParamSpec("P")
R = TypeVar("R")
D = TypeVar("D", bound="Declaring")


class _Known(dict[Any, Any]):
    """What has been worked out from a class in this process: no part of the class where it is copied into another."""

    def __reduce__(self) -> tuple[type["_Known"], tuple[()]]:
        return _Known, ()


class Declaring:
    """What rules and wrappers have in common: declared parts, and formulas that are read when the class is defined."""

    given: ClassVar[tuple[str, ...]] = ("w", "g")
    """What its formulas may ask for, beside what it declares."""
    needed: ClassVar[bool] = False
    """Whether it must have a step."""
    declared: ClassVar[Mapping[str, Declared]] = MappingProxyType({})
    """Its declared parts, by name, in order."""
    formulas: ClassVar[Mapping[str, Formula]] = MappingProxyType({})
    """Its functions, those it has."""
    known: ClassVar[dict[Any, Any]] = _Known()
    """What has been worked out from it in this process; see `once`."""

    def __init_subclass__(cls, base: bool = False, **options: Any) -> None:
        super().__init_subclass__(**options)
        if base:
            return
        own = {name: value for name, value in vars(cls).items() if isinstance(value, Declared)}
        inherited = {**cls.declared, **own}
        for layer in vars(cls).get("around", ()):
            inherited |= {name: value for name, value in layer.declared.items() if name not in inherited}
        cls.declared = MappingProxyType(inherited)
        cls.known = _Known()
        definition.check_declarations(cls, Rule)
        if not derived(cls):  # a wrapped rule has the formulas of the rule, and its wrappers theirs
            cls.formulas = MappingProxyType(definition.read_formulas(cls))


class Rule(Declaring, base=True):
    """Base of every update rule. A subclass declares its parts and writes its formulas as static methods.

    ``step(g, ...)`` returns d, or d and next states (``return d, m, v``); the weight becomes w - d.
    It may ask by name for w, g, states, hyperparameters, switches and coefficients.
    ``enter(g, ...)`` and ``matrix(...)``, optional, run before all else that is of weights. ``enter`` returns a
    dictionary of what each weight hands on, under names of its own, and next states; ``matrix`` gets that as whole
    matrices, may ask for ``rows`` and ``columns`` and for states of any shape, and returns a dictionary of matrices for
    ``step`` and next states. Its words are those of `matrices` too.
    ``prepare(t, ...)``, optional, runs once a step on the host in float64 and returns a dictionary of
    coefficients and next scalars.
    ``sums(g, ...)``, optional, returns per weight what is added up, under the names declared as `Sum`;
    ``after(...)`` gets the totals and returns further coefficients and next scalars.
    ``follow(w, ...)``, optional, sees the new weight and returns next states; and the weight, if it moves it again.
    ``evaluate(w, ...)``, optional, returns the weights to test and keep, where they are not w itself.
    ``around``, optional, are wrappers that belong to the rule: what they declare is the rule's, which may declare a
    number or switch of theirs anew, with another default.

    The text is checked when the class is defined: mistakes raise `FormulaError`.
    """

    needed = True
    year: ClassVar[int | None] = None
    family: ClassVar[str] = ""
    """The family it belongs to, in a word or two: momentum, adaptive, sign, layer-wise."""
    conventions: ClassVar[Mapping[str, Mapping[str, float | bool | str]]] = MappingProxyType({})
    """How other libraries, or the paper, have it: defaults by hyperparameter and switch, and ``decay``; see `like`."""
    followed: ClassVar[str | None] = None
    """The convention that its defaults are, if not its own."""
    around: ClassVar[tuple[type["Wrapper"], ...]] = ()
    """The layers that its author has put around it, from the inside out."""
    wrappers: ClassVar[tuple[type["Wrapper"], ...]] = ()
    """What is wrapped around it, from the inside out."""
    products: ClassVar[tuple[str, ...]] = ("float32",)
    """The element types in which the products of its ``matrix`` may be computed, for weights that are not float64."""

    def __init__(self) -> None:
        name = type(self).__name__
        raise TypeError(f"{name} is a rule, not an optimizer; thalweg.optimizer({name}) makes the optimizer class")

    @classmethod
    def _repr_html_(cls) -> str | None:
        # Of a class, IPython asks class methods only.
        found: str | None = shower().rule_html(cls)
        return found


class Wrapper(Declaring, base=True):
    """Base of what goes around any rule: it sees the rule's step d, and may change it or follow the weight.

    Its functions are those of a rule, all optional, with parts of its own; besides w and g they may ask for ``d``.
    ``step(d, ...)`` returns the changed step, and next states. `wrapped` puts it around a rule. In ``follow`` d is
    what has been taken off the weight, decay included. Of the rule's numbers they may ask for ``lr`` and ``first_lr``,
    the learning rate before any schedule.
    """

    given = ("w", "g", "d")
    exempt: ClassVar[Mapping[str, float | bool]] = MappingProxyType({})
    """What leaves it out, of a wrapper that is meant for matrices: options of parameters that take no weight decay."""


def wrapped(rule: type[Rule], wrapper: type[Wrapper]) -> type[Rule]:
    """A rule with a wrapper around it: again a rule. Made once for each pair."""
    return _wrapped(rule, wrapper)


def like(rule: type[Rule], convention: str) -> type[Rule]:
    """The rule with the conventions and defaults of another library, or of the paper: again a rule.

    ``convention`` is one of the rule's own: ``"torch"``, ``"tf1"``, ``"keras"``, ``"optax"``, ``"paper"``.
    Raises ValueError for one that the rule does not have.
    """
    return _like(rule, convention)


def layers(rule: type[Rule]) -> tuple[Mapping[str, Formula], ...]:
    """The rule's formulas, then those of each wrapper, from the inside out: its own first."""
    return (rule.formulas, *(wrapper.formulas for wrapper in (*rule.around, *rule.wrappers)))


def once(function: Callable[Concatenate[type[D], P], R]) -> Callable[Concatenate[type[D], P], R]:
    """Work out a function of a rule once for each rule and arguments; the result is kept with the rule."""

    @wraps(function)
    def kept(rule: type[D], /, *arguments: P.args, **named: P.kwargs) -> R:
        key = (function, arguments, *named.items()) if named else (function, arguments)
        try:
            found: R = rule.known[key]
        except KeyError:
            found = rule.known[key] = function(rule, *arguments, **named)
        return found

    return kept


@once
def parts(rule: type[Declaring], kind: type[T]) -> Mapping[str, T]:
    """The declared parts of one kind, by name, in order."""
    return of_kind(rule.declared, kind)


@once
def hypers(rule: type[Declaring]) -> Mapping[str, Hyper]:
    """Every number a user sets, weight decay included, by name, in order."""
    return hyperparameters(rule.declared)


@once
def by_lines(rule: type[Declaring]) -> bool:
    """Whether it keeps or adds up anything by row or by column. What `matrix` keeps so is among what it sees."""
    if of_matrices(rule):
        return False
    sums, states = parts(rule, Sum).values(), parts(rule, State).values()
    return any(total.scope in LINES for total in sums) or any(s.shape in LINES for s in states)


def shaped(rule: type[Declaring], like: Any) -> dict[str, bool]:
    """The switches that the shape of a parameter, or of anything like it, decides."""
    return {name: switch.holds(len(like.shape)) for name, switch in parts(rule, Shaped).items()}


@once
def chained(rule: type[Declaring]) -> frozenset[str]:
    """The numbers that the chain asks for, weight decay beside the rule."""
    return of_chain(rule.declared)


@once
def tests_other_weights(rule: type[Rule]) -> bool:
    """Whether what is to be tested are not the weights that it trains, of the rule itself or what is around it."""
    return any("evaluate" in formulas for formulas in layers(rule))


@once
def of_matrices(rule: type[Declaring]) -> bool:
    """Whether a step of it is of whole matrices."""
    return "matrix" in rule.formulas


@once
def handed(rule: type[Declaring], function: str) -> tuple[str, ...]:
    """What ``enter`` or ``matrix`` hands on, beside next states; nothing of a rule without."""
    formula = rule.formulas.get(function)
    return () if formula is None else tuple(name for name in formula.returned if name not in parts(rule, State))


@once
def chosen(rule: type[Declaring]) -> tuple[str, ...]:
    """The parts of a rule that are chosen by a word."""
    return by_word(rule.declared)


def by_size(rule: type[Declaring], rows: int, columns: int, values: Mapping[str, Any]) -> dict[str, bool]:
    """The switches that the size of the matrices decides; ``values``: the rule's other switches, and its choices."""
    found = {}
    for name, each in parts(rule, BySize).items():
        listed = () if each.of is None else (entries(rule, each.of, values[each.of]),)
        found[name] = (each.when is None or bool(values[each.when])) and bool(each.holds(rows, columns, *listed))
    return found


def entries(rule: type[Declaring], name: str, value: Any) -> Any:
    """The entries of a list of coefficients that is chosen by its name; of a list of the user's own, those."""
    return parts(rule, Coefficients)[name].lists[value] if isinstance(value, str) else value


@once
def asks(declaring: type[Declaring], name: str) -> bool:
    """Whether a formula asks for something by this name, one of what is wrapped around a rule too."""
    every = layers(declaring) if issubclass(declaring, Rule) else (declaring.formulas,)
    return any(name in formula.parameters for formulas in every for formula in formulas.values())


@once
def _wrapped(rule: type[Rule], wrapper: type[Wrapper]) -> type[Rule]:
    if wrapper in rule.around:
        raise FormulaError(f"{wrapper.__name__} is around {rule.__name__} already: its author has put it there")
    if clash := [name for name in wrapper.declared if name in rule.declared]:
        raise FormulaError(f"{rule.__name__} and {wrapper.__name__} both declare {clash[0]!r}; rename one")
    if taken := {*wrapper.declared} & {*handed(rule, "enter"), *handed(rule, "matrix")}:
        raise FormulaError(f"{rule.__name__} hands on {taken.pop()!r}, which {wrapper.__name__} declares; rename one")
    if "lr" not in rule.declared and (asked := [name for name in RATES if asks(wrapper, name)]):
        raise FormulaError(f"{wrapper.__name__} asks for {asked[0]}, and {rule.__name__} has no learning rate lr")
    if of_matrices(rule) and (own := definition.by_matrix(wrapper)):
        raise FormulaError(definition.no_lines(rule, wrapper, own))
    about = f"{rule.__doc__ or rule.__name__}\n\n    {wrapper.__name__} around it: {(wrapper.__doc__ or '').strip()}"
    members = {
        **wrapper.declared,
        "wrappers": (*rule.wrappers, wrapper),
        "__doc__": about,
        "__module__": rule.__module__,
        "__qualname__": f"{wrapper.__name__}{rule.__qualname__}",
    }
    return type(f"{wrapper.__name__}{rule.__name__}", (rule,), members)


@once
def _like(rule: type[Rule], convention: str) -> type[Rule]:
    if convention not in rule.conventions:
        known = ", ".join(rule.conventions) or "none"
        raise ValueError(f"{rule.__name__} has no convention {convention!r}; it has: {known}")
    given = rule.conventions[convention]
    members: dict[str, Any] = {}
    for name, value in given.items():
        field, key = ("kind", "weight_decay") if name == "decay" else ("default", name)
        changed: Any = {field: value}
        members[key] = replace(members.get(key, rule.declared[key]), **changed)
    about = {"__doc__": rule.__doc__, "__module__": rule.__module__, "__qualname__": rule.__qualname__}
    return type(rule.__name__, (rule,), {**members, **about, "followed": convention})


@once
def exempt(rule: type[Rule]) -> Mapping[str, float | bool]:
    """What leaves a parameter that is no matrix out of what goes around a rule: options of a parameter group."""
    return {name: value for wrapper in rule.wrappers for name, value in wrapper.exempt.items()}


@once
def decay_kind(rule: type[Declaring]) -> str:
    """Who does weight decay, and how: see `Decay`; ``none`` for a rule without it."""
    return kind_of_decay(rule.declared)


def text(rule: type[Rule]) -> str:
    """The rule as its author wrote it, with the rules it inherits its formulas from."""
    classes = [c for c in rule.__mro__ if issubclass(c, Rule) and c is not Rule and not derived(c)]
    written = "\n\n".join(inspect.getsource(c).rstrip() for c in (*reversed((*rule.around, *rule.wrappers)), *classes))
    if rule.followed is None:
        return written
    settings = ", ".join(f"{name}={value!r}" for name, value in rule.conventions[rule.followed].items())
    return f"{written}\n\n# like={rule.followed!r}: {settings}"


def inner(rule: type[Rule]) -> type[Rule]:
    """The class that its author wrote, below what `wrapped` and `like` have made of it."""
    return next(c for c in rule.__mro__ if issubclass(c, Rule) and not derived(c))


def derived(rule: type[Declaring]) -> bool:
    """Whether a class was made from a rule, by `wrapped` or `like`, and has no text of its own."""
    return not {"wrappers", "followed"}.isdisjoint(vars(rule))
