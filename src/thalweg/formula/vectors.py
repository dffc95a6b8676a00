"""LLVM assembly under construction: vectors of numbers, read from memory, computed with, added up and written.

Multiplications and additions are never contracted or reordered.
"""

import struct
from collections.abc import Sequence
from itertools import count

import numpy as np

from .expression import Expression
from .operations import OPERATIONS, Operation

# How an element lies in memory. bfloat16 is read and written as bits: processors' own conversions lose denormals.
TYPES = {"float32": "float", "float64": "double", "bfloat16": "i16", "float16": "half"}
SIZES = {"float32": 4, "float64": 8, "bfloat16": 2, "float16": 2}
_SUFFIXES = {"float32": "f32", "float64": "f64", "bfloat16": "i16", "float16": "f16"}

# The register of every expression that has been computed so far, or is given.
Registers = dict[Expression, str]


class Vectors:
    """The text of one function, vectors of ``width`` numbers of type ``real`` (float32 or float64) in it."""

    def __init__(self, width: int, real: str) -> None:
        self.width = width
        self.real = TYPES[real]
        self.vector = f"<{width} x {self.real}>"
        self.doubles = f"<{width} x double>"
        self.size = SIZES[real]
        self.lines: list[str] = []
        self.declared: set[str] = set()
        self.numbers = count(1)

    def new(self, value: str) -> str:
        name = f"%v{next(self.numbers)}"
        self.lines.append(f"  {name} = {value}")
        return name

    def put(self, line: str) -> None:
        self.lines.append(f"  {line}")

    def label(self, name: str) -> None:
        self.lines.append(f"{name}:")

    def word(self, base: str, index: str | int) -> str:
        """A 64-bit word of a table."""
        return self.new(f"load i64, ptr {self.new(f'getelementptr i64, ptr {base}, i64 {index}')}, align 8")

    def body(self) -> list[str]:
        """The lines of the function."""
        return self.lines

    def text(self, **others: "Vectors") -> str:
        """The function as ``kernel``, and others by their names, with what they declare."""
        functions = {"kernel": self, **others}
        declared = {line for each in functions.values() for line in each.declared}
        defined = [
            f"define void @{name}(ptr noalias %task) nounwind {{\n{chr(10).join(each.body())}\n}}\n"
            for name, each in functions.items()
        ]
        return "\n\n".join(["\n".join(sorted(declared)), *defined])

    # Numbers.

    def value(self, e: Expression, known: Registers) -> str:
        """The register of an expression's value; ``known`` has its leaves, and gets whatever is computed."""
        if e not in known:
            known[e] = self._computed(e, known)
        return known[e]

    def spread(self, kind: str, value: str) -> str:
        """One number in all lanes."""
        one = self.new(f"insertelement <{self.width} x {kind}> poison, {kind} {value}, i64 0")
        lanes = f"<{self.width} x {kind}>"
        return self.new(f"shufflevector {lanes} {one}, {lanes} poison, <{self.width} x i32> zeroinitializer")

    def doubled(self, value: str) -> str:
        """As float64."""
        return value if self.real == "double" else self.new(f"fpext {self.vector} {value} to {self.doubles}")

    def added(self, lanes: str, kind: str) -> str:
        """The sum of a vector's lanes: the halves are added until one is left, an order no compiler may change."""
        width = self.width
        while width > 1:
            half = width // 2
            whole = f"<{width} x {kind}>"
            low, high = (
                self.new(
                    f"shufflevector {whole} {lanes}, {whole} poison, "
                    f"<{half} x i32> <{', '.join(f'i32 {first + j}' for j in range(half))}>"
                )
                for first in (0, half)
            )
            lanes, width = self.new(f"fadd <{half} x {kind}> {low}, {high}"), half
        return self.new(f"extractelement <1 x {kind}> {lanes}, i64 0")

    def first_lanes(self, so_many: str) -> str:
        """A mask of so many lanes."""
        lanes = ", ".join(f"i64 {i}" for i in range(self.width))
        return self.new(f"icmp slt <{self.width} x i64> <{lanes}>, {self.spread('i64', so_many)}")

    def masked(self, value: str, mask: str | None) -> str:
        """A vector, 0 where the mask is off."""
        if mask is None:
            return value
        return self.new(f"select <{self.width} x i1> {mask}, {self.vector} {value}, {self.vector} zeroinitializer")

    def _computed(self, e: Expression, known: Registers) -> str:
        if e.op == "constant":
            return self.spread(self.real, literal(e.arguments[0], self.real))
        return self.called(OPERATIONS[e.op], [self.value(x, known) for x in e.arguments])

    def called(self, operation: Operation, a: Sequence[str]) -> str:
        """The register of an operation's value."""
        written = operation.llvm
        if not written.startswith("llvm."):
            return self.new(written.format(*a, v=self.vector, w=self.width))
        function = f"@{written}.v{self.width}{'f64' if self.real == 'double' else 'f32'}"
        types = ", ".join([self.vector] * len(a))
        self.declared.add(f"declare {self.vector} {function}({types})")
        arguments = ", ".join(f"{self.vector} {x}" for x in a)
        return self.new(f"call {self.vector} {function}({arguments})")

    # Memory.

    def load(self, dtype: str, place: str, mask: str | None) -> str:
        """A vector from memory, where the mask is on (else 0), as ``real``."""
        kind, size = TYPES[dtype], SIZES[dtype]
        vector = f"<{self.width} x {kind}>"
        if mask:
            function = f"@llvm.masked.load.v{self.width}{_SUFFIXES[dtype]}.p0"
            self.declared.add(f"declare {vector} {function}(ptr, i32 immarg, <{self.width} x i1>, {vector})")
            chosen = f"<{self.width} x i1> {mask}, {vector} zeroinitializer"
            value = self.new(f"call {vector} {function}(ptr {place}, i32 {size}, {chosen})")
        else:
            value = self.new(f"load {vector}, ptr {place}, align {size}")
        if dtype == "bfloat16":
            value, kind = self._from_bfloat16(value), "float"
        return value if kind == self.real else self.new(f"fpext <{self.width} x {kind}> {value} to {self.vector}")

    def store(self, dtype: str, value: str, place: str, mask: str | None) -> None:
        """Round once and write, where the mask is on."""
        kind, size = TYPES[dtype], SIZES[dtype]
        vector = f"<{self.width} x {kind}>"
        if dtype == "bfloat16":
            value = self._to_bfloat16(value)
        elif kind == "half" and self.real == "double":  # no processor converts double to half itself
            value = self.new(f"fptrunc {self.vector} {value} to <{self.width} x float>")
            value = self.new(f"fptrunc <{self.width} x float> {value} to {vector}")
        elif kind != self.real:
            value = self.new(f"fptrunc {self.vector} {value} to {vector}")
        if mask:
            function = f"@llvm.masked.store.v{self.width}{_SUFFIXES[dtype]}.p0"
            self.declared.add(f"declare void {function}({vector}, ptr, i32 immarg, <{self.width} x i1>)")
            self.put(f"call void {function}({vector} {value}, ptr {place}, i32 {size}, <{self.width} x i1> {mask})")
        else:
            self.put(f"store {vector} {value}, ptr {place}, align {size}")

    def _from_bfloat16(self, bits: str) -> str:
        """bfloat16 is the upper half of a float."""
        wide = self.new(f"zext <{self.width} x i16> {bits} to <{self.width} x i32>")
        upper = self.new(f"shl <{self.width} x i32> {wide}, {self._splat(16)}")
        return self.new(f"bitcast <{self.width} x i32> {upper} to <{self.width} x float>")

    def _to_bfloat16(self, value: str) -> str:
        """Rounded to the nearest, ties to even: carrying into the upper half; nan stays nan."""
        if self.real != "float":
            value = self.new(f"fptrunc {self.vector} {value} to <{self.width} x float>")
        ints = f"<{self.width} x i32>"
        bits = self.new(f"bitcast <{self.width} x float> {value} to {ints}")
        upper = self.new(f"lshr {ints} {bits}, {self._splat(16)}")
        odd = self.new(f"and {ints} {upper}, {self._splat(1)}")
        half = self.new(f"add {ints} {odd}, {self._splat(0x7FFF)}")
        rounded = self.new(f"lshr {ints} {self.new(f'add {ints} {bits}, {half}')}, {self._splat(16)}")
        quiet = self.new(f"or {ints} {upper}, {self._splat(0x40)}")
        nan = self.new(f"fcmp uno <{self.width} x float> {value}, zeroinitializer")
        chosen = self.new(f"select <{self.width} x i1> {nan}, {ints} {quiet}, {ints} {rounded}")
        return self.new(f"trunc {ints} {chosen} to <{self.width} x i16>")

    def _splat(self, value: int) -> str:
        return "<" + ", ".join([f"i32 {value}"] * self.width) + ">"


def literal(value: float, real: str) -> str:
    """A number as LLVM writes it: the bits of a double, rounded to float first where the kernel is float32."""
    if real == "float":
        with np.errstate(over="ignore"):
            value = float(np.float32(value))
    return "0x" + struct.pack(">d", value).hex().upper()
