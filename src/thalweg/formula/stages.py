"""The stage of matrices on arrays: what `compose` has of `enter` and `matrix`, of one parameter at a time.

In float64 on torch tensors it is the oracle of the stacks that `optim` multiplies; on JAX's arrays it is the step.
"""

from collections.abc import Callable, Mapping
from typing import Any

from . import compose
from .geometry import BY_ROWS, Extent, Geometry, blocks, extent_of, flattened, geometry, kept_shape
from .rule import Rule, handed, of_matrices


def staged(
    rule: type[Rule], values: Mapping[str, Any], cast: Callable[[Any], Any] = lambda matrix: matrix
) -> dict[str, Any]:
    """What the step asks for beside its states, and next states of `enter` and `matrix`; nothing of a rule without.

    ``values``  as for `compose.updated`: the numbers, and w, g and states as arrays.
    ``cast``    applied to what enter hands on: the element type of the products.
    """
    if not of_matrices(rule):
        return {}
    if 0 in values["w"].shape:
        return dict.fromkeys(handed(rule, "matrix"), values["w"])
    entered = compose.entered(rule, values)
    known = {**values, **entered}
    shape, flat = values["w"].shape, flattened(values["w"].shape, bool(values.get("flatten")))
    of, parts = blocks(geometry(shape, flat), values.get("split_sizes"))
    live = compose.live_states(rule, values)
    extents: dict[str, Extent] = {name: state.shape for name, state in live.items()}
    whole = {name: _matrices(known[name], of, extent) for name, extent in extents.items()}
    whole |= {name: _matrices(cast(known[name]), of, "weight") for name in handed(rule, "enter")}
    found = [
        compose.multiplied(
            rule,
            {**known, **{n: x[:, rows] if extents.get(n, "weight") in BY_ROWS else x for n, x in whole.items()}},
            Geometry(of.count, rows.stop - rows.start, of.columns),
        )
        for rows in parts
    ]
    joined = {name: found[0][name] if len(found) == 1 else _below(found, name) for name in found[0]}
    shapes = {name: kept_shape(shape, extents.get(name, "weight"), flat) for name in joined}
    made = {name: matrix.reshape(shapes[name]) for name, matrix in joined.items()}
    return {**{name: entered[name] for name in entered if name in live}, **made}


def _matrices(array: Any, of: Geometry, extent: Extent) -> Any:
    return array.reshape((of.count, *extent_of(of, extent)))


def _below(found: list[dict[str, Any]], name: str) -> Any:
    """The blocks of rows, one below the other."""
    from .matrices import library

    return library(found[0][name]).concatenate([each[name] for each in found], 1)
