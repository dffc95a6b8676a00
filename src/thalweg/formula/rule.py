"""A rule: an update written once, for one weight, with what a reader must know beside it."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from types import MappingProxyType
from typing import Any, ClassVar, Concatenate, ParamSpec, TypeVar, get_args

from thalweg.showing import shower

from .chain import NUMBERS, SWITCHES
from .declare import (
    BySize,
    Coefficients,
    Decay,
    Declared,
    Due,
    Form,
    Hyper,
    Length,
    Scalar,
    Shaped,
    State,
    Sum,
    Switch,
)
from .declared import (
    DECAYS,
    FUNCTIONS,
    LINES,
    OWN,
    RATES,
    RESERVED,
    SCOPES,
    SIZES,
    T,
    by_word,
    hyperparameters,
    kind_of_decay,
    of_chain,
    of_kind,
)
from .geometry import Extent
from .language import Formula, FormulaError, read

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
        _check_declarations(cls)
        if not derived(cls):  # a wrapped rule has the formulas of the rule, and its wrappers theirs
            cls.formulas = MappingProxyType(_read_formulas(cls))


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
    if of_matrices(rule) and (own := _by_matrix(wrapper)):
        raise FormulaError(_no_lines(rule, wrapper, own))
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
def _by_matrix(wrapper: type[Wrapper]) -> tuple[str, ...]:
    """What a wrapper has by row or by column, and what it asks of a parameter itself."""
    sums = (name for name, total in parts(wrapper, Sum).items() if total.scope in LINES)
    states = (name for name, state in parts(wrapper, State).items() if state.shape in LINES)
    return (*sums, *states, *(name for name in OWN if asks(wrapper, name)))


def _no_lines(rule: type[Declaring], wrapper: type[Wrapper], own: Sequence[str]) -> str:
    return (
        f"{wrapper.__name__} has {own[0]}, and the step of {rule.__name__} is of whole matrices: what goes around "
        "such a rule has numbers by weight, by tensor or over all alone, and asks for none of " + ", ".join(OWN)
    )


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


def _check_declarations(rule: type[Declaring]) -> None:
    def refuse(name: str, what: str) -> None:
        raise FormulaError(f"{rule.__module__}.{rule.__qualname__}.{name}: {what}")

    numbers, switches = hypers(rule), {**parts(rule, Switch), **parts(rule, Shaped)}
    _check_around(rule, refuse)
    for name, value in vars(rule).items():
        if isinstance(value, Length):
            refuse(name, "a Length is of schedules, which know how many steps there are")
        if isinstance(value, Form) and value.default not in value.choices:
            refuse(name, f"its default {value.default!r} is none of {', '.join(value.choices)}")
        if isinstance(value, Coefficients) and value.default not in value.lists:
            refuse(name, f"its default {value.default!r} is none of {', '.join(value.lists)}")
        if isinstance(value, BySize) and value.when is not None and value.when not in switches:
            refuse(name, f"when={value.when!r} is not a switch of this rule")
        if isinstance(value, BySize) and value.of is not None and value.of not in parts(rule, Coefficients):
            refuse(name, f"of={value.of!r} is no list of coefficients of this rule")
        if isinstance(value, Due) and value.every is not None and value.every not in numbers:
            refuse(name, f"every={value.every!r} is not a hyperparameter of this rule")
        if isinstance(value, Due) and value.every is not None and not numbers[value.every].whole:
            refuse(name, f"it counts steps by {value.every}: declare that with whole=True")
    for name in rule.declared:
        if name in RESERVED:
            refuse(
                name,
                "w, g, t mean the weight, the gradient and the step count, and first_lr the learning rate before any "
                "schedule; choose another name",
            )
    for name, value in rule.declared.items():
        if name in OWN:
            refuse(name, "a formula asks by this name for a number of the parameter itself; choose another")
        if name in NUMBERS or name in SWITCHES:
            refuse(name, "the chain around every rule uses this name; choose another")
        if hasattr(Rule, name):
            refuse(name, "every rule has an attribute of this name, with another meaning; choose another")
        if isinstance(value, Decay) and value.kind not in DECAYS:
            refuse(name, f"the kind of decay is one of {', '.join(DECAYS)}, not {value.kind!r}")
        if isinstance(value, Decay) and value.kind != "own" and "lr" not in numbers:
            refuse(name, "decay beside the rule is scaled by lr: declare lr, or let the rule own its decay")
        if isinstance(value, Scalar | Sum) and value.scope not in (scopes := SCOPES[type(value)]):
            refuse(name, f"its scope is one of {', '.join(scopes)}, not {value.scope!r}")
        if isinstance(value, Decay) and name != "weight_decay":
            refuse(name, "weight decay is declared under the name weight_decay")
        if isinstance(value, State) and value.when is not None and value.when not in {*switches, *numbers}:
            refuse(name, f"when={value.when!r} is neither a switch nor a hyperparameter of this rule")
        if isinstance(value, State) and value.shape not in get_args(Extent):
            refuse(name, f"its shape is one of {', '.join(get_args(Extent))}, not {value.shape!r}")
        if isinstance(value, State) and value.shape != "weight" and value.start in ("w", "g"):
            refuse(name, f"it starts as {value.start}, which has another shape; start it at a number")
        if isinstance(value, State) and isinstance(value.start, str) and value.start not in {"w", "g", *numbers}:
            refuse(name, f"start={value.start!r} is neither a hyperparameter nor 'w' or 'g'")
        if isinstance(value, Scalar) and isinstance(value.start, str) and value.start not in numbers:
            refuse(name, f"start={value.start!r} is not a hyperparameter of this rule")
    for convention, given in getattr(rule, "conventions", {}).items():
        settable = {*numbers, *parts(rule, Switch), *chosen(rule), *(["decay"] if parts(rule, Decay) else [])}
        if unknown := [name for name in given if name not in settable]:
            refuse(
                f"conventions[{convention!r}]",
                f"{unknown[0]!r} is neither a hyperparameter nor a switch nor a choice nor decay",
            )
    kept = [state.key for state in parts(rule, State).values()]
    kept += ["step", *(name for name, scalar in parts(rule, Scalar).items() if scalar.scope == "tensor")]
    for name, state in parts(rule, State).items():
        if kept.count(state.key) > 1:
            refuse(name, f"its key {state.key!r} is taken: every state, and the step count, has a key of its own")
    defaults = {name: hyper.default for name, hyper in numbers.items()}
    for name, hyper in numbers.items():
        if problem := hyper.problem(hyper.default):
            refuse(name, f"its default {problem}")
        if hyper.search and hyper.search.over and hyper.search.over not in numbers:
            refuse(name, f"its search is divided by 1 - {hyper.search.over}, which is not a hyperparameter")
        inside = hyper.search is None or 0 <= hyper.search.position(hyper.default, defaults) <= 1
        # Another library's default may lie outside; the box is the rule's own.
        if not inside and hyper.default != 0 and getattr(rule, "followed", None) is None:
            refuse(name, f"its default {hyper.default:g} lies outside its search: {hyper.search}")


def _check_around(rule: type[Declaring], refuse: Callable[[str, str], None]) -> None:
    """Refuse layers of a rule's own that declare the same part, or ask for a learning rate that there is not."""
    seen: dict[str, type[Declaring]] = {}
    for layer in vars(rule).get("around", ()):
        for name, value in layer.declared.items():
            other = seen.setdefault(name, layer)
            alike = type(value) is type(rule.declared[name])
            # A switch of the shape is no part of anybody's: it may be asked in several layers.
            if other is not layer and not (isinstance(value, Shaped) and value == rule.declared[name]):
                refuse("around", f"{other.__name__} and {layer.__name__} both declare {name!r}; rename one")
            if not alike or (name in vars(rule) and isinstance(value, State | Scalar | Sum)):
                refuse(name, f"{layer.__name__}, which is around it, declares another part of this name; rename one")
        if hasattr(rule, "matrix") and (own := _by_matrix(layer)):
            refuse("around", _no_lines(rule, layer, own))
        if "lr" not in rule.declared and (asked := [name for name in RATES if asks(layer, name)]):
            refuse("around", f"{layer.__name__} asks for {asked[0]}, and the rule has no learning rate lr")


