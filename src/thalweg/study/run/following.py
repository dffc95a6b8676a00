"""An optimizer's numbers that follow a schedule by the step, whoever wrote the optimizer."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from thalweg import formula
from thalweg.formula.scheduled import names_of
from thalweg.optim.scheduling import Scheduled
from thalweg.study.model.errors import StudyError
from thalweg.study.model.schedules import ByStep
from thalweg.study.model.settings import NAMED, SCHEDULES_OF

from .stepped import skipped

# The least share of the steps that were said that a training may take.
LEAST = 0.95


class Following:
    """Sets the numbers of one optimizer before each of its steps; the first ones stand beside them, as in torch.

    ``called`` is the method's name; ``by_step`` has the schedules by number: lr, weight_decay, momentum.
    """

    def __init__(self, called: str, optimizer: torch.optim.Optimizer, by_step: Mapping[str, ByStep]) -> None:
        self._called, self._optimizer, self._by_step = called, optimizer, by_step
        self._total: int | None = None
        self._schedules: dict[str, formula.Schedule] = {}
        self._numbers: list[list[Scheduled]] = []  # of each group, as by_step has them
        self._asked = 0
        self._left: list[list[float]] = []

    def set(self, total: int | None) -> None:
        """For the next step, of ``total`` that the training said it has; raises `StudyError` where that cannot be."""
        groups = self._optimizer.param_groups
        self._begin(total)
        self._refuse_others()
        for place in range(len(self._numbers), len(groups)):
            own = [self._scheduled(groups[place], *each) for each in self._schedules.items()]
            for number in own:
                number.start(groups[place], [group for group in groups[:place] if number.key in group])
            self._numbers.append(own)
        # A step that was left out, because of a gradient that is not finite, is taken now.
        step = self._asked + 1 - skipped(self._optimizer)
        for group, numbers in zip(groups, self._numbers, strict=True):
            for number in numbers:
                number.put(group, number.at(group, step))
        self._asked += 1
        self._left = self._read()

    def unmet(self) -> str:
        """What is wrong with the number of steps that was said, now that the training has ended; "" if nothing.

        A few fewer may be taken, as where `torch.amp.GradScaler` leaves some out.
        """
        if self._total is None or LEAST * self._total <= self._asked <= self._total:
            return ""
        named = SCHEDULES_OF[next(iter(self._by_step))]
        return (
            f"trial.epochs(n, steps=...) said that there are {self._total} steps, and the optimizer took "
            f"{self._asked}, so {named}= ended elsewhere than the training: say the optimizer's own steps of an epoch "
            "(with gradient accumulation it takes fewer than the loader has batches)"
        )

    def _begin(self, total: int | None) -> None:
        if self._total is None:
            if total is None:
                number, schedule = next(iter(self._by_step.items()))
                raise StudyError(
                    f"{SCHEDULES_OF[number]}={schedule.written} goes by the step, so it must know how many there will "
                    "be: write trial.epochs(n, steps=len(loader)), with the number of steps of an epoch"
                )
            self._schedules = {number: each.of(total, SCHEDULES_OF[number]) for number, each in self._by_step.items()}
            self._total = total
        elif total not in (None, self._total):
            raise StudyError(
                f"trial.epochs(n, steps=...) said {self._total} steps at first, and {total} now: what goes by the step "
                "has one number of them, so let one trial.epochs count all, or call trial.optimizer anew for the rest"
            )

    def _refuse_others(self) -> None:
        for values, left in zip(self._read(), self._left, strict=True):
            for asked, value, before in zip(self._by_step, values, left, strict=True):
                if value != before:
                    raise StudyError(
                        f"the training sets {asked} itself (by a scheduler?), and {SCHEDULES_OF[asked]}= does too: "
                        "leave one of the two out"
                    )

    def _read(self) -> list[list[float]]:
        """The numbers of the groups that are known: others may have come since."""
        groups = zip(self._optimizer.param_groups, self._numbers, strict=False)
        return [[number.of(group) for number in numbers] for group, numbers in groups]

    def _scheduled(self, group: Mapping[str, Any], number: str, schedule: formula.Schedule) -> Scheduled:
        for name, key, place in _places(number):
            if key in group:
                return Scheduled(name, key, place, formula.Hyper(0.0), schedule)
        raise StudyError(f"{self._called} has no {NAMED[number]}, so {SCHEDULES_OF[number]}= can change nothing")


def _places(number: str) -> Iterator[tuple[str, str, int | None]]:
    """Where a group may have a number: its name there, the key, and the place in it."""
    for name in names_of(number):
        if name == "beta1":
            yield name, "betas", 0
        yield name, name, None
