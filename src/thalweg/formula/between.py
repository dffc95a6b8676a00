"""What stands between two passes, in machine code: totals by tensor, what follows from them, counting.

Each function takes the address of a block of words, as kernels do, and is called on one thread. Sums are taken in a
fixed order, tile by tile and tensor by tensor, so that the number of threads does not matter.

    gather    the sums of a pass's tiles, shape (tiles, totals), added by tensor: (totals, tensors)
    join      a total, of all tensors or of each, as a number for the next pass: in a column of `Numbers`
    advance   one more step for every tensor that has a gradient
"""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import chain, team
from .expression import number
from .loops import FIRST_WORD, Loops
from .numbers import COUNT, NAMES, ROW_OF, VALUES, Numbers

Words = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Part:
    """A function of machine code and the block of words it is called with."""

    function: int
    """Its address."""
    block: int
    """The block's."""
    call: Any
    """The function, for one thread."""
    threads: int
    kept: Any
    """What has to live as long."""

    def run(self) -> None:
        """Call it; the interpreter's lock is free meanwhile."""
        ctypes.c_int64.from_address(self.block).value = 0  # the counter that threads claim work from
        team.run(self.call, self.function, self.block, self.threads)


class _Between(Loops):
    def __init__(self, addresses: Sequence[str], sizes: Sequence[str]) -> None:
        super().__init__(1, "float64", addresses, sizes)

    def double(self, table: str, index: str) -> str:
        """Where a number of a table is."""
        return self.new(f"getelementptr double, ptr {table}, i64 {index}")

    def cell(self, header: str, row: str, column: str) -> str:
        """Where a number of a row is."""
        values, names = self.pointer(self.word(header, VALUES)), self.word(header, NAMES)
        return self.double(values, self.plus(self.times(row, names), column))

    def row_of(self, header: str, tensor: str) -> str:
        return self.word(self.pointer(self.word(header, ROW_OF)), tensor)


def _gather(raw: bool) -> _Between:
    """``raw``: sums of squares of gradients that have not been unscaled, times the square of what unscales them."""
    to = _Between(("SUMS", "TILES", "TOTALS", "HEADER"), ("COUNT", "WIDTH", "TENSORS", "UNSCALE"))
    size = to.size_of
    with to.loop("0", to.times(size["WIDTH"], size["TENSORS"])) as i:
        to.set(to.double(to.at["TOTALS"], i), "double", "0.0")
    with to.loop("0", size["COUNT"]) as tile:
        tensor = to.word(to.at["TILES"], to.times(tile, "3"))
        with to.loop("0", size["WIDTH"]) as k:
            term = to.get(to.double(to.at["SUMS"], to.plus(to.times(tile, size["WIDTH"]), k)), "double")
            to.add_to(to.double(to.at["TOTALS"], to.plus(to.times(k, size["TENSORS"]), tensor)), "double", term)
    with to.loop("0", size["TENSORS"] if raw else "0") as tensor:
        row = to.row_of(to.at["HEADER"], tensor)
        unscale = to.get(to.cell(to.at["HEADER"], row, size["UNSCALE"]), "double")
        total = to.double(to.at["TOTALS"], tensor)
        square = to.new(f"fmul double {unscale}, {unscale}")
        to.set(total, "double", to.new(f"fmul double {to.get(total, 'double')}, {square}"))
    return to


# What `join` is told of each launch: an address of totals, how many, the header of its numbers, which column.
_JOINED = 4
_SQUARES, _CLIP_NORM, _CLIP_EPS = (number(name) for name in ("squares", "clip_norm", "clip_eps"))


def _join(clip: bool, by_tensor: bool) -> _Between:
    """``clip``: what is joined is `chain.norm_scale` of the total; ``by_tensor``: of each tensor's own."""
    to = _Between(("LAUNCHES", "CLIP"), ("COUNT",))

    def scaled(total: str) -> str:
        if not clip:
            return total
        given = {_SQUARES: total, _CLIP_NORM: to.get(to.at["CLIP"], "double")}
        given[_CLIP_EPS] = to.get(to.double(to.at["CLIP"], "1"), "double")
        known = {leaf: to.spread("double", value) for leaf, value in given.items()}
        scale = to.value(chain.norm_scale(_SQUARES, _CLIP_NORM, _CLIP_EPS), known)
        return to.new(f"extractelement {to.vector} {scale}, i64 0")

    overall = to.variable("double", "0.0")
    with to.loop("0", to.size_of["COUNT"]) as i:
        totals, tensors, header, column = _joined(to, i)
        with to.loop("0", tensors) as tensor:
            total = to.get(to.double(totals, tensor), "double")
            if by_tensor:
                to.set(to.cell(header, to.row_of(header, tensor), column), "double", scaled(total))
            else:
                to.add_to(overall, "double", total)
    if not by_tensor:
        result = scaled(to.get(overall, "double"))
        with to.loop("0", to.size_of["COUNT"]) as i:
            _, _, header, column = _joined(to, i)
            with to.loop("0", to.word(header, COUNT)) as row:
                to.set(to.cell(header, row, column), "double", result)
    return to


