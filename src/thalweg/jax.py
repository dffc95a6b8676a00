"""Update rules for JAX: each of the catalogue, and any of one's own, as an `optax.GradientTransformation`.

    import optax, thalweg.jax

    tx = thalweg.jax.adamw(learning_rate=3e-4, betas=(0.9, 0.95), weight_decay=0.1, clip_norm=1.0)
    state = tx.init(params)
    updates, state = tx.update(grads, state, params)
    params = optax.apply_updates(params, updates)

It is the same text that the kernels are made of, called on arrays: under ``jit``, and under ``vmap`` and ``grad`` over
hyperparameters too. Needs jax and optax: pip install 'thalweg[jax]'.
"""

from collections.abc import Callable, Mapping
from functools import partial
from math import inf, prod
from typing import Any, NamedTuple

try:
    import jax
    import jax.numpy as jnp
    import optax
except ModuleNotFoundError as error:
    needs = f"thalweg.jax needs the package {error.name}: pip install 'thalweg[jax]' brings it"
    raise ModuleNotFoundError(needs, name=error.name) from error

from thalweg.closest import did_you_mean
from thalweg.formula import Due, Rule, Scalar, Schedule, State, Sum, Switch, chain, compose, wrapped
from thalweg.formula.choices import AS_MATRICES, check_choices, check_split_sizes
from thalweg.formula.declared import CHAIN_DECAYS
from thalweg.formula.geometry import kept_shape, matrices, seen, summed
from thalweg.formula.rule import (
    by_lines,
    chosen,
    decay_kind,
    hypers,
    inner,
    of_matrices,
    parts,
    shaped,
    tests_other_weights,
)
from thalweg.formula.scheduled import scheduled
from thalweg.formula.stages import staged
from thalweg.rules import CATALOGUE
from thalweg.wrappers import WeightAverage, readouts

__all__ = ["RuleState", "Transformation", "readout", "transformation"]  # and each rule of the catalogue

Numbers = Mapping[str, Any]
Tree = Any  # of arrays: parameters, gradients, a state of each parameter

# What stands around every rule, with what leaves it alone.
_CHAIN: Numbers = {
    "decay": None, "maximize": False, "clip_value": None, "clip_norm": None, "clip_scope": "all", "clip_eps": 1e-6,
    "ema": 0.0, "ema_warmup": True,
}  # fmt: skip
# What is asked of matrices besides; in JAX it is the user who says in what they are multiplied.
_MATRICES: Numbers = {"products": "float32", **AS_MATRICES}


class RuleState(NamedTuple):
    """What a rule keeps between steps.

    ``steps``    the steps taken, int32, shape ().
    ``states``   by the rule's names: a tree like the parameters, in float32 at least where the rule asks for that.
    ``scalars``  by the rule's names: a tree of numbers, shape (), one a parameter; or one number.
    """

    steps: jax.Array
    states: dict[str, Tree]
    scalars: dict[str, Any]


class Transformation(optax.GradientTransformation):  # type: ignore[misc]  # optax's named tuple is not typed
    """An `optax.GradientTransformation` that also knows the weights to test.

    ``evaluate(state, params)`` gives the weights to test and keep: their average with ``ema=0.999``, those of
    Schedule-Free; for other rules ``params`` itself.
    """

    evaluate: Callable[[RuleState, Tree], Tree]


