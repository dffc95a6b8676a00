"""Kernels for lines that lie across memory, as columns: channels last, and batches of features.

Three walks: one takes every column's own numbers, part by part, one joins the parts, one writes. Inside a part, a
block of rows is small enough to stay in the nearest cache.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

from thalweg.formula.expression import number
from thalweg.formula.llvm import compute_type
from thalweg.formula.loops import Body, Loops
from thalweg.formula.vectors import Registers

from . import formulas
from .lines import BIAS, DY, EPS, MEAN, MEAN_G, MEAN_GZ, SCALE, SPREAD, WEIGHT, X

# Numbers in a vector at most, of float32, measured.
WIDEST = 64
# A claim is one part of the rows in one tile of the columns; of a part, BLOCK rows are worked on at a time.
SIZES = ("ROWS", "COLUMNS", "PART", "TILES", "TILE", "BLOCK")
# What has a row for each part: MEANS, SQUARES, PRODUCTS and GRADIENTS, all float64.
STATISTICS = ("X", "MEANS", "SQUARES")
OUTPUTS = ("X", "MEAN", "SCALE", "WEIGHT", "BIAS", "Y")
SUMS = ("X", "DY", "MEAN", "SCALE", "PRODUCTS", "GRADIENTS")
INPUT_GRADIENTS = ("X", "DY", "MEAN", "SCALE", "WEIGHT", "MEAN_GZ", "MEAN_G", "DX")
# Of the walks that join the parts. EPS is the address of a float64 number; SPREAD is the variance, float64.
JOINED_SIZES = ("PARTS", "ROWS", "PART", "COLUMNS")
JOINED_STATISTICS = ("MEANS", "SQUARES", "EPS", "MEAN", "SCALE", "SPREAD")
JOINED_SUMS = ("PRODUCTS", "GRADIENTS", "WEIGHT", "DWEIGHT", "DBIAS", "MEAN_GZ", "MEAN_G")

_N, _MEAN_N, _M, _MEAN_M = (number(name) for name in ("n", "mean_n", "m", "mean_m"))


@dataclass(frozen=True)
class Columns:
    """Which kernel: element types as torch names them, and the numbers in a vector."""

    x: str
    weight: str | None
    bias: str | None
    width: int

    @property
    def real(self) -> str:
        """What is computed in, and the type of a column's own numbers."""
        return compute_type({"x": self.x})


@cache
def statistics(kind: Columns) -> str:
    """For each part and column: the mean, and the sum of squares around it."""
    walk = _Walk(kind, STATISTICS)
    wide = walk.beside(kind.width, "float64")
    more_mean, more_squares = formulas.joined(_N, _MEAN_N, _M, _MEAN_M)
    with walk.blocks() as block:
        n, m = (walk.as_double(count) for count in (block.done, block.rows))

        def group(column: str, mask: str | None) -> None:
            total, squares = (walk.variable(wide.vector, "zeroinitializer") for _ in range(2))
            with block.each_row(column) as at:
                walk.add_to(total, wide.vector, walk.doubled(walk.read(kind.x, "X", at, mask)))
            rows = wide.spread("double", m)
            mean = wide.new(f"fdiv {wide.vector} {walk.get(total, wide.vector)}, {rows}")
            with block.each_row(column) as at:
                x = walk.doubled(walk.read(kind.x, "X", at, mask))
                walk.add_to(squares, wide.vector, wide.value(formulas.squared(X, MEAN), {X: x, MEAN: mean}))
            slot = walk.plus(block.row_of_sums, column)
            known: Registers = {
                _N: wide.spread("double", n),
                _M: rows,
                _MEAN_N: wide.load("float64", walk.place("float64", "MEANS", slot), mask),
                _MEAN_M: mean,
            }
            walk.accumulate("MEANS", slot, wide.value(more_mean, known), mask)
            own, between = walk.get(squares, wide.vector), wide.value(more_squares, known)
            walk.accumulate("SQUARES", slot, wide.new(f"fadd {wide.vector} {own}, {between}"), mask)

        block.each_group(group)
    return walk.text()


