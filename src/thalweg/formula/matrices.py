"""The words of a rule's ``matrix``, beside those of `vocabulary`, on torch, NumPy and JAX arrays and on symbols.

An array is a stack of matrices, shape (..., rows, columns); what is one number of each row, of each column or of each
matrix keeps its place: (..., rows, 1), (..., 1, columns), (..., 1, 1). Products are written ``a @ b``.

    def step(x, a, b, c):
        y = x @ transpose(x)
        return a * x + (b * y + c * (y @ y)) @ x

    x = repeat(step, coefficients, u / norm(u))      # a step for each entry (a, b, c) of the list
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from .expression import Expression, apply, number, weight

CARRIED = "carried"
"""What the name of a value that a repeat carries from step to step begins with, in expressions."""


def transpose(x: Any) -> Any:
    """Rows and columns exchanged."""
    return apply("transpose", x) if isinstance(x, Expression) else x.mT


def norm(x: Any) -> Any:
    """The Frobenius norm of each matrix."""
    if isinstance(x, Expression):
        return apply("norm", x)
    return library(x).linalg.vector_norm(x, **_over(x, (-2, -1)))


def row_sums(x: Any) -> Any:
    """The sum over each row."""
    return apply("row_sums", x) if isinstance(x, Expression) else x.sum(**_over(x, -1))


def column_sums(x: Any) -> Any:
    """The sum over each column."""
    return apply("column_sums", x) if isinstance(x, Expression) else x.sum(**_over(x, -2))


def total(x: Any) -> Any:
    """The sum over each matrix."""
    return apply("total", x) if isinstance(x, Expression) else x.sum(**_over(x, (-2, -1)))


def trace(x: Any) -> Any:
    """The sum over the diagonal of each matrix."""
    if isinstance(x, Expression):
        return apply("trace", x)
    return library(x).einsum("...ii->...", x)[..., None, None]


def identity(x: Any) -> Any:
    """The identity matrix, of the size of the square matrix x."""
    if isinstance(x, Expression):
        return apply("identity", x)
    like = {"device": x.device} if _is_torch(x) else {}
    eye = library(x).eye(x.shape[-1], dtype=x.dtype, **like)
    return library(x).broadcast_to(eye, x.shape)


def qr(x: Any) -> Any:
    """The orthonormal factor of each matrix: what Householder's QR gives, signs included."""
    return apply("qr", x) if isinstance(x, Expression) else library(x).linalg.qr(x)[0]


def eigh(x: Any) -> tuple[Any, Any]:
    """Eigenvalues in descending order, (..., 1, n), and eigenvectors, as columns, of symmetric matrices.

    Those of a matrix that is not finite are nan.
    """
    if isinstance(x, Expression):
        return apply("eigenvalues", x), apply("eigenvectors", x)
    of = library(x)
    finite = of.isfinite(x.sum(**_over(x, (-2, -1))))
    values, vectors = of.linalg.eigh(of.where(finite, x, of.zeros_like(x)))
    nan = of.zeros_like(x) * float("nan")
    back = slice(None, None, -1)
    values, vectors = (x.flip(-1) if _is_torch(x) else x[..., back] for x in (values, vectors))
    return of.where(finite, values[..., None, :], nan[..., :1, :]), of.where(finite, vectors, nan)


def descending(x: Any) -> Any:
    """The permutation p for which the diagonal of transpose(p) @ x @ p descends; equal ones keep their order."""
    if isinstance(x, Expression):
        return apply("descending", x)
    of = library(x)
    order = of.argsort(-of.diagonal(x, 0, -2, -1), **({"dim": -1} if _is_torch(x) else {"axis": -1}), stable=True)
    like = {"device": x.device} if _is_torch(x) else {}
    return (of.arange(x.shape[-1], **like)[:, None] == order[..., None, :]) * of.ones_like(x)


@dataclass(frozen=True)
class Named:
    """A list of coefficients that stands for itself: `repeat` over it is one operation, its body written once."""

    name: str
    width: int

    def __getitem__(self, part: slice) -> "Named":
        ends = ("" if end is None else str(end) for end in (part.start, part.stop))
        return Named(f"{self.name}[{':'.join(ends)}]", self.width)


def repeat(body: Callable[..., Any], coefficients: Any, *values: Any) -> Any:
    """``values = body(*values, *entry)`` for each entry of a list, in order; a body of one value returns it plainly.

    Of a `Named` list, the expression ``repeat(list, which, many, a, b, c, carried..., start..., next...)``: ``which``
    of ``many`` values it is, from 0; the numbers of an entry; what stands for each value while it is carried, what it
    starts as, and what a step makes of it.
    """
    if isinstance(coefficients, Named):
        return _told(body, coefficients, values)
    for entry in coefficients:
        made = body(*values, *entry)
        values = made if isinstance(made, tuple) else (made,)
    return values if len(values) > 1 else values[0]


WORDS: tuple[Callable[..., Any], ...] = (
    transpose, norm, row_sums, column_sums, total, trace, identity, qr, eigh, descending, repeat,
)  # fmt: skip

_serial = count(1)


def _told(body: Callable[..., Any], coefficients: Named, values: Sequence[Any]) -> Any:
    serial = next(_serial)
    code: Any = body.__code__
    names = code.co_varnames[: code.co_argcount]
    carried = [weight(f"{CARRIED} {serial} {name}") for name in names[: len(values)]]
    entry = [number(name) for name in names[len(values) :]]
    made = body(*carried, *entry)
    after = made if isinstance(made, tuple) else (made,)
    listed = number(coefficients.name)
    many = len(values)
    about = [number(str(many)), *entry, *carried, *values, *after]
    told = tuple(apply("repeat", listed, number(str(i)), *about) for i in range(many))
    return told if len(told) > 1 else told[0]


def _is_torch(x: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(x, torch.Tensor)


def library(x: Any) -> Any:
    """The module that an array's functions are in; it is loaded, since there is an array."""
    if _is_torch(x):
        return sys.modules["torch"]
    jax = sys.modules.get("jax")
    return jax.numpy if jax is not None and isinstance(x, jax.Array) else sys.modules["numpy"]


def _over(x: Any, axes: int | tuple[int, int]) -> dict[str, Any]:
    """Along these axes, which stay with the size 1."""
    return {"dim": axes, "keepdim": True} if _is_torch(x) else {"axis": axes, "keepdims": True}
