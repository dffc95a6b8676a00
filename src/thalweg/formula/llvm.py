"""The `llvm` reader: a pass as one function of machine code over all parameters.

The text is written here, directly as vectors of 16 weights; the machine code comes from LLVM through llvmlite.
Multiplications and additions are never contracted or reordered, so the result is the same on every CPU,
for any number of threads. The last weights of a tensor are the same vector under a mask.
"""

from collections.abc import Mapping

from .expression import coefficient, weight
from .lower import Kernel
from .vectors import TYPES, Registers, Vectors

WIDTH = 16

# The task block that a kernel gets: 64-bit words. The first is the counter that threads claim work from.
COUNTER, CLAIMS, CLAIM_TABLE, PIECES, ADDRESSES, ROW_OF, ROWS, SUMS = range(8)
TASK_WORDS = 16  # two cache lines: the counter shares its line with nothing that is written


def compute_type(dtypes: Mapping[str, str]) -> str:
    """float64 if any operand is, else float32: half precision is computed in float32 and rounded once."""
    return "float64" if "float64" in dtypes.values() else "float32"


def emit(kernel: Kernel, dtypes: Mapping[str, str], real: str) -> str:
    """LLVM assembly of ``void kernel(i64* task)``.

    ``dtypes`` gives each operand's element type in memory, ``real`` what is computed in: float32 or float64.
    """
    emitter = _Emitter(kernel, dtypes, real)
    emitter.function()
    return emitter.text()