def _joined(to: _Between, i: str) -> tuple[str, str, str, str]:
    words = [to.word(to.at["LAUNCHES"], to.plus(to.times(i, str(_JOINED)), str(k))) for k in range(_JOINED)]
    return to.pointer(words[0]), words[1], to.pointer(words[2]), words[3]


def _advance() -> _Between:
    to = _Between(("COUNTS", "FOUND", "HEADER"), ("TENSORS", "ABSENT", "T"))
    with to.loop("0", to.size_of["TENSORS"]) as tensor:
        present = to.new(f"icmp ne i64 {to.word(to.at['FOUND'], tensor)}, {to.size_of['ABSENT']}")
        with to.when(present):
            place = to.new(f"getelementptr float, ptr {to.at['COUNTS']}, i64 {tensor}")
            to.add_to(place, "float", "1.0")
    with to.loop("0", to.word(to.at["HEADER"], COUNT)) as row:
        to.add_to(to.cell(to.at["HEADER"], row, to.size_of["T"]), "double", "1.0")
    return to


@cache
def assembly() -> str:
    """All of them in one text: most of compiling one is the compiler's own beginning."""
    joins = {_named(clip, by_tensor): _join(clip, by_tensor) for clip in (False, True) for by_tensor in (False, True)}
    return _advance().text(gather=_gather(False), gather_raw=_gather(True), **joins)


def _named(clip: bool, by_tensor: bool) -> str:
    return f"{'clip' if clip else 'join'}_{'tensor' if by_tensor else 'all'}"


def gather(sums: NDArray[np.float64], tiles: Words, totals: NDArray[np.float64], numbers: Numbers, raw: bool) -> Part:
    """``sums`` (tiles, totals) and ``tiles`` (tiles, 3) as `kernel.Task` has them; ``totals`` (totals, tensors)."""
    arrays = (sums, tiles, totals, numbers.header)
    sizes = (len(sums), len(totals), totals.shape[1], numbers.place.get("unscale", 0))
    return _part("gather_raw" if raw else "gather", arrays, sizes)


def join(
    totals: Sequence[NDArray[np.float64]], numbers: Sequence[Numbers], name: str, clip: NDArray[np.float64] | None,
    by_tensor: bool,
) -> Part:  # fmt: skip
    """A total of each launch, shape (tensors,), as the number ``name``; ``clip``: clip_norm and clip_eps."""
    pairs = zip(totals, numbers, strict=True)
    told = [(of.ctypes.data, len(of), n.header.ctypes.data, n.place[name]) for of, n in pairs]
    table = np.array(told, np.int64).reshape(-1, _JOINED)
    part = _part(_named(clip is not None, by_tensor), (table, table if clip is None else clip), (len(told),))
    return Part(part.function, part.block, part.call, 1, (part.kept, totals, numbers))


def advance(counts: NDArray[np.float32], found: Words, absent: int, numbers: Numbers) -> Part:
    """``counts`` and ``found`` have shape (tensors,); where a tensor has no gradient, what is found is ``absent``."""
    return _part("kernel", (counts, found, numbers.header), (len(counts), absent, numbers.place["t"]))


def _part(name: str, arrays: Sequence[NDArray[Any]], sizes: Sequence[int]) -> Part:
    from .machine import PLAIN, machine_code  # where there is no compiler nothing gets here

    code = machine_code(PLAIN + assembly())
    address, call = code.function(name)
    words = np.zeros(FIRST_WORD + len(arrays) + len(sizes), np.int64)
    words[FIRST_WORD:] = (*(array.ctypes.data for array in arrays), *sizes)
    return Part(address, words.ctypes.data, call, 1, (words, arrays, code))
