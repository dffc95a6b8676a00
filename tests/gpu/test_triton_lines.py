"""Passes and walks of rows and columns as the `triton` reader writes them, interpreted, against the CPU's kernels."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from interpreted import Interpreted
from lining import Shape, Step, judge

from thalweg.formula import Hyper, Rule, State, Sum, like, maximum, mean, sqrt, where
from thalweg.formula.geometry import Geometry
from thalweg.formula.triton_kernel import DeviceKernel
from thalweg.formula.triton_lines import BLOCK, LINES, SEVERAL, SHAPES
from thalweg.optim.line_blocks import line_blocks
from thalweg.rules import CATALOGUE

ADAFACTOR, CAME = CATALOGUE["adafactor"], CATALOGUE["came"]


class ByRow(Rule):
    """Divides by the norms of rows; some rows more.

    Source:  nowhere.
    """

    lr = Hyper(0.01)
    beta = Hyper(0.9, below=1.0)
    of_row = Sum("row")
    positive = Sum("row")
    own = Sum("tensor")
    v = State("of_rows", shape="row")
    m = State("average")

    @staticmethod
    def sums(w, g, m):
        return {"of_row": g * g, "positive": where(w * m > 0, 1, 0.5), "own": w * m}

    @staticmethod
    def after(of_row, positive, own, v, columns, beta):
        v = beta * v + (1 - beta) * of_row / columns
        return {"v": v, "size": sqrt(v) + positive / columns, "level": mean(v), "more": 1 + abs(own)}

    @staticmethod
    def step(w, g, m, size, v, level, more, lr, beta):
        m = beta * m + (1 - beta) * g
        return lr * m / (size * more) + lr * where(w > 0, v, level), m


class ByColumn(Rule):
    """Takes the mean of columns, and looks at it twice.

    Source:  nowhere.
    """

    lr = Hyper(0.01)
    in_column = Sum("column")
    off = Sum("column")
    c = State("of_columns", shape="column")

    @staticmethod
    def sums(w, g, c):
        return {"in_column": g, "off": maximum(g - c, w)}

    @staticmethod
    def after(in_column, off, c, rows):
        return {"c": c + in_column / rows, "across": mean(c * c) + off}

    @staticmethod
    def step(g, c, across, lr):
        return lr * (g - c) / (1 + abs(across))


# Wide, square and narrow blocks, in several of each; several small matrices; one row, one column; not aligned.
EVERY = (
    Shape((40, 272)), Shape((35, 259), 1), Shape((300, 40)), Shape((2100, 3)), Shape((100, 3, 3)), Shape((1, 40)),
    Shape((40, 1)), Shape((5, 7), absent=True), Shape((0, 4)), Shape((3, 2, 9, 30), 3), Shape((1, 1)),
)  # fmt: skip
SOME = (Shape((33, 272)), Shape((3, 5, 2), 1), Shape((5, 7), absent=True), Shape((0, 4)))


@pytest.mark.parametrize(
    "step", [Step(ADAFACTOR, SOME), Step(ByRow, SOME[1:], "bfloat16", rows=2)], ids=lambda step: step.rule.__name__
)
def test_some_steps(step: Step) -> None:
    device = judge(step)
    assert {"added", "along", "walk"} <= {*device.launched}


@pytest.mark.slow
@pytest.mark.parametrize(
    "step",
    [
        *(Step(rule, EVERY, rows=len(EVERY)) for rule in (ADAFACTOR, like(ADAFACTOR, "paper"), CAME, ByRow)),
        Step(ADAFACTOR, EVERY, "bfloat16"), Step(like(ADAFACTOR, "transformers"), EVERY, "float16", rows=3),
        Step(ADAFACTOR, EVERY, "float64", "float64", rows=2), Step(CAME, EVERY, "bfloat16", "bfloat16", rows=2),
        Step(ByRow, EVERY, "float64", "float64"), Step(ByColumn, EVERY, "bfloat16", "bfloat16", rows=3),
        Step(ByColumn, EVERY, "float64", "float64", rows=3),
    ],
    ids=lambda step: f"{step.rule.__name__} {step.dtype} {step.rows}",
)  # fmt: skip
def test_every_step(step: Step) -> None:
    judge(step)


@pytest.mark.slow
@settings(max_examples=15)
@given(
    st.lists(
        st.builds(
            Shape,
            st.lists(st.sampled_from((1, 2, 3, 5, 31, 33, 65)), min_size=1, max_size=3).map(tuple),
            st.integers(0, 3),
            st.booleans(),
        ),
        min_size=1,
        max_size=3,
    ),
    st.sampled_from((ByRow, ByColumn)),
    st.sampled_from(("float32", "bfloat16")),
)
def test_any_shapes(shapes: list[Shape], rule: type[Rule], dtype: str) -> None:
    judge(Step(rule, shapes, dtype))


MUTANTS = {
    "a row": ("added", "tall = down < so_many", "tall = down < so_many - 1"),
    "where a block begins": ("added", "matrix * high + begin + down", "matrix * high + down"),
    "a column's total": ("added", "s_by_column += ", "s_by_column -= "),
    "a square": ("added", "t0_root * t0_root", "t0_root * abs(t0_root)"),
    "parts": ("joining", "(part * apart)", "(part * 0)"),
    "a mean": ("along", "/ length.to", "/ (length + 1).to"),
    "a matrix": ("along", "(lanes - left) // each + 1", "(lanes - left) // each"),
    "the last lines": ("along", "there = lanes < count", "there = lanes < count - 1"),
    "a row's number": ("walk", "lanes - left) // wide + 1", "lanes - left) // wide + 2"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTANTS)
def test_a_kernel_that_is_wrong_is_refused(name: str) -> None:
    """One small change of the text each."""
    called, old, new = MUTANTS[name]

    class Mutated(Interpreted):
        changed = 0

        def launch(self, kernel: DeviceKernel, programs: int, arguments: Sequence[Any]) -> None:
            if kernel.name == called and old in kernel.text:
                kernel = replace(kernel, text=kernel.text.replace(old, new))
                self.changed += 1
            super().launch(kernel, programs, arguments)

    device = Mutated()
    with pytest.raises(AssertionError):
        judge(Step(ADAFACTOR, (Shape((33, 272)), Shape((3, 5, 2)))), device)
    assert device.changed


@pytest.mark.parametrize(
    "of",
    [(1, 40, 272), (2, 5000, 3), (1, 300, 40), (100, 3, 3), (3, 70, 100), (1, 1, 1000), (1, 1000, 1), (1, 50_000, 8)],
    ids=str,
)
def test_blocks_are_all_weights_once(of: tuple[int, int, int]) -> None:
    """And the totals of each line are joined once, from parts that no two blocks share."""
    matrices = Geometry(*of)
    cut = line_blocks([Geometry(1, 0, 3), matrices, Geometry(1, 2, 2)])
    seen = np.zeros((matrices.count, matrices.rows, matrices.columns), np.int8)
    mine = cut.blocks[:, 0] == 1
    for block in cut.blocks[mine]:
        at = dict(zip(BLOCK, block.tolist(), strict=True))
        if at["kind"] == SEVERAL:
            seen[at["matrix"] : at["matrix"] + at["matrices"]] += 1
        elif at["kind"] >= 0:
            down, across = slice(at["begin"], at["begin"] + at["so_many"]), SHAPES[at["kind"]][1]
            seen[at["matrix"], down, at["column"] : at["column"] + across] += 1
    assert (seen == 1).all()
    tiles = cut.layout.tiles
    assert tiles[:, 0].tolist() == cut.blocks[:, 0].tolist(), "sums of both lie alike"
    assert tiles[tiles[:, 1] == 0, 0].tolist() == [0, 1, 2], "a tensor's first tile counts its steps"
    assert tiles[tiles[:, 0] == 1, 2].sum() == seen.size
    for along, lines in (("row", matrices.count * matrices.rows), ("column", matrices.count * matrices.columns)):
        by, room = cut.by[along], 8 * cut.by[along].room
        targets = by.targets(cut.blocks[:, 0], np.array([0, 10**9, 0]), 10**8)[mine & (cut.blocks[:, 1] >= 0)]
        joined = [each for each in by.joins(np.array([0, 10**9, 0]), 10**8) if each[0] == 1]
        if by.parts[1] == 1:
            assert not joined
            assert ((targets >= 10**9) & (targets < 10**9 + 8 * lines)).all()
            continue
        assert ((targets >= 10**8) & (targets < 10**8 + room)).all()
        assert len({*targets.tolist()}) == len(targets), "no two blocks share a part"
        assert [target for *_, target, _ in joined] == [10**9 + 8 * first for first in range(0, lines, LINES)]
        assert sum(count for *_, count in joined) == lines
        assert {parts for _, parts, *_ in joined} == {by.parts[1]}
