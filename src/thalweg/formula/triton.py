"""The `triton` reader: a pass as one GPU kernel over any number of tensors, as text that Triton compiles.

A program takes one tile of one tensor, a block of weights at a time. Where tensors are stands in a table on the device,
so that there may be any number of them:

    tiles    int64 (tiles, 3): tensor, first weight, how many: `TILE`, but for a tensor's last tile
    columns  int64 (operands, tensors): addresses; where the gradient's is 0 nothing is done
    row_of   int64 (tensors,), rows (rows, width): coefficients, as on the CPU; or they are arguments
    sums     float64 (tiles, totals): what each tile has added up
    stop     float32 (1,): other than 0 if nothing is to be done at all; see `triton_between`
    taken    float64 (tensors,): step counts that only the device knows, which the update counts on: see ``counts``
    shapes   int64 (tensors, 2): the rows and columns of a tensor's matrices, at least 1; where something is by line

Where every address is a multiple of 16 bytes, blocks that are full are read and written without a mask, 16 bytes at
a time, or 8 of half precision where operands are many (`triton_kernel.block`); all others under one.
Arithmetic is that of the CPU's kernels, operation by operation: `triton_functions`.
"""

import math
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from .expression import COMPARISONS, LEAVES, Expression, coefficient, leaf
from .lower import Kernel
from .operations import OPERATIONS

WARPS, VECTOR = 4, 16
"""Of a program, each of 32 threads; the bytes that a thread reads at once."""
TILE = 4_096
"""Weights of a tile: several blocks, so that a program's sums are added among its threads once."""

# What is no name in Python, or no operator that rounds as IEEE 754 does.
_CALLED = {"/": "divided", "**": "power", "neg": "negated"}

_HEAD = """import triton
import triton.language as tl

from thalweg.formula.triton_functions import (
    abs, by_thread, cos, divided, exp, floor, log, maximum, minimum, negated, power, sin, sqrt, total, where
)

"""


def module(*functions: str) -> str:
    """The text of a module with these kernels."""
    return _HEAD + "\n\n".join(functions)


@dataclass
class Text:
    """Lines under construction, and the name of every expression that has been computed."""

    real: str
    depth: int = 1
    lines: list[str] = field(default_factory=list)
    names: dict[Expression, str] = field(default_factory=dict)

    def put(self, line: str) -> None:
        self.lines.append("    " * self.depth + line)

    def value(self, e: Expression) -> str:
        """The name of an expression's value."""
        if e not in self.names:
            written = self._written(e)
            if e.op == "constant":
                return written
            self.names[e] = f"x{len(self.names)}"
            self.put(f"{self.names[e]} = {written}")
        return self.names[e]

    def _written(self, e: Expression) -> str:
        if e.op == "constant":
            written = f"tl.full((), {literal(e.arguments[0], self.real)}, tl.{self.real})"
            return f"negated({written})" if written.startswith("tl.full((), -0.0,") else written
        a = [self.value(x) for x in e.arguments]
        if e.op in COMPARISONS or (OPERATIONS[e.op].infix and e.op not in _CALLED):
            return f"{a[0]} {e.op} {a[1]}"
        return f"{_CALLED.get(e.op, e.op)}({', '.join(a)})"


def literal(value: float, real: str) -> str:
    """A number as Python writes it, rounded to float32 first where the kernel is of that."""
    with np.errstate(over="ignore"):
        rounded = float(np.float32(value)) if real == "float32" else float(value)
    return repr(rounded) if math.isfinite(rounded) else f'float("{rounded}")'


