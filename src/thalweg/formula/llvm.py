"""The `llvm` reader: a pass as one function of machine code over all parameters.

The text is written here, directly as vectors of 16 weights; the machine code comes from LLVM through llvmlite.
Multiplications and additions are never contracted or reordered, so the result is the same on every CPU,
for any number of threads. The last weights of a tensor are the same vector under a mask.
"""

from collections.abc import Mapping, Sequence
from functools import partial

from .expression import Expression, coefficient, number, weight
from .loops import Loops
from .lower import Kernel
from .numbers import COUNT, VALUES
from .operations import Operation
from .vectors import TYPES, Registers, Vectors

WIDTH = 16

# The task block that a kernel gets: 64-bit words. The first is the counter that threads claim work from.
COUNTER, CLAIMS, CLAIM_TABLE, TILES, ADDRESSES, ROW_OF, ROWS, SUMS, HEADER = range(9)
TASK_WORDS = 16  # two cache lines: the counter shares its line with nothing that is written


def compute_type(dtypes: Mapping[str, str]) -> str:
    """float64 if any operand is, else float32: half precision is computed in float32 and rounded once."""
    return "float64" if "float64" in dtypes.values() else "float32"


def emit(kernel: Kernel, dtypes: Mapping[str, str], real: str, names: Sequence[str]) -> str:
    """LLVM assembly of ``void kernel(i64* task)``, and of ``void rows(i64* task)``, which comes before it.

    ``dtypes`` gives each operand's element type in memory, ``real`` what is computed in: float32 or float64; ``names``
    are those of the step's `Numbers`.
    """
    emitter = _Emitter(kernel, dtypes, real)
    emitter.function()
    return emitter.text(rows=row_code(kernel.coefficients, real, names))


def row_code(coefficients: Sequence[Expression], real: str, names: Sequence[str]) -> Vectors:
    """The function that makes a kernel's rows of coefficients of the step's numbers."""
    rows = _Rows(coefficients, real, names)
    rows.function()
    return rows


class _Rows(Loops):
    """The numbers of a step become rows of coefficients, each computed in float64 and rounded once."""

    def __init__(self, coefficients: Sequence[Expression], real: str, names: Sequence[str]) -> None:
        super().__init__(1, "float64")
        self.coefficients, self.kind, self.names = coefficients, TYPES[real], names

    def function(self) -> None:
        header, rows = self.table(HEADER), self.table(ROWS)
        values, width = self.pointer(self.word(header, VALUES)), len(self.coefficients)
        with self.loop("0", self.word(header, COUNT)) as row:
            first, start = self.times(row, str(len(self.names))), self.times(row, str(width))
            places = {name: self.plus(first, str(i)) for i, name in enumerate(self.names)}
            known = {
                number(name): self.load("float64", self.new(f"getelementptr double, ptr {values}, i64 {place}"), None)
                for name, place in places.items()
            }
            for i, coefficient_of in enumerate(self.coefficients):
                lane = self.new(f"extractelement {self.vector} {self.value(coefficient_of, known)}, i64 0")
                exact = lane if self.kind == "double" else self.new(f"fptrunc double {lane} to {self.kind}")
                place = self.new(f"getelementptr {self.kind}, ptr {rows}, i64 {self.plus(start, str(i))}")
                self.set(place, self.kind, exact)

    def _computed(self, e: Expression, known: Registers) -> str:
        if e.op != "where" or e.arguments[0].op != "constant":
            return super()._computed(e, known)
        return self.value(e.arguments[1 if e.arguments[0].arguments[0] else 2], known)  # both sides were constants

    def called(self, operation: Operation, a: Sequence[str]) -> str:
        if operation.exact:
            return super().called(operation, a)
        # Powers, exponentials and logarithms as Python has them: the C library's, which LLVM must not think it knows.
        function = "@" + operation.llvm.removeprefix("llvm.")
        self.declared.add(f"declare double {function}({', '.join(['double'] * len(a))})")
        lanes = ", ".join(f"double {self.new(f'extractelement {self.vector} {x}, i64 0')}" for x in a)
        return self.spread("double", self.new(f"call double {function}({lanes}) nobuiltin"))


