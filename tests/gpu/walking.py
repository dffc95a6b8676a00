"""A pass over memory twice: by the CPU's kernel, which judges, and by the text for GPUs, interpreted."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from interpreted import Interpreted

from thalweg.formula import Rule, chain
from thalweg.formula.expression import Expression
from thalweg.formula.kernel import CompiledPass, Task
from thalweg.formula.numbers import Numbers
from thalweg.formula.rule import hypers
from thalweg.formula.triton import TILE
from thalweg.optim.device_task import Tables
from thalweg.optim.layout import even_layout

BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}
SPECIAL = (0.0, -0.0, 1.0, -1.0, math.inf, -math.inf, math.nan, 1e-40, -1e-45, 6e-8, 3e38, -3e38, 1e-20, 65504.0, 1e300)


@dataclass(frozen=True)
class Tensor:
    """``offset``: elements between an address that is a multiple of 64 and the first weight."""

    size: int
    offset: int = 0
    absent: bool = False


@dataclass
class Memory:
    """What a pass walks over: by operand a tensor each."""

    tensors: Sequence[Tensor]
    dtypes: Mapping[str, str]
    values: dict[str, list[torch.Tensor]] = field(default_factory=dict)

    def fill(self, seed: int, special: bool = False) -> "Memory":
        """Normal numbers, those of states positive; or now and then one that arithmetic treats in a way of its own."""
        draws = np.random.default_rng(seed)
        for operand, dtype in self.dtypes.items():
            self.values[operand] = []
            for tensor in self.tensors:
                drawn = draws.standard_normal(tensor.size)
                drawn = drawn if operand in ("w", "g") else np.abs(drawn)
                if special:
                    drawn = np.where(draws.random(tensor.size) < 0.3, draws.choice(SPECIAL, tensor.size), drawn)
                self.values[operand].append(self._placed(torch.from_numpy(drawn).to(getattr(torch, dtype)), tensor))
        return self

    @staticmethod
    def _placed(values: torch.Tensor, tensor: Tensor) -> torch.Tensor:
        room = torch.empty(values.numel() + 64, dtype=values.dtype)
        first = -(room.data_ptr() // room.element_size()) % (64 // room.element_size()) + tensor.offset
        return room[first : first + values.numel()].copy_(values)

    def copy(self) -> "Memory":
        copies = {
            operand: [self._placed(value, tensor) for value, tensor in zip(values, self.tensors, strict=True)]
            for operand, values in self.values.items()
        }
        return Memory(self.tensors, self.dtypes, copies)

    @property
    def columns(self) -> dict[str, Any]:
        """The operands' addresses; of an absent gradient 0."""
        found = {o: np.array([v.data_ptr() for v in values], np.int64) for o, values in self.values.items()}
        found["g"][[tensor.absent for tensor in self.tensors]] = 0
        return found


def numbers_of(rule: type[Rule], walk: CompiledPass, tensors: int, rows: int = 1) -> Numbers:
    """A step's numbers: see `fill`."""
    return fill(Numbers(walk.names, tensors), rule, rows)


def fill(numbers: Numbers, rule: type[Rule], rows: int = 1) -> Numbers:
    """Numbers as a rule's defaults are and with everything in the chain in force; rows differ."""
    numbers.lay(rows, np.arange(len(numbers.row_of)) % rows)
    numbers.put(dict.fromkeys(numbers.names, 0.5))
    numbers.put({**chain.NUMBERS, **{name: of.default for name, of in hypers(rule).items()}})
    step = np.arange(1.0, rows + 1)
    given = {
        "unscale": -0.25,
        "clip_value": 1.5,
        "clip_scale": 0.75,
        "l2": 0.01,
        "shrink_cautious": 0.02,
        "t": 2 * step + 1,
    }
    numbers.put({**given, **({"lr": 0.1 * step} if "lr" in numbers.place else {})})
    return numbers


def judge(
    walk: CompiledPass, memory: Memory, numbers: Numbers, uniform: bool = False, device: Interpreted | None = None,
    ulps: int = 0,
) -> None:  # fmt: skip
    """Both take the pass: the same bits in memory, nan as nan, but for the sign of 0 where the lesser or larger of two
    is taken; sums within 1e-12. ``ulps``: within how many units in the last place memory may be."""
    device = device or Interpreted()
    there = memory.copy()
    cut = even_layout([tensor.size for tensor in memory.tensors], TILE)
    task = Task(walk, cut.tiles, cut.claims, memory.columns, numbers)
    task.run(1)
    tables = Tables(device, cut.tiles, there.columns, numbers)
    sums = torch.full((max(len(cut.tiles), 1), max(len(walk.totals), 1)), math.nan, dtype=torch.float64)
    rows = task.rows[0].tolist() if uniform else (torch.from_numpy(task.rows),)
    tables.walk(walk, sums, torch.zeros(1), rows)
    signs = not takes(walk, "minimum", "maximum")
    for operand, judges in memory.values.items():
        for i, (judge_, found) in enumerate(zip(judges, there.values[operand], strict=True)):
            case = f"{operand} of tensor {i}, {memory.tensors[i]}, {memory.dtypes[operand]}"
            assert_same(found, judge_, ulps, signs, case)
    if walk.totals:
        np.testing.assert_allclose(sums.numpy(), task.sums, rtol=1e-12, atol=0, err_msg="sums")
        again = torch.full_like(sums, math.nan)
        tables.walk(walk, again, torch.zeros(1), rows)
        if not walk.kernel.writes:  # type: ignore[union-attr]
            np.testing.assert_array_equal(again.numpy(), sums.numpy(), err_msg="sums, once more")


def assert_same(found: torch.Tensor, expected: torch.Tensor, ulps: int, signs: bool, case: str) -> None:
    """The same numbers, nan as nan; ``signs``: also of 0."""
    assert found.dtype == expected.dtype
    kind = BITS[found.element_size()]
    a, b = found.detach().view(kind).long(), expected.detach().view(kind).long()
    fine = (a == b) | (found.isnan() & expected.isnan())
    if not signs or ulps:
        fine |= found == expected
    if ulps:
        fine |= ((a - b).abs() <= ulps) & ((found < 0) == (expected < 0))
    wrong = (~fine).nonzero().flatten()
    if len(wrong):
        at = wrong[0]
        raise AssertionError(
            f"{case}: {len(wrong)} of {len(fine)} differ, first {found[at]!r}, by the CPU {expected[at]!r}"
        )


def takes(walk: CompiledPass, *operations: str) -> bool:
    """Whether a pass takes one of these operations."""

    def within(e: Expression) -> bool:
        return e.op in operations or any(within(a) for a in e.arguments if isinstance(a, Expression))

    assert walk.kernel is not None
    return any(map(within, (*walk.kernel.totals, *(e for _, e in walk.kernel.writes))))
