"""How a step on a GPU is taken without waiting for it; and which steps have to wait, and why, in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from thalweg.formula import Due, Rule, Scalar, State, Sum
from thalweg.formula.compose import asked_by_matrix, usual_switches
from thalweg.formula.rule import by_lines, inner, of_matrices, parts

from .devices import Device
from .settings import How
from .signals import Signals


@dataclass(frozen=True, eq=False)
class Ahead:
    """How a step is taken without waiting.

    ``signals``    of the step at hand, the same object in all steps; ``scaled``, whether a scaler's are among them,
                   which may leave the step out; ``rated``, whether learning rates are.
    ``behind``     whether the device may have counted steps that the host has not.
    ``fresh``      whether states have been made for this step, which are dropped if it is left out.
    ``counted``    whether the host has to know how many steps have been taken; ``watched``, what each was like.
    ``kept``       whether scalars that follow from sums are on the device, as `keeps` says; ``uneven``, whether those
                   that are kept in common would part; see `common.uneven`.
    ``recorded``   whether it is recorded, of which alone is asked whether it `waits`: no part depends on it.
    """

    signals: Signals
    scaled: bool = False
    rated: bool = False
    counted: bool = False
    watched: bool = False
    behind: bool = False
    fresh: bool = False
    kept: bool = False
    uneven: bool = False
    recorded: bool = False

    @cached_property
    def key(self) -> tuple[bool, ...]:
        """What decides which parts the step has."""
        return (
            self.scaled, self.rated, self.counted, self.watched, self.behind, self.fresh, self.kept, self.uneven,
            self.recorded,
        )  # fmt: skip

    def unknown(self, how: How) -> bool:
        """Whether the host does not know the step's numbers."""
        return how.guarded or how.capturable or self.scaled or self.rated or self.behind or self.kept


class Launched(Protocol):
    """What is asked of a launch to know whether a step waits."""

    @property
    def rule(self) -> type[Rule]: ...
    @property
    def device(self) -> Device | None: ...
    @property
    def stages(self) -> Sequence[int]: ...


def waits(launches: Sequence[Launched], how: How, ahead: Ahead) -> str | None:
    """Why a step has to wait for the device, in words; None if it need not."""
    if not launches:
        return "there is nothing to do"
    first = launches[0].device
    if any(x.device is None for x in launches):
        return "not all parameters are updated by kernels of a GPU"
    if any(x.device is not first for x in launches):
        return "not all parameters are on one GPU"
    if how.nonfinite == "raise":
        return "nonfinite='raise' has to know of nan and infinity before it goes on"
    unknown, may = ahead.unknown(how), how.guarded or ahead.scaled
    if may and ahead.fresh:
        return "its states are made now, and dropped if it is left out"
    if may and how.clear:
        return "gradients are cleared, also in a step that is left out"
    if (may or ahead.recorded) and ahead.counted:
        return "a schedule, or a window of weights, has to know which steps are taken"
    for x in launches:
        if (unknown or x.stages) and (why := _kept_by_the_host(x.rule, how, ahead)):
            return why
        if by_lines(x.rule) and any(total.scope == "all" for total in parts(x.rule, Sum).values()):
            return f"what {inner(x.rule).__name__} adds up over all parameters is put together by the host"
        if may and of_matrices(x.rule) and _keeps(x.rule):
            return f"{inner(x.rule).__name__} keeps what products of matrices make, by steps that may be left out"
        if unknown and of_matrices(x.rule) and _counts(x.rule):
            return f"how {inner(x.rule).__name__} multiplies matrices depends on the step's number"
    return None


def keeps(launches: Sequence[Launched]) -> bool:
    """Whether the device always keeps scalars: those of tensors, where they follow from sums."""
    scopes = ({scalar.scope for scalar in parts(x.rule, Scalar).values()} for x in launches if x.stages and x.device)
    return any(found == {"tensor"} for found in scopes)


def _kept_by_the_host(rule: type[Rule], how: How, ahead: Ahead) -> str | None:
    """Why scalars are not kept where alone it is known what they follow from; None if they are, or there are none."""
    scopes = {scalar.scope for scalar in parts(rule, Scalar).values()}
    if not scopes - {"tensor"}:
        return None
    name = inner(rule).__name__
    if not how.capturable:  # whoever reads a group would not see that it is out of date
        return f"{name} keeps numbers that follow from sums, or from steps that may be left out, in parameter groups"
    if ahead.uneven:
        others = ", or whose groups' options make other numbers of that" if "all" in scopes else ""
        return f"{name} keeps numbers in common for parameters that do not all take the same steps{others}"
    if "all" in scopes and "tensor" in (*scopes, *(total.scope for total in parts(rule, Sum).values())):
        return f"{name} keeps numbers for all that may follow from those of one tensor"
    return None


def _counts(rule: type[Rule]) -> bool:
    """Whether how matrices are multiplied depends on the step's number, or on what changes with it."""
    changes = {"t", *parts(rule, Scalar)}
    return bool(parts(rule, Due)) or not changes.isdisjoint(asked_by_matrix(rule, usual_switches(rule)))


def _keeps(rule: type[Rule]) -> bool:
    """Whether a rule's products make next states: torch's functions do not know that a step is left out."""
    return not parts(rule, State).keys().isdisjoint(rule.formulas["matrix"].returned)
