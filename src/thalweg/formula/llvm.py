"""The `llvm` reader: a pass as one function of machine code over all parameters.

The text is written here, directly as vectors of 16 weights; the machine code comes from LLVM through llvmlite.
Multiplications and additions are never contracted or reordered, so the result is the same on every CPU,
for any number of threads. The last weights of a tensor are the same vector under a mask.
"""

import struct
from collections.abc import Mapping

import numpy as np

from .expression import Expression
from .lower import Kernel

WIDTH = 16

# The task block that a kernel gets: 64-bit words. The first is the counter that threads claim work from.
COUNTER, CLAIMS, CLAIM_TABLE, PIECES, ADDRESSES, ROW_OF, ROWS, SUMS = range(8)
TASK_WORDS = 16  # two cache lines: the counter shares its line with nothing that is written

# How an element lies in memory. bfloat16 is read and written as bits: processors' own conversions lose denormals.
_TYPES = {"float32": "float", "float64": "double", "bfloat16": "i16", "float16": "half"}
_SIZES = {"float32": 4, "float64": 8, "bfloat16": 2, "float16": 2}
_SUFFIXES = {"float32": "f32", "float64": "f64", "bfloat16": "i16", "float16": "f16"}
_INFIX = {"+": "fadd", "-": "fsub", "*": "fmul", "/": "fdiv"}
_COMPARE = {"<": "olt", "<=": "ole", ">": "ogt", ">=": "oge"}
_CALLS = {
    "sqrt": "sqrt", "abs": "fabs", "exp": "exp", "log": "log", "floor": "floor",
    "maximum": "maximum", "minimum": "minimum",
}  # fmt: skip


def compute_type(dtypes: Mapping[str, str]) -> str:
    """float64 if any operand is, else float32: half precision is computed in float32 and rounded once."""
    return "float64" if "float64" in dtypes.values() else "float32"


def emit(kernel: Kernel, dtypes: Mapping[str, str], real: str) -> str:
    """LLVM assembly of ``void kernel(i64* task)``.

    ``dtypes`` gives each operand's element type in memory, ``real`` what is computed in: float32 or float64.
    """
    return _Emitter(kernel, dtypes, real).module()


