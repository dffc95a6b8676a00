"""Repeat the published runs and compare."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from statistics import fmean, stdev

from thalweg.study.model.errors import StudyError
from thalweg.study.model.schedules import SCHEDULES, Schedule, trapezoidal
from thalweg.study.run.engines import Engine, LocalProcesses, WorkerDied

from .published import MEANS, OP_SEED_MEANS, OP_SEED_RUNS, OPTIMIZERS, RUNS, SEEDS, SingleRun, TenSeeds

# Of the published value. Both sides compute in float32, in another order: a thousandth of this is usual, and 1e-6
# what 700 steps of Adam's relatives make of it.
INITIAL_WITHIN, FINAL_WITHIN = 1e-6, 1e-5
# Of the published deviation, which is printed with three digits.
DEVIATION_WITHIN = 1e-2

TASK = "quadratic-deep"


def one_epoch_late(epoch: int, epochs: int) -> float:
    """The published trapezoidal runs: the first epoch at the full rate, then the schedule from its start."""
    return 1.0 if epoch == 0 else trapezoidal(epoch - 1, epochs)


PUBLISHED_SCHEDULES: Mapping[str, Schedule] = {
    "none": SCHEDULES["none"],
    "cosine": SCHEDULES["cosine"],
    "cosine_wr": SCHEDULES["warm-restarts"],
    "ltr": one_epoch_late,
}


@dataclass(frozen=True)
class Job:
    """One training to be done here: ``number`` counts them, ``cell`` is the cell that it is for."""

    number: int
    cell: int
    optimizer: str
    settings: Mapping[str, float | bool]
    seed: int
    instance: int
    schedule: str
    op_seed: int


@dataclass(frozen=True)
class Measured:
    """Initial and final test loss; ``problem`` says why there are none."""

    initial: float = float("nan")
    final: float = float("nan")
    problem: str = ""


@dataclass(frozen=True)
class Checked:
    """A published figure and ours.

    ``initial`` is ours before training; ``deviation`` that of our ten seeds.
    ``problem`` says what is wrong, "" if the cell holds; ``differs`` why the published run is not the algorithm's, then
    only the initial loss is judged.
    """

    published: SingleRun | TenSeeds
    rule: str
    settings: Mapping[str, float | bool]
    ours: float
    initial: float
    deviation: float | None
    problem: str

    @property
    def differs(self) -> str:
        """Why the published run is not what the algorithm gives; "" for all others."""
        return self.published.differs if isinstance(self.published, SingleRun) else ""

    @property
    def value(self) -> float:
        """The published figure."""
        return self.published.final if isinstance(self.published, SingleRun) else self.published.mean

    @property
    def gap(self) -> float:
        """Ours over published, less 1."""
        return self.ours / self.value - 1.0


CELLS: tuple[SingleRun | TenSeeds, ...] = (*RUNS, *MEANS)


def jobs(cells: Sequence[SingleRun | TenSeeds] = CELLS) -> list[Job]:
    """The trainings that the cells need."""
    found: list[Job] = []
    for index, cell in enumerate(cells):
        if isinstance(cell, SingleRun):
            settings = OPTIMIZERS[cell.optimizer].settings
            found.append(
                Job(len(found), index, cell.optimizer, settings, cell.seed, cell.instance, cell.schedule, OP_SEED_RUNS)
            )
        else:
            for seed in SEEDS:
                found.append(Job(len(found), index, cell.optimizer, cell.settings, seed, 1, "none", OP_SEED_MEANS))
    return found


def measure(job: Job) -> Measured:
    """Train as the published run did. Called in workers."""
    from thalweg.study.run.train import train

    used = OPTIMIZERS[job.optimizer]
    try:
        found = train(
            TASK,
            used.rule,
            seed=job.seed,
            like=used.like,
            schedule=PUBLISHED_SCHEDULES[job.schedule],
            task_options={"instance": job.instance, "reshuffle": False, "op_seed": job.op_seed},
            on_report=None,
            device="cpu",
            arguments=(),
            **job.settings,
        )
    except StudyError as problem:
        return Measured(problem=str(problem))
    if found.status != "done":
        return Measured(problem=f"{found.status}: {found.message}")
    return Measured(found.curves["test_loss"].values[0], found.final["test_loss"])


def verify(
    cells: Sequence[SingleRun | TenSeeds] = CELLS,
    *,
    engine: Engine | None = None,
    on_run: Callable[[int, int], None] | None = None,
) -> list[Checked]:
    """Repeat every published figure; one `Checked` for each, in their order.

    ``engine`` runs the trainings, two worker processes unless given; ``on_run`` is called with how many trainings are
    done, and of how many.
    """
    todo = jobs(cells)
    found: dict[int, Measured] = {}
    with closing(engine or LocalProcesses(min(2, os.cpu_count() or 1))) as workers:
        for job, result in workers.map(measure, todo):
            found[job.number] = Measured(problem=str(result)) if isinstance(result, WorkerDied) else result
            if on_run:
                on_run(len(found), len(todo))
    return [checked(cell, [found[job.number] for job in todo if job.cell == index]) for index, cell in enumerate(cells)]


def checked(cell: SingleRun | TenSeeds, measured: Sequence[Measured]) -> Checked:
    """A cell judged by what was measured for it."""
    used = OPTIMIZERS[cell.optimizer]
    initial, ours = measured[0].initial, fmean(m.final for m in measured)
    problem = next((m.problem for m in measured if m.problem), "")
    if isinstance(cell, SingleRun):
        problem = problem or _apart("initial loss", initial, cell.initial, INITIAL_WITHIN)
        if not cell.differs:
            problem = problem or _apart("final loss", ours, cell.final, FINAL_WITHIN)
        return Checked(cell, used.rule, used.settings, ours, initial, None, problem)
    deviation = stdev(m.final for m in measured) if not problem else float("nan")
    problem = problem or _apart("mean", ours, cell.mean, FINAL_WITHIN)
    problem = problem or _apart("deviation", deviation, cell.deviation, DEVIATION_WITHIN)
    return Checked(cell, used.rule, cell.settings, ours, initial, deviation, problem)


def _apart(what: str, ours: float, published: float, within: float) -> str:
    """What is wrong when ours is further from the published value than a share of it; "" if it is not."""
    gap = abs(ours / published - 1.0)
    return "" if gap <= within else f"{what} {ours:.7g}, published {published:.7g}: {gap:.1e} apart, {within:g} allowed"
