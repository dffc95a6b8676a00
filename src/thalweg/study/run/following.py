"""An optimizer's numbers that follow a schedule by the step, whoever wrote the optimizer."""

from collections.abc import Mapping

import torch

from thalweg.formula import Hyper
from thalweg.optim.scheduling import Scheduled
from thalweg.study.model.errors import StudyError
from thalweg.study.model.schedules import ByStep
from thalweg.study.model.settings import SCHEDULES_OF


class Following:
    """Sets the numbers of one optimizer before each of its steps; the first ones stand beside them, as in torch.

    ``called`` is the method's name; ``by_step`` has the schedules by number: lr, weight_decay, momentum.
    """

    def __init__(self, called: str, optimizer: torch.optim.Optimizer, by_step: Mapping[str, ByStep]) -> None:
        self._called, self._optimizer, self._by_step = called, optimizer, by_step
        self._numbers: list[Scheduled] = []
        self._taken = 0
        self._left: list[list[float]] = []

    def set(self, total: int | None) -> None:
        """For the next step, of ``total`` that the training said it has."""
        groups = self._optimizer.param_groups
        if not self._numbers:
            self._numbers = [self._scheduled(number, schedule, total) for number, schedule in self._by_step.items()]
        self._refuse_others()
        for place in range(len(self._left), len(groups)):
            for number in self._numbers:
                number.start(groups[place], groups[:place])
        self._taken += 1
        for group in groups:
            for number in self._numbers:
                number.put(group, number.at(group, self._taken))
        self._left = self._read()

    def _refuse_others(self) -> None:
        for values, left in zip(self._read(), self._left, strict=False):  # groups may have come since
            for asked, value, before in zip(self._by_step, values, left, strict=True):
                if value != before:
                    raise StudyError(
                        f"the training sets {asked} itself (by a scheduler?), and {SCHEDULES_OF[asked]}= does too: "
                        "leave one of the two out"
                    )

    def _read(self) -> list[list[float]]:
        return [[number.of(group) for number in self._numbers] for group in self._optimizer.param_groups]

    def _scheduled(self, number: str, schedule: ByStep, total: int | None) -> Scheduled:
        setting = SCHEDULES_OF[number]
        if total is None:
            raise StudyError(
                f"{setting}={schedule.written} goes by the step, so it must know how many there will be: write "
                "trial.epochs(n, steps=len(loader)), with the number of steps of an epoch"
            )
        # Where there are betas, the first is the momentum.
        places = {"momentum": [("momentum", None), ("betas", 0), ("beta1", None)]}.get(number, [(number, None)])
        for key, place in places:
            if all(key in group for group in self._optimizer.param_groups):
                name = "beta1" if key == "betas" else key
                return Scheduled(name, key, place, Hyper(0.0), schedule.of(total))
        what = "learning rate lr" if number == "lr" else number
        raise StudyError(f"{self._called} has no {what}, so {setting}= can change nothing")
