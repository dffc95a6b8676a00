"""Train one row of a store again, and see whether it comes out the same."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from thalweg.closest import closest
from thalweg.stats.wording import listed
from thalweg.study.ask.data_files import missing_files
from thalweg.study.ask.loading import refuse_inside_a_loaded_file
from thalweg.study.ask.method_references import find_method
from thalweg.study.ask.spec import installed
from thalweg.study.ask.task_references import is_own, own_path, resolve_task, task_files, task_hash
from thalweg.study.keep.store import Contents, read_contents
from thalweg.study.model.cells import CPU, ENDED_OUTSIDE, Cell, Run, described
from thalweg.study.model.errors import StudyError
from thalweg.study.model.metric import unit_of
from thalweg.study.model.plan import Contender
from thalweg.study.model.same import differences, elsewhere

from .compare import train_cells
from .devices import lacks
from .engines import Engine, LocalProcesses, WorkerDied

LEAST = 4  # digits of a key that name a row
SHOWN = 12  # digits of a key in sentences; rows listed of many

# In what the trainings of one rule of one plan differ.
WITHIN = ("values", "seed", "repeat")


@dataclass(frozen=True)
class Rerun:
    """A row of a store, trained again.

    ``name``         the row in words.
    ``stored``       the run that is kept; ``new`` the one that was just made. Times and host may always differ.
    ``differences``  of all else, in words, with the digits: () where stored and new are equal to the last bit.
    ``elsewhere``    that the stored run comes from another processor, where bits may differ; "" where it does not.
    """

    name: str
    stored: Run
    new: Run
    differences: tuple[str, ...]
    elsewhere: str = ""

    @property
    def same(self) -> bool:
        """Whether everything that a cell determines came out the same."""
        return not self.differences

    @property
    def sentences(self) -> tuple[str, ...]:
        """The answer, then what it rests on."""
        answer = "the same, to the last bit" if self.same else "not the same"
        took = f"It took {self.new.seconds:.2g} s; the stored run, {self.stored.seconds:.2g} s."
        first = f"{self.name}, trained again: {answer}."
        return (first, *self.differences, *filter(None, [self.elsewhere]), took)


def kept(store: str | Path, row: str) -> tuple[str, ...]:
    """What a store holds of a row, in words, without training it: how it ended, its traceback and last output.

    ``row`` as for `rerun`. Raises `StudyError` in words.
    """
    path = Path(store).expanduser().absolute()
    contents = read_contents(path)
    key = _key(row, contents, path)
    run = contents.runs[key]
    ended = ", ".join(f"{name} {unit_of(name).value(curve.values[-1])}" for name, curve in run.curves.items())
    first = f"{_name(key, contents)}: {_end(run)}" + (f"; at the end {ended}" if ended else "")
    return (first, run.log or "It left no traceback, and printed nothing.")


def rerun(store: str | Path, row: str, *, engine: Engine | None = None) -> Rerun:
    """Train a row of a store again, as the comparison did: in a worker, with one thread. The store stays as it is.

    ``row``     its key, or the beginning of one, at least 4 hexadecimal digits, as exported tables show it.
    ``engine``  another way to run it: ``Serial()``, in this process, for debuggers and prints.

    Raises `StudyError` in words: no such row, several, its process died, or it can no longer be reproduced, since
    task, rule, thalweg or torch are no longer those that it was computed with.
    """
    refuse_inside_a_loaded_file()
    path = Path(store).expanduser().absolute()
    contents = read_contents(path)
    key = _key(row, contents, path)
    cell = _reproducible(key, contents, path)
    stored, name = contents.runs[key], described(cell.called, cell.trial, contents.runs[key])
    if stored.status in ENDED_OUTSIDE:
        longer = ", if it is given a longer --run-timeout, or none" if stored.status == "stopped" else ""
        raise StudyError(
            f"{name}, has no result to compare with: {stored.message}. "
            f"The command that made the comparison trains it again{longer}"
        )
    with closing(engine or LocalProcesses(1)) as workers:
        if cell.device != CPU:
            for _, problem in workers.map(lacks, [cell.device]):
                if problem:
                    raise StudyError(f"{name}, can no longer be reproduced: {problem}")
        ((_, result),) = workers.map(train_cells, [(cell,)])
    if isinstance(result, WorkerDied):
        raise StudyError(f"{name}, could not be trained again: {result}. Stored is that it was {_end(stored)}")
    (new,) = result
    return Rerun(name, stored, new, differences(stored, new), elsewhere(stored, contents.studies))


def cells_of(key: str, contents: Contents) -> Iterator[tuple[Cell, Contender]]:
    """The cell of a row again, as each study has it that does, the latest first.

    The row says which training of a rule it is; the study, where task and rule are found.
    """
    row = contents.rows[key]
    identity: Mapping[str, Any] = json.loads(row["cell"])
    own = {name: identity[name] for name in WITHIN if name in identity}
    for plan, _ in reversed(contents.studies):
        for rule in plan.rules:
            # A trial of the search or a re-run, which in studies of before differ in nothing else.
            likes = (plan.search_cell(rule, 0), plan.cell(rule, 0, plan.fresh_seeds[0]))
            cells = (replace(like, **own, trial=row["trial"]) for like in likes)
            if (cell := next((each for each in cells if each.key == key), None)) is not None:
                yield cell, rule


def _key(row: str, contents: Contents, path: Path) -> str:
    """The one key that begins so."""
    begun = row.strip().lower()
    if len(begun) < LEAST or not set(begun) <= set("0123456789abcdef"):
        raise StudyError(f"a row is named by the first digits of its key, at least {LEAST} of 0-9 and a-f; got {row!r}")
    found = sorted(key for key in contents.runs if key.startswith(begun))
    if len(found) == 1:
        return found[0]
    if not found:
        near = closest(begun, [key[: len(begun)] for key in contents.runs])
        like = [_name(key, contents) for key in contents.runs if near and key.startswith(near)]
        hint = f"; close is {like[0]}" if like else ""
        raise StudyError(f"{path} has no row {begun}: it holds {len(contents.runs)} rows{hint}")
    shown = [_name(key, contents) for key in found[:SHOWN]]
    more = [f"{len(found) - SHOWN} more"] if len(found) > SHOWN else []
    raise StudyError(f"{len(found)} rows of {path} begin with {begun}, give more digits: {'; '.join([*shown, *more])}")


def _name(key: str, contents: Contents) -> str:
    """A run as the latest comparison calls it that has it."""
    row, run = contents.rows[key], contents.runs[key]
    known = ((cell.called, cell.trial) for cell, _ in cells_of(key, contents))
    contender, trial = next(known, (row["rule"], row["trial"]))
    return described(contender, trial, run)


def _reproducible(key: str, contents: Contents, path: Path) -> Cell:
    """The row's cell, with parts that are what they were. A store that was merged may know several places of them."""
    problems = []
    for cell, rule in cells_of(key, contents):
        problem = _problem(cell, rule)
        if not problem:
            return cell
        problems.append(
            f"{described(cell.called, cell.trial, contents.runs[key])}, can no longer be reproduced: {problem}"
        )
    if not problems:
        raise StudyError(f"{path}: no study in it tells where task and rule of row {key[:SHOWN]} are found")
    raise StudyError(problems[0])