class _Emitter:
    """The text under construction; a fresh one for each kernel."""

    def __init__(self, kernel: Kernel, dtypes: Mapping[str, str], real: str) -> None:
        self.kernel, self.dtypes = kernel, dtypes
        self.real = _TYPES[real]
        self.vector = f"<{WIDTH} x {self.real}>"
        self.suffix = f"v{WIDTH}{'f64' if self.real == 'double' else 'f32'}"
        self.size = _SIZES[real]
        self.lines: list[str] = []
        self.declared: set[str] = set()
        self.count = 0

    def new(self, value: str) -> str:
        self.count += 1
        self.lines.append(f"  %v{self.count} = {value}")
        return f"%v{self.count}"

    def put(self, line: str) -> None:
        self.lines.append(f"  {line}")

    def label(self, name: str) -> None:
        self.lines.append(f"{name}:")

    def word(self, base: str, index: str | int) -> str:
        """A 64-bit word of a table."""
        return self.new(f"load i64, ptr {self.new(f'getelementptr i64, ptr {base}, i64 {index}')}, align 8")

    def table(self, index: int) -> str:
        return self.new(f"inttoptr i64 {self.word('%task', index)} to ptr")

    def module(self) -> str:
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
        coefficients = [self.coefficient(rows, row, i) for i in range(len(self.kernel.coefficients))]
        pointers = {}
        for name, column in columns.items():
            base = self.new(f"inttoptr i64 {gradient if name == 'g' else self.word(column, tensor)} to ptr")
            pointers[name] = self.new(f"getelementptr {_TYPES[self.dtypes[name]]}, ptr {base}, i64 {start}")
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
        lanes = ", ".join(f"i64 {i}" for i in range(WIDTH))
        spread = self.spread("i64", left)
        mask = self.new(f"icmp slt <{WIDTH} x i64> <{lanes}>, {spread}")
        self.weights(whole, pointers, coefficients, mask=mask, into="total_tail")
        self.put("br label %piece_end")

        self.label("piece_end")
        for i in range(sums):
            self.put(f"%sum{i} = phi <{WIDTH} x double> [ %total{i}, %rest ], [ %total_tail{i}, %tail ]")
        for i in range(sums):
            self.put(f"store double {self.added(f'%sum{i}')}, ptr {self.slot(slots, piece, i)}, align 8")
        self.put("br label %piece_done")
        self.label("piece_done")
        self.put(f"%next_piece = add i64 {piece}, 1")
        self.put("br label %piece")
        body = "\n".join(self.lines)
        head = "\n".join(sorted(self.declared))
        return f"{head}\n\ndefine void @kernel(ptr noalias %task) nounwind {{\n{body}\n}}\n"

    def added(self, lanes: str) -> str:
        """The sum of a vector's lanes: the halves are added until one is left, an order no compiler may change."""
        width = WIDTH
        while width > 1:
            half = width // 2
            kind = f"<{width} x double>"
            low, high = (
                self.new(
                    f"shufflevector {kind} {lanes}, {kind} poison, "
                    f"<{half} x i32> <{', '.join(f'i32 {first + j}' for j in range(half))}>"
                )
                for first in (0, half)
            )
            lanes, width = self.new(f"fadd <{half} x double> {low}, {high}"), half
        return self.new(f"extractelement <1 x double> {lanes}, i64 0")

    def slot(self, slots: str, piece: str, i: int) -> str:
        """Where a piece's i-th total goes."""
        place = self.new(f"add i64 {self.new(f'mul i64 {piece}, {len(self.kernel.totals)}')}, {i}")
        return self.new(f"getelementptr double, ptr {slots}, i64 {place}")

    def spread(self, kind: str, value: str) -> str:
        one = self.new(f"insertelement <{WIDTH} x {kind}> poison, {kind} {value}, i64 0")
        zeros = f"<{WIDTH} x i32> zeroinitializer"
        return self.new(f"shufflevector <{WIDTH} x {kind}> {one}, <{WIDTH} x {kind}> poison, {zeros}")

    def coefficient(self, rows: str, row: str, i: int) -> str:
        where = self.new(f"getelementptr {self.real}, ptr {rows}, i64 {self.new(f'add i64 {row}, {i}')}")
        return self.spread(self.real, self.new(f"load {self.real}, ptr {where}, align {self.size}"))

    def weights(
        self, at: str, pointers: Mapping[str, str], coefficients: list[str], mask: str | None, into: str
    ) -> None:
        """Sixteen weights: read, compute, write, add up."""
        places = {
            n: self.new(f"getelementptr {_TYPES[self.dtypes[n]]}, ptr {p}, i64 {at}") for n, p in pointers.items()
        }
        values: dict[Expression, str] = {}
        # All operands are read before any is written.
        loaded = {name: self.load(name, places[name], mask) for name in self.kernel.operands}
        for i, total in enumerate(self.kernel.totals):
            doubles = f"<{WIDTH} x double>"
            if total.op == "*" and len({*total.arguments}) == 1:  # squares are taken in float64: none is lost
                factor = self.doubled(self.value(total.arguments[0], loaded, coefficients, values))
                term = self.new(f"fmul {doubles} {factor}, {factor}")
            else:
                term = self.doubled(self.value(total, loaded, coefficients, values))
            if mask:
                term = self.new(f"select <{WIDTH} x i1> {mask}, {doubles} {term}, {doubles} zeroinitializer")
            self.put(f"%{into}{i} = fadd <{WIDTH} x double> %total{i}, {term}")
        results = [(name, self.value(e, loaded, coefficients, values)) for name, e in self.kernel.writes]
        for name, result in results:
            self.store(name, result, places[name], mask)

    def doubled(self, value: str) -> str:
        return value if self.real == "double" else self.new(f"fpext {self.vector} {value} to <{WIDTH} x double>")

    def load(self, name: str, place: str, mask: str | None) -> str:
        kind, size = _TYPES[self.dtypes[name]], _SIZES[self.dtypes[name]]
        vector = f"<{WIDTH} x {kind}>"
        if mask:
            function = f"@llvm.masked.load.{self.memory_suffix(name)}.p0"
            self.declared.add(f"declare {vector} {function}(ptr, i32 immarg, <{WIDTH} x i1>, {vector})")
            value = self.new(
                f"call {vector} {function}(ptr {place}, i32 {size}, <{WIDTH} x i1> {mask}, {vector} zeroinitializer)"
            )
        else:
            value = self.new(f"load {vector}, ptr {place}, align {size}")
        if self.dtypes[name] == "bfloat16":
            value, kind = self.from_bfloat16(value), "float"
        return value if kind == self.real else self.new(f"fpext <{WIDTH} x {kind}> {value} to {self.vector}")

    def store(self, name: str, value: str, place: str, mask: str | None) -> None:
        kind, size = _TYPES[self.dtypes[name]], _SIZES[self.dtypes[name]]
        vector = f"<{WIDTH} x {kind}>"
        if self.dtypes[name] == "bfloat16":
            value = self.to_bfloat16(value)
        elif kind == "half" and self.real == "double":  # no processor converts double to half itself
            value = self.new(f"fptrunc {self.vector} {value} to <{WIDTH} x float>")
            value = self.new(f"fptrunc <{WIDTH} x float> {value} to {vector}")
        elif kind != self.real:
            value = self.new(f"fptrunc {self.vector} {value} to {vector}")
        if mask:
            function = f"@llvm.masked.store.{self.memory_suffix(name)}.p0"
            self.declared.add(f"declare void {function}({vector}, ptr, i32 immarg, <{WIDTH} x i1>)")
            self.put(f"call void {function}({vector} {value}, ptr {place}, i32 {size}, <{WIDTH} x i1> {mask})")
        else:
            self.put(f"store {vector} {value}, ptr {place}, align {size}")

    def from_bfloat16(self, bits: str) -> str:
        """bfloat16 is the upper half of a float."""
        wide = self.new(f"zext <{WIDTH} x i16> {bits} to <{WIDTH} x i32>")
        upper = self.new(f"shl <{WIDTH} x i32> {wide}, {_splat('i32', 16)}")
        return self.new(f"bitcast <{WIDTH} x i32> {upper} to <{WIDTH} x float>")

    def to_bfloat16(self, value: str) -> str:
        """Rounded to the nearest, ties to even: carrying into the upper half; nan stays nan."""
        if self.real != "float":
            value = self.new(f"fptrunc {self.vector} {value} to <{WIDTH} x float>")
        ints = f"<{WIDTH} x i32>"
        bits = self.new(f"bitcast <{WIDTH} x float> {value} to {ints}")
        upper = self.new(f"lshr {ints} {bits}, {_splat('i32', 16)}")
        odd = self.new(f"and {ints} {upper}, {_splat('i32', 1)}")
        half = self.new(f"add {ints} {odd}, {_splat('i32', 0x7FFF)}")
        rounded = self.new(f"lshr {ints} {self.new(f'add {ints} {bits}, {half}')}, {_splat('i32', 16)}")
        quiet = self.new(f"or {ints} {upper}, {_splat('i32', 0x40)}")
        nan = self.new(f"fcmp uno <{WIDTH} x float> {value}, zeroinitializer")
        chosen = self.new(f"select <{WIDTH} x i1> {nan}, {ints} {quiet}, {ints} {rounded}")
        return self.new(f"trunc {ints} {chosen} to <{WIDTH} x i16>")

    def memory_suffix(self, name: str) -> str:
        return f"v{WIDTH}{_SUFFIXES[self.dtypes[name]]}"

    def value(
        self, e: Expression, loaded: Mapping[str, str], coefficients: list[str], values: dict[Expression, str]
    ) -> str:
        if e not in values:
            values[e] = self.compute(e, loaded, coefficients, values)
        return values[e]

    def compute(
        self, e: Expression, loaded: Mapping[str, str], coefficients: list[str], values: dict[Expression, str]
    ) -> str:
        if e.op == "weight":
            return loaded[str(e.arguments[0])]
        if e.op == "coefficient":
            return coefficients[int(e.arguments[0])]
        if e.op == "constant":
            return self.spread(self.real, _literal(e.arguments[0], self.real))
        a = [self.value(x, loaded, coefficients, values) for x in e.arguments]
        if e.op in _INFIX:
            return self.new(f"{_INFIX[e.op]} {self.vector} {a[0]}, {a[1]}")
        if e.op == "neg":
            return self.new(f"fneg {self.vector} {a[0]}")
        if e.op in _COMPARE:
            return self.new(f"fcmp {_COMPARE[e.op]} {self.vector} {a[0]}, {a[1]}")
        if e.op == "where":
            return self.new(f"select <{WIDTH} x i1> {a[0]}, {self.vector} {a[1]}, {self.vector} {a[2]}")
        function = f"@llvm.{_CALLS[e.op]}.{self.suffix}"
        types = ", ".join([self.vector] * len(a))
        self.declared.add(f"declare {self.vector} {function}({types})")
        arguments = ", ".join(f"{self.vector} {x}" for x in a)
        return self.new(f"call {self.vector} {function}({arguments})")


def _splat(kind: str, value: int) -> str:
    return "<" + ", ".join([f"{kind} {value}"] * WIDTH) + ">"


def _literal(value: float, real: str) -> str:
    """A number as LLVM writes it: the bits of a double, rounded to float first where the kernel is float32."""
    if real == "float":
        with np.errstate(over="ignore"):
            value = float(np.float32(value))
    return "0x" + struct.pack(">d", value).hex().upper()
