"""Parameters that a rule of matrices updates: two fused passes, and between them products of stacks of matrices.

enter      writes what `matrix` is to see, every matrix of one size below the other in a stack
products   of each stack, on torch's own functions; the results lie in the stacks' memory afterwards
update     reads them from there, as operands like any other
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from thalweg.formula import Due, Rule, compose
from thalweg.formula.compose import live_states
from thalweg.formula.expression import weight
from thalweg.formula.geometry import BY_ROWS, Extent, Geometry, extent_of, seen
from thalweg.formula.host import host_function
from thalweg.formula.kernel import CompiledPass, Passes
from thalweg.formula.rule import handed, parts

from .devices import Device
from .kernel_launch import KernelLaunch
from .launch import Call, Members, Runs
from .modes import ordinary
from .multiply import Code, compiled
from .products import element_type
from .settings import Switches

# Stacks are multiplied this many bytes at a time: many small matrices together, so that no operation is too short for
# its threads; of large ones not so many that what lies between the operations takes much memory.
TOGETHER = 32_000_000


@dataclass(frozen=True, eq=False)
class _Batch:
    """Parameters whose matrices are of one size.

    ``members``  their places in the launch.
    ``of``       the matrices of each; ``blocks``, the rows of each matrix that are matrices of their own.
    ``stacks``   by what `enter` and `matrix` hand on, shape (members * matrices, rows, columns).
    """

    members: tuple[int, ...]
    of: Geometry
    blocks: tuple[slice, ...]
    stacks: Mapping[str, torch.Tensor]

    @property
    def weights(self) -> int:
        """Of one parameter."""
        return self.of.count * self.of.rows * self.of.columns


class MatrixLaunch(KernelLaunch):
    """Parameters in memory as torch lays it out first, of a rule of matrices."""

    def __init__(
        self, rule: type[Rule], switches: Switches, members: Members, walks: Callable[[Switches], Passes],
        grads_at: NDArray[np.int64], found: NDArray[np.int64], device: Device | None = None,
    ) -> None:  # fmt: skip
        super().__init__(rule, switches, members, walks, grads_at, found, device)
        self._choices = dict(switches)
        self._transposed = bool(self._choices["transposed"])
        # Whether a state exists is said by switches, also that of a hyperparameter: the numbers are still 0.
        chosen = {**self.numbers.of(0), **self._choices}
        live = live_states(rule, chosen)
        self._extents: dict[str, Extent] = {name: state.shape for name, state in live.items()}
        self._dues = parts(rule, Due)
        self._codes: dict[tuple[Any, ...], _Coded] = {}
        self._where: NDArray[np.bool_] | None = None
        for name in (*handed(rule, "enter"), *handed(rule, "matrix")):
            self.columns[name] = np.zeros(len(members.params), np.int64)

    def enter(self) -> Sequence[Runs]:
        before, walk, after = self.entering()
        assert walk is not None
        return *before, *self.walked(self._task("enter", walk)), *after

    def entering(self) -> tuple[Sequence[Runs], CompiledPass | None, Sequence[Runs]]:
        return (Call(self._place),), self.passes.enter, (Call(self._multiply),)

    @cached_property
    def _batches(self) -> tuple[_Batch, ...]:
        alike: dict[tuple[Any, ...], list[int]] = {}
        for i, p in enumerate(self.members.params):
            how, kind = seen(p.shape, self._choices), element_type(p, str(self._choices["products"]))
            rows = how.whole.count * sum(each.stop - each.start for each in how.blocks)
            if rows * how.whole.columns != p.numel():  # more than there is room for would be written into the stacks
                raise ValueError(f"split_sizes={self._choices['split_sizes']} are not all rows of a {tuple(p.shape)}")
            alike.setdefault((how.whole, tuple((each.start, each.stop) for each in how.blocks), kind), []).append(i)
        return tuple(
            _Batch(tuple(places), of, tuple(slice(*each) for each in rows), self._stacks(of, kind, len(places)))
            for (of, rows, kind), places in alike.items()
        )

    def _stacks(self, of: Geometry, kind: torch.dtype, members: int) -> dict[str, torch.Tensor]:
        """Memory for what is handed on; what matrix makes lies where what it saw has been."""
        entered, made = handed(self.rule, "enter"), handed(self.rule, "matrix")
        shape = (members * of.count, *_in_memory(of, self._transposed))
        with ordinary():
            room = [
                _turned(torch.empty(shape, dtype=kind, device=self.members.params[0].device), self._transposed)
                for _ in range(max(len(entered), len(made)))
            ]
        return {**dict(zip(entered, room, strict=False)), **dict(zip(made, room, strict=False))}

    def _place(self) -> None:
        """Point the passes at the stacks: parameters that have a gradient now lie side by side."""
        present = self.counts.present
        where = np.ones(len(self.members.params), bool) if present is None else present
        if self._where is not None and np.array_equal(self._where, where):
            return
        self._where = where.copy()
        for batch in self._batches:
            here = [i for i in batch.members if self._where[i]]
            for name, stack in batch.stacks.items():
                size = batch.weights * stack.itemsize
                for slot, i in enumerate(here):
                    self.columns[name][i] = stack.data_ptr() + slot * size

    @torch.no_grad()
    @ordinary()
    def _multiply(self) -> None:
        hosts = self.numbers.columns()
        for batch in self._batches:
            if not batch.weights:
                continue
            first = 0
            for now, members in self._alike(batch, hosts):
                of = batch.of
                stacks = {
                    name: stack[first * of.count : (first + len(members)) * of.count]
                    for name, stack in batch.stacks.items()
                }
                first += len(members)
                kept = {name: _Kept(self, name, members, of) for name in self._extents}
                for rows in batch.blocks:
                    self._multiplied(of, rows, now, stacks, kept)
                for each in kept.values():
                    each.give_back()

    def _alike(
        self, batch: _Batch, hosts: Mapping[str, NDArray[np.float64]]
    ) -> Iterator[tuple[dict[str, Any], list[int]]]:
        """Parameters with a gradient, in order, as many at a time as have the same numbers and are enough."""
        assert self._where is not None
        here = [i for i in batch.members if self._where[i]]
        rows = {i: int(self.numbers.row_of[i]) for i in here}
        told = {row: self._now({name: float(of[row]) for name, of in hosts.items()}) for row in {*rows.values()}}
        stack = next(iter(batch.stacks.values()))
        most = max(TOGETHER // max(batch.weights * stack.itemsize, 1), 1)
        for _, some in groupby(here, lambda i: tuple(told[rows[i]].items())):
            members = [*some]
            for start in range(0, len(members), most):
                yield told[rows[members[0]]], members[start : start + most]

    def _now(self, numbers: Mapping[str, float]) -> dict[str, Any]:
        """What decides how matrices are multiplied: the numbers that matrix asks for, and which switches are due."""
        due = {name: each.now(numbers["t"], numbers) for name, each in self._dues.items()}
        asked = self._asked
        return {**due, **{name: numbers[name] for name in asked}}

    @cached_property
    def _asked(self) -> tuple[str, ...]:
        return compose.asked_by_matrix(self.rule, self._choices)

    def _multiplied(
        self, of: Geometry, rows: slice, now: Mapping[str, Any], stacks: Mapping[str, torch.Tensor],
        kept: Mapping[str, "_Kept"],
    ) -> None:  # fmt: skip
        size = Geometry(of.count, rows.stop - rows.start, of.columns)
        due = tuple((name, now[name]) for name in self._dues)
        stack = next(iter(stacks.values()))
        coded = self._coded(size, due, stack.dtype)

        def of_block(name: str, stack: torch.Tensor) -> torch.Tensor:
            return stack[:, rows] if self._extents.get(name, "weight") in BY_ROWS else stack

        taken = {
            name: of_block(name, kept[name].stack if name in kept else stacks[name]) for name in coded.code.operands
        }
        found = {name: torch.as_tensor(value) for name, value in coded.code.run(taken, coded.hosts(now)).items()}
        # A formula may hand on what it was given (previous = u): copied before anything is written.
        read = {operand.untyped_storage().data_ptr() for operand in taken.values()}
        found = {name: x.clone() if x.untyped_storage().data_ptr() in read else x for name, x in found.items()}
        for name, x in found.items():
            of_block(name, kept[name].written() if name in kept else stacks[name]).copy_(x)

    def _coded(self, of: Geometry, due: tuple[tuple[str, bool], ...], kind: torch.dtype) -> "_Coded":
        key = (of.rows, of.columns, due, kind)
        if key not in self._codes:
            made = compose.matrix_expressions(self.rule, {**self._choices, **dict(due)}, of)
            made = {name: e for name, e in made.items() if e != weight(name)}  # what stays as it is
            real = torch.float64 if kind == torch.float64 else torch.float32
            self._codes[key] = _Coded(compiled(made, kind, real))
        return self._codes[key]


def _in_memory(of: Geometry, transposed: bool) -> tuple[int, int]:
    """Rows and columns as they lie in memory."""
    return (of.columns, of.rows) if transposed else (of.rows, of.columns)


def _turned(stack: torch.Tensor, transposed: bool) -> torch.Tensor:
    """The matrices as they are seen."""
    return stack.mT if transposed else stack


class _Coded:
    """A code with what works out the numbers that it takes."""

    def __init__(self, code: Code) -> None:
        self.code = code
        self._host = host_function(code.hosts)

    def hosts(self, numbers: Mapping[str, Any]) -> Sequence[float]:
        return self._host({name: value for name, value in numbers.items() if not isinstance(value, bool)})


class _Kept:
    """A state of some parameters, as a stack: their own memory, if it is one parameter's; else copies."""

    def __init__(self, launch: MatrixLaunch, name: str, members: Sequence[int], of: Geometry) -> None:
        key = launch.members.keys[name]
        turned = launch._transposed and launch._extents[name] == "weight"
        shape = _in_memory(of, True) if turned else extent_of(of, launch._extents[name])
        self._own = [_turned(launch.members.states[i][key].view(of.count, *shape), turned) for i in members]
        self._written = False

    @cached_property
    def stack(self) -> torch.Tensor:
        """What matrix sees. Half precision is computed in float32, and rounded once, when it is given back."""
        found = self._own[0] if len(self._own) == 1 else torch.cat(self._own)
        return found.to(torch.promote_types(found.dtype, torch.float32))

    def written(self) -> torch.Tensor:
        """Where its next value is put."""
        self._written = True
        return self.stack

    def give_back(self) -> None:
        """Every parameter gets its part of what has been put."""
        if self._written and self.stack is not self._own[0]:
            for own, part in zip(self._own, torch.split(self.stack, len(self._own[0])), strict=True):
                own.copy_(part)
