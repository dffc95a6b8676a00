"""Put what several stores hold into one. Rows are known by what determines them: nothing is renumbered."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from thalweg.stats.wording import counted
from thalweg.study.model.cells import ENDED_OUTSIDE, Run, described
from thalweg.study.model.errors import StudyError
from thalweg.study.model.plan import Contender, Plan
from thalweg.study.model.same import differences, processor_of

from .store import Contents, open_store, read_contents

# Of a plan and its rules: where a machine has its files. What stands in them is hashed. Of a task in words: its version
# tells whether it is another.
PLACES = ("task_source", "source", "task_summary")


@dataclass(frozen=True)
class Merged:
    """What a merge did.

    ``path``      the store that now holds everything.
    ``added``     rows that it had not; ``shared`` rows that it had, equal to the last bit.
    ``plans``     what it shows: of each task the latest comparison, of the rules of all stores that could be joined.
    ``separate``  of each latest comparison that could not be joined, in words, why; it is kept, and not shown.
    """

    path: Path
    added: int
    shared: int
    plans: tuple[Plan, ...]
    separate: tuple[str, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """What was done, then what the store shows."""
        shown = [f"{plan.place}, of {', '.join(rule.label for rule in plan.rules)}" for plan in self.plans]
        return (
            f"{self.path}: {counted(self.added, 'row')} added, {self.shared} already there and equal.",
            *(f"It shows one comparison on {each}." for each in shown),
            *self.separate,
        )


@dataclass(frozen=True)
class _Source:
    """A store and what it holds."""

    path: Path
    contents: Contents


def merge(into: str | Path, *others: str | Path) -> Merged:
    """Put the rows and studies of other stores into one, which is made if it is not there. The others stay as they are.

    Where the latest comparisons on a task differ in nothing but their rules, they become one, of all rules; otherwise
    that of ``into`` (where it has none: of the first of the others) is the latest, and the others are kept beside it.

    Raises `StudyError` in words, with nothing written, when rows with one key hold other results, and whenever a store
    cannot be read or written. The others may be read while a comparison writes to them.
    """
    path, *places = (Path(given).expanduser().absolute() for given in (into, *others))
    if not places:
        raise StudyError(f"name at least one store to put into {path}")
    if path.exists() and any(place.exists() and place.samefile(path) for place in places):
        raise StudyError(f"{path} is named twice, as the store to write and as one to read: leave one out")
    sources = [_Source(place, read_contents(place)) for place in places]
    _rows(sources)  # before the store is made: a contradiction among the others leaves no file behind
    with open_store(path) as store:
        own = _Source(path, store.contents())
        rows, old = _rows([own, *sources]), own.contents.rows
        joined = _joined([own, *sources])
        new = {key: row for key, row in rows.items() if row is not old.get(key)}
        logs = {key: log for source in sources for key in new if (log := _log(source, key))}
        store.take(_studies(own, sources, joined), new.values(), logs)
    given = {key for source in sources for key in source.contents.rows}
    return Merged(
        path=path,
        added=len(new),
        shared=len(given - new.keys()),
        plans=tuple(each.plan for each in joined),
        separate=tuple(sentence for each in joined for sentence in each.separate),
    )


def _log(source: _Source, key: str) -> str:
    run = source.contents.runs.get(key)
    return run.log if run else ""


def _rows(sources: Sequence[_Source]) -> dict[str, Mapping[str, Any]]:
    """All rows by key, of equal ones the first; one that was ended from outside gives way. `StudyError` for others."""
    found: dict[str, _Source] = {}
    for source in sources:
        for key, run in source.contents.runs.items():
            first = found.get(key)
            if first is None or (_ended_outside(first, key) and run.status not in ENDED_OUTSIDE):
                found[key] = source
            elif run.status not in ENDED_OUTSIDE:
                _check(first, source, key)
    return {key: source.contents.rows[key] for key, source in found.items()}


def _ended_outside(source: _Source, key: str) -> bool:
    return source.contents.runs[key].status in ENDED_OUTSIDE


def _check(first: _Source, second: _Source, key: str) -> None:
    one, two = first.contents.runs[key], second.contents.runs[key]
    told = (f"in {first.path.name}", f"in {second.path.name}")
    if told[0] == told[1]:
        told = (f"in {first.path}", f"in {second.path}")
    row = first.contents.rows[key]
    if differing := differences(one, two, told):
        raise StudyError(
            f"{described(row['rule'], row['trial'], one)}, is not the same in {first.path} and {second.path}: "
            f"{differing[0]}. "
            f"{_reason(first, second, one, two)} Nothing was written"
        )


def _reason(first: _Source, second: _Source, one: Run, two: Run) -> str:
    cpus = [processor_of(run, source.contents.studies) for run, source in ((one, first), (two, second))]
    if all(cpus) and cpus[0] != cpus[1]:
        return f"They were computed on {cpus[0]} and {cpus[1]}: bits may differ between processors."
    return "It depends on more than its seed, then: thalweg rerun tells which of the two comes out again."


@dataclass(frozen=True)
class _Joined:
    """One comparison made of several, and in words why others could not be joined to it."""

    plan: Plan
    provenance: Mapping[str, object]
    separate: tuple[str, ...] = ()


def _joined(sources: Sequence[_Source]) -> list[_Joined]:
    """The latest comparison on each task."""
    found: dict[str, _Joined] = {}
    for source in sources:
        for study in source.contents.latest:
            task = study[0].task
            found[task] = _join(found[task], study, source.path) if task in found else _Joined(*study)
    return list(found.values())


def _join(to: _Joined, study: tuple[Plan, Mapping[str, object]], path: Path) -> _Joined:
    plan, provenance = study
    if problem := _why_apart(to.plan, plan):
        said = f"The comparison of {path} on {plan.place} is kept as a study of its own and not shown, since {problem}."
        return replace(to, separate=(*to.separate, said))
    known = {rule.label for rule in to.plan.rules}
    more = tuple(rule for rule in plan.rules if rule.label not in known)
    if not more:
        return to
    merged = [*_listed(to.provenance.get("merged")), {"store": path.name, **provenance}]
    return replace(
        to, plan=replace(to.plan, rules=(*to.plan.rules, *more)), provenance={**to.provenance, "merged": merged}
    )


def _listed(value: object) -> list[object]:
    return list(value) if isinstance(value, list) else []


def _why_apart(one: Plan, two: Plan) -> str:
    """Why two comparisons are not one, in words; "" if they differ in nothing but their rules."""
    names = ("trials", "seeds", *(each.name for each in fields(Plan) if each.name not in (*PLACES, "rules")))
    for name in names:
        if getattr(one, name) != getattr(two, name):
            return f"they differ in {name}: {getattr(one, name)!r} and {getattr(two, name)!r}"
    if len({frozenset(rule.options) for rule in (*one.rules, *two.rules)}) > 1:
        return "they do not vary the same options of the task"
    known = {rule.label: _placeless(rule) for rule in one.rules}
    changed = [rule.label for rule in two.rules if rule.label in known and known[rule.label] != _placeless(rule)]
    return f"{changed[0]} is not the same rule in both, or was not given the same settings" if changed else ""


def _placeless(rule: Contender) -> Contender:
    return replace(rule, source="")


def _studies(
    own: _Source, sources: Iterable[_Source], joined: Sequence[_Joined]
) -> list[tuple[Plan, Mapping[str, object]]]:
    """What the store has to add to hold every study, with the joined ones as the latest of their tasks."""
    held = list(own.contents.studies)
    for study in (study for source in sources for study in source.contents.studies):
        if study[0] not in [plan for plan, _ in held]:
            held.append(study)
    latest = {plan.task: plan for plan, _ in held}
    held += [(each.plan, each.provenance) for each in joined if latest[each.plan.task] != each.plan]
    return held[len(own.contents.studies) :]