def walk(
    name: str, kernel: Kernel, dtypes: Mapping[str, str], real: str, places: Mapping[str, int], uniform: bool,
    counts: bool = False, extents: Mapping[str, str] = {},
) -> str:  # fmt: skip
    """The kernel of a pass.

    ``dtypes``   the element type of each operand in memory, as torch names it; ``real``: float32 or float64.
    ``places``   which row of ``columns`` each operand is.
    ``uniform``  whether coefficients, the same for all tensors, are the last arguments, in place of rows.
    ``counts``   whether to count the step in ``taken``, of each tensor that has a gradient, unless it is left out.
    ``extents``  of which operands there is one by row or by column, not by weight.
    """
    by = {operand: extents.get(operand, "weight") for operand in kernel.operands}
    lined = [operand for operand in kernel.operands if by[operand] != "weight"]
    width, totals = len(kernel.coefficients), len(kernel.totals)
    given = [*(["shapes"] if lined else []), *(["taken"] if counts else [])]
    given += row_arguments(width, uniform)
    text = Text(real)
    put = text.put
    put("tile = tl.program_id(0).to(tl.int64)")
    put("tensor = tl.load(tiles + 3 * tile)")
    put("start = tl.load(tiles + 3 * tile + 1)")
    put("count = tl.load(tiles + 3 * tile + 2).to(tl.int32)")
    for k in range(totals):
        put(f"added{k} = tl.zeros([LANES], tl.float64)")
    addresses(text, kernel.operands, places)
    put("stopped = tl.load(stop) != 0.0")
    if counts:
        put("if (at_g != 0) & (start == 0):")
        put("    tl.store(taken + tensor, tl.load(taken + tensor) + tl.where(stopped, 0.0, 1.0))")
    put("if (at_g != 0) & (stopped == 0):")
    text.depth = 2
    coefficients(text, width, uniform)
    for operand in kernel.operands:
        begin = pointer(operand, dtypes[operand])
        put(f"b_{called(operand)} = {begin if operand in lined else f'{begin} + start'}")
    if lined:
        _begin_lines(put, {*by.values()})
    put(f"aligned = ({' | '.join(f'at_{operand}' for operand in kernel.operands if operand not in lined)}) % 16 == 0")
    put("full = tl.where(aligned, count // BLOCK * BLOCK, 0)")
    for masked in (False, True):
        text.depth = 2
        put("for first in range(full, count, LANES):" if masked else "for first in range(0, full, BLOCK):")
        text.depth = 3
        _block(text, kernel, dtypes, by, masked)
    text.depth = 1
    for k in range(totals):
        put(f"tl.store(sums + tile * {totals} + {k}, tl.sum(added{k}, axis=0))")
    arguments = ["tiles", "columns", "tensors", "sums", "stop", *given, "BLOCK: tl.constexpr", "LANES: tl.constexpr"]
    return f"@triton.jit\ndef {name}({', '.join(arguments)}):\n" + "\n".join(text.lines) + "\n"


def called(operand: str) -> str:
    """An operand's name within Python's: that of what is kept aside ("row 1") begins with a digit, as no other does."""
    return "".join(reversed(operand.split(" ")))


def addresses(text: Text, operands: Iterable[str], places: Mapping[str, int]) -> None:
    """Where a tensor's part of every operand begins."""
    for operand in operands:
        text.put(f"at_{called(operand)} = tl.load(columns + {places[operand]} * tensors + tensor)")


def pointer(operand: str, dtype: str) -> str:
    """Where an operand begins, as a pointer."""
    return f"at_{called(operand)}.to(tl.pointer_type(tl.{dtype}))"


def row_arguments(width: int, uniform: bool) -> list[str]:
    """The arguments that a kernel has its coefficients from."""
    return [f"c{i}" for i in range(width)] if uniform else ["row_of", "rows"]


def coefficients(text: Text, width: int, uniform: bool) -> None:
    """A tensor's row of coefficients, c0 and on."""
    if width and not uniform:
        text.put("row = tl.load(row_of + tensor)")
    for i in range(width):
        at = f"tl.load(rows + row * {width} + {i})"
        text.put(f"c{i} = tl.full((), c{i}, tl.{text.real})" if uniform else f"c{i} = {at}")


def _begin_lines(put: Callable[[str], None], extents: Container[str]) -> None:
    """In which row a tile begins, and how many of its weights are left in it; of a row or matrix longer than a tile
    no more is asked than that it ends in another one."""
    put("long = tl.load(shapes + 2 * tensor + 1)")
    put("first_row = start // long")
    put(f"left = tl.minimum(long - start % long, {TILE}).to(tl.int32)")
    put(f"wide = tl.minimum(long, {TILE}).to(tl.int32)")
    if "column" in extents:
        put("high = tl.load(shapes + 2 * tensor)")
        put(f"below = tl.minimum(high - first_row % high, {TILE}).to(tl.int32)")
        put(f"tall = tl.minimum(high, {TILE}).to(tl.int32)")