def transformation(
    rule: type[Rule],
    learning_rate: Any = None,
    *,
    schedule: Schedule | Mapping[str, Schedule] | None = None,
    **options: Any,
) -> Transformation:
    """A rule as an optax transformation. Its updates are differences of weights: `optax.apply_updates` adds them.

    ``learning_rate``  a number, an array of shape (), or a schedule: a function of the number of steps taken.
    ``schedule``       a `thalweg.Schedule` whose factor multiplies the learning rate, or such by the numbers' names, as
                       every optimizer of thalweg takes it; but not of a number that decides a form.
    ``options``        the rule's hyperparameters and switches, those of a tuple together (``betas=(0.9, 0.95)``) or
                       alone (``beta1=0.9``); ``weight_decay``, ``decay``; ``maximize``, ``clip_value``, ``clip_norm``
                       with ``clip_scope`` ("all" or "tensor") and ``clip_eps``, ``ema`` with ``ema_warmup``: as every
                       optimizer of thalweg takes them. Numbers may be traced, but for those that decide a form:
                       momentum, ema.

    ``update`` needs the parameters. A gradient of half precision is computed in float32, and updates have the
    parameters' types. Raises TypeError for an option that the rule does not have, ValueError outside of its range.
    """
    whole = wrapped(rule, WeightAverage)
    if due := [*parts(rule, Due)]:
        raise TypeError(
            f"{rule.__name__} does in some steps what it does not in others ({due[0]}), so no one formula can be traced"
        )
    chain_of = {**_CHAIN, **(_MATRICES if of_matrices(rule) else {})}
    known = {**chain_of, **_numbers(rule, options)}
    own = (*hypers(whole), *parts(whole, Switch), *chosen(whole), *chain_of)
    unknown = [name for name in known if name not in own]
    if unknown:
        takes = [name for name in own if name != "lr"]
        raise TypeError(
            f"{rule.__name__} takes no {unknown[0]!r}{did_you_mean(unknown[0], takes)}; it takes "
            f"{', '.join(dict.fromkeys(['learning_rate', 'schedule', *takes]))}"
        )
    defaults = {name: hyper.default for name, hyper in hypers(whole).items()}
    switches = {name: switch.default for name, switch in parts(whole, Switch).items()}
    settings = {**defaults, **switches, **compose.usual_choices(whole), **known}
    check_choices(whole, rule.__name__, settings)
    if learning_rate is not None:
        settings["lr"] = learning_rate
    for name, hyper in hypers(whole).items():
        number = isinstance(settings[name], int | float)
        if number and (problem := hyper.problem(settings[name])):
            raise ValueError(f"{rule.__name__}: {'learning_rate' if name == 'lr' else name} {problem}")
    kind = settings["decay"] or decay_kind(rule)
    kinds = CHAIN_DECAYS if decay_kind(rule) in CHAIN_DECAYS else (decay_kind(rule),)
    if kind not in kinds:
        raise ValueError(f"{rule.__name__}: decay is one of {', '.join(kinds)}, got {kind!r}")
    if settings["clip_scope"] not in ("all", "tensor"):
        raise ValueError(f"{rule.__name__}: clip_scope is all or tensor, got {settings['clip_scope']!r}")
    follow = scheduled(rule.__name__, rule, schedule)
    if forms := [name for name in follow if name in compose.tested(whole)]:
        raise TypeError(f"{rule.__name__}: {forms[0]} decides a form of the rule, so under JAX it follows no schedule")
    if "lr" in follow and callable(settings["lr"]):
        raise TypeError(f"{rule.__name__}: learning_rate is a schedule already; leave one of the two out")
    of: dict[str, Any] = {"rule": whole, "settings": {**settings, "schedule": follow}, "kind": kind}
    made = Transformation(partial(_init, **of), partial(_update, **of))
    made.evaluate = partial(_evaluate, **of)
    return made


def readout(state: RuleState, params: Tree, average: int = 1, blend: float = 1.0) -> Tree:
    """One of the averages that `thalweg.wrappers.readouts.Readouts` keeps around a rule, a tree like the parameters.

    ``average``  which, from 1 to 4: the first of ``average_horizons`` and ``average_starts`` is 1.
    ``blend``    how far from the weights to the average; may be traced.

    Raises KeyError for one that is not kept: its horizon is 0.
    """
    blended: Any = readouts.blended  # formulas have no types

    def one(w: Any, kept: Any) -> jax.Array:
        return jnp.asarray(blended(_wide(w), _wide(kept), blend), jnp.asarray(w).dtype)

    return jax.tree.map(one, params, state.states[f"average{average}"])


