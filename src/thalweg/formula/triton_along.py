"""The `triton` reader's walks along lines (`lines`), in float64 as on the CPU.

Means by matrix are a kernel of their own, since what else is worked out along lines may wait for them.

    lines    int64 (programs, 4): `MEANS` or `SPAN`
    shapes   int64 (tensors, 2): the rows and columns of a tensor's matrices, at least 1
"""

from collections.abc import Mapping, Sequence

from .expression import Expression, coefficient, leaf, leaves
from .line_kernel import LineWalk
from .triton import Text, addresses, called, coefficients, pointer, rounded, row_arguments, spread

MEANS = ("tensor", "many", "matrix", "matrices")
"""Of which matrices a program takes means: of one, by `LONG` lines at a time, or of `MANY` at once."""
LONG, MANY = (1, 1_024), (256, 4)
SPAN = ("tensor", "along", "first", "count")
"""Some lines of a tensor, by row (0) or by column (1), counted through all matrices: `ALONG` but for the last."""
ALONG = 128


def along_lines(
    name: str, walks: Sequence[tuple[LineWalk, int]], dtypes: Mapping[str, str], places: Mapping[str, int],
    uniform: bool, width: int,
) -> str:  # fmt: skip
    """The kernel of walks along lines of which none waits for another: all take means, or all write.

    ``walks``   each with the place of its first coefficient in the row, of ``width``.
    """
    means = bool(walks[0][0].totals)
    fields = MEANS if means else SPAN
    put = (text := Text("float64")).put
    put("entry = tl.program_id(0).to(tl.int64)")
    for i, each in enumerate(fields):
        put(f"{each} = tl.load(lines + {len(fields)} * entry + {i})")
    operands = dict.fromkeys(("g", *(n for walk, _ in walks for n in (*walk.kernel.operands, *walk.totals))))
    addresses(text, operands, places)
    put("if (at_g != 0) & (tl.load(stop) == 0.0):")
    text.depth = 2
    put("high = tl.load(shapes + 2 * tensor)")
    put("long = tl.load(shapes + 2 * tensor + 1)")
    coefficients(text, width, uniform)
    for operand in operands:
        if operand != "g":
            put(f"b_{called(operand)} = {pointer(operand, dtypes[operand])}")
    for walk, first in walks:
        known = {coefficient(i): f"c{first + i}" for i in range(len(walk.kernel.coefficients))}
        if means:
            for many, shape in enumerate((LONG, MANY)):
                _mean(text, walk, known, shape, many)
        else:
            _written(text, walk, known, dtypes)
    given = ["lines", "columns", "tensors", "stop", "shapes", *row_arguments(width, uniform)]
    return f"@triton.jit\ndef {name}({', '.join(given)}):\n" + "\n".join(text.lines) + "\n"


def _mean(text: Text, walk: LineWalk, known: Mapping[Expression, str], shape: tuple[int, int], many: int) -> None:
    """Means along the lines of one matrix, or of several."""
    text.depth, put = 2, text.put
    put(f"if many == {many}:")
    text.depth = 3
    put(f"length = {'high' if walk.along == 'row' else 'long'}")
    put(f"which = tl.arange(0, {shape[0]})")
    put("present = which < matrices")
    put("in_matrix = (matrix + which)[:, None]")
    for k in range(len(walk.totals)):
        put(f"s_{k} = tl.zeros([{shape[0]}, {shape[1]}], tl.float64)")
    put(f"for begin in range(0, length, {shape[1]}):")
    text.depth = 4
    put(f"lanes = begin + tl.arange(0, {shape[1]})")
    put("there = present[:, None] & (lanes < length)[None, :]")
    put(f"in_{walk.along} = in_matrix * length + lanes[None, :]")
    _read(text, walk, known, "present[:, None]")
    for k, e in enumerate(walk.kernel.totals):
        put(f"s_{k} += tl.where(there, {spread(text, e, 'there.shape')}, 0.0)")
    text.depth = 3
    for k, n in enumerate(walk.totals):
        put(f"mean = tl.sum(s_{k}, axis=1) / length.to(tl.float64)")
        put(f"tl.store(b_{called(n)} + matrix + which, mean, mask=present)")


def _written(text: Text, walk: LineWalk, known: Mapping[Expression, str], dtypes: Mapping[str, str]) -> None:
    """What is written along some lines; all is read before."""
    text.depth, put = 2, text.put
    put(f"if along == {('row', 'column').index(walk.along)}:")
    text.depth = 3
    put(f"lanes = tl.arange(0, {ALONG})")
    put("there = lanes < count")
    put(f"length = {'high' if walk.along == 'row' else 'long'}")
    put(f"in_{walk.along} = first + lanes")
    # Of which matrix each line is: of one longer than a span no more is asked than that it ends in another one.
    put(f"left = tl.minimum(length - first % length, {ALONG}).to(tl.int32)")
    put(f"each = tl.minimum(length, {ALONG}).to(tl.int32)")
    put("in_matrix = first // length + tl.where(lanes < left, 0, (lanes - left) // each + 1)")
    _read(text, walk, known, "there")
    for n, e in walk.kernel.writes:
        value = rounded(f"tl.broadcast_to({text.value(e)}, there.shape)", dtypes[n], "float64")
        put(f"tl.store(b_{called(n)} + in_{walk.along}, {value}, mask=there)")


def _read(text: Text, walk: LineWalk, known: Mapping[Expression, str], present: str) -> None:
    text.names = dict(known)
    asked = [*walk.kernel.totals, *(e for _, e in walk.kernel.writes)]
    for by in (walk.along, "matrix"):
        mask = "there" if by == walk.along else present
        for n in sorted(leaves(asked, by)):
            text.put(f"v_{called(n)} = tl.load(b_{called(n)} + in_{by}, mask={mask}, other=0.0).to(tl.float64)")
            text.names[leaf(by, n)] = f"v_{called(n)}"
