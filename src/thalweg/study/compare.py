"""Run a comparison: the search, the re-runs of defaults and winners, the verdict."""

import os
import platform
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from thalweg.cpu import cpu_name
from thalweg.tasks.task import Choice

from .cells import Cell, Run
from .engines import Engine, LocalProcesses, WorkerDied
from .errors import StudyError
from .events import Event, Finished, Phase, Started
from .judge import judge
from .loading import refuse_inside_a_loaded_file
from .metric import choose_metric
from .plan import Plan
from .results import Comparison
from .select import winner
from .spec import Study, installed, resolve, study
from .store import Store, open_store
from .task_references import check_task, script_path


def compare(
    task: str,
    rules: Sequence[str | type] | str | type,
    *,
    trials: int = 25,
    seeds: int = 5,
    study_seed: int = 0,
    metric: str | None = None,
    vary: Mapping[str, Sequence[Choice]] | None = None,
    store: str | Path | None = None,
    workers: int | None = None,
    engine: Engine | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> Comparison:
    """Compare update rules on a task, with equal tuning budgets, re-runs with other seeds, and a verdict.

    ``task``, ``rules``, ``trials``, ``seeds``, ``study_seed``, ``metric``: see `Study`; rules may also be Rule
    subclasses and optimizer classes.
    ``vary``      options of the task with the values to compare: ``{"norm": ["batch", "layer"]}``. Each rule is trained
                  with every combination; seeds and drawn configurations are the same for all combinations of a rule.
                  A script of your own reads what was chosen, ``trial.options["norm"]``.
    ``store``     the SQLite file of results, ``thalweg-<task>.sqlite`` in the current folder unless given. What is
                  in it is not run again: the same call goes on where an earlier one stopped, and more trials or
                  seeds add to it. A script is known by its own text: after a change in what it imports, name
                  another store.
    ``workers``   processes, one thread each; as many as CPUs unless given. What a training prints there is dropped.
    ``engine``    another way to run the trainings: ``Serial()``, in this process, for debuggers and prints.
    ``on_event``  called in this process with `Started`, `Phase` and `Finished`.

    Raises `StudyError`, whose text says what to do, for anything that the caller can put right.
    """
    refuse_inside_a_loaded_file()
    varied = {} if vary is None else vary
    asked = study(task, rules, trials=trials, seeds=seeds, study_seed=study_seed, metric=metric, vary=varied)
    return run_study(asked, store=store, engine=engine or LocalProcesses(workers), on_event=on_event)


def run_study(
    asked: Study,
    *,
    store: str | Path | None = None,
    engine: Engine | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> Comparison:
    """As `compare`, from a `Study`."""
    refuse_inside_a_loaded_file()
    plan = resolve(asked)
    path = Path(store) if store is not None else default_store(plan.task)
    with open_store(path) as opened:
        with closing(engine or LocalProcesses()) as workers:
            runner = _Runner(plan, opened, workers, on_event or (lambda _: None))
            runner.run()
        return judge(plan, runner.provenance, runner.have, opened.path)


def default_store(task: str) -> Path:
    """The store of a task unless another is named: in the current folder."""
    return Path("thalweg-" + re.sub(r"[:=/\\]", "-", task.replace(".py:", "-")) + ".sqlite")


class _Runner:
    """What is needed while a comparison runs.

    ``have``   every finished run, by key; ``sound``: some run ended well and reported the metric.
    """

    def __init__(self, plan: Plan, store: Store, engine: Engine, tell: Callable[[Event], None]) -> None:
        self.plan, self.store, self.engine, self.tell = plan, store, engine, tell
        self.provenance: Mapping[str, object] = {}
        # What has to be trained is not in here: a run whose process died is trained again.
        self.have = {key: run for key, run in store.runs().items() if run.status != "died"}
        self.total = 0
        self.sound = False

    def run(self) -> None:
        plan = self.plan
        search = _by_key(plan.search_cells())
        known = self._winners() if search.keys() <= self.have.keys() else dict.fromkeys(r.label for r in plan.rules)
        rerun = _by_key(plan.fresh_cells(known))
        if search.keys() - self.have.keys():
            self._check_script()
        self.provenance = self.store.begin(plan, provenance())
        self.total = len(search) + len(rerun)
        for run in (self.have[key].known_as(cell) for key, cell in search.items() if key in self.have):
            if run.status == "done":
                self._check_first(run)
        self.tell(Started(self.total, sum(key in self.have for key in (*search, *rerun))))
        self._phase("search", search)
        rerun = _by_key(plan.fresh_cells(self._winners()))
        self.total = len(search) + len(rerun)
        self._phase("re-runs", rerun, before=len(search))

    def _phase(self, name: str, cells: Mapping[str, Cell], before: int = 0) -> None:
        missing = [cell for key, cell in cells.items() if key not in self.have]
        stored = tuple(self.have[key].known_as(cell) for key, cell in cells.items() if key in self.have)
        done = len(stored)
        self.tell(Phase(name, len(cells), stored))
        with closing(self.engine.map(_train, missing)) as results:
            for cell, result in results:
                run = _dead(cell, result) if isinstance(result, WorkerDied) else result
                self._check_first(run.known_as(cell))
                self.store.add(cell, run)
                self.have[run.key] = run
                done += 1
                self.tell(Finished(run.known_as(cell), before + done, self.total))

    def _check_script(self) -> None:
        """Import the user's file once, in a worker, before anything is trained."""
        if script_path(self.plan.task_source) is None:
            return
        for _, problem in self.engine.map(check_task, [self.plan.task_source]):
            if problem:
                raise StudyError(f"task {self.plan.task}: {problem}")

    def _check_first(self, run: Run) -> None:
        """Until one run has ended well: stop at a failure, which would come a hundred times, and keep nothing of it.

        The first that ends well must report what the comparison is judged by.
        """
        if self.sound:
            return
        if run.status in ("failed", "died"):
            raise StudyError(
                f"the first training of {self.plan.task} ({run.rule}) failed, so the comparison stops: "
                f"{run.message}. What it prints is shown by compare(..., engine=Serial())"
            )
        if run.status == "done":
            choose_metric(self.plan.metric, run.curves)
            self.sound = True

    def _winners(self) -> dict[str, int]:
        plan, label_runs = self.plan, {}
        for rule in plan.rules:
            keys = [plan.cell(rule, k, plan.tuning_seed).key for k in range(plan.trials)]
            label_runs[rule.label] = [self.have[key] for key in keys]
        reported = {name for runs in label_runs.values() for run in runs for name in run.curves}
        if not reported:
            raise StudyError(
                f"no training of {plan.task} got as far as its first report: the first one ended with "
                f"{next(iter(label_runs.values()))[0].message!r}. Call trial.report once before the first epoch, "
                "so that diverged runs have a value to count with"
            )
        metric = choose_metric(plan.metric, reported)
        return {label: winner(runs, metric) for label, runs in label_runs.items()}


def provenance() -> dict[str, object]:
    """Where and with what a study was started: plain JSON values."""
    packages = ("thalweg", "torch", "numpy", "scikit-learn", "joblib", "scipy")
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "packages": {name: installed(name) for name in packages},
        "system": f"{platform.system()} {platform.release()}",
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "host": platform.node(),
    }


def _by_key(cells: Sequence[Cell]) -> dict[str, Cell]:
    """Cells by key, each once: two trials may draw the same configuration."""
    found: dict[str, Cell] = {}
    for cell in cells:
        found.setdefault(cell.key, cell)
    return found


def _train(cell: Cell) -> Run:
    # Here, not at the top: only workers import torch.
    from .trial import run_cell

    return run_cell(cell)


def _dead(cell: Cell, death: WorkerDied) -> Run:
    return Run(cell.key, cell.rule, cell.trial, cell.seed, cell.values, "died", str(death))
