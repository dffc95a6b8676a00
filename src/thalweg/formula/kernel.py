"""A compiled pass and how it is called: everything about the task block is here and in the `llvm` reader.

walk = passes(AdamW, switches, dtypes).update           # machine code over w, g, m, v
numbers = Numbers(walk.names, tensors)                  # what every step reads
task = Task(walk, tiles, claims, columns, numbers)     # pointed at the memory of some tensors
numbers.put({"lr": 1e-3, "beta1": 0.9, "t": 1.0, ...})  # every step
task.run(threads=2)                                     # and the weights have moved
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .between import Part
from .compose import Pass, asked_by_matrix, number_names, program
from .declare import Due
from .expression import Expression, leaves
from .host import host_function
from .llvm import (
    ADDRESSES,
    CLAIM_TABLE,
    CLAIMS,
    HEADER,
    ROW_OF,
    ROWS,
    SUMS,
    TASK_WORDS,
    TILES,
    compute_type,
    emit,
)
from .lower import Kernel, lower
from .numbers import Numbers
from .rule import Rule, handed, of_matrices, once, parts

if TYPE_CHECKING:
    from .machine import MachineCode

Table = NDArray[Any]


@dataclass(frozen=True, eq=False)
class CompiledPass:
    """One pass as machine code over memory of given element types."""

    operands: tuple[str, ...]
    totals: tuple[str, ...]
    real: str
    """float32 or float64: what it computes in, and the element type of its rows."""
    names: tuple[str, ...]
    """The step's numbers, in the order in which `Numbers` has them."""
    width: int
    """Coefficients in a row."""
    assembly: str
    kernel: Kernel | None = None
    """What it computes, for other readers; of walks along lines (`line_kernel.CompiledLines`) their coefficients."""
    dtypes: Mapping[str, str] = field(default_factory=dict)
    """The operands' element types in memory."""
    extents: Mapping[str, str] = field(default_factory=dict)
    """Of a program by line: what there is one of, of operands and of totals by line."""

    @cached_property
    def machine(self) -> "MachineCode":
        """The loaded code; compiled now, if the cache does not have it."""
        from .machine import machine_code

        return machine_code(self.assembly)


@cache
def available() -> bool:
    """Whether kernels can be compiled here. If not, says why, once."""
    try:
        import llvmlite.binding  # noqa: F401
    except (ImportError, OSError) as error:
        warnings.warn(
            f"llvmlite does not work here ({error}); updates run as plain torch operations, many times slower. "
            "Try: pip install --force-reinstall llvmlite",
            RuntimeWarning,
            stacklevel=2,
        )
        return False
    return True


@cache
def readable(dtype: str) -> bool:
    """Whether kernels can read and write an element type; x86 processors before 2012 cannot convert float16."""
    if dtype != "float16" or not available():
        return True
    from .machine import converts_float16

    return converts_float16()


def compiled(walk: Pass, dtypes: Mapping[str, str], real: str, names: Sequence[str]) -> CompiledPass:
    """Make a pass.

    ``dtypes``  the element type of each operand in memory, as torch names it; ``real``: of the work.
    ``names``   the numbers that a step has, in their order.
    """
    kernel = lower(walk)
    used = {name: dtypes[name] for name in kernel.operands}
    text = emit(kernel, used, real, names)
    width = len(kernel.coefficients)
    return CompiledPass(kernel.operands, tuple(walk.totals), real, tuple(names), width, text, kernel, used)


@dataclass(frozen=True, eq=False)
class Passes:
    """A rule, with its switches resolved, as machine code over memory of given element types."""

    norm: CompiledPass
    limited_norm: CompiledPass
    sums: tuple[CompiledPass, ...]
    """One for each layer that takes totals."""
    update: CompiledPass
    enter: CompiledPass | None = None
    """Of a rule of matrices."""


@once
def passes(rule: type[Rule], switches: tuple[tuple[str, Any], ...], dtypes: tuple[tuple[str, str], ...]) -> Passes:
    """Trace a rule and write its kernels.

    ``switches``: see `compose.program`. ``dtypes``: the element type of w, g and each state, as torch names it.
    """
    traced = program(rule, dict(switches))
    types = dict(dtypes)
    # Matrices are handed on as they are multiplied.
    products = "float64" if types["w"] == "float64" else str(dict(switches).get("products"))
    types |= dict.fromkeys((*handed(rule, "enter"), *handed(rule, "matrix")), products)
    real, names = compute_type(types), number_names(rule)
    # Squares are taken in float64: no gradient is so large or small that its square is lost, and the sum is
    # finite exactly when every float32 gradient is.
    return Passes(
        compiled(traced.norm, types, "float64", names),
        compiled(traced.limited_norm, types, "float64", names),
        tuple(compiled(walk, types, real, names) for walk in traced.sums),
        compiled(traced.update, types, real, names),
        None if traced.enter is None else compiled(traced.enter, types, real, names),
    )