def __getattr__(name: str) -> Callable[..., Transformation]:
    """``adamw``, ``lion``, ...: the rules of the catalogue."""
    if name not in CATALOGUE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{did_you_mean(name, CATALOGUE)}")
    return partial(transformation, CATALOGUE[name])


def __dir__() -> list[str]:
    return sorted([*__all__, *CATALOGUE])


def _numbers(rule: type[Rule], options: Numbers) -> dict[str, Any]:
    """Options by the rule's own names, as `optim` reads them: betas=(0.9, 0.95) is beta1 and beta2, a list is a tuple,
    and None where it stands for 0 is that."""
    found = dict(options)
    for together in {hyper.of for hyper in hypers(rule).values() if hyper.of} & found.keys():
        names = [name for name, hyper in hypers(rule).items() if hyper.of == together]
        values = found.pop(together)
        if len(values) != len(names):
            raise ValueError(f"{rule.__name__}: {together} are {len(names)} numbers, got {values!r}")
        found |= dict(zip(names, values, strict=True))
    for name in found.keys() & {*chosen(rule), "split_sizes"}:
        found[name] = _as_tuples(found[name])
    return found | {n: 0.0 for n, hyper in hypers(rule).items() if hyper.none and n in found and found[n] is None}


def _as_tuples(value: Any) -> Any:
    """Lists, and lists in them, as tuples; else the value itself."""
    return tuple(map(_as_tuples, value)) if isinstance(value, list | tuple) else value


def _values(settings: Numbers, kind: str, count: Any) -> dict[str, Any]:
    """What is in force for the step after ``count`` of them, but for what belongs to one parameter."""
    schedule = settings["lr"] if callable(settings.get("lr")) else None
    found = {name: value for name, value in settings.items() if name != "schedule"}
    if schedule is not None:
        found["lr"] = schedule(count)
    t = (count + 1).astype(jnp.promote_types(jnp.float32, jnp.result_type(float)))
    for name, each in settings["schedule"].items():
        found[name] = found[name] * each.of(jnp.minimum(t, each.steps))
    amounts: dict[str, Any] = {}
    if "lr" in found:
        found["first_lr"] = settings["lr"] if schedule is None else schedule(jnp.zeros_like(count))
    if kind in CHAIN_DECAYS:
        # A rate of 0 moves nothing, whatever it was at first.
        first = jnp.where(found["first_lr"] == 0, 1.0, found["first_lr"])
        amounts = chain.decay(kind, found["lr"], first, found["weight_decay"])
        if isinstance(settings["weight_decay"], int | float) and settings["weight_decay"] == 0:
            amounts = {}
    clip_value = inf if settings["clip_value"] is None else settings["clip_value"]
    unscale = -1.0 if settings["maximize"] else 1.0
    return {**chain.NUMBERS, **chain.SWITCHES, **found, **amounts, "clip_value": clip_value, "unscale": unscale, "t": t}


def _init(params: Tree, *, rule: type[Rule], settings: Numbers, kind: str) -> RuleState:
    count = jnp.zeros((), jnp.int32)
    values = _values(settings, kind, count)
    if of_matrices(rule):
        _check_matrices(rule, params, settings)

    def started(name: str, w: jax.Array) -> jax.Array:
        declared = compose.live_states(rule, {**values, **shaped(rule, w)}).get(name)
        if declared is None:  # a parameter of this shape has none
            return jnp.zeros(0, w.dtype)
        dtype = jnp.promote_types(w.dtype, declared.dtype or w.dtype)
        if declared.start == "w":
            return w.astype(dtype)
        how = seen(w.shape, settings) if of_matrices(rule) else None
        return jnp.full(kept_shape(w.shape, declared.shape, how), _start(declared.start, values), dtype)

    shapes = compose.shapes_that_differ(rule)
    names = dict.fromkeys(name for shape in shapes for name in compose.live_states(rule, {**values, **shape}))
    states = {name: jax.tree.map(partial(started, name), params) for name in names}
    scalars = {}
    for name, scalar in parts(rule, Scalar).items():
        one = jnp.asarray(_start(scalar.start, values), jnp.result_type(float))
        scalars[name] = jax.tree.map(lambda _, one=one: one, params) if scalar.scope == "tensor" else one
    return RuleState(count, states, scalars)


