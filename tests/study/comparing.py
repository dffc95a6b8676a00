"""Small comparisons in this process, and what they leave in their store."""

import sqlite3
from dataclasses import replace
from pathlib import Path

from thalweg.study import compare
from thalweg.study.ask.spec import plans, resolve, study
from thalweg.study.keep.store import open_store
from thalweg.study.model.cells import MEASURED, Curve, Run
from thalweg.study.run.compare import train_cells
from thalweg.study.run.engines import LocalProcesses, Serial


class Kept(LocalProcesses):
    """Workers for one comparison after the other, since a process takes seconds to start."""

    def close(self):
        """Nothing: the next comparison wants them too."""

    def let_go(self):
        super().close()


def run(task, rules=("sgd", "adam"), store="s.sqlite", events=None, **settings):
    settings = {"trials": 3, "seeds": 3, "engine": Serial(), **settings}
    return compare(task, rules, store=store, on_event=None if events is None else events.append, **settings)


def plan_before(task, rules, **settings):
    """The plan of a comparison that was begun in design 1."""
    asked = study(task, rules, lockstep=False, **settings)
    (plan,) = plans(asked)
    third = plan.trials // 3
    (before,) = plans(asked, {plan.task: replace(plan, design=1, budgets=(third,) if third > 1 else ())})
    return before


def begin_before(task, rules, store="s.sqlite", **settings):
    """A store in which that comparison was begun: it goes on in design 1."""
    with open_store(Path(store)) as opened:
        opened.begin(plan_before(task, rules, **{"trials": 3, "seeds": 3, **settings}), {})


def default_runs(task, rule, engine, seeds=(1, 2)):
    """The rule's default, trained by an engine with each of these seeds, without a comparison around it."""
    plan = resolve(study(task, rule, trials=1, seeds=2))
    cells = [plan.cell(plan.rules[0], 0, seed) for seed in seeds]
    return sorted(
        (run for _, runs in engine.map(train_cells, [(cell,) for cell in cells]) for run in runs),
        key=lambda run: run.seed,
    )


def rows(store):
    """What is stored, apart from times and hosts."""
    with sqlite3.connect(store) as connection:
        names = [c[1] for c in connection.execute("PRAGMA table_info(run)") if c[1] not in MEASURED]
        found = connection.execute(f"SELECT {', '.join(names)} FROM run ORDER BY key").fetchall()
    connection.close()
    return found


def run_of(cell, size=3):
    """A run of a cell that was not trained."""
    curve = Curve(tuple(range(size)), tuple(0.1 * i for i in range(size)))
    return Run(cell.key, cell.seed, cell.values, "done", "", {"valid_loss": curve}, 5, 8, 1.5, 1e-4, "h")