def _lines(put: Callable[[str], None], extents: Container[str]) -> None:
    """The row and the column, counted through all matrices of the tensor, of each weight of a block."""
    put("begun = tl.where(lanes < left, 0, (lanes - left) // wide + 1)")
    put("in_row = first_row + begun")
    if "column" in extents:
        put("ended = tl.where(begun < below, 0, (begun - below) // tall + 1)")
        put("in_column = (first_row // high + ended) * long + (start + lanes - in_row * long)")


def _block(text: Text, kernel: Kernel, dtypes: Mapping[str, str], by: Mapping[str, str], masked: bool) -> None:
    """A block of weights: read, compute, add up, write.

    All is read before anything is written, and written as soon as it is known, the states before the weights: what is
    written needs no register while roots and quotients are worked out.
    """
    put, real = text.put, text.real
    text.names = {leaf(by[operand], operand): f"v_{called(operand)}" for operand in kernel.operands}
    text.names |= {coefficient(i): f"c{i}" for i in range(len(kernel.coefficients))}
    if masked:
        put("lanes = first + tl.arange(0, LANES)")
        put("there = lanes < count")
    else:
        put("lanes = tl.multiple_of(first, BLOCK) + tl.arange(0, BLOCK)")
    if {*by.values()} != {"weight"}:
        _lines(put, {*by.values()})
    for operand in kernel.operands:
        name = called(operand)
        begin = f"b_{name}" if masked or by[operand] != "weight" else f"tl.multiple_of(b_{name}, 16)"
        put(f"p_{name} = {begin} + {'lanes' if by[operand] == 'weight' else f'in_{by[operand]}'}")
        load = f"tl.load(p_{name}, mask=there, other=0.0)" if masked else f"tl.load(p_{name})"
        put(f"v_{name} = {load}.to(tl.{real})")
    for k, total in enumerate(kernel.totals):
        term(text, total, f"t{k}", "v_g.shape")
        put(f"added{k} += {f'tl.where(there, t{k}, 0.0)' if masked else f'by_thread(t{k}, LANES)'}")
    for operand, e in sorted(kernel.writes, key=lambda write: _slow(write[1])):
        mask = ", mask=there" if masked else ""
        put(f"tl.store(p_{operand}, {rounded(spread(text, e, 'v_g.shape'), dtypes[operand], real)}{mask})")


def term(text: Text, total: Expression, name: str, shape: str) -> None:
    """Have a name be what each weight adds to a total, in float64; squares are taken in it, so that none is lost."""
    if total.op == "*" and total.arguments[0] == total.arguments[1]:
        factor = spread(text, total.arguments[0], shape)
        text.put(f"{name}_root = {factor}.to(tl.float64)")
        text.put(f"{name} = {name}_root * {name}_root")
    else:
        text.put(f"{name} = {spread(text, total, shape)}.to(tl.float64)")


@cache
def _slow(e: Expression) -> bool:
    """Whether a value takes a root, a quotient or a function of weights."""
    if e.op in LEAVES:
        return False
    return e.op in ("/", "sqrt", "exp", "log", "cos", "sin") or any(map(_slow, e.arguments))


def spread(text: Text, e: Expression, shape: str) -> str:
    """The name of a value, one for each weight of a block."""
    value = text.value(e)
    return value if _of_weights(e) else f"tl.broadcast_to({value}, {shape})"


@cache
def _of_weights(e: Expression) -> bool:
    """Whether a value depends on a weight itself."""
    return e.op == "weight" or (e.op not in LEAVES and any(_of_weights(a) for a in e.arguments))


def rounded(value: str, dtype: str, real: str) -> str:
    """A value as it is stored; float64 becomes half precision by way of float32, as on the CPU."""
    if dtype == real:
        return value
    if real == "float64" and dtype in ("float16", "bfloat16"):
        return f"{value}.to(tl.float32).to(tl.{dtype})"
    return f"{value}.to(tl.{dtype})"
