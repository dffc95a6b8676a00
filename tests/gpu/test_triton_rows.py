"""What stands between two passes on a GPU, interpreted, against the machine code that does it on the CPU."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from interpreted import Interpreted
from kernel_cases import Case
from numpy.typing import NDArray
from walking import numbers_of

from thalweg.formula import Scalar
from thalweg.formula import between as on_cpu
from thalweg.formula.kernel import CompiledPass, Task, next_scalars, scalars_of
from thalweg.formula.numbers import Numbers
from thalweg.formula.rule import parts
from thalweg.formula.triton_between import ROWS, Between, Total
from thalweg.formula.triton_kernel import DeviceKernel, between_kernel
from thalweg.rules import BY_WEIGHT

pytestmark = pytest.mark.slow  # what they do to a step is in test_interpreted_optimizers.py

NO_TILES = np.zeros((0, 3), np.int64)


@dataclass
class Call:
    """One call of the kernel; what is not said is as where nothing is scaled, added up or left out."""

    what: Between
    walk: CompiledPass
    numbers: Numbers
    sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros((1, 1)))
    first_tile: Sequence[int] = (0, 0)
    clip: tuple[float, float] = (1.0, 0.0)
    taken: Sequence[float] = ()
    each: int = 0
    kept: NDArray[np.float64] = field(default_factory=lambda: np.zeros((1, 1)))
    grads: Sequence[int] = (1,)
    found: float = 0.0
    scale: float = 1.0

    def run(self) -> "Call":
        count = len(self.numbers.values)
        kernel = between_kernel(self.what, self.walk.kernel.coefficients, self.walk.real)  # type: ignore[union-attr]
        self.after = torch.from_numpy(self.numbers.values.copy())
        self.rows = torch.full((count, self.walk.width), 7.0, dtype=getattr(torch, self.walk.real))
        self.stop, self.left_out = torch.full((1,), 7.0), torch.full((1,), 3.0, dtype=torch.float64)
        taken = torch.tensor([*self.taken] or [0.0] * count, dtype=torch.float64)
        self.next = torch.from_numpy(self.kept.copy())
        Interpreted().launch(
            kernel, count if self.what.apart else -(-count // ROWS),
            (
                self.after, count, self.rows, torch.from_numpy(self.sums), len(self.sums),
                torch.tensor(self.first_tile), *self.clip, taken, self.each, self.next, count, torch.tensor(self.grads),
                torch.tensor([self.found]), torch.tensor([self.scale]), self.stop, self.left_out,
            ),
        )  # fmt: skip
        return self


def rows_by_the_cpu(walk: CompiledPass, numbers: Numbers) -> NDArray[np.floating]:
    none = np.zeros(len(numbers.row_of), np.int64)
    task = Task(walk, NO_TILES, NO_TILES[:, :2].copy(), dict.fromkeys(walk.operands, none), numbers)
    task.run(1)
    return task.rows[: len(numbers.values)]


def assert_rows(call: Call, numbers: Numbers, case: object) -> None:
    """float32 to the bit, float64 to 1e-11: powers are of another library."""
    expected = rows_by_the_cpu(call.walk, numbers)
    if call.walk.real == "float32":
        np.testing.assert_array_equal(call.rows.numpy(), expected, err_msg=str(case))
    else:
        np.testing.assert_allclose(call.rows.numpy(), expected, rtol=1e-11, atol=0, err_msg=str(case))


def numbers_for(case: Case, walk: CompiledPass, rows: int) -> Numbers:
    """Steps from the first to many, rates that differ."""
    numbers = numbers_of(case.made, walk, rows, rows)
    numbers.put({"t": np.array([1.0, 2.0, 7.0, 5000.0, 123456.0])[np.arange(rows) % 5]})
    return numbers


OTHERS = ("adabound", "schedulefreesgd", "schedulefreeadamw")
FEW = ("adamw", "adopt", "nadam")


@pytest.mark.parametrize(
    "name", [each if each in FEW else pytest.param(each, marks=pytest.mark.slow) for each in BY_WEIGHT]
)
def test_rows_of_every_rule(name: str) -> None:
    for types in ("float32", "float64"):
        case = Case(name, types, "chain")
        for label, walk in case.walks.items():
            if not walk.width:
                continue
            for apart, count in ((False, 5), (True, 5), (False, ROWS + 3)):
                numbers = numbers_for(case, walk, count)
                call = Call(Between(walk.names, (), 1, apart, first=True), walk, numbers).run()
                assert_rows(call, numbers, (name, types, label, apart, count))
                assert (call.stop.item(), call.left_out.item()) == (0.0, 3.0)
                np.testing.assert_array_equal(call.after.numpy(), numbers.values)


TILES = np.array([(0, 0, 1), (0, 1, 1), (1, 0, 1), (3, 0, 1), (3, 1, 1), (3, 2, 1)], np.int64)
FIRST_TILE = (0, 2, 3, 3, 6)  # the third tensor has none


@pytest.mark.parametrize("by_tensor", [False, True])
@pytest.mark.parametrize("clip", [None, (1.5, 0.0), (0.25, 1e-6), (np.inf, 1e-6)])
def test_totals(by_tensor: bool, clip: tuple[float, float] | None) -> None:
    """Of each tensor or over all, as numbers of the step and in the rows that follow; with gradients still scaled."""
    case = Case("lamb")
    walk, drawn = case.walks["update"], np.random.default_rng(5)
    names = ("clip_scale",) if clip else tuple(case.walks["sums 0"].totals)
    sums = drawn.random((len(TILES), len(names)))
    for scale in (1.0, 8.0):
        numbers = numbers_for(case, walk, 4)
        totals = tuple(Total(each, k, by_tensor, clip is not None, clip is not None) for k, each in enumerate(names))
        what = Between(walk.names, totals, len(names), by_tensor, first=False)
        call = Call(what, walk, numbers, sums, FIRST_TILE, clip or (1.0, 0.0), scale=scale).run()
        judge = numbers_for(case, walk, 4)
        judge.column("unscale")[:] /= scale
        found = np.zeros((len(names), 4))
        on_cpu.gather(sums, TILES, found, judge, raw=clip is not None).run()
        for k, name in enumerate(names):
            on_cpu.join([found[k]], [judge], name, None if clip is None else np.array(clip), by_tensor).run()
            column = call.after.numpy()[:, judge.place[name]]
            np.testing.assert_allclose(column, judge.column(name), rtol=1e-14, atol=0)
        expected = rows_by_the_cpu(walk, judge)
        np.testing.assert_allclose(call.rows.numpy(), expected, rtol=1.2e-7, atol=0)  # a sum in another order
        assert call.stop.item() == 7.0  # not the first of a step: left as it is


def test_totals_of_many_tiles() -> None:
    """More than a program takes at a time."""
    case = Case("lamb")
    walk = case.walks["update"]
    sums = np.random.default_rng(6).random((2500, 2))
    what = Between(
        walk.names, (Total(case.walks["sums 0"].totals[0], 1, by_tensor=False),), 2, apart=False, first=False
    )
    call = Call(what, walk, numbers_for(case, walk, 3), sums).run()
    again = Call(what, walk, numbers_for(case, walk, 3), sums).run()
    column = call.after.numpy()[:, walk.names.index(what.totals[0].name)]
    np.testing.assert_allclose(column, sums[:, 1].sum(), rtol=1e-13)
    assert call.after.equal(again.after)


@pytest.mark.parametrize("apart", [False, True])
def test_the_guard(apart: bool) -> None:
    """A step is left out where a scaler has found something, or a sum of squares is nan or infinite."""
    case = Case("adamw")
    walk = case.walks["update"]
    total = Total("clip_scale", 0, by_tensor=apart, clip=True, raw=True)
    for bad, found, guard, stops in (
        (1.0, 0.0, True, 0.0), (np.nan, 0.0, True, 1.0), (np.inf, 0.0, True, 1.0), (np.inf, 0.0, False, 0.0),
        (1.0, 1.0, True, 1.0), (1.0, 1.0, False, 1.0), (np.nan, 1.0, True, 1.0), (1e300, 0.0, True, 0.0),
    ):  # fmt: skip
        sums = np.array([[1.0], [bad], [2.0]])
        what = Between(walk.names, (total,), 1, apart, first=True, guard=guard)
        call = Call(what, walk, numbers_for(case, walk, 2), sums, (0, 2, 3), found=found).run()
        assert (call.stop.item(), call.left_out.item()) == (stops, 3.0 + stops), (bad, found, guard)


def test_a_scaler_and_steps_that_the_host_does_not_know() -> None:
    """The scale divides ``unscale``; the step's number is one more than the row's own count, or all rows' first."""
    case = Case("adamw", "float64")
    walk = case.walks["update"]
    taken = (4.0, 5.0, 9.0, 7.0)
    for apart, each in ((True, 1), (False, 1), (False, 0)):
        numbers = numbers_of(case.made, walk, 4, 4)
        what = Between(walk.names, (), 1, apart, first=True, counted=True)
        call = Call(what, walk, numbers, taken=taken, each=each, scale=1024.0).run()
        judge = numbers_of(case.made, walk, 4, 4)
        judge.put({"t": np.array(taken if each else taken[:1]) + 1.0, "unscale": judge.column("unscale") / 1024.0})
        assert_rows(call, judge, (apart, each))


