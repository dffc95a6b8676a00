"""Kernels of the `triton` reader, loaded: text becomes functions, functions become code for a GPU.

Triton is the compiler alone: for any GPU, on any machine, with or without one. Who runs what it makes is `optim.cuda`.
"""

import linecache
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.util import find_spec
from itertools import count
from types import ModuleType
from typing import Any

from .expression import Expression
from .kernel import CompiledPass
from .triton import VECTOR, WARPS, module, walk
from .triton_between import Between, between

# Triton's words for element types, and for what arguments are.
_TYPES = {"float32": "fp32", "float64": "fp64"}
_WIDTHS = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}
REGISTERS = {"float32": 72, "float64": 128}
"""The most that a thread of the catalogue's passes has: a multiprocessor of 65,536 holds 7 programs, 4 in float64."""
LINE_REGISTERS = 96
"""Of those that read or add up by row or by column: 5 programs."""
TABLES = {"tiles": "*i64", "columns": "*i64", "tensors": "i64", "sums": "*fp64", "stop": "*fp32"}
_COUNTED = {"taken": "*fp64"}
_BETWEEN = {
    "numbers": "*fp64", "count": "i64", "rows": "", "sums": "*fp64", "tiles": "i64", "first_tile": "*i64",
    "clip_norm": "fp64", "clip_eps": "fp64", "taken": "*fp64", "each": "i64", "kept": "*fp64", "tensors": "i64",
    "grads": "*i64", "found": "*fp32", "scale": "*fp32", "stop": "*fp32", "left_out": "*fp64",
}  # fmt: skip


@cache
def installed() -> bool:
    """Whether Triton can be imported."""
    return find_spec("triton") is not None


@dataclass(frozen=True, eq=False)
class DeviceKernel:
    """One kernel as text.

    ``signature``  Triton's types of its arguments, by name; ``constants``, of those that are known when it is compiled.
    ``registers``  how many a thread may have at most; None: as many as the compiler likes.
    """

    name: str
    text: str
    signature: Mapping[str, str]
    constants: Mapping[str, int]
    registers: int | None = None

    @cached_property
    def function(self) -> Any:
        """What Triton makes of the text."""
        return getattr(loaded(self.text), self.name)

    def compiled(self, capability: int) -> Any:
        """Code for GPUs of a compute capability, 90 for 9.0; Triton keeps it for the next process.

        No multiplication and addition become one: results are those of the CPU's kernels.
        """
        import triton
        from triton.backends.compiler import GPUTarget
        from triton.compiler import ASTSource

        signature = {**self.signature, **dict.fromkeys(self.constants, "constexpr")}
        source = ASTSource(self.function, signature=signature, constexprs=dict(self.constants))
        options = {"num_warps": WARPS, "enable_fp_fusion": False}
        options |= {} if self.registers is None else {"maxnreg": self.registers}
        return triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)


_PROBE = """@triton.jit
def probe(x):
    tl.store(x, sqrt(tl.load(x)))
"""


@cache
def problem(capability: int) -> str | None:
    """Why Triton, which is installed, compiles nothing for GPUs of a compute capability, in words; None if it does.

    A kernel of one line is compiled: an installation may be broken, or older than the GPU. It takes 0.2 s; where Triton
    has kept it from another process, 3 ms.
    """
    try:
        DeviceKernel("probe", module(_PROBE), {"x": "*fp32"}, {}).compiled(capability)
    # Of Triton, of LLVM in it, of NVIDIA's assembler, of a compiler or folder that is not there.
    except Exception as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())
        return f"Triton cannot compile for it ({said[:_SAID].rstrip()}{'...' if len(said) > _SAID else ''})"
    return None


_SAID = 160
"""Characters of what Triton says: its errors go on with the whole kernel."""

_numbers = count(1)


@cache
def loaded(text: str) -> ModuleType:
    """A module made of text; Triton looks for the text behind a function where Python keeps that of files."""
    name = f"<thalweg kernel {next(_numbers)}>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    made = ModuleType("thalweg_kernel")
    made.__file__ = name
    exec(compile(text, name, "exec"), made.__dict__)
    return made


@cache
def walk_kernel(of: CompiledPass, places: tuple[str, ...], uniform: bool, counts: bool) -> DeviceKernel:
    """A pass over operands whose addresses stand in the rows of ``columns`` that ``places`` say; see `triton.walk`."""
    assert of.kernel is not None
    where = {name: i for i, name in enumerate(places)}
    text = module(walk("walk", of.kernel, of.dtypes, of.real, where, uniform, counts, of.extents))
    shapes = {"shapes": "*i64"} if by_line(of) else {}
    signature = {**TABLES, **shapes, **(_COUNTED if counts else {}), **row_types(of, uniform)}
    constants = {"BLOCK": block(of), "LANES": 32 * WARPS}
    return DeviceKernel("walk", text, signature, constants, _registers(of))


def by_line(of: CompiledPass) -> bool:
    """Whether a pass over weights reads anything by row or by column."""
    assert of.kernel is not None
    return any(of.extents.get(operand, "weight") != "weight" for operand in of.kernel.operands)


def row_types(of: CompiledPass, uniform: bool) -> dict[str, str]:
    """Triton's types of what gives a kernel its coefficients: themselves, or the table of their rows."""
    kind = _TYPES[of.real]
    return {f"c{i}": kind for i in range(of.width)} if uniform else {"row_of": "*i64", "rows": f"*{kind}"}


@cache
def between_kernel(what: Between, coefficients: tuple[Expression, ...], real: str) -> DeviceKernel:
    """See `triton_between.between`."""
    from .triton_between import ROWS, TILES

    signature = {**_BETWEEN, "rows": f"*{_TYPES[real]}"}
    text = module(between("between", what, coefficients, real))
    return DeviceKernel("between", text, signature, {"ROWS": ROWS, "TILES": TILES})


def block(of: CompiledPass) -> int:
    """Weights that a program takes at a time: for each thread as many as `VECTOR` bytes hold of the narrowest type.

    As many as it holds numbers to compute with, if else a thread had more than 4 vectors at once, or 2 where it adds
    up: registers are few.
    """
    widths = [_WIDTHS[kind] for name, kind in of.dtypes.items() if of.extents.get(name, "weight") == "weight"]
    weights = VECTOR // min(widths)
    fits = weights * sum(widths) <= (2 if of.totals else 4) * VECTOR
    return 32 * WARPS * (weights if fits else VECTOR // max(4, *widths))


def _registers(of: CompiledPass) -> int | None:
    """The limit where there is one: a pass that adds up, has many operands or weights at once, or is in float64.

    It is what these need. The compiler would take more, or less and put numbers aside in memory.
    """
    if by_line(of) and of.real == "float32":
        return LINE_REGISTERS
    many = len(of.operands) in (6, 7) or (len(of.operands) == 4 and block(of) > 4 * 32 * WARPS)
    return REGISTERS[of.real] if many or of.totals or of.real == "float64" else None
