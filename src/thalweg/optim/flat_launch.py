"""Parameters that no kernel serves, all at once: a kernel's arithmetic as torch operations on flat memory.

What is read is what kernels are made of, `lower`'s passes, so where torch's operations round to the nearest float32
has the bits of the CPU's kernels; but sums are added in another order, and exponentials and logarithms of weights are
torch's.

A step copies weights, gradients and states into flat memory, computes there, and copies back what is written. States
stay tensors of their own: whoever saves one by itself, moves it or puts another in its place, finds what he always has.
It costs memory, of the weights, the gradients and each state once more. Large parameters on a CPU stay by themselves.

Nothing is done tensor by tensor, and nothing waits for the device, but where the host has to know: whether gradients
are finite (``nonfinite=``), telemetry's norms, scalars that depend on sums (Prodigy's d), and a clip by norm together
with parameters that kernels on the CPU update.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from thalweg.formula import Rule, chain
from thalweg.formula.compose import Pass, program
from thalweg.formula.expression import COMPARISONS, LEAVES, Expression, coefficient, leaves, number, weight
from thalweg.formula.host import host_function
from thalweg.formula.lower import Kernel, lower
from thalweg.formula.rule import by_lines, of_matrices, once

from .evaluating import Computation, Value, filled, rounded
from .flat_memory import FlatMemory, uploaded
from .launch import MEASURED, Call, Launch, Measured, Members, Runs
from .modes import ordinary
from .reading import FLAT, plain_on
from .settings import GroupNumbers, How, Switches

# On a CPU copying more weights than these costs more than calling torch for each parameter: measured, about even.
ALONE_ABOVE = 32_768

Kind = tuple[torch.device, torch.dtype]
"""Where some parameters are, and what they are computed in."""


def flat_kind(rule: type[Rule], param: torch.Tensor, states: Mapping[str, torch.Tensor]) -> Kind | None:
    """With which other parameters one can be updated at once; None if it has to be by itself (`TorchLaunch`)."""
    tensors = [param, *([] if param.grad is None else [param.grad]), *states.values()]
    if by_lines(rule) or of_matrices(rule) or param.device.type not in FLAT:
        return None
    if not all(plain_on(t, param.device) for t in tensors):
        return None
    if param.device.type == "cpu" and param.numel() > ALONE_ABOVE:
        return None
    exact = any(t.dtype == torch.float64 for t in tensors)
    return param.device, torch.float64 if exact else torch.float32


class FlatLaunch(Launch):
    """Parameters on one device, of rules by weight, that no kernel serves; all are computed in one element type."""

    def __init__(self, rule: type[Rule], switches: Switches, members: Members, kind: Kind, later: bool) -> None:
        """``later``: whether there are launches before it whose weights may lie in the memory of its own."""
        super().__init__(rule, switches, members)
        self.where, self._real = kind
        self._wide = wide(self.where)
        self._later = later
        self._memory = FlatMemory(members.params, self.where)
        names = ("w", "g", *members.keys)
        made = {name: self._memory.made(self._real) for name in names}
        self._flat = {name: whole for name, (whole, _) in made.items()}
        self._slices = {name: slices for name, (_, slices) in made.items()}
        self._tensors = {"w": members.params, **{n: [s[k] for s in members.states] for n, k in members.keys.items()}}
        self._grads: list[torch.Tensor] = []
        self._read: set[str] = set()
        self._present: list[int] | None = None
        self._known_left: tuple[bytes, torch.Tensor] | None = None
        self._sums: dict[str, torch.Tensor] = {}
        self._norms: torch.Tensor | None = None
        self.known: dict[str, torch.Tensor] = {}
        """This step's numbers that only the device knows: totals and what follows from them, each of shape () or
        (tensors,)."""

    def fill(self, groups: Sequence[GroupNumbers], how: How, unknown: bool = False) -> None:
        self.known.clear()
        super().fill(groups, how, unknown)

    def _make_room(self) -> None:
        pass  # it reads the numbers as they are

    def point_at_weights(self) -> None:
        pass  # it has no addresses

    def adopt(self, states: Callable[[torch.Tensor], dict[str, Any]]) -> bool:
        replaced = False
        for i, param in enumerate(self.members.params):
            state = states(param)
            self.members.states[i] = state
            for name, key in self.members.keys.items():
                now, planned = state.get(key), self._tensors[name][i]
                if now is planned:
                    continue
                if not isinstance(now, torch.Tensor) or not plain_on(now, self.where):
                    return False
                if now.shape != planned.shape or now.dtype != planned.dtype:
                    return False
                self._tensors[name][i] = now
                replaced = True
        return not (replaced and self._shared()) and self._adopt_numbers()

    def _shared(self) -> bool:
        """Whether two states lie in one place."""
        places = [t.data_ptr() for name in self.members.keys for t in self._tensors[name] if t.numel()]
        return len({*places}) < len(places)

    @torch.no_grad()
    def take(self) -> None:
        grads = [p.grad for p in self.members.params]
        present = np.array([g is not None for g in grads])
        self.counts.take(present)
        self._grads = [g for g in grads if g is not None]
        self._present = None if self.counts.present is None else np.flatnonzero(present).tolist()
        self._read.clear()
        # Now, since another launch may clear a gradient that two parameters share.
        if self._grads:
            torch._foreach_copy_(self._those(self._slices["g"]), self._grads)

    def totals_of(self, walk: str, count: int = 1) -> torch.Tensor:
        if walk not in self._sums:
            with ordinary():  # it outlives the mode that this step is taken in
                self._sums[walk] = torch.zeros(count, len(self.members.params), dtype=self._wide, device=self.where)
        return self._sums[walk]

    def norm(self, limited: bool) -> Sequence[Runs]:
        return (Call(partial(self._add, "limited norm" if limited else "norm")),)

    def total(self, stage: int) -> Sequence[Runs]:
        return (Call(partial(self._add, f"sums {stage}")),)

    @torch.no_grad()
    def _add(self, name: str) -> None:
        walk = flat_passes(self.rule, self.switches)[name]
        # Of gradients all is taken of wide numbers: no square is lost.
        kind = self._wide if name in ("norm", "limited norm") else self._real
        totals = self.totals_of(name, len(walk.squared))
        totals.copy_(self._computed(walk, kind))
        if name == "norm":
            # In the gradient's own units; what maximizes differs by its sign.
            totals *= float(self.numbers.column("unscale")[0]) ** 2

    def update(self, again: bool, measured: bool) -> Sequence[Runs]:
        return (Call(partial(self._update, measured)),)

    @torch.no_grad()
    def _update(self, measured: bool) -> None:
        switches = (*self.switches, ("measured", True)) if measured else self.switches
        walk = flat_passes(self.rule, switches)["update"]
        if self._later:
            self._read.clear()
        totals = self._computed(walk, self._real)
        self._norms = totals.T if measured else None
        for name in walk.written if self._grads else ():
            if name == "g":  # cleared
                torch._foreach_zero_(self._grads)
            else:
                torch._foreach_copy_(self._those(self._tensors[name]), self._those(self._slices[name]))

    def measured(self) -> Measured:
        assert self._norms is not None
        count = len(self.members.params)
        return Measured(MEASURED, partial(_on_host, self._norms), np.arange(count), count)

    def clip_scales(self) -> Callable[[], NDArray[np.float64]]:
        if "clip_scale" not in self.known:
            return super().clip_scales()
        known, count = self.known["clip_scale"], len(self.members.params)
        return lambda: np.broadcast_to(_on_host(known), count)

    def _before(self) -> dict[str, NDArray[np.float64]]:
        """Waits for the device where the scalars depend on sums."""
        for name in self.known.keys() & asked_by_scalars(self.rule, self.switches):
            self.numbers.column(name)[:] = _on_host(self.known[name])  # by tensor each has a row of its own
        return super()._before()

    def _those(self, every: list[torch.Tensor]) -> list[torch.Tensor]:
        """The tensors that have a gradient."""
        return every if self._present is None else [every[i] for i in self._present]

    def _computed(self, walk: "FlatPass", kind: torch.dtype) -> torch.Tensor:
        """Take a pass, in flat memory: what it adds up, of shape (totals, tensors)."""
        for name in walk.operands:
            self._fetch(name)
        given = self._coefficients(walk, kind)
        left, lanes = self._left(), self._memory.lanes()
        one = self._flat["g"].new_empty((), dtype=kind)
        rows = self._flat["g"].new_zeros((len(walk.squared), self._memory.count), dtype=self._wide)
        for part in self._memory.parts:
            whole = {name: self._flat[name][part] for name in walk.operands}
            known: dict[Expression, Value] = {weight(name): x.to(kind) for name, x in whole.items()}
            known |= {coefficient(i): _part_of(x, part) for i, x in enumerate(given)}
            values = walk.values.of(known.__getitem__, one)
            for total, value, square in zip(rows, values, walk.squared, strict=False):
                each = filled(value, one).to(self._wide)
                total[part] = torch.where(lanes < left[part], each * each if square else each, 0.0).sum(1)
            # A formula may hand on what it was given (previous = w): copied before anything is written.
            read = {id(x) for x in known.values()}
            made = [x.clone() if id(x) in read and isinstance(x, torch.Tensor) else x for x in values[len(rows) :]]
            for name, value in zip(walk.written, made, strict=True):
                whole[name].copy_(filled(value, one))
        return torch.stack([self._memory.sums(total) for total in rows]) if len(rows) else rows

    def _left(self) -> torch.Tensor:
        """How many weights of a tensor that has a gradient there are from each row on, shape (rows, 1)."""
        present = self.counts.present
        if present is None:
            return self._memory.left
        if self._known_left is None or self._known_left[0] != present.tobytes():
            there = self._memory.by_row(uploaded(present.copy(), self.where))
            self._known_left = present.tobytes(), self._memory.left * there
        return self._known_left[1]

    def _fetch(self, name: str) -> None:
        """Copy what a pass reads to flat memory, once a step."""
        if name != "g" and name not in self._read and self._grads:
            self._read.add(name)
            torch._foreach_copy_(self._those(self._slices[name]), self._those(self._tensors[name]))

    def _coefficients(self, walk: "FlatPass", kind: torch.dtype) -> list[Value]:
        """What the weights' formulas are given, rounded once: a number, or by tensor, of shape (rows, 1)."""
        split = walk.split(frozenset(self.known))
        early = self._early(split.host(self.numbers.columns()))
        known = {coefficient(i): value for i, value in enumerate(early)}
        known |= {number(name): value for name, value in self.known.items()}
        values = split.device.of(known.__getitem__, self._flat["g"].new_empty((), dtype=self._wide))
        return [self._by_row(value, kind) for value in values]

    def _early(self, values: Sequence[Any]) -> list[Value]:
        """Numbers of the host by row as they are for all tensors: one, or of shape (tensors,)."""
        rows = len(self.numbers.values)
        columns = [np.broadcast_to(np.asarray(value, np.float64), rows) for value in values]
        differ = [i for i, column in enumerate(columns) if not (column == column[0]).all()]
        found: list[Value] = [float(column[0]) for column in columns]
        if differ:
            kind = np.float64 if self._wide == torch.float64 else np.float32
            table = np.stack([columns[i] for i in differ]).astype(kind)[:, self.numbers.row_of]
            for i, by_tensor in zip(differ, uploaded(np.ascontiguousarray(table), self.where), strict=True):
                found[i] = by_tensor
        return found

    def _by_row(self, value: Value, kind: torch.dtype) -> Value:
        if not isinstance(value, torch.Tensor):
            return rounded(value, kind)
        value = value.to(kind)
        return self._memory.by_row(value) if value.dim() else value


