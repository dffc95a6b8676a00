"""A worker's job: the run of a cell."""

import platform
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from thalweg.formula import Rule
from thalweg.formula.rule import hypers
from thalweg.stats.wording import listed
from thalweg.study.ask.data_files import missing_files
from thalweg.study.ask.draws import defaults
from thalweg.study.ask.local_modules import joined_hash, script_files, script_hash
from thalweg.study.ask.rule_references import ResolvedRule, files_of, resolve_rule
from thalweg.study.ask.task_references import find_train, script_path
from thalweg.study.model.cells import Cell, Run
from thalweg.study.model.errors import StudyError
from thalweg.study.model.schedules import find_schedule

from . import output
from .conduct import conduct
from .trial import FirstStep, Trial


def run_cell(cell: Cell) -> Run:
    """Train once. The result depends on the cell alone: one thread, every generator seeded, the script loaded anew.

    What the script raises is recorded as ``failed``. Raises `StudyError` if the script or the rule is no longer
    the one that the comparison was started with, or if the training ended without having read what is varied.
    """
    path = script_path(cell.task_source)
    rule = _unchanged(cell, path)
    # A script's options were all given on purpose; a task of ours may leave one alone that plays no part.
    to_read = cell.options if path else cell.varied
    trial = Trial(
        cell.seed,
        rule,
        cell.values,
        options=cell.options,
        to_read=to_read,
        schedule=find_schedule(cell.schedule),
        chain=cell.chain,
        held=cell.held,
        script=path,
    )
    ending = conduct(trial, _training(cell), path, cell.arguments)
    if cell.trial and (without := _without_effect(cell, rule, trial.replaced(), trial.first_step)):
        raise StudyError(_overwritten(cell, without, trial.first_step))
    if ending.status == "failed" and ending.message == trial.unread():
        # Not a failed run, which would count against what it belongs to: what is asked for cannot be compared.
        raise StudyError(
            f"the training of {cell.task} ({cell.contender or cell.rule}) compares nothing: {ending.message}. "
            "Read it in every case, or do not vary it"
        )
    return Run(
        key=cell.key,
        rule=cell.rule,
        trial=cell.trial,
        seed=cell.seed,
        values=cell.values,
        status=ending.status,
        message=ending.message,
        seconds=ending.seconds,
        host=platform.node(),
        log="\n\n".join(filter(None, (ending.traceback, output.last_lines()))),
        **trial.outcome(),
    )


def _training(cell: Cell) -> Callable[[Trial], object]:
    """The cell's training, which loads its script anew when it is called."""
    return lambda trial: find_train(cell.task_source, cell.arguments)(trial)


def _without_effect(
    cell: Cell, rule: type[Rule], replaced: Sequence[str], first: Mapping[str, tuple[float, ...]]
) -> list[str]:
    """The hyperparameters that the script sets itself, whatever is chosen, of those that were chosen.

    A scheduler replaces what was chosen too, and a relative one multiplies it. So the training is begun once more with
    other numbers: what is then the same at the first step does not depend on them.
    """
    usual = defaults(rule, {})
    chosen = [name for name in replaced if cell.values[name] != usual[name]]
    return [name for name in chosen if _begun_with_another(cell, rule, name) == first[name]]


_BEGUN: dict[tuple[object, ...], tuple[float, ...]] = {}


def _begun_with_another(cell: Cell, rule: type[Rule], name: str) -> tuple[float, ...]:
    """The hyperparameter in each group at the first step, where another number is chosen for it; once a worker."""
    asked = (cell.task_hash, cell.rule_hash, tuple(sorted(cell.options.items())), cell.schedule, cell.arguments, name)
    if asked not in _BEGUN:
        value = float(cell.values[name])
        others = (value * 0.5, value * 0.9, value * 2.0, value + 1.0)
        other = next((each for each in others if each != value and not hypers(rule)[name].problem(each)), value)
        trial = Trial(
            cell.seed,
            rule,
            {**cell.values, name: other},
            options=cell.options,
            schedule=find_schedule(cell.schedule),
            chain=cell.chain,
            held=cell.held,
            stops_at_first_step=True,
            script=script_path(cell.task_source),
        )
        with suppress(FirstStep):
            conduct(trial, _training(cell), script_path(cell.task_source), cell.arguments)
        _BEGUN[asked] = trial.first_step.get(name, ())
    return _BEGUN[asked]


def _overwritten(cell: Cell, names: Sequence[str], first: Mapping[str, tuple[float, ...]]) -> str:
    """What to do about a script that sets hyperparameters itself."""
    found = listed([f"{name} ({first[name][0]:.4g} at its first step, whatever is chosen)" for name in names])
    rates = (
        "A scheduler that multiplies what the optimizer has goes along with a search (LambdaLR, CosineAnnealingLR, "
        "OneCycleLR with max_lr=optimizer.param_groups[0]['lr'] and cycle_momentum=False), and so does --schedule"
    )
    fixed = ":".join([cell.rule.split(":")[0], *(f"{name}={first[name][0]:.4g}" for name in names)])
    return (
        f"the training of {cell.task} sets {found} itself, so the search of {cell.contender or cell.rule} has no "
        f"effect on {'it' if len(names) == 1 else 'them'}. {rates}. Or leave {listed(names)} out of the search: {fixed}"
    )


def _unchanged(cell: Cell, path: Path | None) -> type[Rule]:
    if path and joined_hash(files := script_files(path)) != cell.task_hash:
        which = " or a file that it imports or reads" if len(files) > 1 else ""
        missing = f". {lack}: every machine that trains must find it" if (lack := missing_files(path)) else ""
        raise StudyError(f"{path.name}{which} was changed while the comparison was running: start it again{missing}")
    found = _resolved(cell.rule_source, tuple(map(script_hash, files_of(cell.rule_source))))
    if found.hash != cell.rule_hash:
        raise StudyError(f"the rule {cell.rule} was changed while the comparison was running: start it again")
    return found.rule


@lru_cache(maxsize=64)
def _resolved(source: str, _file_hashes: tuple[str, ...]) -> ResolvedRule:
    """A rule, loaded once for each state of its files: it keeps nothing between runs, and its kernel is made once."""
    return resolve_rule(source)
