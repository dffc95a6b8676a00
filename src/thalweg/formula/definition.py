"""What is checked when a rule or a wrapper is defined: what it declares, and what its formulas say of that."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

from .chain import NUMBERS, SWITCHES
from .declare import BySize, Coefficients, Decay, Due, Form, Length, Scalar, Shaped, State, Sum, Switch
from .declared import (
    DECAYS,
    FUNCTIONS,
    LINES,
    OWN,
    RATES,
    RESERVED,
    SCOPES,
    SIZES,
    by_word,
    hyperparameters,
    kind_of_decay,
    of_chain,
    of_kind,
)  # fmt: skip
from .geometry import Extent
from .language import Formula, FormulaError, read

# A class that is being defined (`rule.Declaring`, which asks here): a rule, or what goes around one.
Layer = type[Any]


def check_declarations(rule: Layer, base: type) -> None:
    """Raise FormulaError for what is declared amiss; ``base`` is what every rule is of, whose attributes are taken."""

    def refuse(name: str, what: str) -> None:
        raise FormulaError(f"{rule.__module__}.{rule.__qualname__}.{name}: {what}")

    declared = rule.declared
    numbers, switches = (
        hyperparameters(declared),
        {**of_kind(declared, Switch), **of_kind(declared, Shaped)},
    )
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
        if isinstance(value, BySize) and value.of is not None and value.of not in of_kind(declared, Coefficients):
            refuse(name, f"of={value.of!r} is no list of coefficients of this rule")
        if isinstance(value, Due) and value.every is not None and value.every not in numbers:
            refuse(name, f"every={value.every!r} is not a hyperparameter of this rule")
        if isinstance(value, Due) and value.every is not None and not numbers[value.every].whole:
            refuse(name, f"it counts steps by {value.every}: declare that with whole=True")
    for name in declared:
        if name in RESERVED:
            refuse(
                name,
                "w, g, t mean the weight, the gradient and the step count, and first_lr the learning rate before any "
                "schedule; choose another name",
            )
    for name, value in declared.items():
        if name in OWN:
            refuse(name, "a formula asks by this name for a number of the parameter itself; choose another")
        if name in NUMBERS or name in SWITCHES:
            refuse(name, "the chain around every rule uses this name; choose another")
        if hasattr(base, name):
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
        settable = {
            *numbers,
            *of_kind(declared, Switch),
            *by_word(declared),
            *(["decay"] if of_kind(declared, Decay) else []),
        }
        if unknown := [name for name in given if name not in settable]:
            refuse(
                f"conventions[{convention!r}]",
                f"{unknown[0]!r} is neither a hyperparameter nor a switch nor a choice nor decay",
            )
    kept = [state.key for state in of_kind(declared, State).values()]
    kept += ["step", *(name for name, scalar in of_kind(declared, Scalar).items() if scalar.scope == "tensor")]
    for name, state in of_kind(declared, State).items():
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


def _check_around(rule: Layer, refuse: Callable[[str, str], None]) -> None:
    """Refuse layers of a rule's own that declare the same part, or ask for a learning rate that there is not."""
    seen: dict[str, Layer] = {}
    for layer in vars(rule).get("around", ()):
        for name, value in layer.declared.items():
            other = seen.setdefault(name, layer)
            alike = type(value) is type(rule.declared[name])
            # A switch of the shape is no part of anybody's: it may be asked in several layers.
            if other is not layer and not (isinstance(value, Shaped) and value == rule.declared[name]):
                refuse("around", f"{other.__name__} and {layer.__name__} both declare {name!r}; rename one")
            if not alike or (name in vars(rule) and isinstance(value, State | Scalar | Sum)):
                refuse(name, f"{layer.__name__}, which is around it, declares another part of this name; rename one")
        if hasattr(rule, "matrix") and (own := by_matrix(layer)):
            refuse("around", no_lines(rule, layer, own))
        if "lr" not in rule.declared and (asked := [name for name in RATES if _asks(layer, name)]):
            refuse("around", f"{layer.__name__} asks for {asked[0]}, and the rule has no learning rate lr")


