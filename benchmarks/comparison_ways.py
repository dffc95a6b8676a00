"""One way of running the trainings of `comparison.py`, in this process: ``WAY TASK TRIALS WORKERS FOLDER``."""

import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from multiprocessing import get_context
from pathlib import Path
from typing import Any

RULE = "adamw"
SEARCHED = 5  # trials of a comparison, too few to judge any but the default and the winner


def main(way: str, task: str, trials: int, workers: int, folder: Path) -> None:
    """Run the trainings; nothing is returned, since only the time counts."""
    if way == "bare":
        for values, seed in _drawn(task, trials):
            bare(task, values, seed)
    elif way == "apart":
        apart = [get_context("spawn").Process(target=_part, args=(task, trials, workers, n)) for n in range(workers)]
        for each in apart:
            each.start()
        for each in apart:
            each.join()
    elif way == "optuna":
        _optuna(task, trials, workers)
    else:
        from thalweg.study import LocalProcesses, Serial, compare

        engine = Serial() if way == "serial" else LocalProcesses(workers)
        compare(
            task, RULE, trials=SEARCHED, seeds=_seeds(trials), store=folder / "s.sqlite", engine=engine, lockstep=False
        )


def _seeds(trials: int) -> int:
    """Fresh seeds of a comparison with so many trainings: its search, the default's repeat, and re-runs of two."""
    return (trials - SEARCHED - 1) // 2


def bare(task: str, values: Mapping[str, Any], seed: int) -> list[dict[str, float]]:
    """The training itself: the task's function, given an optimizer, seeds and nothing else."""
    import torch

    from thalweg.tasks import TASKS

    torch.set_num_threads(1)
    trial = _Bare(values, seed)
    TASKS[task].train(trial)
    return trial.reported


def _part(task: str, trials: int, workers: int, number: int) -> None:
    for values, seed in _drawn(task, trials)[number::workers]:
        bare(task, values, seed)


class _Bare:
    """The least that a task asks for."""

    def __init__(self, values: Mapping[str, Any], seed: int) -> None:
        self.values, self._seed = values, seed
        self.options: Mapping[str, Any] = {}
        self.run_seed = seed
        self.splits = True
        self.reported: list[dict[str, float]] = []

    def seed(self, axis: str) -> int:
        return hash((self._seed, axis)) % 2**32

    def optimizer(self, model_or_params: Any, **options: Any) -> Any:
        from thalweg.optim import build
        from thalweg.rules import CATALOGUE

        return build(CATALOGUE[RULE], model_or_params.parameters(), self.values, **options)

    def epochs(self, count: int, steps: int | None = None) -> Iterator[int]:
        return iter(range(count))

    def evaluation(self) -> AbstractContextManager[None]:
        return nullcontext()

    def report(self, **metrics: float) -> None:
        self.reported.append(metrics)

    def check(self, loss: Any) -> None:
        pass


def _drawn(task: str, trials: int) -> list[tuple[Mapping[str, Any], int]]:
    """The configurations and seeds of the comparison: its search, the repeat, and the re-runs."""
    from thalweg.study.ask.spec import resolve, study

    plan = resolve(study(task, RULE, trials=SEARCHED, seeds=_seeds(trials), lockstep=False))
    cells = [*plan.search_cells(), *plan.repeat_cells(), *plan.fresh_cells({RULE: (0, 1)})]
    return [(cell.values, cell.seed) for cell in cells]


def _optuna(task: str, trials: int, workers: int) -> None:
    """The same number of trainings as one would write them with Optuna: ask, train in a pool, tell."""
    import optuna

    from thalweg.study.bridges.optuna_bridge import suggest

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    # Spawned: a fork after torch has used its threads is not safe, and a user's script has used them.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        running: dict[Future[list[dict[str, float]]], optuna.Trial] = {}
        for _ in range(trials):
            while len(running) >= workers:
                _tell(study, running)
            trial = study.ask()
            running[pool.submit(bare, task, suggest(trial, RULE, SEARCHED), trial.number)] = trial
        while running:
            _tell(study, running)


def _tell(study: Any, running: dict[Future[list[dict[str, float]]], Any]) -> None:
    for future in wait(running, return_when=FIRST_COMPLETED).done:
        study.tell(running.pop(future), future.result()[-1]["valid_loss"])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5]))