def wide(device: torch.device) -> torch.dtype:
    """What sums are taken in: float64, which Apple's devices do not have."""
    return torch.float32 if device.type == "mps" else torch.float64


@dataclass(frozen=True, eq=False)
class _Split:
    """Coefficients in two parts: what the host knows, from the step's numbers by name, and what the device makes of
    that and of its own numbers."""

    host: Callable[[Mapping[str, Any]], tuple[Any, ...]]
    device: Computation


class FlatPass:
    """A lowered pass, as it is computed on tensors.

    ``values``    its totals, of a square that which is squared, and then its writes.
    ``squared``   which totals are squares.
    ``operands``  what is read or written, and which of them are ``written``, in order.
    """

    def __init__(self, kernel: Kernel) -> None:
        self.coefficients, self.operands = kernel.coefficients, kernel.operands
        self.written = [name for name, _ in kernel.writes]
        self.squared = [e.op == "*" and e.arguments[0] == e.arguments[1] for e in kernel.totals]
        terms = [e.arguments[0] if square else e for e, square in zip(kernel.totals, self.squared, strict=True)]
        self.values = Computation([*terms, *(e for _, e in kernel.writes)])
        self._splits: dict[frozenset[str], _Split] = {}

    def split(self, late: frozenset[str]) -> _Split:
        """Its coefficients, where only the device knows the numbers that are ``late``."""
        if late not in self._splits:
            self._splits[late] = _split(self.coefficients, late)
        return self._splits[late]


