"""A comparison as flat tables, for other programs. What is not known, or not finite, is None."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from typing import Any, Literal, get_args, get_origin, get_type_hints

from thalweg.stats.difference import Difference
from thalweg.stats.intervals import Interval
from thalweg.stats.pool import Estimate
from thalweg.stats.superiority import Superiority
from thalweg.study.judge.findings import ContenderRow
from thalweg.study.judge.results import Comparison
from thalweg.study.judge.searches import Searches
from thalweg.study.model.cells import Cell, Run
from thalweg.study.model.plan import Contender, Plan

Scalar = bool | int | float | str | None
Row = dict[str, Scalar]

SCALARS: tuple[type, ...] = (bool, int, float, str)

# How the columns of what stands in a mapping, or of a part, begin: where not by its name.
PREFIX = {"values": "hyper", "winner_values": "winner_hyper", "options": "option", "versions": "version"}

# The columns of `runs` that are read first.
FIRST = ("key", "task", "rule", "contender", "trial", "seed", "role", "status", "message")

# Of a difference's two, how many runs failed, and of how many.
FAILURES = ("first_failed", "first_runs", "second_failed", "second_runs")


@dataclass(frozen=True)
class Table:
    """Rows, and the type of each column in its order: bool, int, float or str; any value may be None instead."""

    name: str
    columns: Mapping[str, type]
    rows: tuple[Row, ...]


def tables(comparisons: Sequence[Comparison]) -> tuple[Table, ...]:
    """What was run and found, unrounded, in comparisons that are on one task each.

    ``runs``        one line a training: its key, of what it is a run, all that determines it (a column each), how it
                    ended, the last value of each metric, what was measured.
    ``curves``      one line a reported value: key, metric, epoch (0: before training), value.
    ``rules``       one line a rule or combination: means over the fresh seeds with their intervals, what won the
                    search.
    ``tuning_curves``  one line a rule or combination and number of trials: the validation value to expect of the best
                    of so many.
    ``searches``    one line a rule or combination: the mean over new searches of so many trials, on the scale of the
                    differences, what it rests on, the same as a value of the metric with its interval, failed runs.
    ``pairs``       one line a difference, the first minus the second, with its interval (on the scale of the
                    differences) and answer. ``family``: ``answer``, each of the others against the reference, of
                    searches of ``budget`` trials where it is judged as one; ``settings``, every two untuned ones;
                    ``gains`` of tuning and ``others``, of which nothing is said.
    """
    told = [_told(comparison) for comparison in comparisons]
    return tuple(
        _table(name, [row for each in told for row in each[name]], columns) for name, columns in COLUMNS.items()
    )


def _told(comparison: Comparison) -> Mapping[str, Iterable[Row]]:
    """The rows of each table."""
    plan, task = comparison.plan, {"task": comparison.plan.task}
    repeats = zip(plan.repeat_cells(), comparison.rows, strict=False)
    runs = [*comparison.trainings, *((cell, row.repeated) for cell, row in repeats if row.repeated)]
    return {
        "runs": _runs(plan, runs),
        "curves": [
            {"key": run.key, "metric": metric, "epoch": epoch, "value": value}
            for _, run in runs
            for metric, curve in sorted(run.curves.items())
            for epoch, value in zip(curve.epochs, curve.values, strict=True)
        ],
        "rules": [{**task, **_rule(*each)} for each in zip(comparison.rows, plan.rules, strict=True)],
        "tuning_curves": [
            {**task, "contender": row.contender, "trials": n, "best_after": value}
            for row in comparison.rows
            for n, value in enumerate(row.best_after, 1)
        ],
        "searches": [
            {**task, "contender": label, "trials": each.trials[label], **_search(each, label)}
            for each in [comparison.searches]
            if each is not None
            for label in each.intervals
        ],
        "pairs": [
            {**task, "family": family, "budget": budget, **_row(Difference, each), **_failures(each)}
            for family, budget, each in _pairs(comparison)
        ],
    }


def _runs(plan: Plan, runs: Sequence[tuple[Cell, Run]]) -> Iterator[Row]:
    metrics = sorted({metric for _, run in runs for metric in run.curves})
    for cell, run in runs:
        determined = _flat(cell.identity())
        names: Row = {"rule": cell.rule, "contender": cell.called, "trial": cell.trial, "role": _part(cell, plan)}
        own = {**_row(Run, run), **names}
        first = {name: {**determined, **own}[name] for name in FIRST}
        ends = {f"final_{name}": run.curves[name].values[-1] if name in run.curves else None for name in metrics}
        yield {**first, **determined, **ends, **own}


def _part(cell: Cell, plan: Plan) -> str:
    if cell.repeat:
        return "default, repeated"
    if plan.is_search(cell):
        return "tuning trial"
    return "default re-run" if cell.trial == 0 else f"re-run of trial {cell.trial}"


def _rule(row: ContenderRow, planned: Contender) -> Row:
    return {
        "contender": row.contender,
        **_row(ContenderRow, row),
        "rule": planned.rule or planned.label,
        "best_validation": row.best_after[-1] if row.best_after else None,
        "near_edge": "; ".join(row.near_edge),
        "unlike": "; ".join(row.unlike),
        "alike": row.alike,
        **{
            f"share_within_{each.tolerance:g}{end}": value
            for each in row.sensitivity or ()
            for end, value in (("", each.share), ("_low", each.low), ("_high", each.high))
        },
        **_flat({"options": row.options, "winner_values": row.winner_values}),
    }


def _search(found: Searches, label: str) -> Row:
    """``score``: the mean on the scale of the differences; ``mean``, ``low`` and ``high`` are values of the metric."""
    estimate = _row(Estimate, found.means[label])
    own = {**estimate, **_row(Interval, found.intervals[label]), "score": estimate["mean"]}
    rate = found.failures[label]
    return {**own, "failed": rate.count, "judged_runs": rate.total}


def _pairs(comparison: Comparison) -> Iterator[tuple[str, int | None, Difference]]:
    family, described = comparison.family, comparison.searches
    budget = described.together if described else None
    for found in family.contrasts if family else ():
        yield "answer", budget, found
    for found in family.settings if family else ():
        yield "settings", None, found
    if described is not None:
        for found in described.gains.values():
            yield "gains", budget, found
        for found in described.others:
            yield "others", budget, found


def _failures(found: Difference) -> Row:
    """Runs of each of the two that failed, and of how many."""
    first, second = found.failures
    return dict(zip(FAILURES, (first.count, first.total, second.count, second.total), strict=True))


def _row(kind: type, thing: object) -> Row:
    return {column: value for column, _, value in _fields(kind, thing)}


def _types(kind: type) -> dict[str, type]:
    return {column: own for column, own, _ in _fields(kind, None)}


def _fields(kind: type, thing: object, prefix: str = "") -> Iterator[tuple[str, type, Scalar]]:
    """What of a dataclass fits in cells: column, type, value. Also of an interval in it; other parts are left out."""
    for name, hint in _hints(kind).items():
        value = getattr(thing, name, None)
        kinds = {*get_args(hint), hint}
        if own := _scalar(hint):
            yield prefix + name, own, value
        elif Interval in kinds or Superiority in kinds:
            part = Interval if Interval in kinds else Superiority
            yield from _fields(part, value, prefix if name == "interval" else f"{prefix}{name}_")
    if kind is Interval:
        yield f"{prefix}n", int, (thing.n or None) if isinstance(thing, Interval) else None


_hints = lru_cache(get_type_hints)


def _scalar(hint: Any) -> type | None:
    """The one type of a cell's values, None apart; None where there is none."""
    if get_origin(hint) is Literal:
        return type(get_args(hint)[0])
    kinds = [each for each in get_args(hint) or (hint,) if each is not type(None)]
    return kinds[0] if len(kinds) == 1 and kinds[0] in SCALARS else None


