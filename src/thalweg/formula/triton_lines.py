"""The `triton` reader of programs by line (`lines`): passes that add up by row or by column.

All other passes over weights are `triton.walk`; walks along lines are in `triton_along`. Here a program takes a
block of one tensor's matrices:

    blocks   int64 (blocks, 7): `BLOCK`; what adds up to one slot of the sums, as a tile does
    targets  int64 (blocks, totals by line): where the totals of a block's first row, or column, go
    shapes   int64 (tensors, 2): the rows and columns of a tensor's matrices, at least 1

A block is as wide as one of three `SHAPES`, and goes down its rows; or it is several small matrices, whose columns are
gone down side by side, and then whose rows are gone along. What it adds up of a row or column that other blocks have
parts of is a part too, and a small kernel, `joining`, adds the parts in their order: bits depend on shapes alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .expression import Expression, coefficient, leaf
from .lower import Kernel
from .triton import Text, addresses, called, coefficients, pointer, row_arguments, term

BLOCK = ("tensor", "kind", "matrix", "matrices", "begin", "so_many", "column")
"""What a block says: its first matrix and how many, its first row in it and how many, and its first column."""
WIDE, SQUARE, NARROW, SEVERAL = range(4)
SHAPES = {WIDE: (2, 256), SQUARE: (16, 32), NARROW: (128, 4)}
"""Rows at a time, and columns: four weights of each thread, which has no registers for twice as many. Of several small
matrices columns are gone down as `WIDE`, rows along as `NARROW`."""
VECTORS = 16
"""Where rows are a multiple of so many weights, and memory begins where vectors do, a wide block is read in vectors."""
JOIN = ("tensor", "parts", "apart", "source", "target", "count")
"""What there is to join: so many parts, so many numbers apart in memory, of so many lines."""
PARTS, LINES = 32, 64
"""Parts at a time, and lines of a program that joins them."""


def added_by_line(
    name: str, kernel: Kernel, totals: Sequence[str], extents: Mapping[str, str], dtypes: Mapping[str, str], real: str,
    places: Mapping[str, int], uniform: bool,
) -> str:  # fmt: skip
    """The kernel of a pass that adds up by row or column, and writes nothing else.

    ``totals`` are the totals' names, ``extents`` as of `CompiledPass`; the others are as for `triton.walk`.
    """
    named = list(zip(totals, kernel.totals, strict=True))
    by_line = [(n, e) for n, e in named if extents.get(n) in ("row", "column")]
    body = _Sums(Text(real), kernel, extents, dtypes, {n: k for k, (n, _) in enumerate(by_line)})
    body.by = {by: [(n, e) for n, e in by_line if extents[n] == by] for by in ("row", "column")}
    body.by["tensor"] = [(str(k), e) for k, (n, e) in enumerate(named) if extents.get(n) not in body.by]
    text, put = body.text, body.text.put
    put("block = tl.program_id(0).to(tl.int64)")
    for i, each in enumerate(BLOCK):
        put(f"{each} = tl.load(blocks + {len(BLOCK)} * block + {i})")
    for k in range(len(named)):
        put(f"slot{k} = tl.full((), 0.0, tl.float64)")
    addresses(text, kernel.operands, places)
    put("stopped = tl.load(stop) != 0.0")
    put("if (at_g != 0) & (stopped == 0):")
    text.depth = 2
    put("high = tl.load(shapes + 2 * tensor)")
    put("long = tl.load(shapes + 2 * tensor + 1)")
    coefficients(text, len(kernel.coefficients), uniform)
    for operand in kernel.operands:
        put(f"b_{called(operand)} = {pointer(operand, dtypes[operand])}")
    for k in range(len(by_line)):
        put(f"to{k} = tl.load(targets + {len(by_line)} * block + {k}).to(tl.pointer_type(tl.float64))")
    by_weight = [f"at_{called(n)}" for n in kernel.operands if extents.get(n, "weight") == "weight"]
    put(f"vectors = (({' | '.join(by_weight)}) % 16 == 0) & (long % {VECTORS} == 0)")
    for kind, shape in SHAPES.items():
        # A condition for each: Triton forgets the names of another one.
        if kind == WIDE:
            body.where(f"(kind == {kind}) & vectors")
            body.down(shape, vectors=True)
        body.where(f"(kind == {kind}) & (vectors == 0)" if kind == WIDE else f"kind == {kind}")
        body.down(shape)
    if body.by["column"] or body.by["tensor"]:
        body.where(f"kind == {SEVERAL}")
        body.down_several()
    if body.by["row"]:
        body.where(f"kind == {SEVERAL}")
        body.along_several()
    text.depth = 1
    for k in range(len(named)):
        put(f"tl.store(sums + block * {len(named)} + {k}, slot{k})")
    given = ["blocks", "columns", "tensors", "sums", "stop", "shapes", "targets"]
    given += row_arguments(len(kernel.coefficients), uniform)
    return f"@triton.jit\ndef {name}({', '.join(given)}):\n" + "\n".join(text.lines) + "\n"


@dataclass
class _Sums:
    """``place``: of each total by line, which of the targets is its. ``by``: the totals, by what there is one of."""

    text: Text
    kernel: Kernel
    extents: Mapping[str, str]
    dtypes: Mapping[str, str]
    place: Mapping[str, int]
    by: dict[str, list[tuple[str, Expression]]] = field(default_factory=dict)
    _known: dict[Expression, str] = field(default_factory=dict)

    def down(self, shape: tuple[int, int], vectors: bool = False) -> None:
        """Down the rows of a block of one matrix; ``vectors``: rows and memory begin where vectors do."""
        put = self.text.put
        # As products of constants, so that the compiler sees what they are multiples of.
        put(f"reach = long // {VECTORS} * {VECTORS}" if vectors else "reach = long")
        put(f"left = column // {shape[1]} * {shape[1]}")
        put(f"across = tl.arange(0, {shape[1]})")
        put("wide = across < reach - left")
        put("in_column = (matrix * reach + left + across)[None, :]")
        if vectors:
            for operand in self.kernel.operands:
                if self.extents.get(operand, "weight") == "weight":
                    put(f"b_{called(operand)} = tl.multiple_of({pointer(operand, self.dtypes[operand])}, 16)")
        self.clear(("column", "tensor"), shape)
        self.loop("first", "so_many", shape[0])
        put(f"down = first + tl.arange(0, {shape[0]})")
        put("tall = down < so_many")
        put("in_row = (matrix * high + begin + down)[:, None]")
        put("in_weight = in_row * reach + (left + across)[None, :]")
        self.read({"row": "tall[:, None]", "column": "wide[None, :]"}, "tall[:, None] & wide[None, :]")
        self.add(("column", "tensor"))
        for n, e in self.by["row"]:
            put(f"tl.store(to{self.place[n]} + down, tl.sum({self.term(e)}, axis=1), mask=tall)")
        self.text.depth -= 1
        self.store("column", "across, tl.sum({}, axis=0), mask=wide")
        self.whole(f"so_many * tl.minimum(reach - left, {shape[1]})")

    def down_several(self) -> None:
        """Down all columns, side by side, of several small matrices."""
        put, shape = self.text.put, SHAPES[WIDE]
        put(f"across = tl.arange(0, {shape[1]})")
        put("wide = across < matrices * long")
        put("in_column = (matrix * long + across)[None, :]")
        put("above = ((matrix + across // long) * high)[None, :]")
        self.clear(("column", "tensor"), shape)
        self.loop("first", "high", shape[0])
        put(f"down = first + tl.arange(0, {shape[0]})")
        put("in_row = above + down[:, None]")
        put("in_weight = in_row * long + (across % long)[None, :]")
        self.read({"column": "wide[None, :]"}, "(down < high)[:, None] & wide[None, :]")
        self.add(("column", "tensor"))
        self.text.depth -= 1
        self.store("column", "across, tl.sum({}, axis=0), mask=wide")
        self.whole("matrices * high * long")

    def along_several(self) -> None:
        """Along all rows, one below the other, of several small matrices."""
        put, shape = self.text.put, SHAPES[NARROW]
        self.loop("start", "matrices * high", shape[0])
        put(f"down = start + tl.arange(0, {shape[0]})")
        put("tall = down < matrices * high")
        put("in_row = (matrix * high + down)[:, None]")
        put("before = ((matrix + down // high) * long)[:, None]")
        self.clear(("row",), shape)
        self.loop("first", "long", shape[1])
        put(f"across = first + tl.arange(0, {shape[1]})")
        put("in_column = before + across[None, :]")
        put("in_weight = in_row * long + across[None, :]")
        self.read({"row": "tall[:, None]"}, "tall[:, None] & (across < long)[None, :]")
        self.add(("row",))
        self.text.depth -= 1
        self.store("row", "down, tl.sum({}, axis=1), mask=tall")

    def where(self, condition: str) -> None:
        """What follows is for blocks of a kind."""
        self.text.depth = 2
        self.text.put(f"if {condition}:")
        self.text.depth = 3

    def loop(self, name: str, end: str, step: int) -> None:
        self.text.put(f"for {name} in range(0, {end}, {step}):")
        self.text.depth += 1

    def read(self, masks: Mapping[str, str], there: str) -> None:
        """The operands of a block; ``there``: which of its weights there are, and ``masks``, which lines."""
        text = self.text
        text.put(f"there = {there}")
        text.names = {coefficient(i): f"c{i}" for i in range(len(self.kernel.coefficients))}
        for operand in self.kernel.operands:
            by, name = self.extents.get(operand, "weight"), called(operand)
            mask = masks.get(by, "there")
            text.put(f"v_{name} = tl.load(b_{name} + in_{by}, mask={mask}, other=0.0).to(tl.{text.real})")
            text.names[leaf(by, operand)] = f"v_{name}"
        self._known = {}

    def term(self, e: Expression) -> str:
        """What each weight of a block adds to a total; 0 where there is none."""
        if e not in self._known:
            self._known[e] = name = f"t{len(self._known)}"
            term(self.text, e, name, "v_g.shape")
            self.text.put(f"{name} = tl.where(there, {name}, 0.0)")
        return self._known[e]

    def _beside(self, extents: Sequence[str]) -> list[tuple[str, Expression]]:
        """The totals that are added up beside a block, in a number for each of its weights."""
        return [(n, e) for by in extents for n, e in self.by[by] if by != "tensor" or not _same_everywhere(e)]

    def clear(self, extents: Sequence[str], shape: tuple[int, int]) -> None:
        for n, _ in self._beside(extents):
            self.text.put(f"s_{n} = tl.zeros([{shape[0]}, {shape[1]}], tl.float64)")

    def add(self, extents: Sequence[str]) -> None:
        for n, e in self._beside(extents):
            self.text.put(f"s_{n} += {self.term(e)}")

    def store(self, by: str, what: str) -> None:
        for n, _ in self.by[by]:
            self.text.put(f"tl.store(to{self.place[n]} + {what.format(f's_{n}')})")

    def whole(self, weights: str) -> None:
        """What a block adds to the totals by tensor; so many weights that all add the same."""
        for n, e in self.by["tensor"]:
            if _same_everywhere(e):
                self.text.names = {coefficient(i): f"c{i}" for i in range(len(self.kernel.coefficients))}
                self.text.put(f"slot{n} = {self.text.value(e)}.to(tl.float64) * ({weights}).to(tl.float64)")
            else:
                self.text.put(f"slot{n} = tl.sum(tl.sum(s_{n}, axis=1), axis=0)")


def _same_everywhere(total: Expression) -> bool:
    """Whether every weight adds the same number."""
    return total.op in ("constant", "coefficient")


def joining(name: str, at_g: int) -> str:
    """The kernel that adds parts of lines in their order; ``at_g``: which of ``columns`` has the gradients' addresses.

    joins    int64 (programs, 6): `JOIN`
    """
    put = (text := Text("float64")).put
    put("entry = tl.program_id(0).to(tl.int64)")
    for i, each in enumerate(JOIN):
        put(f"{each} = tl.load(joins + {len(JOIN)} * entry + {i})")
    put(f"at_g = tl.load(columns + {at_g} * tensors + tensor)")
    put("if (at_g != 0) & (tl.load(stop) == 0.0):")
    text.depth = 2
    put(f"lanes = tl.arange(0, {LINES})")
    put("there = lanes < count")
    put("begin = source.to(tl.pointer_type(tl.float64))")
    put(f"added = tl.zeros([{PARTS}, {LINES}], tl.float64)")
    put(f"for first in range(0, parts, {PARTS}):")
    put(f"    part = first + tl.arange(0, {PARTS})")
    put("    mask = (part < parts)[:, None] & there[None, :]")
    put("    added += tl.load(begin + (part * apart)[:, None] + lanes[None, :], mask=mask, other=0.0)")
    put("tl.store(target.to(tl.pointer_type(tl.float64)) + lanes, tl.sum(added, axis=0), mask=there)")
    given = ["joins", "columns", "tensors", "stop"]
    return f"@triton.jit\ndef {name}({', '.join(given)}):\n" + "\n".join(text.lines) + "\n"
