"""The stage of matrices on arrays: what `compose` has of `enter` and `matrix`, of one parameter at a time.

In float64 on torch tensors it is the oracle of the stacks that `optim` multiplies; on JAX's arrays it is the step.
"""

from collections.abc import Callable, Mapping
from typing import Any

from . import compose
from .geometry import BY_ROWS, Extent, Geometry, Seen, extent_of, kept_shape, seen
from .rule import Rule, handed, of_matrices


def staged(
    rule: type[Rule],
    values: Mapping[str, Any],
    cast: Callable[[Any], Any] = lambda matrix: matrix,
    gather: Callable[[Any], Any] = lambda array: array,
) -> dict[str, Any]:
    """What the step asks for beside its states, and next states of `enter` and `matrix`; nothing of a rule without.

    ``values``  as for `compose.updated`: the numbers, and w, g and states as arrays.
    ``cast``    applied to what enter hands on: the element type of the products.
    ``gather``  applied to all that matrix sees: every part of an array that several devices share.
    """
    if not of_matrices(rule):
        return {}
    if 0 in values["w"].shape:
        return dict.fromkeys(handed(rule, "matrix"), values["w"])
    entered = compose.entered(rule, values)
    known = {**values, **entered}
    shape = values["w"].shape
    how = seen(shape, values)
    of = how.whole
    live = compose.live_states(rule, values)
    extents: dict[str, Extent] = {name: state.shape for name, state in live.items()}
    # In one order in every process: gathering waits for all.
    asked = [name for name in extents if name in rule.formulas["matrix"].parameters]
    whole = {name: _matrices(gather(known[name]), how, extents[name]) for name in asked}
    whole |= {name: _matrices(gather(cast(known[name])), how, "weight") for name in handed(rule, "enter")}
    found = [
        compose.multiplied(
            rule,
            {**known, **{n: x[:, rows] if extents.get(n, "weight") in BY_ROWS else x for n, x in whole.items()}},
            Geometry(of.count, rows.stop - rows.start, of.columns),
        )
        for rows in how.blocks
    ]
    joined = {name: found[0][name] if len(found) == 1 else _below(found, name) for name in found[0]}
    made = {name: _as_kept(matrix, how, shape, extents.get(name, "weight")) for name, matrix in joined.items()}
    return {**{name: entered[name] for name in entered if name in live}, **made}


def _matrices(array: Any, how: Seen, extent: Extent) -> Any:
    of = how.whole
    if extent == "weight" and how.transposed:
        return array.reshape((of.count, of.columns, of.rows)).swapaxes(-1, -2)
    return array.reshape((of.count, *extent_of(of, extent)))


def _as_kept(matrix: Any, how: Seen, shape: tuple[int, ...], extent: Extent) -> Any:
    """The reverse: in the shape of the parameter, or of a state."""
    turned = matrix.swapaxes(-1, -2) if extent == "weight" and how.transposed else matrix
    return turned.reshape(kept_shape(shape, extent, how))


def _below(found: list[dict[str, Any]], name: str) -> Any:
    """The blocks of rows, one below the other."""
    from .matrices import library

    return library(found[0][name]).concatenate([each[name] for each in found], 1)