def _problem(cell: Cell, rule: Contender) -> str:
    """Why a cell cannot be trained as it was; "" if it can."""
    now = {name: installed(name) for name in cell.versions}
    if others := [name for name in cell.versions if now[name] != cell.versions[name]]:
        was, found = (listed([f"{name} {versions[name]}" for name in others]) for versions in (cell.versions, now))
        return f"it was computed with {was}, and here is {found}. Run this in an environment with those"
    return _task_problem(cell) or _rule_problem(cell, rule)


def _task_problem(cell: Cell) -> str:
    if not is_own(cell.task_source):
        found = resolve_task(cell.task_source).hash
        return "" if found == cell.task_hash else f"the task was {cell.task_hash} then, and is {found} now"
    path = own_path(cell.task_source)
    if path is None or not path.is_file():
        return f"its script {path} is no longer there. Put it back"
    now = task_hash(cell.task_source)
    if now != cell.task_hash and path.suffix == ".py" and (problem := missing_files(path)):
        return f"{problem}. Put it back"
    which = f"{path}, or a file that it imports or reads," if len(task_files(cell.task_source)) > 1 else str(path)
    return _changed(which, cell.task_hash, now)


def _rule_problem(cell: Cell, rule: Contender) -> str:
    try:
        found = find_method(cell.rule_source, tuple(cell.values))
    except StudyError as problem:
        return str(problem)
    if found.hash == cell.rule_hash:
        return ""
    then, now = rule.text.splitlines(), found.text.splitlines()
    lines = next((pair for pair in zip(then, now, strict=False) if pair[0] != pair[1]), None)
    if lines:
        how = "; the first other line was `{}` and is `{}`".format(*(line.strip() for line in lines))
    else:
        how = "; its own text is the same, something else in its file is not" if then == now else ""
    return _changed(f"the rule {cell.rule}", cell.rule_hash, found.hash, how)


def _changed(what: str, then: str, now: str, how: str = "") -> str:
    if then == now:
        return ""
    return (
        f"{what} was changed since (its sha256 began {then[:SHOWN]} then, and {now[:SHOWN]} now{how}). "
        "Restore the text that it had, or run the comparison again with the new one"
    )


def _end(run: Run) -> str:
    return run.status + (f": {run.message}" if run.message else "")