def _read_formulas(rule: type[Declaring]) -> dict[str, Formula]:
    where = rule.__qualname__
    functions = {name: getattr(rule, name) for name in FUNCTIONS if hasattr(rule, name)}
    if rule.needed and "step" not in functions:
        raise FormulaError(f"{where} has no step: write def step(g, ...) that returns what to subtract from the weight")
    for name in functions:
        if name in vars(rule) and not isinstance(vars(rule)[name], staticmethod):
            raise FormulaError(f"{where}.{name}: put @staticmethod above it; a formula has no self")
    layered = {name for layer in getattr(rule, "around", ()) for name in layer.declared}
    sums = {name: total for name, total in parts(rule, Sum).items() if name not in layered}
    states = {name: state for name, state in parts(rule, State).items() if name not in layered}
    scalars = {name: scalar for name, scalar in parts(rule, Scalar).items() if name not in layered}
    lined = () if "matrix" in functions else LINES
    by_line = {name for name, state in states.items() if state.shape in lined}
    switches = {*hypers(rule), *parts(rule, Switch), *parts(rule, Shaped)}
    # Weight decay reaches a rule's formula only if the rule owns it.
    known = {name for name in switches if name != "weight_decay" or decay_kind(rule) == "own"} | {*scalars}
    # A wrapper asks the rule that it goes around.
    known |= {*RATES} if "lr" in known or issubclass(rule, Wrapper) else set()
    forms = {name: [*form.choices.values()] for name, form in parts(rule, Form).items()}
    known |= {*forms}
    _check_stages(rule, functions)
    staged = "matrix" in functions
    known |= set() if staged else {*OWN}
    # Of a rule of matrices a state by row, say, is no number of a weight: `matrix` alone sees it.
    weights = {*(name for name, state in states.items() if not staged or state.shape == "weight"), *rule.given}
    unlike = {"follow": {"g"}, "evaluate": {"g", "d"}}  # the step is over
    if bool(sums) != ("sums" in functions):
        raise FormulaError(
            f"{where}: declare each total as Sum and compute it in sums(...); one is there without the other"
        )
    if ("sums" in functions) != ("after" in functions):
        raise FormulaError(
            f"{where}: sums(...) and after(...), which turns the totals into coefficients, come together"
        )
    found: dict[str, Formula] = {}
    coefficients: set[str] = set()
    entered: set[str] = set()  # what enter hands to matrix
    made: set[str] = set()  # what matrix hands to step
    for name in FUNCTIONS:
        if name not in functions:
            continue
        asks = known | coefficients
        on_host = name in ("prepare", "after")
        if name == "matrix":
            lists = [*parts(rule, Coefficients)]
            asks |= {*entered, *states, *SIZES, *lists, *parts(rule, BySize), *parts(rule, Due)}
            tests = {*switches, *parts(rule, BySize), *parts(rule, Due)}
            found[name] = read(functions[name], where, names=asks, switches=tests, forms=forms, lists=lists)
            made = {*found[name].returned} - {*states}
            continue
        asks |= {"t", *((*sums, *by_line) if name == "after" else ())} if on_host else weights - unlike.get(name, set())
        asks |= made if name in ("sums", "step") else set()
        found[name] = read(functions[name], where, names=asks, switches=switches, forms=forms)
        if name == "enter":
            entered = {*found[name].returned} - {*states}
        if on_host:
            coefficients |= {*found[name].returned} - {*scalars} - (by_line if name == "after" else set())
    if clash := coefficients & {*rule.declared, *RESERVED, *OWN}:
        raise FormulaError(f"{where}: the coefficient {clash.pop()!r} has the name of a declared part; rename it")
    if clash := (entered | made) & {*rule.declared, *RESERVED, *coefficients} | (entered & made):
        raise FormulaError(f"{where}: what enter and matrix hand on, {clash.pop()!r}, has a name of its own; rename it")
    if "matrix" in functions and not (entered and made):
        raise FormulaError(f"{where}: enter hands matrices to matrix, and that hands some to step")
    if sums and {*found["sums"].returned} != {*sums}:
        raise FormulaError(f"{where}.sums returns {', '.join(found['sums'].returned)}; declared are {', '.join(sums)}")
    for name in found["step"].returned if "step" in found else ():
        if name in scalars:
            raise FormulaError(f"{where}.step: {name} is a Scalar; prepare or after returns its next value")
        if name in by_line:
            raise FormulaError(f"{where}.step: {name} is kept by {states[name].shape}; after returns its next value")
        if name not in states:
            shown = repr(name) if name else "an expression"
            raise FormulaError(
                f"{where}.step: after the step itself, return states by their names (m = ..., then return d, m); "
                f"{shown} is none"
            )
    for name in found["follow"].returned if "follow" in found else ():
        if (name not in states or name in by_line) and name != "w":
            raise FormulaError(f"{where}.follow returns w and states by their names; {name!r} is none")
    _check_use(rule, found)
    return found


