"""A rule inside its chain, as passes over memory.

A pass is one walk over every weight. It reads operands (the weight w, its gradient g, the rule's states: arrays of one
shape), and adds to totals, or writes. As many as a step needs are made, in this order:

    SGD                                    update        reads w g         writes w

    Muon                                   enter         reads g m         writes m u
                                           (products)    reads u           writes o
                                           update        reads w o         writes w

    AdamW, clipped by norm                 limited_norm  reads g           adds squares
                                           update        reads w g m v     writes w m v

    LAMB under Cautious, clipped by norm   limited_norm  reads g           adds squares
                                           sums[0]       reads w g m v     adds of_w of_step
                                           sums[1]       reads w g m v     adds taken there
                                           update        reads w g m v     writes w m v

What there is by row or by column (Adafactor) is worked out between them, along lines: `lines` says where. Between two
passes, numbers are computed from the totals (the clip's scale; LAMB's trust ratio; what Cautious enlarges
by), and the next pass computes again what it needs of the one before: it is memory that costs. `explain()` shows the
formulas.

The composition is written once and works on any kind of value: on tensors it is the `torch` reader,
on symbols it yields the expressions that the compiled readers read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import inf
from typing import Any

from . import chain
from .declare import BySize, Coefficients, Due, Form, Scalar, Shaped, State, Sum, Switch
from .declared import OWN
from .expression import Expression, constant, leaf, leaves, number, weight
from .geometry import Geometry, geometry
from .language import FormulaError
from .rule import (
    Rule,
    asks,
    by_lines,
    by_size,
    entries,
    handed,
    hypers,
    inner,
    layers,
    of_matrices,
    once,
    parts,
)

Values = Mapping[str, Any]

# Among values, what each layer's prepare and after have made for that layer alone: a mapping for each, since two layers
# may call different things by one name. It is no name that a formula could ask for.
OF_LAYERS = "of layers"


@dataclass(frozen=True)
class Pass:
    """One walk over memory: what each weight adds to the totals, and what is written back.

    ``along``  what it walks over: every ``"weight"``, or what there is one of by ``"row"`` or ``"column"`` (`lines`).
    """

    totals: Mapping[str, Expression]
    writes: Mapping[str, Expression]
    along: str = "weight"

    @property
    def operands(self) -> tuple[str, ...]:
        """What is read or written, w and g first. The gradient always is: where there is none, nothing is done."""
        outputs = (*self.totals.values(), *self.writes.values())
        names = {name for extent in ("weight", "row", "column", "matrix") for name in leaves(outputs, extent)}
        names |= {*self.writes, "g"}
        return tuple(sorted(names, key=lambda name: (name != "w", name != "g", name)))


@dataclass(frozen=True)
class Program:
    """A rule with its switches resolved. ``sums``: a pass for each layer that needs totals, from the inside out."""

    norm: Pass
    limited_norm: Pass
    sums: tuple[Pass, ...]
    update: Pass
    scalars: Mapping[str, Expression]
    enter: Pass | None = None
    """Of a rule of matrices: the first pass that writes. What it hands on, and what ``matrix`` makes of that, are
    operands."""

    @property
    def outputs(self) -> tuple[Expression, ...]:
        """All that its passes, but for those of the norm, add up and write, and the next scalars."""
        walks = (*self.sums, self.update)
        return (*(e for walk in walks for e in (*walk.totals.values(), *walk.writes.values())), *self.scalars.values())

    @property
    def by_lines(self) -> bool:
        """Whether anything in it is by row, by column or by matrix."""
        return any(leaves(self.outputs, extent) for extent in ("row", "column", "matrix"))


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
    without = _without(values, "l2")
    # Passes that add up compute what the update computes again: there every operation counts twice.
    g = chain.regularised(g, values["w"], values["clip_scale"], values["l2"], without, rounded=not summing(rule))
    live = live_states(rule, values)
    first = {name for name, state in live.items() if state.start == "g"}
    started = {name: chain.first_or_kept(values[name], g, values["t"]) for name in first}
    missing = {name: None for name in parts(rule, State) if name not in live}
    return {**prepared(rule, values), **missing, **started, "g": g}


def _moved(values: Values, d: Any) -> Any:
    """The rule's step with decay's share."""
    beside = {name: values[name] for name in chain.BESIDE if not _without(values, name)}
    return chain.move(values["w"], d, **beside)


def _without(values: Values, decay: str) -> bool:
    """Whether a kind of decay is left out: a switch says so of a symbol, a number says so itself."""
    amount = values[decay]
    return bool(values[chain.WITHOUT[decay]]) or (isinstance(amount, int | float) and amount == 0)


def prepared(rule: type[Rule], values: Values) -> dict[str, Any]:
    """The values with what every ``prepare`` makes of them, each for its own layer (`of_layer`).

    Choices by word are the functions that they stand for.
    """
    forms = {
        name: form.choices[values[name]] for name, form in parts(rule, Form).items() if isinstance(values[name], str)
    }
    return _with(rule, "prepare", {**values, **forms} if forms else values)


def entered(rule: type[Rule], values: Values) -> dict[str, Any]:
    """What the first pass of a rule of matrices writes: what it hands on, and next states."""
    found: dict[str, Any] = rule.formulas["enter"](of_layer(seen(rule, values), 0))
    live = live_states(rule, values)
    return {name: value for name, value in found.items() if name in live or name in handed(rule, "enter")}


def multiplied(rule: type[Rule], values: Values, of: Geometry) -> dict[str, Any]:
    """What ``matrix`` makes of matrices of one size: those for the step, and next states.

    ``values``  what `entered` has handed on and every state, as (matrices, rows, columns) each, or by row, column or
                side; and the numbers.
    """
    known = {"rows": of.rows, "columns": of.columns, **prepared(rule, values)}
    if not parts(rule, BySize).keys() <= values.keys():
        known |= by_size(rule, of.rows, of.columns, values)
    known |= {name: each.now(values["t"], values) for name, each in parts(rule, Due).items() if name not in values}
    known |= {name: entries(rule, name, values[name]) for name in parts(rule, Coefficients)}
    live = live_states(rule, values)
    known |= {name: None for name in parts(rule, State) if name not in live}
    found: dict[str, Any] = rule.formulas["matrix"](of_layer(known, 0))
    return {name: value for name, value in found.items() if name in live or name in handed(rule, "matrix")}


def summing(rule: type[Rule]) -> tuple[int, ...]:
    """The layers that need totals: 0 is the rule itself, then its wrappers from the inside out."""
    return tuple(i for i, formulas in enumerate(layers(rule)) if "sums" in formulas)


def layer_totals(rule: type[Rule], values: Values, layer: int) -> dict[str, Any]:
    """What each weight adds to one layer's own totals; those of the layers inside it are known."""
    found: dict[str, Any] = layers(rule)[layer]["sums"](_stepped(rule, values, layer).to(layer))
    return found