class _Emitter(Loops):
    """The text under construction; a fresh one for each kernel."""

    def __init__(self, kernel: Kernel, dtypes: Mapping[str, str], real: str) -> None:
        super().__init__(WIDTH, real)
        self.kernel, self.dtypes = kernel, dtypes

    def function(self) -> None:
        """The tiles of each claim, one after the other."""
        claims, tiles, addresses = self.table(CLAIM_TABLE), self.table(TILES), self.table(ADDRESSES)
        row_of, rows, slots = self.table(ROW_OF), self.table(ROWS), self.table(SUMS)
        columns = {name: self.pointer(self.word(addresses, i)) for i, name in enumerate(self.kernel.operands)}
        with self.claimed() as claim:
            first = self.times(claim, "2")
            last = self.word(claims, self.plus(first, "1"))
            with self.loop(self.word(claims, first), last) as tile:
                entry = self.times(tile, "3")
                tensor, start, length = (self.word(tiles, self.plus(entry, str(i))) for i in range(3))
                gradient = self.word(columns["g"], tensor)
                lanes = [self.variable(self.doubles, "zeroinitializer") for _ in self.kernel.totals]
                # Where there is no gradient there is nothing to do, and nothing to add up.
                with self.when(self.new(f"icmp ne i64 {gradient}, 0")):
                    width = len(self.kernel.coefficients)
                    row = self.times(self.word(row_of, tensor), str(width))
                    known = {coefficient(i): self.coefficient(rows, row, i) for i in range(width)}
                    bases = {n: gradient if n == "g" else self.word(column, tensor) for n, column in columns.items()}
                    begins = {n: self.element(n, self.pointer(base), start) for n, base in bases.items()}
                    self.each("0", length, partial(self.weights, begins, known, lanes))
                for i, variable in enumerate(lanes):
                    total = self.added(self.get(variable, self.doubles), "double")
                    slot = self.plus(self.times(tile, str(len(lanes))), str(i))
                    self.put(f"store double {total}, ptr {self.new(f'getelementptr double, ptr {slots}, i64 {slot}')}")

    def element(self, operand: str, base: str, index: str) -> str:
        """Where an operand's element is."""
        return self.new(f"getelementptr {TYPES[self.dtypes[operand]]}, ptr {base}, i64 {index}")

    def coefficient(self, rows: str, row: str, i: int) -> str:
        where = self.new(f"getelementptr {self.real}, ptr {rows}, i64 {self.plus(row, str(i))}")
        return self.spread(self.real, self.new(f"load {self.real}, ptr {where}, align {self.size}"))

    def weights(
        self, begins: Mapping[str, str], coefficients: Registers, lanes: Sequence[str], at: str, mask: str | None
    ) -> None:
        """Sixteen weights: read, compute, add up, write."""
        places = {name: self.element(name, begin, at) for name, begin in begins.items()}
        # All operands are read before any is written.
        known = dict(coefficients)
        for name in self.kernel.operands:
            known[weight(name)] = self.load(self.dtypes[name], places[name], mask)
        for variable, total in zip(lanes, self.kernel.totals, strict=True):
            if total.op == "*" and len({*total.arguments}) == 1:  # squares are taken in float64: none is lost
                factor = self.doubled(self.value(total.arguments[0], known))
                term = self.new(f"fmul {self.doubles} {factor}, {factor}")
            else:
                term = self.doubled(self.value(total, known))
            if mask:
                term = self.new(f"select <{WIDTH} x i1> {mask}, {self.doubles} {term}, {self.doubles} zeroinitializer")
            self.add_to(variable, self.doubles, term)
        results = [(name, self.value(e, known)) for name, e in self.kernel.writes]
        for name, result in results:
            self.store(self.dtypes[name], result, places[name], mask)