@cache
def joined_statistics(kind: Columns) -> str:
    """Each column's mean, scale and variance."""
    walk = Loops(kind.width, kind.real, JOINED_STATISTICS, JOINED_SIZES)
    wide = walk.beside(kind.width, "float64")
    more_mean, more_squares = formulas.joined(_N, _MEAN_N, _M, _MEAN_M)
    size = walk.size_of
    eps = wide.spread("double", walk.read_one("double", "EPS", "0"))
    every = wide.spread("double", walk.as_double(size["ROWS"]))

    def group(column: str, mask: str | None) -> None:
        mean, squares = (walk.variable(wide.vector, "zeroinitializer") for _ in range(2))
        with walk.loop("0", size["PARTS"]) as part:
            first = walk.times(part, size["PART"])
            rows = walk.least(walk.new(f"sub i64 {size['ROWS']}, {first}"), size["PART"])
            slot = walk.plus(walk.times(part, size["COLUMNS"]), column)
            known: Registers = {
                _N: wide.spread("double", walk.as_double(first)),
                _M: wide.spread("double", walk.as_double(rows)),
                _MEAN_N: walk.get(mean, wide.vector),
                _MEAN_M: wide.load("float64", walk.place("float64", "MEANS", slot), mask),
            }
            own = wide.load("float64", walk.place("float64", "SQUARES", slot), mask)
            walk.add_to(mean, wide.vector, wide.value(more_mean, known))
            walk.add_to(squares, wide.vector, own)
            walk.add_to(squares, wide.vector, wide.value(more_squares, known))
        spread = wide.new(f"fdiv {wide.vector} {walk.get(squares, wide.vector)}, {every}")
        wide.store("float64", spread, walk.place("float64", "SPREAD", column), mask)
        scale = wide.value(formulas.scale(SPREAD, EPS), {SPREAD: spread, EPS: eps})
        wide.store(kind.real, walk.get(mean, wide.vector), walk.place(kind.real, "MEAN", column), mask)
        wide.store(kind.real, scale, walk.place(kind.real, "SCALE", column), mask)

    with walk.claimed():
        walk.each("0", size["COLUMNS"], group)
    return walk.text()


@cache
def outputs(kind: Columns) -> str:
    """y, from each column's mean and scale."""
    walk = _Walk(kind, OUTPUTS)
    z = formulas.normalised(X, MEAN, SCALE)
    y = formulas.output(z, WEIGHT if kind.weight else None, BIAS if kind.bias else None)
    with walk.blocks() as block:

        def group(column: str, mask: str | None) -> None:
            known = walk.own(column, mask)
            with block.each_row(column) as at:
                registers = known | {X: walk.read(kind.x, "X", at, mask)}
                walk.write(kind.x, walk.value(y, registers), "Y", at, mask)

        block.each_group(group)
    return walk.text()


@cache
def sums(kind: Columns) -> str:
    """For each part and column: the sums of dy * z and of dy."""
    walk = _Walk(kind, SUMS)
    summed = {"PRODUCTS": DY * formulas.normalised(X, MEAN, SCALE), "GRADIENTS": DY}
    with walk.blocks() as block:

        def group(column: str, mask: str | None) -> None:
            known = walk.own(column, mask)
            lanes = {name: walk.variable(walk.vector, "zeroinitializer") for name in summed}
            with block.each_row(column) as at:
                registers = known | {X: walk.read(kind.x, "X", at, mask), DY: walk.read(kind.x, "DY", at, mask)}
                for name, term in summed.items():
                    walk.add_to(lanes[name], walk.vector, walk.value(term, registers))
            slot = walk.plus(block.row_of_sums, column)
            for name, variable in lanes.items():
                walk.accumulate(name, slot, walk.doubled(walk.get(variable, walk.vector)), mask)

        block.each_group(group)
    return walk.text()


@cache
def joined_sums(kind: Columns) -> str:
    """The gradients of weight and bias, and the means of g and g * z."""
    walk = Loops(kind.width, kind.real, JOINED_SUMS, JOINED_SIZES)
    wide = walk.beside(kind.width, "float64")
    size = walk.size_of
    every = wide.spread("double", walk.as_double(size["ROWS"]))

    def group(column: str, mask: str | None) -> None:
        weight = walk.doubled(walk.read(kind.weight, "WEIGHT", column, mask)) if kind.weight else None
        for of_parts, gradient, mean_name in (("PRODUCTS", "DWEIGHT", "MEAN_GZ"), ("GRADIENTS", "DBIAS", "MEAN_G")):
            total = walk.variable(wide.vector, "zeroinitializer")
            with walk.loop("0", size["PARTS"]) as part:
                slot = walk.plus(walk.times(part, size["COLUMNS"]), column)
                walk.add_to(total, wide.vector, wide.load("float64", walk.place("float64", of_parts, slot), mask))
            found = walk.get(total, wide.vector)
            wide.store(kind.real, found, walk.place(kind.real, gradient, column), mask)
            mean = wide.new(f"fdiv {wide.vector} {found}, {every}")
            weighted = mean if weight is None else wide.new(f"fmul {wide.vector} {mean}, {weight}")
            wide.store(kind.real, weighted, walk.place(kind.real, mean_name, column), mask)

    with walk.claimed():
        walk.each("0", size["COLUMNS"], group)
    return walk.text()


