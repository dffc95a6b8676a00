"""Where parameters and gradients are: asked before every step, since nothing tells when they move.

A gradient is a new tensor after most backward passes; ``p.data = x``, ``grad.set_()`` or a resize move memory without
changing any Python object. An address that was right a step ago may be anybody's now, so every step asks for all of
them: through `native` where it can, else in Python.
"""

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from thalweg.formula.between import Part
from thalweg.formula.team import parallel_address

from .driver import ABSENT, COPY, FINE, MOVED, NAMES, ODD, OTHERS, PLAN, READY, WORDS
from .native import TorchInterface, address, torch_interface
from .reading import extent, plain, within_storage

# What is wanted: as found the last time, or (LATER) no gradient, since nothing is planned for the parameter yet.
LATER = 2
# What a step has to do about what is found, by what is wanted.
_COSTS = np.array([[FINE, OTHERS, COPY, PLAN], [OTHERS, FINE, COPY, PLAN], [PLAN, FINE, PLAN, PLAN]], np.int64)

Held = list[torch.Tensor | None]


class Memory:
    """The parameters that kernels serve, in the order of the plan's launches, then those without a first gradient.

    ``grads_at`` and ``found`` hold what the last look found, one entry a parameter; an absent gradient's address is 0.
    """

    def __init__(
        self, lists: Sequence[list[torch.Tensor]], planned: Sequence[torch.Tensor], later: Sequence[torch.Tensor]
    ) -> None:
        """``lists``: the groups' lists of parameters; ``later``: the parameters that have had no gradient so far."""
        self.lists = list(lists)
        self.params = [*planned, *later]
        # A gradient may have an element type of its own.
        self.types = [p.dtype if p.grad is None else p.grad.dtype for p in self.params]
        count = len(self.params)
        self.grads_at = np.zeros(count, np.int64)
        self.found = np.zeros(count, np.int64)
        self.wanted = np.full(count, LATER, np.int64)
        self.wanted[: len(planned)] = READY
        self.absent = True
        """Whether a parameter had no gradient when all `agree`d last; the first time nobody knows."""
        self._served: list[tuple[torch.Tensor, int]] = []
        self._kept: list[tuple[torch.Tensor, int]] = []
        self._told = [_told(p) for p in self.params]
        self.at = [p.data_ptr() for p in self.params]
        """Where the weights are."""
        self._extents = np.array([extent(p) for p in self.params], np.int64)
        self.cost = PLAN
        torch_itself = torch_interface()
        self._look: Callable[[Held | None], int]
        if torch_itself is not None and all(type(members) is list for members in lists):
            self._block = _Block(torch_itself, self)
            self._look = self._block.look
        else:
            self._members = [p for members in lists for p in members]
            self._look = self._asked

    @property
    def native(self) -> bool:
        """Whether a step can be taken in one call of machine code."""
        return hasattr(self, "_block")

    def held(self) -> Held:
        """The parameters' gradients, alive as long as the list is."""
        return [p.grad for p in self.params]

    def look(self, held: Held) -> int:
        """Find this step's gradients; ``held`` are the parameters' gradients, kept alive by the caller."""
        self.cost = self._look(held)
        return self.cost

    def agree(self) -> None:
        """What was found is what the next step wants."""
        planned = self.wanted != LATER
        self.wanted[planned] = self.found[planned] == ABSENT
        self.absent = bool((self.found == ABSENT).any())

    def serve(self, tensors: Sequence[torch.Tensor]) -> None:
        """Say which other tensors a step uses: states and step counts."""
        self._served = [(t, t.data_ptr()) for t in tensors]

    def keep(self) -> None:
        """Ask for their addresses too from now on.

        Nobody has to replace a tensor to move it: to send one to another process torch moves it to shared memory.
        """
        if self._kept is not self._served:
            self._kept = self._served
            if self.native:
                self._block.keep(self._kept)

    def run(self, parts: Sequence[Part]) -> bool:
        """If all is as wanted, run the parts, and raise the weights' versions. Else `cost` says what has to be done.

        Nothing in Python can move in between, and the machine code holds the gradients meanwhile.
        """
        self.cost = self._block.run(parts)
        return self.cost == FINE

    def adopt(self, lists: Sequence[list[torch.Tensor]]) -> bool:
        """Take other lists in the place of the groups', if they hold the same parameters in the same order."""
        same = [len(a) == len(b) and all(map(operator.is_, a, b)) for a, b in zip(lists, self.lists, strict=True)]
        if not all(same) or not all(type(members) is list for members in lists):
            return False
        self.lists[:] = lists
        if self.native:
            self._block.adopt()
        return True

    def mend(self) -> list[int]:
        """Take note of where the weights are that were `MOVED`: which they are.

        Empty where that is not all: one is of another kind now, or shares memory with another parameter.
        """
        moved = np.flatnonzero(self.found == MOVED).tolist()
        starts = np.array(self.at)
        for i in moved:
            if _told(self.params[i]) != self._told[i] or not plain(self.params[i]):
                return []
            starts[i] = self.params[i].data_ptr()
        ends = starts + self._extents
        for i in moved:
            if self._extents[i] and ((starts < ends[i]) & (starts[i] < ends) & (self._extents > 0)).sum() > 1:
                return []
        # Only now: whoever makes a new plan must find that this one does not hold.
        for i in moved:
            self.at[i] = int(starts[i])
            if self.native:
                self._block.move(i, self.at[i])
        return moved

    def _asked(self, held: Held | None) -> int:
        assert held is not None
        members = [p for params in self.lists for p in params]
        if len(members) != len(self._members) or any(a is not b for a, b in zip(members, self._members, strict=True)):
            return PLAN
        if any(tensor.data_ptr() != at for tensor, at in self._kept):
            return PLAN
        for i, (param, grad, weight) in enumerate(zip(self.params, held, self._told, strict=True)):
            like = grad is not None and _told(grad) == (self.types[i], *weight[1:])
            self.grads_at[i] = grad.data_ptr() if grad is not None and like else 0
            moved = _told(param) != weight or param.data_ptr() != self.at[i]
            self.found[i] = MOVED if moved else ABSENT if grad is None else READY if like else ODD
        return int(_COSTS[self.wanted, self.found].max(initial=0))