def settled(rule: type[Rule], values: Values) -> dict[str, Any]:
    """The values with what every ``prepare`` and ``after`` makes of them: the next scalars, and for each layer its
    own (`of_layer`)."""
    missing = {name: None for name in parts(rule, State) if name not in live_states(rule, values)}
    return _with(rule, "after", {**prepared(rule, values), **missing})


def updated(rule: type[Rule], values: Values) -> dict[str, Any]:
    """What a step writes: the next weight and states; the gradient, if it is cleared."""
    stepped = _stepped(rule, values, len(layers(rule)))
    live = live_states(rule, values)
    # A state that starts as the first gradient must be stored even by a rule that never assigns to it. Of what is kept
    # by row or column the next value is what `after` has returned.
    kept = [name for name, state in live.items() if state.start == "g" or _by(rule, state) != "weight"]
    started = {name: stepped.known[name] for name in kept}
    d = _moved(values, stepped.d)
    followed = {"w": values["w"] - d}
    for layer, formulas in enumerate(layers(rule)):
        if "follow" in formulas:
            followed |= formulas["follow"]({**replace(stepped, d=d).to(layer), "w": followed["w"]})
            d = values["w"] - followed["w"] if "w" in formulas["follow"].returned else d
    states = {name: value for name, value in {**started, **stepped.states, **followed}.items() if name in live}
    return {"w": followed["w"], **states, **({"g": 0.0} if values["clear"] else {})}


def moved(rule: type[Rule], values: Values) -> Any:
    """The whole step: what is taken off a weight, before it is rounded."""
    w = values["w"]
    if any("w" in formulas["follow"].returned for formulas in layers(rule) if "follow" in formulas):
        return w - updated(rule, values)["w"]
    return _moved(values, _stepped(rule, values, len(layers(rule))).d)


def measured(rule: type[Rule], values: Values) -> dict[str, Any]:
    """What each weight adds to the squared norms that people log: of gradient (unscaled), weight and whole step."""
    g, w, move = values["unscale"] * values["g"], values["w"], moved(rule, values)
    return {"gradient": g * g, "weight": w * w, "step": move * move}


def evaluated(rule: type[Rule], values: Values) -> Any:
    """The weights to test and keep: what the outermost ``evaluate`` says, else w."""
    ready = prepared(rule, values)
    missing = {name: None for name in parts(rule, State) if name not in live_states(rule, values)}
    for layer, formulas in enumerate(layers(rule)):
        if "evaluate" in formulas:
            ready = {**ready, "w": formulas["evaluate"]({**of_layer(ready, layer), **missing})}
    return ready["w"]


