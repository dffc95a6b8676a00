"""What is shown of a search: every trial with its trainings, and on which scale each hyperparameter was searched."""

from collections.abc import Mapping

from thalweg.stats.wording import DRAWN, value_text
from thalweg.study.judge.findings import ContenderRow
from thalweg.study.model.cells import Cell, Run, Value, which
from thalweg.study.model.metric import Metric
from thalweg.study.model.plan import Contender, Plan

from .values import Configuration, SearchKind, Training

# Digits of a key that are shown; `thalweg rerun` takes as few.
KEY = 12
# How `thalweg.formula.search.Search` begins to say what it is; a plan keeps no more of it.
BEGINNINGS: Mapping[str, SearchKind] = {"log-uniform": "log", "1 - log-uniform": "one minus log", "one of": "choice"}


def search_kind(words: str) -> SearchKind:
    """The scale of a search, from the words that a plan has of it."""
    return next((kind for beginning, kind in BEGINNINGS.items() if words.startswith(beginning)), "log")


def trials_of(row: ContenderRow, planned: Contender, metric: Metric) -> tuple[Configuration, ...]:
    """Every trial of the search, under it those of its re-runs; the default's also with the tuning seed, once more."""

    def one(number: int, run: Run) -> Configuration:
        again = [training(each, metric) for each in row.again.get(number, ())]
        if number == 0 and row.repeated is not None:
            again.insert(0, training(row.repeated, metric))
        searched = {name: run.values[name] for name in planned.searched if name in run.values}
        return Configuration(number, searched, setting(searched), training(run, metric), tuple(again))

    return tuple(one(number, run) for number, run in row.trials.items())


def training(run: Run, metric: Metric) -> Training:
    """One run, by the values that it is chosen and judged by."""
    chosen, judged = (run.curves.get(name) for name in (metric.selection, metric.judgement))
    done = run.status == "done"
    return Training(
        seed=run.seed,
        outcome=run.status,
        valid=chosen.end() if done and chosen and chosen.values else None,
        judged=judged.values[-1] if done and judged and judged.values else None,
        seconds=run.seconds,
        key=run.key[:KEY],
    )


def setting(values: Mapping[str, Value], names: Mapping[str, object] | None = None) -> str:
    """Hyperparameters in one line; only ``names`` when given."""
    shown = values if names is None else {name: values[name] for name in names if name in values}
    return ", ".join(f"{name}={value_text(value, DRAWN)}" for name, value in shown.items())


def run_name(cell: Cell, plan: Plan) -> str:
    """Which run this is, in words."""
    configuration = which(cell.trial)
    return configuration if plan.is_search(cell) else f"re-run of {configuration}, seed {cell.seed}"