def _check_matrices(rule: type[Rule], params: Tree, settings: Numbers) -> None:
    """Raise ValueError for what is no matrix, and for one whose blocks do not make it up."""
    name = inner(rule).__name__
    for w in jax.tree.leaves(params):
        if w.ndim < 2:
            raise ValueError(
                f"{name} steps matrices: give vectors and single numbers to another transformation, by "
                "optax.multi_transform"
            )
        instead = "give those that are split otherwise to another transformation, by optax.multi_transform"
        check_split_sizes(name, f"a parameter of the shape {w.shape}", w.shape, settings, instead)


def _start(start: str | float, values: Numbers) -> Any:
    """What a state or scalar starts at; one that starts as the first gradient is 0 until it comes."""
    return 0.0 if start == "g" else values[start] if isinstance(start, str) else start


def _update(
    updates: Tree, state: RuleState, params: Tree | None = None, *, rule: type[Rule], settings: Numbers, kind: str
) -> tuple[Tree, RuleState]:
    if params is None:
        raise ValueError("thalweg's rules need the parameters: tx.update(grads, state, params)")
    leaves, tree = _flat(params)
    shared = _values(settings, kind, state.steps)
    known = [
        _known(rule, w, {**shared, **own, "w": _wide(w), "g": _wide(g)})
        for w, g, own in zip(leaves, tree.flatten_up_to(updates), _kept(state, rule, tree), strict=True)
    ]
    if settings["clip_norm"] is not None:
        squares: list[Any] = [jnp.sum(compose.limited_norm_totals(values)["squares"]) for values in known]
        if settings["clip_scope"] == "all":
            squares = [sum(squares)] * len(squares)
        for values, of in zip(known, squares, strict=True):
            values["clip_scale"] = chain.norm_scale(of, settings["clip_norm"], settings["clip_eps"])
    stages = [staged(rule, values, partial(_as, settings.get("products"))) for values in known]
    for values, made in zip(known, stages, strict=True):
        values |= made
    scopes = {name: total.scope for name, total in parts(rule, Sum).items()}
    for layer in compose.summing(rule):
        own = [_totals(rule, values, layer) for values in known]
        for name in own[0] if own else ():
            overall = sum(totals[name] for totals in own) if scopes[name] == "all" else None
            for values, totals in zip(known, own, strict=True):
                values[name] = totals[name] if overall is None else overall
    moved, states, scalars = [], [], []
    for w, values, made in zip(leaves, known, stages, strict=True):
        after = compose.updated(rule, values)
        moved.append((-compose.moved(rule, values)).astype(w.dtype).reshape(w.shape))
        stepped = {name: _kept_as(rule, name, each, w) for name, each in after.items() if name != "w"}
        states.append({**{name: made[name] for name in made.keys() & state.states.keys()}, **stepped})
        settled = compose.settled(rule, values)
        scalars.append({name: settled[name] for name in state.scalars})
    return tree.unflatten(moved), _next(state, rule, tree, states, scalars)


def _as(products: str | None, matrix: Any) -> Any:
    """A matrix in the element type of the products, unless it is of float64."""
    return matrix if products is None or matrix.dtype == jnp.float64 else matrix.astype(products)


