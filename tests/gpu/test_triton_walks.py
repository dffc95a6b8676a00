"""Every rule's passes as GPUs are to run them, interpreted, against the CPU's kernels: the same bits."""

from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from interpreted import Interpreted
from kernel_cases import TYPES, Case, every_rule
from walking import Memory, Tensor, judge, numbers_of

from kernels import made
from thalweg.formula.compose import Pass
from thalweg.formula.expression import COMPARISONS, apply, weight
from thalweg.formula.kernel import CompiledPass
from thalweg.formula.numbers import Numbers
from thalweg.formula.operations import OPERATIONS
from thalweg.formula.triton import TILE
from thalweg.formula.triton_kernel import DeviceKernel, block, walk_kernel
from thalweg.optim import device_task
from thalweg.optim.device_task import Tables
from thalweg.optim.layout import even_layout


def tensors(walk: CompiledPass) -> tuple[Tensor, ...]:
    """A whole block and a rest; not aligned; none; less than a vector; no gradient."""
    return Tensor(block(walk) + 5), Tensor(131, 1), Tensor(0), Tensor(3), Tensor(9, absent=True)


def take_all(case: Case, ways: tuple[int, ...] = (1, 2), special: bool = False) -> None:
    """Each pass, with coefficients as arguments (1) and as rows (2)."""
    for name, walk in case.walks.items():
        if name.endswith("norm") and case.rule != "sgd":
            continue  # the same of every rule
        for rows in ways:
            memory = Memory(tensors(walk), walk.dtypes).fill(7, special)
            try:
                judge(walk, memory, numbers_of(case.made, walk, len(memory.tensors), rows), uniform=rows == 1)
            except AssertionError as error:
                raise AssertionError(f"{case} {name}, {rows} rows: {error}") from error


@pytest.mark.parametrize(
    "case",
    [
        Case("sgd", "bfloat16", "chain"), Case("adamw"),
    ],
    ids=lambda case: f"{case.rule} {case.types}",
)  # fmt: skip
def test_some_rules(case: Case) -> None:
    take_all(case)


@pytest.mark.slow
@pytest.mark.parametrize("types", TYPES)
def test_every_rule(types: str) -> None:
    for case in every_rule(types):
        take_all(case, (1,) if case.chain == "plain" else (2,))


@pytest.mark.slow
@pytest.mark.parametrize("types", ["float32", "bfloat16", "float64"])
def test_numbers_that_arithmetic_treats_in_a_way_of_its_own(types: str) -> None:
    """nan, infinities, denormal numbers, both zeros, and such as overflow."""
    for case in every_rule(types):
        if case.chain == "chain" and (types == "float32" or case.rule in ("adopt", "lion", "mars", "rprop")):
            take_all(case, (2,), special=True)


SIZES = st.one_of(st.sampled_from((0, 1, 2, 127, 128, 129, 255, 256, 511, 512, 513, 1024, 1029)), st.integers(0, 700))


@pytest.mark.slow
@settings(max_examples=25)
@given(
    st.lists(st.builds(Tensor, SIZES, st.integers(0, 3), st.booleans()), min_size=1, max_size=4),
    st.sampled_from([Case(rule, types) for rule in ("adam", "signum") for types in TYPES]),
    st.integers(1, 3),
    st.booleans(),
    st.integers(0, 99),
)
def test_any_memory(of: list[Tensor], case: Case, rows: int, special: bool, seed: int) -> None:
    walk = case.walks["update"]
    memory = Memory(of, walk.dtypes).fill(seed, special)
    judge(walk, memory, numbers_of(case.made, walk, len(of), min(rows, len(of))))


@pytest.mark.parametrize(
    ("size", "offset"), [pytest.param(4 * TILE + 700, 0, marks=pytest.mark.slow), (TILE + 515, 0), (515, 1)]
)
def test_tensors_of_several_tiles(size: int, offset: int) -> None:
    """A short pass that adds up: each tile has sums of its own."""
    walk = Case("lars").walks["sums 0"]
    memory = Memory((Tensor(size, offset), Tensor(7)), walk.dtypes).fill(3)
    judge(walk, memory, numbers_of(Case("lars").made, walk, 2))


def test_aligned_beside_unaligned() -> None:
    """One operand that starts 4 bytes off is enough: a tensor is then walked over under a mask."""
    case = Case("momentum")
    walk = case.walks["update"]
    memory = Memory((Tensor(block(walk) + 3),), walk.dtypes).fill(1)
    room = torch.empty(block(walk) + 64)
    memory.values["g"] = [room[1 : block(walk) + 4].copy_(memory.values["g"][0])]
    assert {values[0].data_ptr() % 16 for values in memory.values.values()} == {0, 4}
    judge(walk, memory, numbers_of(case.made, walk, 1))


