"""A worker's job: the run of a cell."""

import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from typing import Any

from thalweg.stats.wording import DRAWN, listed, value_text
from thalweg.study.ask.data_files import missing_files
from thalweg.study.ask.draws import defaults
from thalweg.study.ask.finding import files_of
from thalweg.study.ask.local_modules import joined_hash, script_hash
from thalweg.study.ask.method_references import FoundMethod, find_method
from thalweg.study.ask.methods import Method
from thalweg.study.ask.task_references import own_path, script_path, task_files, training_of
from thalweg.study.model.cells import Cell, Run, Value
from thalweg.study.model.errors import StudyError
from thalweg.study.model.plan import asked_for
from thalweg.study.model.schedules import find_schedule
from thalweg.study.model.settings import parted

from . import output
from .conduct import Ending, conduct, conduct_stack
from .devices import device_of, elsewhere
from .stacking import trainings
from .trial import FirstStep, Trial


def run_cells(cells: Sequence[Cell]) -> list[Run]:
    """Train a cell, or several in lockstep, which share all but seeds, and what their optimizers are made of.

    Those that differ in ``readout`` alone are read out of one training, as far as the script tests all of them. The
    result depends on each cell alone: one thread, every generator seeded, the script loaded anew. What the script
    raises is recorded as ``failed``; where that ends several, each of them is trained alone. Raises `StudyError` if the
    script or the rule is no longer the one that the comparison was started with, or if the training ended without
    having read what is varied, or having followed its schedule by the step.
    """
    first = cells[0]
    path = own_path(first.task_source)
    known = {key: _unchanged(cell) for key, cell in {_method_key(cell): cell for cell in cells}.items()}
    # Those of a task of one's own were all given on purpose; one of ours may leave one alone that plays no part.
    to_read = first.options if path else first.varied
    every = trainings(cells)
    trials = [
        _trial_of(own[0], known[_method_key(own[0])], own[0].values, [cell.readout for cell in own], to_read=to_read)
        for own in every
    ]
    endings = _conducted([own[0] for own in every], trials)
    if len(cells) > 1 and any(ending.status == "failed" for ending in endings):
        apart = [[own] for own in cells] if len(every) == 1 else every
        return _in_order(cells, [run for own in apart for run in run_cells(own)])
    runs = []
    for own, trial, ending in zip(every, trials, endings, strict=True):
        for place, cell in enumerate(own):
            if trial.unserved(place):
                runs.append(run_cell(cell))
            else:
                runs.append(_run_of(cell, known[_method_key(cell)], trial, ending, place))
    return _in_order(cells, runs)


def _in_order(cells: Sequence[Cell], runs: Sequence[Run]) -> list[Run]:
    found = {run.key: run for run in runs}
    return [found[cell.key] for cell in cells]


def _method_key(cell: Cell) -> tuple[object, ...]:
    return cell.rule_source, cell.rule_hash, tuple(cell.values)


def run_cell(cell: Cell) -> Run:
    """`run_cells` of one."""
    (run,) = run_cells([cell])
    return run


def _conducted(cells: Sequence[Cell], trials: Sequence[Trial]) -> list[Ending]:
    first = cells[0]
    training = training_of(first.task_source, first.arguments, first.lockstep)
    path = own_path(first.task_source)
    if first.lockstep:
        return conduct_stack(trials, training, path, first.arguments)
    return [conduct(trial, training, path, first.arguments) for trial in trials]


def _run_of(cell: Cell, method: Method, trial: Trial, ending: Ending, place: int) -> Run:
    """The run of the readout at this place; one that has diverged has ended, whatever became of the others."""
    if ending.status == "done" and (message := trial.ended(place)):
        ending = replace(ending, status="diverged", message=message)
    if ending.status == "done" and (problem := elsewhere(trial.device.type, trial.trained_on)):
        raise StudyError(f"the training of {cell.task} ({cell.called}) {problem}")
    if cell.trial and (without := _without_effect(cell, method, trial.replaced(), trial.first_step)):
        raise StudyError(_overwritten(cell, without, trial.first_step))
    if ending.status == "failed" and ending.message == trial.unread():
        # Not a failed run, which would count against what it belongs to: what is asked for cannot be compared.
        raise StudyError(
            f"the training of {cell.task} ({cell.called}) compares nothing: {ending.message}. "
            "Read it in every case, or do not vary it"
        )
    if ending.status == "failed" and ending.message == trial.unfollowed():
        raise StudyError(f"the training of {cell.task} ({cell.called}) cannot be scheduled so: {ending.message}")
    return Run(
        key=cell.key,
        seed=cell.seed,
        values=cell.values,
        status=ending.status,
        message=ending.message,
        seconds=ending.seconds,
        host=platform.node(),
        log="\n\n".join(filter(None, (ending.traceback, output.last_lines()))),
        **trial.outcome(place),
    )


