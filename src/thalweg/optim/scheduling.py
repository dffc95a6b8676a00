"""The groups' numbers that follow a schedule: set before each step that is taken; the steps are counted in the groups.

A scheduled number is the group's first one, kept beside it as torch's schedulers do (``initial_lr``), times the factor
at the step. All that a step depends on stands in the groups, as plain numbers, so it is in every checkpoint.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch

from thalweg.formula import Hyper, Rule, Schedule
from thalweg.formula.rule import hypers
from thalweg.formula.scheduled import by_number, by_own_names, meant, scheduled, takes

from . import surface
from .joined import Rules
from .launch import added
from .sequence import Bad
from .settings import FIRST_LR

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

    def of(self, group: Mapping[str, Any]) -> float:
        """As the group has it now."""
        return float(self._kept(group))

    def start(self, group: Group, others: Sequence[Mapping[str, Any]]) -> None:
        """Note the first number of a group, beside others that have theirs.

        A tensor that one of them has too is a default, which has been filled: the group begins where that one did, with
        a tensor of its own.
        """
        kept = self._kept(group)
        shared = [of for of in others if self._kept(of) is kept] if isinstance(kept, torch.Tensor) else []
        group.setdefault(self.first, shared[0][self.first] if shared else float(kept))
        if shared:
            self._replace(group, kept.detach().clone())

    def put(self, group: Group, value: float) -> float:
        """Set it, a tensor in place, so that who holds it sees it; returns what the group has then."""
        kept = self._kept(group)
        if not isinstance(kept, torch.Tensor):
            self._replace(group, value)
            return value
        with torch.no_grad():
            kept.fill_(value)
        return float(kept)

    def _kept(self, group: Mapping[str, Any]) -> Any:
        return group[self.key] if self.place is None else group[self.key][self.place]

    def _replace(self, group: Group, value: Any) -> None:
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
    """What of an optimizer is scheduled: in each group the numbers that its rule has of those ``asked`` for."""

    def __init__(self, rules: Rules, asked: Mapping[str, Schedule]) -> None:
        self.asked = dict(asked)
        self.numbers: list[list[Scheduled]] = []
        """Of each group."""
        self._rules, self._of = rules, dict[type[Rule], list[Scheduled]]()
        self._rate = "lr" in asked
        self._seen: list[list[float]] = []
        self._before: list[list[float]] | None = None

    @property
    def given(self) -> Mapping[str, Schedule]:
        """What was asked for, by the names of the optimizer's own rule where it has them."""
        rule = self._rules.own.made.rule
        return {meant(rule, asked): each for asked, each in by_own_names(rule, self.asked).items()}

    def _numbers_of(self, group: Mapping[str, Any]) -> list[Scheduled]:
        """What is scheduled of a group's rule; what that lacks may be another's, so `check` says what nobody has."""
        made = self._rules.of(group).made
        rule: type[Rule] = made.rule
        if rule not in self._of:
            places = {number: (key, place) for number, key, place in surface.places(rule)}
            said = by_own_names(rule, self.asked)
            own = {asked: schedule for asked, schedule in said.items() if takes(rule, asked)}
            given = scheduled(made.__name__, rule, own)
            self._of[rule] = [Scheduled(key, *places[key], hypers(rule)[key], each) for key, each in given.items()]
        return self._of[rule]

    def join(self, groups: Sequence[Group]) -> None:
        """Take groups that have come: they begin where the others are, with their present numbers as the first."""
        if len(groups) < len(self._seen):  # somebody has taken some away
            self._seen = []
        self.numbers = [self._numbers_of(group) for group in groups]
        for place, group in enumerate(groups):
            group.setdefault(COUNT, groups[0].get(COUNT, 0))
            for number in self.numbers[place]:
                number.start(group, [of for of in groups[:place] if number.first in of])
        at = len(self._seen)
        self._seen += _read(groups[at:], self.numbers[at:])

    def load(self, groups: Sequence[Group], states: Sequence[Mapping[str, Any]]) -> None:
        """Take the groups of a checkpoint; if none of them counts scheduled steps, those that the states count are."""
        counted = [group[COUNT] for group in groups if COUNT in group]
        reached = counted[0] if counted else int(max((float(state.get("step", 0)) for state in states), default=0))
        for group in groups:
            group.setdefault(COUNT, reached)
        self._seen = []
        self.join(groups)

    def check(self, groups: Sequence[Mapping[str, Any]]) -> None:
        """Raise TypeError for a number that no rule here has, ValueError for a schedule that would do nothing.

        Of a number that is said by its own name and as ``momentum`` the latter is of other rules, which there have to
        be.
        """
        made = self._rules.own.made
        for asked in self.asked:
            firsts = [
                group[each.first]
                for group, numbers in zip(groups, self.numbers, strict=True)
                for each in numbers
                for rule in (self._rules.of(group).made.rule,)
                if each.name == meant(rule, asked) and asked in by_own_names(rule, self.asked)
            ]
            if not firsts:
                number = meant(made.rule, asked)
                alike = {key: each for key, each in self.asked.items() if meant(made.rule, key) == number}
                scheduled(made.__name__, made.rule, alike)
            if not any(firsts):
                name = meant(made.rule, asked)
                raise ValueError(f"{made.__name__}: {name} is 0 in every group, so its schedule would do nothing")

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
        """The groups as they will be in the next step, in copies; a number that a step would refuse is as it is now."""
        # Of tensors too, since these are filled in place.
        copies = [
            {**group, **{each.key: deepcopy(group[each.key]) for each in numbers}}
            for group, numbers in zip(groups, self.numbers, strict=True)
        ]
        for group, numbers in zip(copies, self.numbers, strict=True):
            if self._rate:
                _note_first(group)
            for number in numbers:
                with suppress(ValueError):
                    number.put(group, number.at(group, group[COUNT] + 1))
        return copies

    def _begin(self, groups: Sequence[Group]) -> None:
        self._before = None
        if len(groups) != len(self._seen):
            self.join(groups)
        if self._creates_states(groups):
            return
        now = _read(groups, self.numbers)
        if now != self._seen:
            self._refuse(now)
        after = [
            [number.at(group, group[COUNT] + 1) for number in numbers]
            for group, numbers in zip(groups, self.numbers, strict=True)
        ]
        for group in groups:
            group[COUNT] += 1
            if self._rate:
                _note_first(group)
        self._before, self._seen = now, self._put(groups, after)

    def _undo(self, groups: Sequence[Group]) -> None:
        if self._before is None:
            return
        for group in groups:
            group[COUNT] -= 1
        self._seen = self._put(groups, self._before)

    def _put(self, groups: Sequence[Group], values: list[list[float]]) -> list[list[float]]:
        """Give groups their numbers; returns the values, as the groups have them."""
        for group, numbers, own in zip(groups, self.numbers, values, strict=True):
            for place, number in enumerate(numbers):
                own[place] = number.put(group, own[place])
        return values

    def _creates_states(self, groups: Sequence[Mapping[str, Any]]) -> bool:
        """Whether this is torch.distributed.checkpoint's step before the first, at the rate 0 and with gradients of 0,
        so that there are states to load into. It counts for nothing."""
        if groups and groups[0][COUNT]:  # soon said, of every step but the first
            return False
        return all(group[COUNT] == 0 and float(group.get("lr", 1.0)) == 0 for group in groups) and all(
            param.grad is None or added(param.grad.detach().abs()) == 0 for group in groups for param in group["params"]
        )

    def _refuse(self, now: Sequence[Sequence[float]]) -> None:
        called = self._rules.own.made.__name__
        for place, (numbers, values, seen) in enumerate(zip(self.numbers, now, self._seen, strict=True)):
            for number, value, was in zip(numbers, values, seen, strict=True):
                if value != was:
                    raise RuntimeError(
                        f"{called}: {number.name} of group {place} follows schedule={number.schedule!r}, which left "
                        f"it at {was:g}, and it has been set to {value:g} since (as a scheduler of "
                        f"torch's does). To change what the factor multiplies, set param_groups[{place}]"
                        f"[{number.first!r}]; else leave out one of the two"
                    )


def _read(groups: Sequence[Mapping[str, Any]], numbers: Sequence[Sequence[Scheduled]]) -> list[list[float]]:
    """The scheduled numbers of each group, as they are now."""
    return [[number.of(group) for number in own] for group, own in zip(groups, numbers, strict=True)]


def _note_first(group: Group) -> None:
    """What a scheduled lr begins with is the first rate, under whatever name somebody has noted one."""
    for key in FIRST_LR:
        if key in group:
            group[key] = group["initial_lr"]


def scheduling(rules: Rules, given: object) -> Scheduling | None:
    """What ``schedule=`` asks for (`by_number`); None for nothing."""
    asked = by_number(given)
    return Scheduling(rules, asked) if asked else None
