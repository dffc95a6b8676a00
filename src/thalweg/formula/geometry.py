"""How a parameter is read as matrices, and the shapes of what is kept by row, by column, or for a side of them."""

from collections.abc import Sequence
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


def kept_shape(shape: Sequence[int], extent: Extent, flat: bool = False) -> tuple[int, ...]:
    """The shape of a state of one extent, of a parameter of this shape; it broadcasts against the matrices.

    By row (..., rows, 1) and by column (..., 1, columns), as torch.optim.Adafactor keeps them.
    """
    if extent == "weight":
        return tuple(shape)
    of = geometry(shape, flat)
    leading = tuple(shape[:-2]) if not flat and len(shape) > 2 else ()
    return *leading, *extent_of(of, extent)


def flattened(shape: Sequence[int], asked: bool) -> bool:
    """Whether a rule of matrices takes a parameter of this shape as one matrix: a convolution, or where it is asked.

    Of three dimensions the first counts matrices, as the experts of a mixture.
    """
    return asked or len(shape) > 3


def blocks(of: Geometry, sizes: Sequence[int] | None) -> tuple[Geometry, tuple[slice, ...]]:
    """Each matrix as blocks of so many rows, one below the other, that are matrices of their own.

    Blocks of one size are more matrices: (3, 4) rows of 8 columns with sizes (2, 2) are 6 of (2, 8). Else the matrices
    stay, and the slices are the rows of each block.
    """
    if sizes is None:
        return of, (slice(0, of.rows),)
    if len({*sizes}) == 1:
        whole = Geometry(of.count * len(sizes), sizes[0], of.columns)
        return whole, (slice(0, whole.rows),)
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    return of, tuple(slice(end - size, end) for end, size in zip(ends, sizes, strict=True))


def extent_of(of: Geometry, extent: Extent) -> tuple[int, int]:
    """The rows and columns of what is kept of one matrix."""
    return {
        "weight": (of.rows, of.columns), "row": (of.rows, 1), "column": (1, of.columns),
        "left": (of.rows, of.rows), "right": (of.columns, of.columns), "least": (min(of.rows, of.columns),) * 2,
    }[extent]  # fmt: skip