def _split(coefficients: Sequence[Expression], late: frozenset[str]) -> _Split:
    early: dict[Expression, Expression] = {}

    def placed(e: Expression) -> Expression:
        if e.op == "constant":
            return e
        if e.op not in COMPARISONS and not late & leaves([e], "number"):
            return early.setdefault(e, coefficient(len(early)))
        return e if e.op in LEAVES else Expression(e.op, tuple(placed(a) for a in e.arguments))

    made = Computation([placed(e) for e in coefficients])
    return _Split(host_function(tuple(early)), made)


@once
def flat_passes(rule: type[Rule], switches: Switches) -> Mapping[str, FlatPass]:
    """The passes of a rule by name, as its kernels are made of them; ``switches`` as for `compose.program`."""
    traced = program(rule, dict(switches))
    walks: dict[str, Pass] = {"norm": traced.norm, "limited norm": traced.limited_norm, "update": traced.update}
    walks |= {f"sums {i}": walk for i, walk in enumerate(traced.sums)}
    return {name: FlatPass(lower(walk)) for name, walk in walks.items()}


@once
def asked_by_scalars(rule: type[Rule], switches: Switches) -> set[str]:
    """The numbers of a step that the next values of the rule's scalars depend on."""
    return leaves(program(rule, dict(switches)).scalars.values(), "number")


_ASKED = tuple(number(name) for name in ("squares", "clip_norm", "clip_eps"))
_SCALE = Computation([chain.norm_scale(*_ASKED)])


def norm_scale(squares: torch.Tensor, clip_norm: float, clip_eps: float) -> torch.Tensor:
    """`chain.norm_scale` on a device, of one total or of each tensor's."""
    known: dict[Expression, Value] = dict(zip(_ASKED, (squares, clip_norm, clip_eps), strict=True))
    (scale,) = _SCALE.of(known.__getitem__, squares)
    return filled(scale, squares)


def _part_of(value: Value, part: slice) -> Value:
    return value[part] if isinstance(value, torch.Tensor) and value.dim() else value


def _on_host(values: torch.Tensor) -> NDArray[np.float64]:
    return values.cpu().double().numpy()
