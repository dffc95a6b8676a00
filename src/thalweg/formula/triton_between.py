"""What stands between two passes on a GPU: totals of their tiles' sums, and the rows of coefficients that follow.

One small kernel for each pass whose coefficients the host does not know when the step begins: those that depend on
sums, on a gradient scaler's numbers, on whether steps have been left out. All of it is in float64; powers, of a step's
number mostly, are exp2(t log2 b). Nothing waits for the device.

    numbers     float64 (rows, names): a step's numbers as the host knows them, a copy of `Numbers.values`
    first_tile  int64 (tensors + 1,): where each tensor's tiles begin
    taken       float64 (tensors,): the step counts, where only the device knows them; if ``each`` is 1 a row reads its
                own tensor's, if it is 0 the first one's
    kept        float64 (scalars, tensors): a rule's scalars, where only the device knows them; each tensor has its own
                copy of those that are a group's, or for all
    grads       int64 (tensors,): where gradients are, 0 for an absent one, which changes no scalar
    found, scale  float32 (1,): a gradient scaler's; 0 and 1 without one
    stop        float32 (1,): set to other than 0 if the step is to be left out; left_out, float64 (1,): how many were
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from functools import cache

from . import chain
from .expression import Expression, constant, leaves, number
from .triton import Text

ROWS, TILES = 32, 1_024
"""Rows, and tiles, that a program takes at a time."""


@dataclass(frozen=True)
class Total:
    """A total that becomes a number of the step.

    ``name``       of the number; ``place``, which of a tile's totals it is.
    ``by_tensor``  of each tensor its own; else over all tiles.
    ``clip``       the number is `chain.norm_scale` of it; ``raw``: it is of gradients that have not been unscaled.
    """

    name: str
    place: int
    by_tensor: bool
    clip: bool = False
    raw: bool = False


@dataclass(frozen=True)
class Between:
    """What a kernel is to do.

    ``names``  those of the step's numbers; ``width``, how many totals a tile has; ``apart``, whether there are totals
               of each tensor, which then has a row of its own, and a program.
    ``first``  whether it is the first of a step, and sets ``stop``; ``guard``: also where the first of a tile's totals,
               over all, is not finite.
    ``counted``  whether the device counts the steps, and the step's number is one more than ``taken``.
    ``scalars``  the numbers that are ``kept``; ``nexts``, in the last kernel of a step, their next values.
    ``common``   those of them that are one for all: their next values follow from the first row's numbers.
    """

    names: tuple[str, ...]
    totals: tuple[Total, ...]
    width: int
    apart: bool
    first: bool
    guard: bool = False
    counted: bool = False
    scalars: tuple[str, ...] = ()
    nexts: tuple[Expression, ...] = ()
    common: frozenset[str] = frozenset()


ARGUMENTS = (
    "numbers", "count", "rows", "sums", "tiles", "first_tile", "clip_norm", "clip_eps", "taken", "each", "kept",
    "tensors", "grads", "found", "scale", "stop", "left_out",
)  # fmt: skip


def between(name: str, what: Between, coefficients: Sequence[Expression], real: str) -> str:
    """The kernel that makes rows of these coefficients, of ``real`` numbers; a program for each `ROWS` of them, or for
    each where they are ``apart``."""
    text = Text("float64")
    put, width = text.put, len(what.names)
    if what.apart:
        put("row = tl.program_id(0)")
        put("there = row < count")
    else:
        put("row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)")
        put("there = row < count")
    joined = {total.name for total in what.totals}
    asked = leaves((*coefficients, *what.nexts), "number") | {"unscale"}
    given = asked - joined - {*what.scalars} - ({"t"} if what.counted else set())
    for i, each in enumerate(what.names):
        if each in given:
            put(f"n_{each} = tl.load(numbers + row * {width} + {i}, mask=there, other=1.0)")
            text.names[number(each)] = f"n_{each}"
    put("n_unscale = n_unscale / tl.load(scale).to(tl.float64)")
    if "t" in asked - given:
        put("n_t = tl.load(taken + row * each, mask=there, other=0.0) + 1.0")
        text.names[number("t")] = "n_t"
    for k, each in enumerate(what.scalars):
        if each in asked:
            put(f"n_{each} = tl.load(kept + {k} * tensors + row, mask=there, other=1.0)")
            text.names[number(each)] = f"n_{each}"
    if what.first:
        put("stopped = tl.load(found)")
    if what.guard:
        # A finite number less itself is 0; all else is nan.
        put(f"everything = total(sums, 0, tiles, {what.width}, 0, TILES)")
        put("stopped = tl.where(everything - everything == 0.0, stopped, 1.0)")
    for total in what.totals:
        _total(text, total, what)
    if what.first:
        put("if tl.program_id(0) == 0:")
        put("    tl.store(stop, stopped)")
        put("    tl.store(left_out, tl.load(left_out) + tl.where(stopped != 0.0, 1.0, 0.0))")
    for i, coefficient in enumerate(coefficients):
        value = text.value(_decided(coefficient))
        put(f"tl.store(rows + row * {len(coefficients)} + {i}, {value}.to(tl.{real}), mask=there)")
    if what.nexts:
        _scalars(text, what, given)
    arguments = [*ARGUMENTS, "ROWS: tl.constexpr", "TILES: tl.constexpr"]
    return f"@triton.jit\ndef {name}({', '.join(arguments)}):\n" + "\n".join(text.lines) + "\n"


def _scalars(text: Text, what: Between, given: Set[str]) -> None:
    """Store the next scalars of tensors that take the step, once all of them are known."""
    put, nexts = text.put, dict(zip(what.scalars, what.nexts, strict=True))
    if not what.first:
        put("stopped = tl.load(stop)")
    put("present = there & (tl.load(grads + row, mask=there, other=0) != 0)")
    for name in nexts.keys() - what.common:
        put(f"next_{name} = {text.value(_decided(nexts[name]))}")
    own = {number(name): text.names[number(name)] for name in leaves(what.nexts, "number")}
    asked = leaves([nexts[name] for name in what.common], "number")
    for i, each in enumerate(what.names):
        if each in asked & given - {"unscale"}:
            put(f"first_{each} = tl.load(numbers + {i})")
            own[number(each)] = f"first_{each}"
    text.names = own
    for name in nexts.keys() & what.common:
        put(f"next_{name} = {text.value(_decided(nexts[name]))}")
    put("if stopped == 0.0:")
    for k, name in enumerate(what.scalars):
        put(f"    tl.store(kept + {k} * tensors + row, next_{name}, mask=present)")


def _total(text: Text, total: Total, what: Between) -> None:
    put, name = text.put, f"n_{total.name}"
    of = "tl.load(first_tile + row), tl.load(first_tile + row + 1)" if total.by_tensor else "0, tiles"
    put(f"{name} = total(sums, {of}, {what.width}, {total.place}, TILES)")
    if not what.apart:
        put(f"{name} = tl.zeros([ROWS], tl.float64) + {name}")
    if total.raw:
        put(f"{name} = {name} * (n_unscale * n_unscale)")
    if total.clip:
        squares, norm, eps = (number(each) for each in ("squares", "clip_norm", "clip_eps"))
        text.names |= {squares: name, norm: "limit", eps: "added"}
        put("limit = tl.full((), clip_norm, tl.float64)")
        put("added = tl.full((), clip_eps, tl.float64)")
        name = text.value(chain.norm_scale(squares, norm, eps))
    text.names[number(total.name)] = name
    place = what.names.index(total.name)
    put(f"tl.store(numbers + row * {len(what.names)} + {place}, {name}, mask=there)")


@cache
def _decided(e: Expression) -> Expression:
    """A choice between constants that has been made: of two sides, one is left."""
    if e.op == "where" and e.arguments[0].op == "constant":
        return _decided(e.arguments[1 if e.arguments[0].arguments[0] else 2])
    if e.op in ("constant", "number"):
        return e
    return Expression(e.op, tuple(_decided(a) if isinstance(a, Expression) else constant(a) for a in e.arguments))
