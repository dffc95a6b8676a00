"""Run a comparison: the search, the re-runs of defaults and winners, the verdict."""

import os
import platform
import re
import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, overload

from thalweg.cpu import cpu_name
from thalweg.study.ask.arguments import written_arguments
from thalweg.study.ask.loading import refuse_inside_a_loaded_file
from thalweg.study.ask.local_modules import script_files
from thalweg.study.ask.spec import Study, installed, plans, study
from thalweg.study.ask.task_references import check_task, script_path
from thalweg.study.judge.judging import to_train_again
from thalweg.study.judge.results import Comparison, Suite, judge
from thalweg.study.judge.select import is_over
from thalweg.study.keep.store import Store, open_store
from thalweg.study.model.cells import Cell, Run
from thalweg.study.model.errors import StudyError
from thalweg.study.model.events import Event, Finished, Phase, Started
from thalweg.study.model.metric import choose_metric, reported_by
from thalweg.study.model.plan import Plan

from .engines import Engine, LocalProcesses, WorkerDied

Rules = Sequence[str | type] | str | type


@overload
def compare(task: str, rules: Rules, **settings: Any) -> Comparison: ...


@overload
def compare(task: Sequence[str], rules: Rules, **settings: Any) -> Suite: ...


def compare(
    task: str | Sequence[str],
    rules: Rules,
    *,
    store: str | Path | None = None,
    workers: int | None = None,
    engine: Engine | None = None,
    on_event: Callable[[Event], None] | None = None,
    **settings: Any,
) -> Comparison | Suite:
    """Compare update rules on a task, with equal tuning budgets, re-runs with other seeds, and a verdict.

    ``task``      a name, for a `Comparison`; a list of names, for a `Suite` of one comparison each.
    ``rules``     and any other setting by name (``trials``, ``seeds``, ``vary``, ``schedule``, ``minutes``, ...): see
                  `Study`; rules may also be Rule subclasses and optimizer classes.
    ``store``     the SQLite file of results, ``thalweg-<task>.sqlite`` in the current folder unless given. What is
                  in it is not run again: the same call goes on where an earlier one stopped, and more trials or
                  seeds add to it. A script is known by its own text and that of the modules under its folder that
                  it imports; installed packages by their versions.
    ``workers``   processes, one thread each; as many as CPUs unless given. What a training prints there is dropped.
    ``engine``    another way to run the trainings: ``Serial()``, in this process, for debuggers and prints;
                  ``RayCluster(address)``, on a cluster.
    ``on_event``  called in this process with `Started`, `Phase` and `Finished`.

    Raises `StudyError`, whose text says what to do, for anything that the caller can put right.
    """
    refuse_inside_a_loaded_file()
    asked = study(task, rules, **settings)
    found = run_study(asked, store=store, engine=engine or LocalProcesses(workers), on_event=on_event)
    return found.only if isinstance(task, str) else found