def test_arguments_and_rows_give_the_same_bits() -> None:
    case = Case("adamw", "bfloat16")
    walk = case.walks["update"]
    found = []
    for rows in ([0.1 * i for i in range(1, walk.width + 1)], None):
        memory = Memory((Tensor(block(walk) + 5),), walk.dtypes).fill(2)
        given = rows or (torch.tensor([[0.1 * i for i in range(1, walk.width + 1)]], dtype=torch.float32),)
        _walk(walk, memory, given)
        found.append(memory.values)
    assert found[0]["w"][0].equal(found[1]["w"][0])
    assert found[0]["v"][0].equal(found[1]["v"][0])


def _walk(walk: CompiledPass, memory: Memory, rows: Any, stop: float = 0.0, counted: Any = ()) -> torch.Tensor:
    cut = even_layout([tensor.size for tensor in memory.tensors], TILE)
    numbers = Numbers(walk.names, len(memory.tensors))
    sums = torch.full((len(cut.tiles), max(len(walk.totals), 1)), 7.0, dtype=torch.float64)
    Tables(Interpreted(), cut.tiles, memory.columns, numbers).walk(walk, sums, torch.tensor([stop]), rows, counted)
    return sums


def test_a_step_that_is_left_out() -> None:
    """Nothing is written, sums are 0, and other steps are counted of tensors that have a gradient."""
    case = Case("adamw", "bfloat16")
    walk = case.walks["update"]
    memory = Memory((Tensor(block(walk) + 5), Tensor(3, absent=True), Tensor(2)), walk.dtypes).fill(2)
    before = memory.copy()
    taken = torch.tensor([1.0, 5.0, 0.0], dtype=torch.float64)
    rows = torch.full((1, walk.width), 0.5)
    _walk(walk, memory, (rows,), stop=1.0, counted=(taken,))
    for operand, values in memory.values.items():
        assert all(map(torch.equal, values, before.values[operand])), operand
    assert taken.tolist() == [1.0, 5.0, 0.0]
    _walk(walk, memory, (rows,), counted=(taken,))
    assert taken.tolist() == [2.0, 5.0, 1.0]
    assert not memory.values["w"][0].equal(before.values["w"][0])
    norm = Case("sgd").walks["norm"]
    summed = Memory((Tensor(5), Tensor(3, absent=True)), norm.dtypes).fill(2)
    assert _walk(norm, summed, (), stop=1.0).tolist() == [[0.0], [0.0]]
    assert _walk(norm, summed, ())[1].tolist() == [0.0]


@pytest.mark.slow
@pytest.mark.parametrize("real", ["float32", "float64"])
def test_every_operation(real: str) -> None:
    """Of all pairs of numbers; what is not exact within 2 units in the last place, of the C library's."""
    values = (0.0, -0.0, 1.0, -1.0, 0.5, -1.5, 3.0, -2.25, 17.5, 1e-3, np.inf, -np.inf, np.nan, 1e-42, -1e-42, 3e38)
    pairs = np.array([(a, b) for a in values for b in values]).T
    for name, operation in OPERATIONS.items():
        if name == "**":
            continue  # of weights there are products and roots only
        a = [weight(each) for each in ("w", "g")][: operation.arity]
        e = apply(name, *a) if operation.arity < 3 else apply(name, apply(">", a[0], 0.5), a[1], a[0])
        e = apply("where", e, 1.0, 0.0) if name in COMPARISONS else e
        walk = made(Pass({}, {"out": e}), dict.fromkeys(("w", "g", "out"), real), real)
        memory = Memory((Tensor(pairs.shape[1]),), walk.dtypes)
        drawn = {"w": pairs[0], "g": pairs[1], "out": pairs[0]}
        memory.values = {o: [torch.tensor(drawn[o], dtype=getattr(torch, real))] for o in walk.operands}
        try:
            judge(walk, memory, Numbers(walk.names, 1), ulps=0 if operation.exact or name == "floor" else 2)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error


MUTANTS = {
    "a sum": (" + x", " - x"),
    "a constant": ("0.0, tl.float32", "1e-7, tl.float32"),
    "a root": ("sqrt(x", "abs(x"),
    "a quotient": ("divided(x", "maximum(x"),
    "an operand": (" * v_m", " * v_v"),
    "a mask": ("lanes < count", "lanes < count - 1"),
    "a block": ("count // BLOCK * BLOCK", "count // BLOCK * BLOCK - BLOCK + 1"),
    "an address": ("b_m = at_m", "b_m = at_v"),
    "rounding": ("(p_m, x", "(p_m, 1.0000001 * x"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_kernel_that_is_wrong_is_refused(name: str) -> None:
    """One small change of the text each."""
    case = Case("adamw")
    walk = case.walks["update"]
    old, new = MUTANTS[name]

    def changed(*arguments: Any) -> DeviceKernel:
        kernel = walk_kernel(*arguments)
        at = kernel.text.index(old)
        return replace(kernel, text=kernel.text[:at] + new + kernel.text[at + len(old) :])

    memory = Memory((Tensor(block(walk) + 5),), walk.dtypes).fill(4)
    numbers = numbers_of(case.made, walk, 1)
    judge(walk, memory, numbers)
    with patch.object(device_task, "walk_kernel", changed), pytest.raises(AssertionError, match="differ"):
        judge(walk, memory, numbers)
