"""Before a comparison runs: what it costs on this machine, and what it would tell."""

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from thalweg.study.ask.spec import Study, plans, tasks_of
from thalweg.study.judge.judging import findings, to_train_again
from thalweg.study.judge.next_step import tells
from thalweg.study.keep.store import read_contents
from thalweg.study.model.cells import Cell, Run
from thalweg.study.model.errors import StudyError
from thalweg.study.model.metric import Metric
from thalweg.study.model.plan import Plan

from .compare import default_store
from .engines import LocalProcesses
from .stacking import trainings

if TYPE_CHECKING:
    from thalweg.study.judge.findings import Findings

# What worlds tell, of the sizes they were simulated at: benchmarks/told.py.
TOLD = "told.json"


@dataclass(frozen=True)
class Told:
    """A pair, and the difference that is told of it in 80% of such comparisons, on the metric's scale.

    ``now``  by one of this size; ``larger`` by one of twice the trials.
    """

    first: str
    second: str
    now: float
    larger: float


@dataclass(frozen=True)
class Range:
    """What comparisons of this size tell in simulated worlds, in 80% of them: from the easiest world to the hardest.

    ``errors``  of accuracies: as ratios of errors; ``spreads`` of anything, in standard deviations of one training.
    ``trials``, ``budget``, ``seeds``  of the nearest size that was simulated.
    """

    errors: tuple[float, float]
    spreads: tuple[float, float]
    trials: int
    budget: int
    seeds: int


@dataclass(frozen=True)
class Outlook:
    """Of one task.

    ``search``, ``again``  trainings of the search, and of the re-runs, at the most; ``stored`` of both that are there.
                  What is read out of one training counts once.
    ``seconds``   of one training, on average; ``workers`` how many are trained at once.
    ``metric``    where it is known from runs; ``told`` from those of the study of ``judged`` trials, empty without;
                  ``worlds`` without them.
    """

    plan: Plan
    search: int
    again: int
    stored: int
    seconds: float
    workers: int
    metric: Metric | None
    told: tuple[Told, ...]
    judged: int
    worlds: Range | None

    @property
    def remaining(self) -> float:
        """About how many seconds are left, at the most."""
        if self.plan.minutes is not None:
            searches = 60 * self.plan.minutes * len(self.plan.rules)
            return (searches + self.again * self.seconds) / self.workers
        return (self.search + self.again - self.stored) * self.seconds / self.workers


def outlook(
    asked: Study, *, store: str | Path | None = None, engine: LocalProcesses | None = None
) -> tuple[Outlook, ...]:
    """What a comparison would cost and tell, task by task; nothing is stored.

    Where nothing is stored yet, the first contender's default and the last one's are begun, to see how long they take.
    Raises `StudyError`.
    """
    path = Path(store) if store is not None else default_store([task.name for task in tasks_of(asked)])
    contents = read_contents(path.expanduser().absolute()) if path.exists() else None
    begun = {plan.task: plan for plan, _ in contents.latest} if contents else {}
    have = contents.runs if contents else {}
    with closing(engine or LocalProcesses()) as workers:
        return tuple(_outlook(plan, have, workers, path, begun.get(plan.task)) for plan in plans(asked, begun))


def _outlook(plan: Plan, have: Mapping[str, Run], engine: LocalProcesses, path: Path, begun: Plan | None) -> Outlook:
    search = {cell.key: cell for cell in (*plan.search_cells(), *plan.repeat_cells())}
    again = {cell.key: cell for cell in plan.fresh_cells(to_train_again(plan, have))}
    there = [cell for cell in {**search, **again}.values() if cell.key in have]
    stored = [have[cell.key] for cell in there]
    found = findings(plan, {}, have, path)
    if found.missing and begun is not None:
        # A larger study is told what the one that is there tells.
        found = findings(begun, {}, have, path)
    told = tuple(_told(found))
    return Outlook(
        plan=plan,
        search=len(trainings([*search.values()])),
        again=len(trainings([*again.values()])),
        stored=len(trainings(there)),
        seconds=mean(run.seconds for run in stored) if stored else _timed(plan, engine),
        workers=engine.workers,
        metric=found.metric,
        told=told,
        judged=found.plan.trials,
        worlds=None if told else _from_worlds(plan),
    )


def _told(found: "Findings") -> list[Told]:
    if found.family is None or found.searches is None:
        return []
    return [
        Told(pair.first, pair.second, tells(pair, estimate), tells(pair, estimate, trials=2.0))
        for pair in found.family.contrasts
        if (estimate := found.searches.differences[pair.first]).se
    ]


def _timed(plan: Plan, engine: LocalProcesses) -> float:
    """Of the defaults of the first and of the last contender."""
    chosen = dict.fromkeys((plan.rules[0].label, plan.rules[-1].label))
    cells = [plan.search_cell(rule, 0) for rule in plan.rules if rule.label in chosen]
    seconds = []
    with closing(engine.map(timed_cell, cells)) as results:
        for _, took in results:
            if not isinstance(took, float):
                raise StudyError(f"the training of {plan.task} could not be timed: {took}")
            seconds.append(took)
    return mean(seconds)


def timed_cell(cell: Cell) -> float:
    """What workers do: a training's beginning."""
    # Here, not at the top: only workers import torch.
    from .short import seconds_of

    return seconds_of(cell)


def _from_worlds(plan: Plan) -> Range | None:
    if not plan.budgets or plan.minutes is not None:
        return None
    known = _table()
    contrasts = "1" if len(plan.rules) < 3 else "5"

    def far(size: tuple[int, int, int]) -> float:
        trials, budget, seeds = size
        return abs(trials / plan.trials - 1) + abs(budget / plan.budgets[-1] - 1) + 0.1 * abs(seeds - plan.seeds)

    sizes = [tuple(map(int, key.split(","))) for key in known]
    trials, budget, seeds = min(((a, b, c) for a, b, c in sizes), key=far)
    cell = known[f"{trials},{budget},{seeds}"][contrasts]
    (low, high), (least, most) = cell["errors"], cell["spreads"]
    return Range((low, high), (least, most), trials, budget, seeds)


@lru_cache(maxsize=1)
def _table() -> dict[str, dict[str, dict[str, tuple[float, float]]]]:
    found: dict[str, dict[str, dict[str, tuple[float, float]]]] = json.loads(
        files(__package__).joinpath(TOLD).read_text(encoding="utf-8")
    )
    return found
