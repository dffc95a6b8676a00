"""Whole comparisons of two rules that are the same thing, judged as real ones are: only the trainings are simulated."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from thalweg.study.ask.spec import resolve, study
from thalweg.study.judge.judging import to_train_again
from thalweg.study.judge.results import Comparison, judge
from thalweg.study.model.cells import Cell, Curve, Run
from thalweg.study.model.plan import Plan
from worlds import World

RULES = ("adam", "adamw", "sgd", "momentum", "rmsprop", "lion")


@dataclass(frozen=True)
class Told:
    """Of one comparison, in which no procedure is better than another.

    ``procedures``      whether one was called better, by budget.
    ``configurations``  whether one was called better; ``wrong`` whether it was one that is not; ``missed`` whether some
                        pair's interval does not hold the true difference of the two configurations found.
    """

    procedures: dict[int, bool]
    configurations: bool
    wrong: bool
    missed: bool


def planned(rules: int, *, trials: int, seeds: int, budgets: tuple[int, ...]) -> Plan:
    """A real plan, of which `comparisons` takes all but the draws."""
    return resolve(study("digits-mlp", RULES[:rules], trials=trials, seeds=seeds, budgets=budgets, metric="score"))


def comparisons(world: World, plan: Plan, rng: np.random.Generator, count: int) -> Iterator[Told]:
    """Each with draws of its own for every rule, and with noise of its own for every training."""
    for _ in range(count):
        yield _told(world, *_compared(world, plan, rng))


def _compared(world: World, plan: Plan, rng: np.random.Generator) -> tuple[Plan, Comparison]:
    drawn = replace(
        plan,
        rules=tuple(
            replace(rule, trials=tuple({"lr": float(10**x)} for x in world.draw(rng, (plan.trials,))))
            for rule in plan.rules
        ),
    )
    have = _trained(world, rng, drawn.search_cells())
    # The default once more with its seed: the same again.
    have |= {
        cell.key: replace(have[first.key], key=cell.key)
        for cell, first in zip(drawn.repeat_cells(), drawn.search_cells(), strict=False)
    }
    have |= _trained(world, rng, drawn.fresh_cells(to_train_again(drawn, have)))
    return drawn, judge(drawn, {}, have, None)


def _trained(world: World, rng: np.random.Generator, cells: Iterable[Cell]) -> dict[str, Run]:
    return {cell.key: _run(world, rng, cell) for cell in cells}


def _run(world: World, rng: np.random.Generator, cell: Cell) -> Run:
    mean = _mean(world, cell.values["lr"])
    curves = {
        name: Curve((1,), (mean + float(noise),))
        for name, noise in zip(("valid_score", "test_score"), world.noise(rng, (2,)), strict=True)
    }
    return Run(cell.key, cell.seed, cell.values, "done", curves=curves)


def _told(world: World, plan: Plan, found: Comparison) -> Told:
    if found.missing or len(found.procedures) != len(plan.budgets):
        raise RuntimeError("the comparison is not complete")
    true = {row.contender: _mean(world, row.winner_values["lr"]) for row in found.rows}
    claims, wrong, missed = [], [], []
    for pair in found.pairs:
        difference = true[pair.first] - true[pair.second]
        missed.append(not pair.interval.low <= difference <= pair.interval.high)
        claims.append(pair.answer in ("better", "worse"))
        wrong.append(claims[-1] and pair.interval.mean * difference <= 0)
    return Told(
        {
            n: any(pair.answer in ("better", "worse") for pair in each.pairs)
            for n, each in zip(plan.budgets, found.procedures, strict=True)
        },
        any(claims),
        any(wrong),
        any(missed),
    )


def _mean(world: World, lr: object) -> float:
    assert isinstance(lr, float)
    return float(world.at(np.log10([lr]))[0])