def of_layer(values: Values, layer: int) -> dict[str, Any]:
    """The values as one layer's formulas see them, with what its own prepare and after have made."""
    return {**values, **values[OF_LAYERS][layer]}


@dataclass(frozen=True)
class _Stepped:
    """After the steps of some layers: what the next one knows, the step so far, and the states that are written."""

    known: Mapping[str, Any]
    d: Any
    states: Mapping[str, Any]

    def to(self, layer: int) -> Mapping[str, Any]:
        """What a layer may ask for: to a wrapper d is the step so far; the rule may declare a d of its own."""
        own = self.known[OF_LAYERS][layer]
        return {**self.known, **own, "d": self.d} if layer else {**self.known, **own}


def _stepped(rule: type[Rule], values: Values, until: int) -> _Stepped:
    """The first ``until`` layers' steps, one after the other."""
    now = _Stepped(seen(rule, values), None, {})
    for layer, formulas in enumerate(layers(rule)[:until]):
        known, d, states = {**now.known}, now.d, {**now.states}
        if "after" in formulas:
            known[OF_LAYERS] = own = [{**of} for of in known[OF_LAYERS]]
            _share(formulas["after"]({**known, **own[layer]}), _kept(rule)[layer], known, own[layer])
        if "step" in formulas:
            result = formulas["step"](_Stepped(known, d, states).to(layer))
            d, *written = result if isinstance(result, tuple) else (result,)
            states |= dict(zip(formulas["step"].returned, written, strict=True))
        now = _Stepped(known, d, states)
    return now


def matrix_expressions(rule: type[Rule], switches: Mapping[str, Any], of: Geometry) -> dict[str, Expression]:
    """`multiplied` of symbols, for matrices of one size; ``switches`` as for `program`, with those that are due."""
    values = symbols(rule, switches)
    values |= {name: weight(name) for name in handed(rule, "enter")}
    return _expressions(multiplied(rule, values, of))


def asked_by_matrix(rule: type[Rule], switches: Mapping[str, Any]) -> tuple[str, ...]:
    """The numbers that a step's matrices depend on, under any size and whatever is due."""
    found: set[str] = set()
    sized = {name: each.when is None or bool(switches[each.when]) for name, each in parts(rule, BySize).items()}
    may_be_on = {**dict.fromkeys(parts(rule, Due), True), **sized}
    for on in product(*((False, True) if may else (False,) for may in may_be_on.values())):
        made = matrix_expressions(rule, {**switches, **dict(zip(may_be_on, on, strict=True))}, Geometry(1, 2, 9))
        found |= leaves(made.values(), "number")
    return tuple(name for name in number_names(rule) if name in found)


def program(rule: type[Rule], switches: Mapping[str, Any]) -> Program:
    """Trace a rule with symbols.

    ``switches`` are the rule's and the chain's switches, its choices, and its hyperparameters' being other than 0.
    """
    values = symbols(rule, switches)
    try:
        return _traced(rule, values)
    except UnboundLocalError as error:
        raise FormulaError(
            f"{called(rule)}: {error}: under some switch nothing assigns to it; assign in both branches, or before"
        ) from error
    except TypeError as error:
        raise FormulaError(f"{called(rule)}: {error}") from error


def symbols(rule: type[Rule], switches: Mapping[str, Any]) -> dict[str, Any]:
    """What stands for a rule's numbers and operands when it is traced; ``switches`` as for `program`."""
    names = number_names(rule)
    values: dict[str, Any] = {**chain.SWITCHES, **{name: number(name) for name in names}}
    values |= {name: weight(name) for name in ("w", "g", *handed(rule, "matrix"))}
    values |= {name: leaf(_by(rule, state), name) for name, state in parts(rule, State).items()}
    values |= {name: leaf(scope, name) for name, scope in line_sums(rule).items()}
    # A hyperparameter that an `if` tests is a number in the formula; only the test sees its switch.
    values |= {name: Tested(name, on) if name in names else on for name, on in switches.items()}
    return values


def _by(rule: type[Rule], state: State) -> str:
    """What there is one of in a state, as expressions say it; to ``matrix`` all are matrices."""
    return state.shape if by_lines(rule) and state.shape in ("row", "column") else "weight"


@once
def number_names(rule: type[Rule]) -> tuple[str, ...]:
    """A rule's numbers and the chain's, in the order in which machine code has them (`numbers.Numbers`)."""
    first = ("first_lr",) if asks(rule, "first_lr") else ()
    sums = (name for name in parts(rule, Sum) if name not in line_sums(rule))
    own = own_numbers(rule)
    return tuple(dict.fromkeys((*hypers(rule), *first, *parts(rule, Scalar), *sums, *own, *chain.NUMBERS, "t")))


@once
def line_sums(rule: type[Rule]) -> Mapping[str, str]:
    """The totals by row and by column, with their scope."""
    return {name: total.scope for name, total in parts(rule, Sum).items() if total.scope in ("row", "column")}