@cache
def input_gradients(kind: Columns) -> str:
    """The gradient of x, from the means of g and g * z over each column."""
    walk = _Walk(kind, INPUT_GRADIENTS)
    g = DY * WEIGHT if kind.weight else DY
    dx = formulas.input_gradient(g, formulas.normalised(X, MEAN, SCALE), SCALE, MEAN_G, MEAN_GZ)
    with walk.blocks() as block:

        def group(column: str, mask: str | None) -> None:
            known = walk.own(column, mask)
            with block.each_row(column) as at:
                registers = known | {X: walk.read(kind.x, "X", at, mask), DY: walk.read(kind.x, "DY", at, mask)}
                walk.write(kind.x, walk.value(dx, registers), "DX", at, mask)

        block.each_group(group)
    return walk.text()


class _Walk(Loops):
    """Loops over the blocks that are claimed, and over groups of columns in each."""

    def __init__(self, kind: Columns, addresses: tuple[str, ...]) -> None:
        super().__init__(kind.width, kind.real, addresses, SIZES)
        self.kind = kind

    @contextmanager
    def blocks(self) -> Iterator["_Block"]:
        size = self.size_of
        with self.claimed() as claim:
            part = self.new(f"sdiv i64 {claim}, {size['TILES']}")
            first = self.times(part, size["PART"])
            last = self.least(self.plus(first, size["PART"]), size["ROWS"])
            left = self.times(self.new(f"srem i64 {claim}, {size['TILES']}"), size["TILE"])
            right = self.least(self.plus(left, size["TILE"]), size["COLUMNS"])
            with self.loop(first, last, size["BLOCK"]) as top:
                bottom = self.least(self.plus(top, size["BLOCK"]), last)
                done, rows = self.new(f"sub i64 {top}, {first}"), self.new(f"sub i64 {bottom}, {top}")
                yield _Block(self, top, bottom, left, right, done, rows, self.times(part, size["COLUMNS"]))

    def own(self, column: str, mask: str | None) -> Registers:
        """The columns' own numbers, where the kernel is given them."""
        of_kind = {WEIGHT: ("WEIGHT", self.kind.weight), BIAS: ("BIAS", self.kind.bias)}
        own = {MEAN: "MEAN", SCALE: "SCALE", MEAN_G: "MEAN_G", MEAN_GZ: "MEAN_GZ"}
        named = of_kind | {leaf: (name, self.kind.real) for leaf, name in own.items()}
        return {
            leaf: self.read(dtype, name, column, mask)
            for leaf, (name, dtype) in named.items()
            if dtype and name in self.at
        }

    def accumulate(self, name: str, slot: str, term: str, mask: str | None) -> None:
        """Add to float64 numbers in memory."""
        wide = self.beside(self.width, "float64")
        place = self.place("float64", name, slot)
        so_far = wide.load("float64", place, mask)
        wide.store("float64", wide.new(f"fadd {wide.vector} {so_far}, {term}"), place, mask)


@dataclass(frozen=True)
class _Block:
    """Rows from ``top`` to ``bottom``, columns from ``left`` to ``right``; ``done``: rows of the part before it."""

    walk: _Walk
    top: str
    bottom: str
    left: str
    right: str
    done: str
    rows: str
    row_of_sums: str

    def each_group(self, body: Body) -> None:
        """A vector of columns at a time."""
        self.walk.each(self.left, self.right, body)

    @contextmanager
    def each_row(self, column: str) -> Iterator[str]:
        """Where the column's element is in each row of the block."""
        with self.walk.loop(self.top, self.bottom) as row:
            yield self.walk.plus(self.walk.times(row, self.walk.size_of["COLUMNS"]), column)
