"""How a parameter is read as matrices, and the shapes of what is kept by row, by column, or for a side of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

Extent = Literal["weight", "row", "column", "left", "right", "least"]
"""What there is one number of: each weight, each row, each column; or a square matrix for the rows, for the columns, or
for the fewer of the two."""

BY_ROWS = ("weight", "row")
"""What there is of a block of rows as there is of all rows."""


@dataclass(frozen=True)
class Geometry:
    """A parameter as ``count`` matrices of ``rows`` x ``columns``, one after the other in memory.

    A vector is one row; a single number is a row of one.
    """

    count: int
    rows: int
    columns: int


def geometry(shape: Sequence[int], flat: bool = False) -> Geometry:
    """The matrices of a parameter of this shape: its last two dimensions are theirs.

    ``flat``  dimensions from the second on are one: a convolution (out, in, k, k) is one matrix, out x (in k k).
    """
    if len(shape) < 2:
        return Geometry(1, 1, prod(shape))
    if flat:
        return Geometry(1, shape[0], prod(shape[1:]))
    return Geometry(prod(shape[:-2]), shape[-2], shape[-1])


def matrices(x: Any) -> Any:
    """A parameter's array, of any library, with the dimensions that its matrices have: a vector is one row."""
    return x if len(x.shape) > 1 else x.reshape(1, -1)


def summed(x: Any, scope: str) -> Any:
    """The sum of an array of matrices, of any library, over all of it, or by ``"row"`` or ``"column"`` of each matrix.

    By row (..., rows, 1) and by column (..., 1, columns), so that sums broadcast against the matrices.
    """
    return x.sum(axis={"row": -1, "column": -2}[scope], keepdims=True) if scope in ("row", "column") else x.sum()


@dataclass(frozen=True)
class Seen:
    """How a rule of matrices sees a parameter.

    ``of``      its matrices, before they are split; of a transposed one the rows are the parameter's columns.
    ``whole``   those that are worked on together, and ``blocks`` the rows of each that are matrices of their own.
    """

    of: Geometry
    transposed: bool
    whole: Geometry
    blocks: tuple[slice, ...]


def kept_shape(shape: Sequence[int], extent: Extent, how: "Seen | None" = None) -> tuple[int, ...]:
    """The shape of a state of one extent, of a parameter of this shape; it broadcasts against the matrices.

    By row (..., rows, 1) and by column (..., 1, columns), as torch.optim.Adafactor keeps them.

    ``how``  the parameter is seen, by a rule of matrices; else its last two dimensions are the matrices.
    """
    if extent == "weight":
        return tuple(shape)
    of = geometry(shape) if how is None else how.of if extent in BY_ROWS else how.whole
    leading: tuple[int, ...] = tuple(shape[:-2]) if len(shape) > 2 else ()
    if prod(leading) != of.count:
        leading = (of.count,) if of.count > 1 else ()
    return *leading, *extent_of(of, extent)


def seen(shape: Sequence[int], options: Mapping[str, Any]) -> Seen:
    """How a rule of matrices sees a parameter of this shape.

    A convolution is one matrix, out x (in k k); of three dimensions the first counts matrices, as the experts of a
    mixture. ``options`` may say otherwise:

    ``flat``         dimensions from the second on are one, of three dimensions too.
    ``transposed``   rows are columns, of a layer whose weight is inputs x outputs.
    ``split_sizes``  so many rows are each a matrix of its own, one below the other.
    """
    kept = geometry(shape, bool(options.get("flat")) or len(shape) > 3)
    transposed = bool(options.get("transposed"))
    of = Geometry(kept.count, kept.columns, kept.rows) if transposed else kept
    sizes = options.get("split_sizes")
    if sizes is None:
        return Seen(of, transposed, of, (slice(0, of.rows),))
    if len({*sizes}) == 1 and not transposed:  # so they are just more matrices, one after the other in memory
        more = Geometry(of.count * len(sizes), sizes[0], of.columns)
        return Seen(of, transposed, more, (slice(0, more.rows),))
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    return Seen(of, transposed, of, tuple(slice(end - n, end) for end, n in zip(ends, sizes, strict=True)))


def extent_of(of: Geometry, extent: Extent) -> tuple[int, int]:
    """The rows and columns of what is kept of one matrix."""
    return {
        "weight": (of.rows, of.columns), "row": (of.rows, 1), "column": (1, of.columns),
        "left": (of.rows, of.rows), "right": (of.columns, of.columns), "least": (min(of.rows, of.columns),) * 2,
    }[extent]  # fmt: skip