def _check_stages(rule: type[Declaring], functions: Mapping[str, Any]) -> None:
    """Refuse what cannot stand beside ``enter`` and ``matrix``."""
    where = rule.__qualname__
    if ("enter" in functions) != ("matrix" in functions):
        raise FormulaError(
            f"{where}: enter(...), which makes matrices, and matrix(...), which sees them, come together"
        )
    if "matrix" not in functions:
        only = [*parts(rule, Coefficients), *parts(rule, BySize), *parts(rule, Due)]
        if only:
            raise FormulaError(f"{where}.{only[0]}: only matrix(...) could ask for it, and there is none")
        return
    if issubclass(rule, Wrapper):
        raise FormulaError(f"{where}: matrix(...) is of rules; what goes around one sees a weight at a time")
    if late := [name for name, state in parts(rule, State).items() if state.start == "g"]:
        raise FormulaError(f"{where}.{late[0]}: in a rule of matrices no state starts as the first gradient")


def _check_use(rule: type[Declaring], formulas: Mapping[str, Formula]) -> None:
    """Refuse what is declared and forgotten in the formulas: training would look plausible without it."""

    def refuse(name: str, what: str) -> None:
        raise FormulaError(f"{rule.__module__}.{rule.__qualname__}.{name}: {what}")

    every = [*formulas.items(), *(each for layer in getattr(rule, "around", ()) for each in layer.formulas.items())]
    asked = {name for _, formula in every for name in formula.parameters}
    returned = {name for function, formula in every if function != "sums" for name in formula.returned}
    states, scalars = parts(rule, State), parts(rule, Scalar)
    for name, state in states.items():
        if name not in asked | returned:
            refuse(name, "no formula asks for this state or returns it; leave it out")
        if name not in returned and state.start not in ("w", "g"):
            refuse(name, f"no formula returns its next value, so it stays as it starts; write return d, {name} in step")
    for name, scalar in scalars.items():
        if name not in returned and not isinstance(scalar.start, str):
            refuse(name, f"prepare and after do not return its next value, so it stays {scalar.start:g}")
    started: set[object] = {state.start for state in states.values()} | {state.when for state in states.values()}
    started |= {scalar.start for scalar in scalars.values()}
    started |= {hyper.search.over for hyper in hypers(rule).values() if hyper.search}
    started |= {due.every for due in parts(rule, Due).values()}
    started |= {each.when for each in parts(rule, BySize).values()}
    for name in (
        *hypers(rule), *parts(rule, Switch), *parts(rule, Shaped), *chosen(rule), *parts(rule, BySize),
        *parts(rule, Due),
    ):  # fmt: skip
        if name not in asked | started | chained(rule):
            refuse(name, "no formula asks for it, so it would do nothing; leave it out")