def run_study(
    asked: Study,
    *,
    store: str | Path | None = None,
    engine: Engine | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> Suite:
    """As `compare`, from a `Study`: one task after the other."""
    refuse_inside_a_loaded_file()
    every = plans(asked)
    names = [plan.task for plan in every]
    path = Path(store) if store is not None else default_store(names)
    tell = on_event or (lambda _: None)
    with open_store(path) as opened, closing(engine or LocalProcesses()) as workers:
        opened.check_tasks(names)
        found = []
        for number, plan in enumerate(every, 1):
            runner = _Runner(plan, opened, workers, tell, (number, len(every)))
            runner.run()
            found.append(judge(plan, runner.provenance, runner.have, opened.path))
        return Suite(tuple(found), opened.path)


def default_store(tasks: Sequence[str]) -> Path:
    """The store of these tasks unless another is named: in the current folder."""
    names = [re.sub(r"[:=/\\]", "-", task.replace(".py:", "-")) for task in tasks]
    return Path(f"thalweg-{'+'.join(names)[:200]}.sqlite")


class _Runner:
    """What is needed while a comparison runs.

    ``have``   every finished run, by key; ``sound``: some run ended well and reported the metric.
    """

    def __init__(
        self, plan: Plan, store: Store, engine: Engine, tell: Callable[[Event], None], of: tuple[int, int]
    ) -> None:
        self.plan, self.store, self.engine, self.tell, self.of = plan, store, engine, tell, of
        self.provenance: Mapping[str, object] = {}
        # What has to be trained is not in here: a run whose process died is trained again.
        self.have = {key: run for key, run in store.runs().items() if run.status != "died"}
        self.total = 0
        self.sound = False

    def run(self) -> None:
        plan = self.plan
        search = _by_key([*plan.search_cells(), *plan.repeat_cells()])
        rerun = _by_key(plan.fresh_cells(to_train_again(plan, self.have)))
        if search.keys() - self.have.keys():
            self._check_script()
        before, now = self.store.files_of(plan.task), provenance(plan.task_source)
        self.provenance = self.store.begin(plan, now)
        self.total = len(search) + len(rerun)
        for run in (self.have[key].known_as(cell) for key, cell in search.items() if key in self.have):
            if run.status == "done":
                self._check_first(run)
        stored = sum(key in self.have for key in (*search, *rerun))
        self.tell(Started(self.total, stored, plan.task, self.of, _changed(before, now)))
        searched = self._search(search)
        self._check_reported()
        rerun = _by_key(plan.fresh_cells(to_train_again(plan, self.have)))
        self.total = searched + len(rerun)
        self._phase("re-runs", rerun, before=searched)

    def _search(self, search: Mapping[str, Cell]) -> int:
        """Run the trials; how many there are. Where minutes count, only so many as fit are begun."""
        if self.plan.minutes is None:
            self._phase("search", search)
            return len(search)
        begun = 0
        while waiting := self._fitting():
            chosen = {key: cell for key, cell in search.items() if key in self.have or key in waiting}
            self._phase("search", chosen)
            begun = len(chosen)
        return max(begun, sum(key in self.have for key in search))

    def _fitting(self) -> dict[str, Cell]:
        """The trials to begin next: of each rule about half of what is expected still to fit, but one at least."""
        plan, found = self.plan, {}
        assert plan.minutes is not None
        for rule in plan.rules:
            cells = [plan.cell(rule, k, plan.tuning_seed) for k in range(plan.trials)]
            have = [self.have[cell.key] for cell in cells if cell.key in self.have]
            if is_over(have, plan.trials, plan.minutes):
                continue
            spent = sum(run.seconds for run in have)
            fits = int((60 * plan.minutes - spent) / (2 * spent / len(have))) if spent else 1
            missing = [cell for cell in cells if cell.key not in self.have]
            found.update(_by_key(missing[: max(fits, 1)]))
        repeats = {cell.key: cell for cell in plan.repeat_cells() if cell.key not in self.have}
        return {**found, **repeats}

    def _phase(self, name: str, cells: Mapping[str, Cell], before: int = 0) -> None:
        missing = [cell for key, cell in cells.items() if key not in self.have]
        stored = tuple(self.have[key].known_as(cell) for key, cell in cells.items() if key in self.have)
        done = len(stored)
        self.tell(Phase(name, len(cells), stored))
        with closing(self.engine.map(train_cell, missing)) as results:
            for cell, result in results:
                run = _dead(cell, result) if isinstance(result, WorkerDied) else result
                self._check_first(run.known_as(cell))
                self.store.add(cell, run)
                self.have[run.key] = run
                done += 1
                self.tell(Finished(run.known_as(cell), before + done, max(self.total, before + done)))

    def _check_script(self) -> None:
        """Import the user's file once, in a worker, before anything is trained."""
        if script_path(self.plan.task_source) is None:
            return
        for _, problem in self.engine.map(check_task, [(self.plan.task_source, self.plan.arguments)]):
            if problem:
                raise StudyError(f"task {self.plan.task}: {problem}")

    def _check_first(self, run: Run) -> None:
        """Until one run has ended well: stop at a failure, which would come a hundred times, and keep nothing of it.

        The first that ends well must report what the comparison is judged by.
        """
        if self.sound:
            return
        if run.status in ("failed", "died"):
            alone = ["thalweg", "train", self.plan.task_source, run.rule.split(" ")[0]]
            raise StudyError(
                f"the first training of {self.plan.task} ({run.rule}) failed, so the comparison stops: "
                f"{run.message}. One training with all that it prints: "
                f"{shlex.join([*alone, *written_arguments(self.plan.arguments)])}"
            )
        if run.status == "done":
            chosen = choose_metric(self.plan.metric, reported_by([run.curves])).selection
            last = max(curve.epochs[-1] for name, curve in run.curves.items() if name.startswith("valid_"))
            if run.curves[chosen].epochs[-1] < last:
                raise StudyError(
                    f"{chosen} is missing where {self.plan.task} reports last, in epoch {last}, so its trials cannot "
                    "be ranked by it: report it in each epoch in which another validation metric is, or name that one "
                    "by --metric"
                )
            self.sound = True

    def _check_reported(self) -> None:
        plan = self.plan
        runs = [self.have[cell.key] for cell in plan.search_cells() if cell.key in self.have]
        reported = reported_by(run.curves for run in runs)
        if not reported:
            raise StudyError(
                f"no training of {plan.task} got as far as its first report: the first one ended with "
                f"{runs[0].message!r}. Call trial.report once before the first epoch, "
                "so that diverged runs have a value to count with"
            )
        chosen = choose_metric(plan.metric, reported).selection
        done = [run for run in runs if run.status == "done" and chosen in run.curves]
        values = {value for run in done for value in run.curves[chosen].values}
        if len(done) > 1 and len(values) == 1:
            raise StudyError(
                f"{chosen} was {values.pop():.6g} at every report of all {len(done)} trainings of {plan.task}, so "
                "nothing can be judged by it: compute it anew before each report, or name another one by --metric"
            )


def provenance(task_source: str) -> dict[str, object]:
    """Where and with what a study was started: plain JSON values. The commit is that of a script under git."""
    script = script_path(task_source)
    packages = ("thalweg", "torch", "numpy", "scikit-learn", "joblib", "scipy")
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "packages": {name: installed(name) for name in packages},
        "system": f"{platform.system()} {platform.release()}",
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "host": platform.node(),
        **({"commit": commit} if (commit := _commit(script)) else {}),
        **({"files": script_files(script)} if script else {}),
    }


def _changed(before: Mapping[str, str], now: Mapping[str, object]) -> tuple[str, ...]:
    """The files of a script that are others than they were, by name; none where nothing is known of before."""
    files = now.get("files")
    if not before or not isinstance(files, dict):
        return ()
    return tuple(name for name in sorted({*before, *files}) if before.get(name) != files.get(name))


def _commit(script: Path | None) -> str:
    """The commit that a script's folder stands at, with "+" when something there is not committed; "" without git."""
    if script is None:
        return ""
    try:
        told = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"],
            cwd=script.parent, capture_output=True, text=True, timeout=10, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return told.stdout.strip() if told.returncode == 0 else ""


def _by_key(cells: Sequence[Cell]) -> dict[str, Cell]:
    """Cells by key, each once: two trials may draw the same configuration."""
    found: dict[str, Cell] = {}
    for cell in cells:
        found.setdefault(cell.key, cell)
    return found


def train_cell(cell: Cell) -> Run:
    """What workers do: one training."""
    # Here, not at the top: only workers import torch.
    from .worker import run_cell

    return run_cell(cell)


def _dead(cell: Cell, death: WorkerDied) -> Run:
    return Run(cell.key, cell.rule, cell.trial, cell.seed, cell.values, "died", str(death))
