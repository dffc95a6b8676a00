"""Routes as a table: one line for all that go the same way, with the numbers in their names as ranges."""

from collections.abc import Iterable, Sequence
from itertools import groupby

from thalweg.formula.geometry import Geometry

from .route import Route

HEADINGS = ("to", "names", "tensors", "weights", "as matrices", "why")
RIGHT = ("tensors", "weights")
# Of these a model has many, all alike: one line for all.
_TOGETHER = ("norm", "bias", "vector")


def rows_of(routes: Sequence[Route]) -> list[tuple[str, ...]]:
    """The table's cells: matrices, others, and each in all."""
    lines: dict[tuple[object, ...], list[Route]] = {}
    for route in routes:
        alike = () if _together(route) else _pattern(route.name)
        lines.setdefault((not route.matrix, alike, route.reason, route.matrices), []).append(route)
    rows = []
    for matrix, end in ((True, "all matrices"), (False, "all others")):
        mine = [of for of in lines.values() if of[0].matrix is matrix]
        rows += [_row("matrix" if matrix else "other", of) for of in sorted(mine, key=lambda of: _together(of[0]))]
        members = [route for of in mine for route in of]
        rows.append((end, "", *_counted(members), "", ""))
    return rows


def in_parts(sizes: Sequence[int]) -> str:
    """``768 + 768 + 768``; many equal ones as ``32 of 8``."""
    if len(sizes) > 4 and len({*sizes}) == 1:
        return f"{len(sizes)} of {sizes[0]}"
    return " + ".join(map(str, sizes))


def _together(route: Route) -> bool:
    return not route.matrix and route.reason in _TOGETHER


def _row(to: str, members: Sequence[Route]) -> tuple[str, ...]:
    first = members[0]
    return to, _names([route.name for route in members]), *_counted(members), _shapes(first.matrices), first.reason


def _counted(members: Sequence[Route]) -> tuple[str, str]:
    return str(len(members)), f"{sum(route.param.numel() for route in members):,}"


def _shapes(matrices: Iterable[Geometry]) -> str:
    """``12 of 64 x 64, 1024 x 64``."""
    said = []
    for of, alike in groupby(matrices):
        count = of.count * sum(1 for _ in alike)
        said.append(f"{f'{count} of ' if count > 1 else ''}{of.rows} x {of.columns}")
    return ", ".join(said)


def _pattern(name: str) -> tuple[str, ...]:
    """A name's parts, with nothing where a number stands."""
    return tuple("" if part.isdigit() else part for part in name.split("."))


def _names(names: Sequence[str]) -> str:
    """``h.0..11.ln_1.weight``, for names that differ in numbers; of several such, the first and how many more."""
    kinds: dict[tuple[str, ...], list[str]] = {}
    for name in names:
        kinds.setdefault(_pattern(name), []).append(name)
    more = f", and {len(kinds) - 1} more" if len(kinds) > 1 else ""
    return _collapsed(next(iter(kinds.values()))) + more


def _collapsed(names: Sequence[str]) -> str:
    columns = zip(*(name.split(".") for name in names), strict=True)
    return ".".join(column[0] if len({*column}) == 1 else _ranges({*map(int, column)}) for column in columns)


def _ranges(numbers: set[int]) -> str:
    """``0..3,5``."""
    runs: list[list[int]] = []
    for n in sorted(numbers):
        if runs and n == runs[-1][-1] + 1:
            runs[-1].append(n)
        else:
            runs.append([n])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}..{run[-1]}" for run in runs)