def _flat(things: Mapping[str, object]) -> Row:
    """What stands in mappings, a column each: ``hyper_lr``, ``option_norm``."""
    found: Row = {}
    for name, value in things.items():
        if isinstance(value, Mapping):
            found |= {f"{PREFIX.get(name, name)}_{inner}": each for inner, each in _flat(value).items()}
        else:
            found[name] = value if isinstance(value, Scalar) else str(value)
    return found


# The types of columns, so that they do not depend on what is known yet.
COLUMNS: Mapping[str, Mapping[str, type]] = {
    "runs": _types(Run),
    "curves": {"key": str, "metric": str, "epoch": int, "value": float},
    "rules": _types(ContenderRow),
    "tuning_curves": {"task": str, "contender": str, "trials": int, "best_after": float},
    "searches": {
        "task": str,
        "contender": str,
        "trials": int,
        **_types(Estimate),
        **_types(Interval),
        "score": float,
        "failed": int,
        "judged_runs": int,
    },
    "pairs": {"task": str, "family": str, "budget": int, **_types(Difference), **dict.fromkeys(FAILURES, int)},
}


def _table(name: str, rows: Iterable[Row], declared: Mapping[str, type]) -> Table:
    """A table of rows that need not have the same columns."""
    kept = [{column: _known(value) for column, value in row.items()} for row in rows]
    names = _ordered(kept) or list(declared)
    columns = {name: declared.get(name) or _kind([row.get(name) for row in kept]) for name in names}
    return Table(name, columns, tuple({c: _as(kind, row.get(c)) for c, kind in columns.items()} for row in kept))


def _ordered(rows: Sequence[Row]) -> list[str]:
    """Every column once; what only some rows have stands after what it follows there."""
    found: list[str] = []
    for row in rows:
        place = 0
        for column in row:
            if column not in found:
                found.insert(place, column)
            place = found.index(column) + 1
    return found


def _known(value: Scalar) -> Scalar:
    return None if isinstance(value, float) and not isfinite(value) else value


def _kind(values: Sequence[Scalar]) -> type:
    """The narrowest type that holds all values unchanged; of a column without any, a number's."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float} and all(int(float(v)) == v for v in values if type(v) is int):
        return float
    return kinds.pop() if len(kinds) == 1 else str if kinds else float


def _as(kind: Callable[[Any], Scalar], value: Scalar) -> Scalar:
    if value is None or type(value) is kind:
        return value
    return str(value).lower() if kind is str and isinstance(value, bool) else kind(value)