def _without_effect(
    cell: Cell, method: Method, replaced: Sequence[str], first: Mapping[str, tuple[float, ...]]
) -> list[str]:
    """The hyperparameters that the script sets itself, whatever is chosen, of those that were chosen.

    A scheduler replaces what was chosen too, and a relative one multiplies it. So the training is begun once more with
    other numbers: what is then the same at the first step does not depend on them.
    """
    usual = defaults(method, {})
    # Where single groups have values of their own, that they have others than all is what was asked for.
    single = {name.rpartition(".")[2] for name in cell.values if "." in name}
    chosen = [name for name in replaced if cell.values[name] != usual.get(name) and name not in single]
    return [name for name in chosen if _is_the_same_with_another(cell, method, name, first[name])]


_BEGUN: dict[tuple[object, ...], tuple[float, tuple[float, ...]]] = {}


def _trial_of(cell: Cell, method: Method, values: Mapping[str, Value], readouts: Sequence[str], **more: Any) -> Trial:
    arguments, by_step = parted(cell.chain)
    return Trial(
        cell.seed,
        method,
        values,
        options=cell.options,
        schedule=find_schedule(cell.schedule),
        by_step=by_step,
        chain=arguments,
        held=cell.held,
        splits=cell.splits,
        device=device_of(cell.device),
        script=own_path(cell.task_source),
        readouts=readouts,
        **more,
    )


def _is_the_same_with_another(cell: Cell, method: Method, name: str, first: tuple[float, ...]) -> bool:
    """Whether a hyperparameter is at the first step what it is where another number is chosen for it."""
    other, begun = _begun_with_another(cell, method, name)
    return begun == first and other != cell.values[name]


def _begun_with_another(cell: Cell, method: Method, name: str) -> tuple[float, tuple[float, ...]]:
    """Another number, and the hyperparameter in each group at the first step where that is chosen; once a worker."""
    asked = (cell.task_hash, cell.rule_hash, tuple(sorted(cell.options.items())), cell.schedule, cell.arguments, name)
    if asked not in _BEGUN:
        value = float(cell.values[name])
        others = (value * 0.37, value * 0.93, value * 2.7, value + 1.0)  # no factor that a script would have
        other = next((each for each in others if each != value and not method.hypers[name].problem(each)), value)
        trial = _trial_of(cell, method, {**cell.values, name: other}, [cell.readout], stops_at_first_step=True)
        with suppress(FirstStep):
            _conducted([cell], [trial])
        _BEGUN[asked] = other, trial.first_step.get(name, ())
    return _BEGUN[asked]


def _overwritten(cell: Cell, names: Sequence[str], first: Mapping[str, tuple[float, ...]]) -> str:
    """What to do about a script that sets hyperparameters itself."""
    begun = {name: value_text(first[name][0], DRAWN) for name in names}
    found = listed([f"{name} ({value} at its first step, whatever is chosen)" for name, value in begun.items()])
    rates = (
        "A scheduler that multiplies what the optimizer has goes along with a search (LambdaLR, CosineAnnealingLR, "
        "OneCycleLR with max_lr=optimizer.param_groups[0]['lr'] and cycle_momentum=False), and so does --schedule"
    )
    kept = [each for each in cell.rule.split(":") if each.partition("=")[0] not in begun]
    fixed = ":".join([asked_for(cell.rule_source, ":".join(kept)), *(f"{n}={value}" for n, value in begun.items())])
    return (
        f"the training of {cell.task} sets {found} itself, so the search of {cell.called} has no "
        f"effect on {'it' if len(names) == 1 else 'them'}. {rates}. Or leave {listed(names)} out of the search: {fixed}"
    )


def _unchanged(cell: Cell) -> Method:
    if (files := task_files(cell.task_source)) and joined_hash(files) != cell.task_hash:
        path = script_path(cell.task_source)
        which = " or a file that it imports or reads" if len(files) > 1 else ""
        missing = f". {lack}: every machine that trains must find it" if path and (lack := missing_files(path)) else ""
        raise StudyError(
            f"{cell.task.split(':')[0]}{which} was changed while the comparison was running: start it again{missing}"
        )
    hashes = tuple(map(script_hash, files_of(cell.rule_source)))
    found = _resolved(cell.rule_source, tuple(cell.values), (cell.rule_hash, *hashes))
    if found.hash != cell.rule_hash:
        raise StudyError(f"the rule {cell.rule} was changed while the comparison was running: start it again")
    return found.method


@lru_cache(maxsize=64)
def _resolved(source: str, asked: tuple[str, ...], _file_hashes: tuple[str, ...]) -> FoundMethod:
    """A rule, loaded once for each state of its files: it keeps nothing between runs, and its kernel is made once."""
    return find_method(source, asked)