class _Emitter(Vectors):
    """The text under construction; a fresh one for each kernel."""

    def __init__(self, kernel: Kernel, dtypes: Mapping[str, str], real: str) -> None:
        super().__init__(WIDTH, real)
        self.kernel, self.dtypes = kernel, dtypes

    def table(self, index: int) -> str:
        return self.new(f"inttoptr i64 {self.word('%task', index)} to ptr")

    def function(self) -> None:
        sums = len(self.kernel.totals)
        self.label("entry")
        claims = self.word("%task", CLAIMS)
        claim_table, pieces, addresses = self.table(CLAIM_TABLE), self.table(PIECES), self.table(ADDRESSES)
        row_of, rows, slots = self.table(ROW_OF), self.table(ROWS), self.table(SUMS)
        columns = {
            name: self.new(f"inttoptr i64 {self.word(addresses, i)} to ptr")
            for i, name in enumerate(self.kernel.operands)
        }
        counter = self.new(f"getelementptr i64, ptr %task, i64 {COUNTER}")
        self.put("br label %claim")

        self.label("claim")
        claimed = self.new(f"atomicrmw add ptr {counter}, i64 1 monotonic")
        self.put(f"br i1 {self.new(f'icmp slt i64 {claimed}, {claims}')}, label %take, label %leave")
        self.label("leave")
        self.put("ret void")
        self.label("take")
        place = self.new(f"shl i64 {claimed}, 1")
        first = self.word(claim_table, place)
        last = self.word(claim_table, self.new(f"add i64 {place}, 1"))
        self.put("br label %piece")

        self.label("piece")
        piece = "%piece_index"
        self.put(f"{piece} = phi i64 [ {first}, %take ], [ %next_piece, %piece_done ]")
        self.put(f"br i1 {self.new(f'icmp slt i64 {piece}, {last}')}, label %work, label %claim")
        self.label("work")
        entry = self.new(f"mul i64 {piece}, 3")
        tensor = self.word(pieces, entry)
        start = self.word(pieces, self.new(f"add i64 {entry}, 1"))
        length = self.word(pieces, self.new(f"add i64 {entry}, 2"))
        gradient = self.word(columns["g"], tensor)
        self.put(f"br i1 {self.new(f'icmp eq i64 {gradient}, 0')}, label %absent, label %present")

        self.label("absent")  # no gradient: nothing to do, nothing to add up
        for i in range(sums):
            self.put(f"store double 0.0, ptr {self.slot(slots, piece, i)}, align 8")
        self.put("br label %piece_done")

        self.label("present")
        row = self.new(f"mul i64 {self.word(row_of, tensor)}, {len(self.kernel.coefficients)}")
        coefficients = {coefficient(i): self.coefficient(rows, row, i) for i in range(len(self.kernel.coefficients))}
        pointers = {}
        for name, column in columns.items():
            base = self.new(f"inttoptr i64 {gradient if name == 'g' else self.word(column, tensor)} to ptr")
            pointers[name] = self.new(f"getelementptr {TYPES[self.dtypes[name]]}, ptr {base}, i64 {start}")
        whole = self.new(f"and i64 {length}, -{WIDTH}")
        zeros = ", ".join(["double 0.0"] * WIDTH)
        for i in range(sums):
            self.put(f"%zero{i} = fadd <{WIDTH} x double> <{zeros}>, <{zeros}>")
        self.put("br label %loop")

        self.label("loop")
        self.put("%i = phi i64 [ 0, %present ], [ %i_next, %body ]")
        for i in range(sums):
            self.put(f"%total{i} = phi <{WIDTH} x double> [ %zero{i}, %present ], [ %total_next{i}, %body ]")
        self.put(f"br i1 {self.new(f'icmp slt i64 %i, {whole}')}, label %body, label %rest")
        self.label("body")
        self.weights("%i", pointers, coefficients, mask=None, into="total_next")
        self.put(f"%i_next = add i64 %i, {WIDTH}")
        self.put("br label %loop")

        self.label("rest")
        left = self.new(f"sub i64 {length}, {whole}")
        self.put(f"br i1 {self.new(f'icmp sgt i64 {left}, 0')}, label %tail, label %piece_end")
        self.label("tail")
        self.weights(whole, pointers, coefficients, mask=self.first_lanes(left), into="total_tail")
        self.put("br label %piece_end")

        self.label("piece_end")
        for i in range(sums):
            self.put(f"%sum{i} = phi <{WIDTH} x double> [ %total{i}, %rest ], [ %total_tail{i}, %tail ]")
        for i in range(sums):
            self.put(f"store double {self.added(f'%sum{i}', 'double')}, ptr {self.slot(slots, piece, i)}, align 8")
        self.put("br label %piece_done")
        self.label("piece_done")
        self.put(f"%next_piece = add i64 {piece}, 1")
        self.put("br label %piece")

    def slot(self, slots: str, piece: str, i: int) -> str:
        """Where a piece's i-th total goes."""
        place = self.new(f"add i64 {self.new(f'mul i64 {piece}, {len(self.kernel.totals)}')}, {i}")
        return self.new(f"getelementptr double, ptr {slots}, i64 {place}")

    def coefficient(self, rows: str, row: str, i: int) -> str:
        where = self.new(f"getelementptr {self.real}, ptr {rows}, i64 {self.new(f'add i64 {row}, {i}')}")
        return self.spread(self.real, self.new(f"load {self.real}, ptr {where}, align {self.size}"))

    def weights(
        self, at: str, pointers: Mapping[str, str], coefficients: Registers, mask: str | None, into: str
    ) -> None:
        """Sixteen weights: read, compute, write, add up."""
        places = {n: self.new(f"getelementptr {TYPES[self.dtypes[n]]}, ptr {p}, i64 {at}") for n, p in pointers.items()}
        # All operands are read before any is written.
        known = dict(coefficients)
        for name in self.kernel.operands:
            known[weight(name)] = self.load(self.dtypes[name], places[name], mask)
        for i, total in enumerate(self.kernel.totals):
            if total.op == "*" and len({*total.arguments}) == 1:  # squares are taken in float64: none is lost
                factor = self.doubled(self.value(total.arguments[0], known))
                term = self.new(f"fmul {self.doubles} {factor}, {factor}")
            else:
                term = self.doubled(self.value(total, known))
            if mask:
                term = self.new(f"select <{WIDTH} x i1> {mask}, {self.doubles} {term}, {self.doubles} zeroinitializer")
            self.put(f"%{into}{i} = fadd {self.doubles} %total{i}, {term}")
        results = [(name, self.value(e, known)) for name, e in self.kernel.writes]
        for name, result in results:
            self.store(self.dtypes[name], result, places[name], mask)