def of_parameter(rule: type[Rule], shape: Sequence[int], precision: float) -> dict[str, float]:
    """What its formulas ask of a parameter itself, of this shape; ``precision`` is its element type's epsilon."""
    of = geometry(shape)
    # An empty matrix has means of 0.
    known = {"rows": max(of.rows, 1), "columns": max(of.columns, 1), "precision": precision}
    return {name: float(known[name]) for name in own_numbers(rule)}


@once
def own_numbers(rule: type[Rule]) -> tuple[str, ...]:
    """What its formulas ask of a parameter itself."""
    return () if of_matrices(rule) else tuple(name for name in OWN if asks(rule, name))


def called(rule: type[Rule]) -> str:
    """The name of the class that its author wrote, without what has been wrapped around it."""
    return f"{inner(rule).__module__}.{inner(rule).__qualname__}"


def _traced(rule: type[Rule], values: Values) -> Program:
    totals = settled(rule, values)
    norms = _expressions(measured(rule, values)) if values["measured"] else {}
    traced = Program(
        norm=Pass(norm_totals(values), {}),
        limited_norm=Pass(limited_norm_totals(values), {}),
        sums=tuple(Pass(_expressions(layer_totals(rule, values, i)), {}) for i in summing(rule)),
        update=Pass(norms, _expressions(updated(rule, values))),
        scalars=_expressions({name: totals[name] for name in parts(rule, Scalar)}),
        enter=Pass({}, _expressions(entered(rule, values))) if of_matrices(rule) else None,
    )
    return _asked_for(traced, line_sums(rule)) if line_sums(rule) else traced


def _asked_for(traced: Program, lines: Mapping[str, str]) -> Program:
    """Without the totals by row and column that no formula asks for: of a vector, say, whose rule is another."""
    asked = leaves(traced.outputs, "row") | leaves(traced.outputs, "column")
    sums = tuple(
        Pass({name: e for name, e in walk.totals.items() if name in asked or name not in lines}, {})
        for walk in traced.sums
    )
    return replace(traced, sums=sums)


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
    names |= {name for formulas in layers(rule) for formula in formulas.values() for name in formula.tested}
    return tuple(name for name in hypers(rule) if name in names)


def usual_choices(rule: type[Rule]) -> dict[str, str]:
    """What is chosen by a word, as it is under the defaults."""
    forms = {name: form.default for name, form in parts(rule, Form).items()}
    return {**forms, **{name: each.default for name, each in parts(rule, Coefficients).items()}}


@once
def shapes_that_differ(rule: type[Rule]) -> tuple[Mapping[str, bool], ...]:
    """The switches that shapes decide, for a matrix and for each number of dimensions that decides otherwise."""
    switches = parts(rule, Shaped)
    ends = (end for each in switches.values() for end in (each.least - 1, each.least, each.most, each.most + 1))
    tried = [2, *sorted(int(end) for end in ends if 0 <= end < inf)]
    found = [{name: switch.holds(dimensions) for name, switch in switches.items()} for dimensions in tried]
    return tuple(each for i, each in enumerate(found) if each not in found[:i])


@once
def usual_switches(rule: type[Rule]) -> Mapping[str, Any]:
    """What the rule's own `if`s test, of a matrix, and its choices, as they are under the defaults."""
    numbers = {name: hyper.default for name, hyper in hypers(rule).items()}
    switches = {name: switch.default for name, switch in parts(rule, Switch).items()}
    own = {**usual_choices(rule), **switches, **shapes_that_differ(rule)[0]}
    return {**own, **{name: numbers[name] != 0 for name in tested(rule)}}


def _with(rule: type[Rule], name: str, values: Values) -> dict[str, Any]:
    """The values and what one of the host functions of each layer, if it has it, makes of them."""
    every, kept = layers(rule), _kept(rule)
    own: list[dict[str, Any]] = [{**of} for of in values[OF_LAYERS]] if OF_LAYERS in values else [{} for _ in every]
    ready = {**values, OF_LAYERS: own}
    for layer, formulas in enumerate(every):
        if name in formulas:
            _share(formulas[name]({**ready, **own[layer]}), kept[layer], ready, own[layer])
    return ready


def _share(made: Values, kept: frozenset[str], ready: dict[str, Any], own: dict[str, Any]) -> None:
    """Put what a layer has made in its place: scalars and states are for all, the rest is its own."""
    for name, value in made.items():
        (ready if name in kept else own)[name] = value


@once
def _kept(rule: type[Rule]) -> tuple[frozenset[str], ...]:
    """The scalars and states that each layer declares."""
    own = (inner(rule), *rule.around, *rule.wrappers)
    return tuple(frozenset((*parts(each, Scalar), *parts(each, State))) for each in own)