@pytest.mark.parametrize("name", ["nadam", "prodigy", *(pytest.param(n, marks=pytest.mark.slow) for n in OTHERS)])
def test_next_scalars(name: str) -> None:
    """As the host works them out, of tensors with a gradient, unless the step is left out; for all, of the first."""
    case = Case(name, "float64")
    walk, scalars = case.walks["update"], parts(case.made, Scalar)
    common = frozenset(each for each, of in scalars.items() if of.scope == "all")
    switches = tuple(case.switches.items())
    numbers, drawn = numbers_of(case.made, walk, 4, 4), np.random.default_rng(3).random((len(scalars), 4)) + 0.5
    if common:
        drawn[:] = drawn[:, :1]
    if "beta2" in numbers.place:
        numbers.put({"beta2": np.array([0.9, 0.99, 0.999, 0.5])})
    taken = np.array([4.0, 5.0, 6.0, 7.0])
    what = Between(walk.names, (), 1, False, True, False, True, (*scalars,), next_scalars(case.made, switches), common)
    told = {**numbers.columns(), "t": taken + 1, **dict(zip(scalars, drawn, strict=True))}
    expected = [np.broadcast_to(value, 4) for value in scalars_of(case.made, switches)(told)]
    for found in (0.0, 1.0):
        call = Call(what, walk, numbers, taken=[*taken], each=1, kept=drawn, grads=(8, 0, 8, 8), found=found).run()
        for each, mine, theirs, before in zip(scalars, call.next.numpy(), expected, drawn, strict=True):
            after = np.full(4, theirs[0]) if each in common else theirs
            after = np.where([not found, False, not found, not found], after, before)
            np.testing.assert_allclose(mine, after, rtol=1e-13, err_msg=each)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("+ 1.0", "- 1.0"),
        ("row * each", "row"),
        ("= power(", "= maximum("),
        ("n_unscale / ", "n_unscale * "),
        ("stopped)", "0.0)"),
    ],
)
def test_a_kernel_that_is_wrong_is_refused(old: str, new: str) -> None:
    right = between_kernel

    def changed(*arguments: Any) -> DeviceKernel:
        kernel = right(*arguments)
        assert old in kernel.text
        return replace(kernel, text=kernel.text.replace(old, new))

    def look() -> None:
        test_a_scaler_and_steps_that_the_host_does_not_know()
        test_the_guard(apart=False)

    look()
    with patch(f"{__name__}.between_kernel", changed), pytest.raises(AssertionError):
        look()