@once
def next_scalars(rule: type[Rule], switches: tuple[tuple[str, Any], ...]) -> tuple[Expression, ...]:
    """The next values of the rule's scalars, in their declared order."""
    return tuple(program(rule, dict(switches)).scalars.values())


@once
def scalars_of(
    rule: type[Rule], switches: tuple[tuple[str, Any], ...]
) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    """From a step's numbers to `next_scalars`."""
    return host_function(next_scalars(rule, switches))


@once
def counts_steps(rule: type[Rule], switches: tuple[tuple[str, Any], ...]) -> bool:
    """Whether a step depends on its number."""
    traced = program(rule, dict(switches))
    walks = [walk for walk in (traced.enter, *traced.sums, traced.update) if walk is not None]
    made = [e for walk in walks for e in (*walk.totals.values(), *walk.writes.values())]
    if of_matrices(rule) and (parts(rule, Due) or "t" in asked_by_matrix(rule, dict(switches))):
        return True
    return "t" in leaves((*made, *traced.scalars.values()), "number")


class Task:
    """The memory a kernel is pointed at; its arrays live as long as it does."""

    def __init__(
        self, walk: CompiledPass, tiles: Table, claims: Table, columns: Mapping[str, Table], numbers: Numbers
    ) -> None:
        """The arrays are int64.

        ``tiles``   shape (tiles, 3): tensor, first weight, how many: what adds up to one slot of the sums.
        ``claims``   shape (claims, 2): first tile and the one past the last, of what a thread takes at a time.
        ``columns``  for each operand the addresses of the tensors, shape (tensors,); where the gradient's is 0,
                     nothing is done.
        ``numbers``  what the rows are made from, in the walk's order.

        Its own: ``rows`` float32 or float64 (rows, coefficients), ``sums`` float64 (tiles, totals).
        """
        self.walk, self.tiles, self.claims, self.numbers = walk, tiles, claims, numbers
        self._columns = [columns[name] for name in walk.operands]
        self.addresses = np.array([column.ctypes.data for column in self._columns], np.int64)
        self.rows = np.zeros((numbers.capacity, walk.width), walk.real)
        self.sums = np.zeros((len(tiles), len(walk.totals)), np.float64)
        self._others: dict[int, Table] = {}
        # A task block starts on a cache line of its own: threads hammer its first word.
        room = np.zeros(TASK_WORDS + 8, np.int64)
        skip = -(room.ctypes.data // 8) % 8
        self.words = room[skip : skip + TASK_WORDS]
        self.words[CLAIMS] = len(claims)
        for index, table in (
            (CLAIM_TABLE, claims), (TILES, tiles), (ADDRESSES, self.addresses),
            (ROW_OF, numbers.row_of), (ROWS, self.rows), (SUMS, self.sums), (HEADER, numbers.header),
        ):  # fmt: skip
            self.words[index] = table.ctypes.data
        self.at: int = self.words.ctypes.data
        """The address of the task block."""

    def point(self, word: int, table: Table) -> None:
        """Have a word of the task block, of those that `llvm` leaves free, be the address of a table."""
        self._others[word] = table
        self.words[word] = table.ctypes.data

    def parts(self, threads: int) -> tuple[Part, ...]:
        """What a pass runs: it makes its rows, then walks over memory once."""
        machine = self.walk.machine
        walk = Part(machine.address, self.at, machine.call, threads, self)
        if not self.walk.width:
            return (walk,)
        address, call = machine.function("rows")
        return Part(address, self.at, call, 1, self), walk

    def run(self, threads: int) -> None:
        """Take the pass."""
        self.fit()
        for part in self.parts(threads):
            part.run()

    def fit(self) -> None:
        """Make room for as many rows as there may be now."""
        if len(self.rows) < self.numbers.capacity:
            self.rows = np.zeros((self.numbers.capacity, self.walk.width), self.walk.real)
            self.words[ROWS] = self.rows.ctypes.data