def _kept(state: RuleState, rule: type[Rule], tree: Any) -> list[dict[str, Any]]:
    """Each parameter's states and scalars, by the rule's names; states as wide as they are computed in."""
    states = {name: map(_wide, tree.flatten_up_to(kept)) for name, kept in state.states.items()}
    of_tensor = {name for name, scalar in parts(rule, Scalar).items() if scalar.scope == "tensor"}
    every = {
        name: tree.flatten_up_to(kept) if name in of_tensor else [kept] * tree.num_leaves
        for name, kept in state.scalars.items()
    }
    columns = {**states, **every}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)] or [
        {} for _ in range(tree.num_leaves)
    ]


def _next(
    state: RuleState, rule: type[Rule], tree: Any, states: list[dict[str, Any]], scalars: list[dict[str, Any]]
) -> RuleState:
    """The state after a step, in the types that it had; what all share is what the first parameter says of it."""

    def like(before: jax.Array, after: Any) -> jax.Array:
        return jnp.asarray(after, before.dtype)

    found = {}
    for name, kept in state.states.items():
        pairs = zip(tree.flatten_up_to(kept), states, strict=True)
        found[name] = tree.unflatten([like(before, own[name]) if name in own else before for before, own in pairs])
    of_tensor = {name for name, scalar in parts(rule, Scalar).items() if scalar.scope == "tensor"}
    settled = {
        name: jax.tree.map(like, kept, tree.unflatten([own[name] for own in scalars]))
        if name in of_tensor
        else like(kept, scalars[0][name] if scalars else kept)
        for name, kept in state.scalars.items()
    }
    return RuleState(state.steps + 1, found, settled)


def _evaluate(state: RuleState, params: Tree, *, rule: type[Rule], settings: Numbers, kind: str) -> Tree:
    if not tests_other_weights(rule):
        return params
    leaves, tree = _flat(params)
    shared = _values(settings, kind, jnp.maximum(state.steps - 1, 0))
    return tree.unflatten(
        [
            jnp.asarray(compose.evaluated(rule, {**shared, **_own(rule, w), **own, "w": _wide(w)}), w.dtype)
            for w, own in zip(leaves, _kept(state, rule, tree), strict=True)
        ]
    )


def _totals(rule: type[Rule], values: Numbers, layer: int) -> dict[str, Any]:
    """One parameter's own totals of a layer."""
    added = compose.layer_totals(rule, values, layer)
    scopes = {name: total.scope for name, total in parts(rule, Sum).items()}
    return {name: summed(jnp.broadcast_to(each, values["g"].shape), scopes[name]) for name, each in added.items()}


def _own(rule: type[Rule], w: jax.Array) -> dict[str, Any]:
    """What formulas ask of a parameter itself, and the switches that its shape decides."""
    precision: Any = jnp.finfo(w.dtype)  # type: ignore[no-untyped-call]
    return {**compose.of_parameter(rule, w.shape, float(precision.eps)), **shaped(rule, w)}


def _known(rule: type[Rule], w: jax.Array, values: dict[str, Any]) -> dict[str, Any]:
    """The values with what a parameter has of its own; where anything is by row or column, as matrices."""
    known = {**_own(rule, w), **values}
    if not by_lines(rule):
        return known
    weights = {"w", "g", *(name for name, state in parts(rule, State).items() if state.shape == "weight")}
    return {name: matrices(each) if name in weights else each for name, each in known.items()}


def _kept_as(rule: type[Rule], name: str, value: Any, w: jax.Array) -> jax.Array:
    """A state's next value in the shape that it is kept in, of one parameter."""
    shape = kept_shape(w.shape, parts(rule, State)[name].shape)
    return jnp.reshape(value, shape) if jnp.size(value) == prod(shape) else jnp.broadcast_to(value, shape)


def _flat(params: Tree) -> tuple[list[Any], Any]:
    """The leaves, and the tree that they are of."""
    return jax.tree.flatten(params)


def _wide(array: Any) -> jax.Array:
    """As a step computes: in float32 at least."""
    found = jnp.asarray(array)
    return found.astype(jnp.promote_types(found.dtype, jnp.float32))