def _told(tensor: torch.Tensor) -> tuple[Any, ...]:
    """What Python says of a tensor: its element type, then all else that must be as the weight's."""
    plain = type(tensor) in (torch.Tensor, torch.nn.Parameter) and tensor.layout == torch.strided
    if not plain:
        return tensor.dtype, tensor.device, plain
    views = tensor.is_neg(), tensor.is_conj()
    return tensor.dtype, tensor.device, plain, tensor.stride(), tensor.shape, views, within_storage(tensor)


class _Block:
    """The block of words that the driver works on; the arrays it points to live as long."""

    def __init__(self, torch_itself: TorchInterface, memory: Memory) -> None:
        self._call, self._handle = torch_itself.call, torch_itself.handle
        params = memory.params
        self._lists = memory.lists
        self._handles = np.array([self._handle(p) for p in params], np.int64)
        codes = {dtype: torch_itself.type_code(dtype) for dtype in {*memory.types, *(p.dtype for p in params)}}
        rows = [
            (
                p.data_ptr(),
                codes[p.dtype],
                codes[kind],
                p.itemsize,
                kind.itemsize,
                p.numel(),
                torch._C._dispatch_keys(p).raw_repr(),
                p.dim(),
                *p.shape,
                *p.stride(),
            )
            for p, kind in zip(params, memory.types, strict=True)
        ]
        self._rows = np.array([number for row in rows for number in row], np.int64)
        self._starts = np.cumsum([0, *(len(row) for row in rows)])[: len(rows)]
        self._expected = np.asarray(address(self._rows) + 8 * self._starts, np.int64)
        self._list_table = np.zeros((len(self._lists), 2), np.int64)
        self.adopt()
        self._members = np.array([id(p) for members in self._lists for p in members], np.int64)
        self._costs = _COSTS.reshape(-1).copy()
        self._keepers = np.zeros(len(params), np.int64)
        self._runs = np.zeros((0, 3), np.int64)
        self._parts: Sequence[Part] = ()
        self._runs_next = False
        """Whether the block says what is to run, and that no gradients are held."""
        self._words = np.zeros(len(NAMES), np.int64)
        self._set(**torch_itself.constants, TEAM=parallel_address(), COUNT=len(params), LISTS=len(self._lists))
        self._set(
            HANDLES=address(self._handles), EXPECTED=address(self._expected), COSTS=address(self._costs),
            LIST_TABLE=address(self._list_table), MEMBERS=address(self._members), WANTED=address(memory.wanted),
            KEEPERS=address(self._keepers),
            GRADS_AT=address(memory.grads_at), FOUND=address(memory.found),
        )  # fmt: skip
        self._at = address(self._words)
        self._worst = WORDS["WORST"]

    def _set(self, **words: int) -> None:
        for name, value in words.items():
            self._words[WORDS[name]] = value

    def keep(self, kept: Sequence[tuple[torch.Tensor, int]]) -> None:
        self._kept_handles = np.array([self._handle(tensor) for tensor, _ in kept], np.int64)
        self._kept_at = np.array([at for _, at in kept], np.int64)
        self._set(KEPT=len(kept), KEPT_HANDLES=address(self._kept_handles), KEPT_AT=address(self._kept_at))

    def look(self, held: Held | None) -> int:
        self._set(HELD=id(held), RUNS=0)
        self._runs_next = False
        self._call(self._at)
        return int(self._words[self._worst])

    def run(self, parts: Sequence[Part]) -> int:
        if parts is not self._parts:
            self._parts = parts
            self._runs = np.array([(part.function, part.block, part.threads) for part in parts], np.int64)
            self._set(RUN_TABLE=address(self._runs))
            self._runs_next = False
        if not self._runs_next:
            self._set(HELD=0, RUNS=len(parts))
            self._runs_next = True
        self._call(self._at)
        return int(self._words[self._worst])

    def adopt(self) -> None:
        for row, members in zip(self._list_table, self._lists, strict=True):
            row[:] = id(members), len(members)

    def move(self, i: int, where: int) -> None:
        self._rows[self._starts[i]] = where
