"""Programs by line as machine code: what `kernel` is to the others."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from .compose import number_names, program
from .declare import State
from .kernel import CompiledPass, compiled
from .line_code import lines_code, weights_code
from .lines import Stage, placed
from .llvm import compute_type
from .lower import Kernel, lower
from .rule import Rule, once, parts


@dataclass(frozen=True, eq=False)
class LineWalk:
    """One walk along lines: what it computes, the names of its totals, which are means, and along what it goes."""

    kernel: Kernel
    totals: tuple[str, ...]
    along: str


@dataclass(frozen=True, eq=False)
class CompiledLines(CompiledPass):
    """Walks along lines, one after the other in each matrix; their coefficients are one row, in the same order."""

    walks: tuple[LineWalk, ...] = ()


@dataclass(frozen=True, eq=False)
class CompiledStage:
    """Walks along lines, then the pass over weights that they prepare; None for what has nothing to do.

    ``joined``  the totals by column that the walks join, in order; ``by_column`` those that the pass adds up.
    """

    lines: CompiledLines | None
    weights: CompiledPass | None
    joined: tuple[str, ...]
    by_column: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class LinePasses:
    """A rule, with its switches resolved, as machine code over memory of given element types.

    ``last``  the walks that write the states kept by line.
    ``kept``  what is kept aside: whether by row, column or matrix, and in which element type.
    """

    norm: CompiledPass
    limited_norm: CompiledPass
    sums: tuple[CompiledStage, ...]
    update: CompiledStage
    last: CompiledStage
    kept: Mapping[str, tuple[str, str]]


@once
def line_passes(
    rule: type[Rule], switches: tuple[tuple[str, bool], ...], dtypes: tuple[tuple[str, str], ...]
) -> LinePasses:
    """Trace a rule and write its kernels; the arguments are those of `kernel.passes`."""
    traced = placed(rule, program(rule, dict(switches)))
    types, names = dict(dtypes), number_names(rule)
    real = compute_type(types)
    # A total is as exact as it was taken; what weights read is as they are computed.
    kept = {n: (by, real if n.startswith(("row ", "column ")) else "float64") for n, by in traced.kept.items()}
    extents = {"w": "weight", "g": "weight", **{name: state.shape for name, state in parts(rule, State).items()}}
    writer = _Writer(
        {**extents, **{name: by for name, (by, _) in kept.items()}},
        {**types, **{name: kind for name, (_, kind) in kept.items()}},
        real,
        names,
    )
    sums = tuple(writer.stage(stage) for stage in traced.sums)
    update = writer.stage(traced.update)
    last = writer.stage(Stage(traced.last, replace(traced.norm, totals={})))
    return LinePasses(
        compiled(traced.norm, types, "float64", names), compiled(traced.limited_norm, types, "float64", names),
        sums, update, last, kept,
    )  # fmt: skip


@dataclass
class _Writer:
    extents: Mapping[str, str]
    dtypes: Mapping[str, str]
    real: str
    names: tuple[str, ...]
    left: tuple[str, ...] = ()
    """Totals by column that a pass has left in parts."""

    def stage(self, stage: Stage) -> CompiledStage:
        """The next stage: the walks that come first join what the pass before them has left."""
        joined, self.left = self.left, ()
        lines = self.along(stage, joined) if stage.lines or joined else None
        weights = None
        if stage.weights.totals or stage.weights.writes:
            kernel, totals = lower(stage.weights), tuple(stage.weights.totals)
            # What is added up by line is written too.
            own = tuple(dict.fromkeys((*kernel.operands, *(n for n in totals if self.extents.get(n) == "row"))))
            text = weights_code(replace(kernel, operands=own), totals, self.extents, self.dtypes, self.real, self.names)
            width = len(kernel.coefficients)
            weights = CompiledPass(own, totals, self.real, self.names, width, text, kernel, *self.of(own, totals))
            self.left = tuple(n for n in totals if self.extents.get(n) == "column")
        return CompiledStage(lines, weights, joined, self.left)

    def along(self, stage: Stage, joined: tuple[str, ...]) -> CompiledLines:
        from .machine import PLAIN  # where there is no compiler nothing gets here

        walks = tuple(LineWalk(lower(walk), tuple(walk.totals), walk.along) for walk in stage.lines)
        every = (name for walk in walks for name in (*walk.kernel.operands, *walk.totals))
        operands = tuple(dict.fromkeys(("g", *joined, *every)))
        asked = [(walk.kernel, walk.totals, walk.along) for walk in walks]
        text = PLAIN + lines_code(asked, joined, operands, self.extents, self.dtypes, self.names)
        coefficients = tuple(e for walk in walks for e in walk.kernel.coefficients)
        row, own = Kernel(operands, (), (), coefficients), self.of(operands, ())
        return CompiledLines(operands, (), "float64", self.names, len(coefficients), text, row, *own, walks)

    def of(self, operands: tuple[str, ...], totals: tuple[str, ...]) -> tuple[dict[str, str], dict[str, str]]:
        """The element types of operands, and the extents of these and of totals by line."""
        named = {name: self.extents[name] for name in (*operands, *totals) if name in self.extents}
        return {name: self.dtypes[name] for name in operands}, named
