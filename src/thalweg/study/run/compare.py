"""Run a comparison: the search, the re-runs of defaults and winners, the verdict."""

import os
import platform
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, overload

from thalweg.cpu import cpu_name
from thalweg.showing import shower
from thalweg.study.ask.arguments import written_arguments
from thalweg.study.ask.finding import files_of
from thalweg.study.ask.functions import function_reference
from thalweg.study.ask.loading import refuse_inside_a_loaded_file
from thalweg.study.ask.local_modules import script_hash
from thalweg.study.ask.spec import Rules, Study, installed, plans, study, tasks_of
from thalweg.study.ask.task_references import check_task, is_own, script_path, task_files
from thalweg.study.judge.judging import to_train_again
from thalweg.study.judge.mattering import check_matters, check_target
from thalweg.study.judge.results import Comparison, Suite, judge
from thalweg.study.judge.select import is_over
from thalweg.study.keep.store import Store, open_store
from thalweg.study.model.cells import CPU, Cell, Run
from thalweg.study.model.errors import StudyError
from thalweg.study.model.events import Event, Finished, Phase, Started
from thalweg.study.model.metric import choose_metric, reported_by, scaled, unit_of
from thalweg.study.model.plan import Plan

from .devices import refuse_own_task
from .engines import Engine, LocalProcesses, WorkerDied
from .stacking import stacks

Task = str | Callable[[Any], object]


@overload
def compare(task: Task, rules: Rules, **settings: Any) -> Comparison: ...


@overload
def compare(task: Sequence[Task], rules: Rules, **settings: Any) -> Suite: ...


def compare(
    task: Task | Sequence[Task],
    rules: Rules,
    *,
    store: str | Path | None = None,
    workers: int | None = None,
    engine: Engine | None = None,
    on_event: Callable[[Event], None] | None = None,
    **settings: Any,
) -> Comparison | Suite:
    """Compare update rules on a task, with equal tuning budgets, re-runs with other seeds, and a verdict.

    ``task``      a name, for a `Comparison`; a list of names, for a `Suite` of one comparison each. In place of a name
                  a function ``train(trial)``: what stands in no file, as in a notebook, is kept beside the store.
    ``rules``     and any other setting by name (``trials``, ``seeds``, ``vary``, ``schedule``, ``minutes``, ...): see
                  `Study`. A rule may also be a Rule subclass, an optimizer class of any library, a function that makes
                  one, or a table with the values to try:
                  ``{"rule": torch.optim.Muon, "lr": (1e-3, 1e-1), "momentum": [0.9, 0.95]}``.
    ``store``     the SQLite file of results, ``thalweg-<task>.sqlite`` in the current folder unless given. What is
                  in it is not run again: the same call goes on where an earlier one stopped, and more trials or
                  seeds add to it. A script is known by its own text and that of the modules under its folder that
                  it imports; installed packages by their versions.
    ``workers``   processes, one thread each; as many as CPUs unless given. What a training prints there is dropped.
    ``engine``    another way to run the trainings: ``LocalProcesses(devices=("cuda:0", "cuda:1"))``, on devices, or
                  with a time limit for one run; ``Serial()``, in this process, for debuggers and prints;
                  ``RayCluster(address)``, on a cluster.
    ``on_event``  called in this process with `Started`, `Phase` and `Finished`; in a notebook, unless given, the cell
                  shows how far it is.

    Raises `StudyError`, whose text says what to do, for anything that the caller can put right.
    """
    refuse_inside_a_loaded_file()
    if kind := next((each for each in _listed(task) if isinstance(each, type)), None):
        raise StudyError(f"a task is a function that trains, def train(trial): ...; got the class {kind.__name__}")
    folder = Path(store).expanduser().absolute().parent if store is not None else Path.cwd()
    one = callable(task) or isinstance(task, str)
    names = [function_reference(each, folder) if callable(each) else each for each in _listed(task)]
    found = run_study(
        study(names[0] if one else names, rules, **settings),
        store=store,
        engine=engine or LocalProcesses(workers),
        on_event=on_event or shower().progress(settings.get("metric")),
    )
    return found.only if one else found


def _listed(task: Task | Sequence[Task]) -> Sequence[Task]:
    return [task] if callable(task) or isinstance(task, str) else task


