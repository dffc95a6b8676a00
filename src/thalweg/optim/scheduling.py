"""The groups' numbers that follow a schedule: set before each step that is taken; the steps are counted in the groups.

A scheduled number is the group's first one, kept beside it as torch's schedulers do (``initial_lr``), times the factor
at the step. All that a step depends on stands in the groups, as plain numbers, so it is in every checkpoint.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from thalweg.formula import Hyper, Rule, Schedule
from thalweg.formula.rule import hypers
from thalweg.formula.scheduled import scheduled

from . import surface
from .sequence import Bad

Group = dict[str, Any]

COUNT = "scheduled_steps"
"""Under this key a group has how many scheduled steps it has taken."""


@dataclass(frozen=True)
class Scheduled:
    """A number that is scheduled: ``key`` and ``place`` say where a group has it, as `surface.places` does."""

    name: str
    key: str
    place: int | None
    hyper: Hyper
    schedule: Schedule

    @property
    def first(self) -> str:
        """The key of the group's first number."""
        return f"initial_{self.name}"

    def of(self, group: Mapping[str, Any]) -> Any:
        """As the group has it now."""
        return group[self.key] if self.place is None else group[self.key][self.place]

    def put(self, group: Group, value: Any) -> None:
        """Give the group another one."""
        if self.place is not None:
            before = group[self.key]
            value = (*before[: self.place], value, *before[self.place + 1 :])
        group[self.key] = value

    def at(self, group: Mapping[str, Any], step: int) -> float:
        """What it is at a step; ValueError where the factor takes it out of its range."""
        found: float = float(group[self.first]) * self.schedule.at(step)
        if not self.hyper.low <= found < self.hyper.below:
            raise ValueError(f"{self.schedule!r}: at step {step} {self.name} {self.hyper.problem(found)}")
        return found


class Scheduling:
    """What of an optimizer is scheduled. ``name`` is what the user called."""

    def __init__(self, name: str, rule: type[Rule], given: Mapping[str, Schedule]) -> None:
        self.name, self.given = name, given
        places = {number: (key, place) for number, key, place in surface.places(rule)}
        self.numbers = [Scheduled(key, *places[key], hypers(rule)[key], each) for key, each in given.items()]
        self._seen: list[list[Any]] = []
        self._before: list[list[Any]] | None = None

    def join(self, groups: Sequence[Group]) -> None:
        """Take groups as they are: new ones begin where the others are, with their present numbers as the first."""
        for group in groups:
            group.setdefault(COUNT, groups[0].get(COUNT, 0))
            for number in self.numbers:
                group.setdefault(number.first, float(number.of(group)))
        self._seen = self._read(groups)

    def check(self, groups: Sequence[Mapping[str, Any]]) -> None:
        """Raise ValueError for a schedule that would do nothing."""
        for number in self.numbers:
            if not any(group[number.first] for group in groups):
                raise ValueError(f"{self.name}: {number.name} is 0 in every group, so its schedule would do nothing")

    def step(self, groups: Sequence[Group], take: Callable[[], Bad]) -> Bad:
        """Set the numbers of the next step and ``take`` it; one that is not taken leaves no trace."""
        self._begin(groups)
        taken = False
        try:
            bad = take()
            taken = not bad
            return bad
        finally:
            if not taken:
                self._undo(groups)

    def ahead(self, groups: Sequence[Group]) -> list[Group]:
        """The groups as they will be in the next step, in copies."""
        copies = [dict(group) for group in groups]
        for group in copies:
            for number in self.numbers:
                number.put(group, number.at(group, group[COUNT] + 1))
        return copies

    def _read(self, groups: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
        return [[number.of(group) for number in self.numbers] for group in groups]

    def _begin(self, groups: Sequence[Group]) -> None:
        self._before = None
        if len(groups) != len(self._seen):
            self.join(groups)
        now = self._read(groups)
        if now != self._seen:
            if self._creates_states(groups):
                return
            self._refuse(now)
        after = [[number.at(group, group[COUNT] + 1) for number in self.numbers] for group in groups]
        for group, values in zip(groups, after, strict=True):
            group[COUNT] += 1
            for number, value in zip(self.numbers, values, strict=True):
                number.put(group, value)
        self._before, self._seen = now, after

    def _undo(self, groups: Sequence[Group]) -> None:
        if self._before is None:
            return
        for group, values in zip(groups, self._before, strict=True):
            group[COUNT] -= 1
            for number, value in zip(self.numbers, values, strict=True):
                number.put(group, value)
        self._seen = self._before

    def _creates_states(self, groups: Sequence[Mapping[str, Any]]) -> bool:
        """Whether this is torch.distributed.checkpoint's step before the first, at the rate 0, so that there are states
        to load into. It counts for nothing."""
        return all(group[COUNT] == 0 and float(group.get("lr", 1.0)) == 0 for group in groups)

    def _refuse(self, now: Sequence[Sequence[Any]]) -> None:
        for place, (values, seen) in enumerate(zip(now, self._seen, strict=True)):
            for number, value, was in zip(self.numbers, values, seen, strict=True):
                if value != was:
                    raise RuntimeError(
                        f"{self.name}: {number.name} of group {place} follows schedule={number.schedule!r}, which left "
                        f"it at {float(was):g}, and it has been set to {float(value):g} since (as a scheduler of "
                        f"torch's does). To change what the factor multiplies, set param_groups[{place}]"
                        f"[{number.first!r}]; else leave out one of the two"
                    )


def scheduling(name: str, rule: type[Rule], given: object) -> Scheduling | None:
    """What ``schedule=`` asks for (`scheduled`); None for nothing."""
    found = scheduled(name, rule, given)
    return Scheduling(name, rule, found) if found else None
