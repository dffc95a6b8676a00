"""The numbers of one step: hyperparameters, step counts and scalars, one row for each distinct setting."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.formula import Rule
from thalweg.formula.chain import NUMBERS, decay
from thalweg.formula.kernel import Task
from thalweg.formula.rule import decay_kind

from . import surface

# Where a group's first learning rate is noted: by OneCycleLR, which begins far below its peak; by the optimizer, where
# its decay needs it; by torch's other schedulers.
FIRST_LR = ("max_lr", "first_lr", "initial_lr")


def group_numbers(rule: type[Rule], group: Mapping[str, Any], scale: float = 1.0) -> dict[str, float]:
    """What a parameter group says: the rule's hyperparameters and the chain's numbers.

    ``scale`` is what the loss was multiplied by, and the gradients with it.
    """
    found = {**NUMBERS, **surface.numbers(rule, group)}
    found["unscale"] = (-1.0 if group["maximize"] else 1.0) / scale
    if group["clip_value"] is not None:
        found["clip_value"] = float(group["clip_value"])
    kind = group.get("decay", decay_kind(rule))
    if kind in surface.DECAYS:
        first = first_lr(group, found["lr"]) or 1.0  # a rate of 0 moves nothing, whatever it was at first
        found |= decay(kind, found["lr"], first, found["weight_decay"])
    return found


def first_lr(group: Mapping[str, Any], lr: float) -> float:
    """The learning rate before any schedule, as it is noted in the group; else the present one."""
    return float(next((group[key] for key in FIRST_LR if key in group), lr))


@dataclass(frozen=True)
class Rows:
    """Numbers by name, each a float or an array with one entry a row; ``row_of`` is None where one row serves all."""

    numbers: Mapping[str, Any]
    row_of: NDArray[np.int64] | None = None
    count: int = 1
    group: NDArray[np.int64] | None = None
    """The launch's group that each row belongs to."""

    def joined(self, more: Mapping[str, Any]) -> "Rows":
        """With further numbers, known only after a pass."""
        return replace(self, numbers={**self.numbers, **more})

    def put(self, task: Task) -> None:
        """Write the rows where the kernel reads them."""
        if self.row_of is None:
            task.set_row(self.numbers)
        else:
            task.set_rows(self.numbers, self.row_of, self.count)

    @property
    def limited(self) -> bool:
        """Whether any row clips the gradient by value."""
        return bool(np.isfinite(self.numbers["clip_value"]).any())

    def by_tensor(self, name: str) -> Any:
        """One number for each tensor: an array, or a float that serves all."""
        value = self.numbers[name]
        return value if self.row_of is None or np.ndim(value) == 0 else value[self.row_of]

    def last(self, value: Any, group: int | None, present: NDArray[np.bool_] | None) -> float | None:
        """One group's entry of a value that may differ by row, or any group's: that of the furthest step.

        Only rows of tensors that are ``present`` count (None: all are); None if there is no such row.
        """
        if present is not None and not present.any():
            return None
        if self.row_of is None or self.group is None:
            return float(value)
        rows = self.row_of if present is None else self.row_of[present]
        rows = rows if group is None else rows[self.group[rows] == group]
        if not len(rows):
            return None
        steps = np.broadcast_to(self.numbers.get("t", 0.0), self.count)
        return float(np.broadcast_to(value, self.count)[rows[np.argmax(steps[rows])]])

    def of(self, tensor: int) -> dict[str, float]:
        """The row that one tensor reads, as floats."""
        if self.row_of is None:
            return dict(self.numbers)
        row = self.row_of[tensor]
        return {
            name: float(v[row]) if isinstance(v, np.ndarray) and v.ndim else float(v)
            for name, v in self.numbers.items()
        }


def rows(
    groups: Sequence[Mapping[str, float]],
    group_of: NDArray[np.int64],
    taken: NDArray[Any] | None,
    equal: bool,
    scalars: Mapping[str, NDArray[np.float64]],
    by_tensor: bool,
) -> Rows:
    """The rows of a launch.

    ``groups`` are the numbers of its parameter groups and ``group_of`` which one each tensor is in; ``taken`` the
    steps each tensor has taken (None for a rule that does not count), ``equal`` if these are all the same;
    ``scalars`` their own scalars; ``by_tensor`` asks for a row a tensor because the rule's totals differ by tensor.
    """
    if by_tensor or scalars:
        counted = {"t": 1.0 if taken is None else taken.astype(np.float64) + 1}
        wide = {name: np.array([g[name] for g in groups])[group_of] for name in groups[0]}
        return Rows({**wide, **counted, **scalars}, np.arange(len(group_of)), len(group_of), group_of)
    if taken is None:
        taken = np.zeros(len(group_of), np.float32)
    if equal and len(groups) == 1:
        return Rows({**groups[0], "t": float(taken[0]) + 1})
    keys, row_of = np.unique(np.stack([group_of, taken.astype(np.int64) + 1]), axis=1, return_inverse=True)
    wide = {name: np.array([g[name] for g in groups])[keys[0]] for name in groups[0]}
    return Rows({**wide, "t": keys[1].astype(np.float64)}, row_of.reshape(-1), keys.shape[1], keys[0])