def read_formulas(rule: Layer) -> dict[str, Formula]:
    """Its functions, those it has, read; FormulaError for what they may not say."""
    where = rule.__qualname__
    functions = {name: getattr(rule, name) for name in FUNCTIONS if hasattr(rule, name)}
    if rule.needed and "step" not in functions:
        raise FormulaError(f"{where} has no step: write def step(g, ...) that returns what to subtract from the weight")
    for name in functions:
        if name in vars(rule) and not isinstance(vars(rule)[name], staticmethod):
            raise FormulaError(f"{where}.{name}: put @staticmethod above it; a formula has no self")
    declared = rule.declared
    layered = {name for layer in getattr(rule, "around", ()) for name in layer.declared}
    sums = {name: total for name, total in of_kind(declared, Sum).items() if name not in layered}
    states = {name: state for name, state in of_kind(declared, State).items() if name not in layered}
    scalars = {name: scalar for name, scalar in of_kind(declared, Scalar).items() if name not in layered}
    lined = () if "matrix" in functions else LINES
    by_line = {name for name, state in states.items() if state.shape in lined}
    switches = {*hyperparameters(declared), *of_kind(declared, Switch), *of_kind(declared, Shaped)}
    # Weight decay reaches a rule's formula only if the rule owns it.
    known = {name for name in switches if name != "weight_decay" or kind_of_decay(declared) == "own"} | {*scalars}
    # A wrapper asks the rule that it goes around.
    known |= {*RATES} if "lr" in known or _goes_around(rule) else set()
    forms = {name: [*form.choices.values()] for name, form in of_kind(declared, Form).items()}
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
            lists = [*of_kind(declared, Coefficients)]
            asks |= {*entered, *states, *SIZES, *lists, *of_kind(declared, BySize), *of_kind(declared, Due)}
            tests = {*switches, *of_kind(declared, BySize), *of_kind(declared, Due)}
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
    if clash := coefficients & {*declared, *RESERVED, *OWN}:
        raise FormulaError(f"{where}: the coefficient {clash.pop()!r} has the name of a declared part; rename it")
    if clash := (entered | made) & {*declared, *RESERVED, *coefficients} | (entered & made):
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


def _check_stages(rule: Layer, functions: Mapping[str, Any]) -> None:
    """Refuse what cannot stand beside ``enter`` and ``matrix``."""
    where = rule.__qualname__
    if ("enter" in functions) != ("matrix" in functions):
        raise FormulaError(
            f"{where}: enter(...), which makes matrices, and matrix(...), which sees them, come together"
        )
    if "matrix" not in functions:
        only = [*of_kind(rule.declared, Coefficients), *of_kind(rule.declared, BySize), *of_kind(rule.declared, Due)]
        if only:
            raise FormulaError(f"{where}.{only[0]}: only matrix(...) could ask for it, and there is none")
        return
    if _goes_around(rule):
        raise FormulaError(f"{where}: matrix(...) is of rules; what goes around one sees a weight at a time")
    if late := [name for name, state in of_kind(rule.declared, State).items() if state.start == "g"]:
        raise FormulaError(f"{where}.{late[0]}: in a rule of matrices no state starts as the first gradient")


def _check_use(rule: Layer, formulas: Mapping[str, Formula]) -> None:
    """Refuse what is declared and forgotten in the formulas: training would look plausible without it."""

    def refuse(name: str, what: str) -> None:
        raise FormulaError(f"{rule.__module__}.{rule.__qualname__}.{name}: {what}")

    declared = rule.declared
    every = [*formulas.items(), *(each for layer in getattr(rule, "around", ()) for each in layer.formulas.items())]
    asked = {name for _, formula in every for name in formula.parameters}
    returned = {name for function, formula in every if function != "sums" for name in formula.returned}
    states, scalars = of_kind(declared, State), of_kind(declared, Scalar)
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
    started |= {hyper.search.over for hyper in hyperparameters(declared).values() if hyper.search}
    started |= {due.every for due in of_kind(declared, Due).values()}
    started |= {each.when for each in of_kind(declared, BySize).values()}
    for name in (
        *hyperparameters(declared), *of_kind(declared, Switch), *of_kind(declared, Shaped), *by_word(declared),
        *of_kind(declared, BySize), *of_kind(declared, Due),
    ):  # fmt: skip
        if name not in asked | started | of_chain(declared):
            refuse(name, "no formula asks for it, so it would do nothing; leave it out")


def by_matrix(wrapper: Layer) -> tuple[str, ...]:
    """What a wrapper has by row or by column, and what it asks of a parameter itself."""
    sums = (name for name, total in of_kind(wrapper.declared, Sum).items() if total.scope in LINES)
    states = (name for name, state in of_kind(wrapper.declared, State).items() if state.shape in LINES)
    return (*sums, *states, *(name for name in OWN if _asks(wrapper, name)))


def no_lines(rule: Layer, wrapper: Layer, own: Sequence[str]) -> str:
    """Why a wrapper cannot go around a rule of matrices; ``own`` as `by_matrix` has it."""
    return (
        f"{wrapper.__name__} has {own[0]}, and the step of {rule.__name__} is of whole matrices: what goes around "
        "such a rule has numbers by weight, by tensor or over all alone, and asks for none of " + ", ".join(OWN)
    )


def _goes_around(rule: Layer) -> bool:
    """Whether it is a wrapper: it sees the step of what it goes around."""
    return "d" in rule.given


def _asks(layer: Layer, name: str) -> bool:
    return any(name in formula.parameters for formula in layer.formulas.values())