def run_study(
    asked: Study,
    *,
    store: str | Path | None = None,
    engine: Engine | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> Suite:
    """As `compare`, from a `Study`: one task after the other."""
    refuse_inside_a_loaded_file()
    names = [found.name for found in tasks_of(asked)]
    path = Path(store).expanduser() if store is not None else default_store(names)
    if not path.exists():
        plans(asked)  # what is refused leaves no file behind
    tell = on_event or (lambda _: None)
    with open_store(path) as opened, closing(engine or LocalProcesses()) as workers:
        opened.check_tasks(names)
        every = _on(workers.device_kind(), plans(asked, opened.begun()))
        found = []
        for number, plan in enumerate(every, 1):
            runner = _Runner(plan, opened, workers, tell, (number, len(every)), asked.trials)
            runner.run()
            found.append(judge(plan, runner.provenance, runner.have, opened.path))
        return Suite(tuple(found), opened.path)


def _on(device: str, every: Sequence[Plan]) -> tuple[Plan, ...]:
    """The plans, for a kind of device."""
    for plan in every:
        refuse_own_task(plan.task_source, device)
    # On a graphics card, trainings share it side by side instead.
    return tuple(replace(plan, device=device, lockstep=plan.lockstep and device == CPU) for plan in every)


def default_store(tasks: Sequence[str]) -> Path:
    """The store of these tasks unless another is named: in the current folder."""
    names = [re.sub(r"[:=/\\]", "-", task.replace(".py:", "-")) for task in tasks]
    return Path(f"thalweg-{'+'.join(names)[:200]}.sqlite")


class _Runner:
    """What is needed while a comparison runs.

    ``have``      every finished run, by key.
    ``asked``     how many trials were asked for, which a plan may round up.
    ``sound``     some run ended well and reported the metric; ``failures``: what failed before one did.
    """

    def __init__(
        self,
        plan: Plan,
        store: Store,
        engine: Engine,
        tell: Callable[[Event], None],
        of: tuple[int, int],
        asked: int,
    ) -> None:
        self.plan, self.store, self.engine, self.tell, self.of, self.asked = plan, store, engine, tell, of, asked
        self.provenance: Mapping[str, object] = {}
        # What has to be trained is not in here: a run whose process died is trained again.
        self.have = {key: run for key, run in store.runs().items() if not _to_repeat(run, engine.run_timeout)}
        self.total = 0
        self.sound = False
        self.failures: list[tuple[Cell, Run]] = []

    def run(self) -> None:
        plan = self.plan
        search = _by_key([*plan.search_cells(), *plan.repeat_cells()])
        rerun = _by_key(plan.fresh_cells(to_train_again(plan, self.have)))
        if search.keys() - self.have.keys():
            self._check_script()
        before, now = self.store.files_of(plan.task), provenance(plan.task_source, [rule.source for rule in plan.rules])
        self.provenance = self.store.begin(plan, now)
        self.total = len(search) + len(rerun)
        for run in (self.have[key] for key in search if key in self.have):
            if run.status == "done":
                self._check_reports(run)
        stored = sum(key in self.have for key in (*search, *rerun))
        rounded = (self.asked, plan.trials) if plan.trials != self.asked else None
        self.tell(Started(self.total, stored, plan.task, self.of, _changed(before, now), rounded, plan.matters))
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
            cells = [plan.search_cell(rule, k) for k in range(plan.trials)]
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
        stored = tuple((cell, self.have[key]) for key, cell in cells.items() if key in self.have)
        done = len(stored)
        self.tell(Phase(name, len(cells), stored))
        for cell, run in self._runs(missing):
            for ended, its_run in self._admitted(cell, run):
                self.store.add(ended, its_run)
                self.have[its_run.key] = its_run
                done += 1
                self.tell(Finished(ended, its_run, before + done, max(self.total, before + done)))
        if self.failures and not self.sound:
            raise self._stopped(*self.failures[0])

    def _runs(self, missing: Sequence[Cell]) -> Iterator[tuple[Cell, Run]]:
        """What comes of the trainings, in the order in which they end."""
        # An engine of one's own may not say how many workers it has.
        work = stacks(missing, getattr(self.engine, "workers", None))
        while work:
            alone: list[tuple[Cell, ...]] = []
            with closing(self.engine.map(train_cells, work)) as results:
                for cells, result in results:
                    if not isinstance(result, WorkerDied):
                        yield from zip(cells, result, strict=True)
                    elif len(cells) > 1:  # one of them, whose end may not be that of the others
                        alone += [(cell,) for cell in cells]
                    else:
                        yield cells[0], _dead(cells[0], result)
            work = alone

    def _check_script(self) -> None:
        """Import the user's file once, in a worker, before anything is trained."""
        if not is_own(self.plan.task_source):
            return
        for _, problem in self.engine.map(check_task, [(self.plan.task_source, self.plan.arguments)]):
            if problem:
                raise StudyError(f"task {self.plan.task}: {problem}")

    def _admitted(self, cell: Cell, run: Run) -> list[tuple[Cell, Run]]:
        """The trainings that count as results, now that this one has ended.

        Until one has ended well, failures are held back: where every contender's default fails it is the script's
        fault, which would come a hundred times, and nothing is kept of them.
        """
        if self.sound or run.status == "diverged":
            return [(cell, run)]
        if run.status == "done":
            self._check_reports(run)
            held, self.failures = self.failures, []
            return [*held, (cell, run)]
        self.failures.append((cell, run))
        if {rule.label for rule in self.plan.rules} <= {each.called for each, _ in self.failures if each.trial == 0}:
            raise self._stopped(*self.failures[0])
        return []

    def _stopped(self, cell: Cell, run: Run) -> StudyError:
        self.store.withdraw()  # so that what is mended may begin otherwise
        problem = (
            f"the first training of {self.plan.task} ({cell.called}) failed, so the comparison stops: {run.message}"
        )
        if cell.lockstep and run.status != "stopped":
            return StudyError(
                f"{problem}. With all that they print, they train with --engine serial. One at a time they "
                "train with --single"
            )
        longer = "Give it more (--run-timeout). One training, for as long as it takes"
        rule = next(each for each in self.plan.rules if each.label == cell.called)
        alone = ["thalweg", "train", self.plan.task_source, rule.single]
        advice = longer if run.status == "stopped" else "One training with all that it prints"
        return StudyError(f"{problem}. {advice}: {shlex.join([*alone, *written_arguments(self.plan.arguments)])}")

    def _check_reports(self, run: Run) -> None:
        """A training that ended well must report what the comparison is judged by."""
        if self.sound:
            return
        metric = scaled(choose_metric(self.plan.metric, reported_by([run.curves])), [run.curves])
        check_matters(self.plan.matters, metric)
        check_target(self.plan.target, metric)
        chosen = metric.selection
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
        chosen = scaled(choose_metric(plan.metric, reported), [run.curves for run in runs]).selection
        done = [run for run in runs if run.status == "done" and chosen in run.curves]
        values = {value for run in done for value in run.curves[chosen].values}
        if len(done) > 1 and len(values) == 1:
            raise StudyError(
                f"{chosen} was {unit_of(chosen).value(values.pop())} at every report of all {len(done)} trainings of "
                f"{plan.task}, so nothing can be judged by it: compute it anew before each report, or name another one "
                "by --metric"
            )


def provenance(task_source: str, rules: Sequence[str] = ()) -> dict[str, object]:
    """Where and with what a study was started: plain JSON values. The commit is that of a script under git.

    ``rules``  as they are found: the files of one's own among them stand beside the script's.
    """
    script = script_path(task_source)
    files = {path.name: script_hash(path) for source in rules for path in files_of(source)} | task_files(task_source)
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
        **({"files": files} if files else {}),
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


def train_cells(cells: Sequence[Cell]) -> list[Run]:
    """What workers do: one training, or a stack of them."""
    # Here, not at the top: only workers import torch.
    from .worker import run_cells

    return run_cells(cells)


def _dead(cell: Cell, death: WorkerDied) -> Run:
    return Run(cell.key, cell.seed, cell.values, death.status, str(death), seconds=death.seconds)


def _to_repeat(run: Run, run_timeout: float | None) -> bool:
    """Whether a run that is kept gives way to another: its process died, or a run may take longer now than it did."""
    longer = run_timeout is None or 60.0 * run_timeout > run.seconds
    return run.status == "died" or (run.status == "stopped" and longer)
