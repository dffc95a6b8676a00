"""Kernels of `triton_lines` and `triton_along`, loaded: what `triton_kernel` is to the others."""

from collections.abc import Sequence
from functools import cache

from .kernel import CompiledPass
from .line_kernel import CompiledLines, LineWalk
from .triton import module
from .triton_along import along_lines
from .triton_kernel import LINE_REGISTERS, TABLES, DeviceKernel, row_types
from .triton_lines import added_by_line, joining

_ADDED = {"shapes": "*i64", "targets": "*i64"}
_LINES = {"lines": "*i64", "columns": "*i64", "tensors": "i64", "stop": "*fp32", "shapes": "*i64"}
_JOINING = {"joins": "*i64", "columns": "*i64", "tensors": "i64", "stop": "*fp32"}


def line_totals(of: CompiledPass) -> tuple[str, ...]:
    """The totals by row or by column of a pass over weights."""
    return tuple(name for name in of.totals if name in of.extents)


@cache
def added_kernel(of: CompiledPass, places: tuple[str, ...], uniform: bool) -> DeviceKernel:
    """A pass that adds up by line; ``places`` as of `walk_kernel`."""
    assert of.kernel is not None
    where = {name: i for i, name in enumerate(places)}
    text = added_by_line("added", of.kernel, of.totals, of.extents, of.dtypes, of.real, where, uniform)
    tables = {"blocks" if name == "tiles" else name: kind for name, kind in TABLES.items()}
    return DeviceKernel("added", module(text), {**tables, **_ADDED, **row_types(of, uniform)}, {}, LINE_REGISTERS)


@cache
def joining_kernel(at_g: int) -> DeviceKernel:
    """See `triton_lines.joining`."""
    return DeviceKernel("joining", module(joining("joining", at_g)), _JOINING, {}, LINE_REGISTERS)


Together = tuple[tuple[LineWalk, int], ...]
"""Walks along lines that one kernel takes, each with the place of its first coefficient."""


def together(walks: Sequence[LineWalk]) -> list[Together]:
    """Walks along lines by the kernels that take them, in order.

    Those of a kernel all take means or all write, and none reads what another of them makes.
    """
    found: list[Together] = []
    made: set[str] = set()
    first = 0
    for walk in walks:
        before = found[-1][-1][0] if found else None
        if before is None or bool(before.totals) != bool(walk.totals) or made & {*walk.kernel.operands}:
            found.append(())
            made = set()
        found[-1] = *found[-1], (walk, first)
        first += len(walk.kernel.coefficients)
        made |= {*walk.totals}
    return found


@cache
def along_kernels(
    of: CompiledLines, places: tuple[str, ...], uniform: bool
) -> tuple[tuple[Together, DeviceKernel], ...]:  # fmt: skip
    """Walks along lines, one kernel after the other, each with the walks that it takes."""
    where = {name: i for i, name in enumerate(places)}
    signature = {**_LINES, **row_types(of, uniform)}
    found = []
    for walks in together(of.walks):
        text = module(along_lines("along", walks, of.dtypes, where, uniform, of.width))
        found.append((walks, DeviceKernel("along", text, signature, {}, LINE_REGISTERS)))
    return tuple(found)
