"""Comparisons made by hand: every case the report must show, without training anything."""

import random
from dataclasses import replace
from math import exp, log10

from thalweg.study.ask.designs import LATEST, largest
from thalweg.study.judge.judging import to_train_again
from thalweg.study.judge.results import Comparison, Suite, judge
from thalweg.study.model.cells import Curve, Run
from thalweg.study.model.plan import Contender, Plan

HOSTILE = '</script><img src="http://evil.example/x.png" onerror="alert(1)">&"\''

# label, best accuracy, log10 of the best learning rate, where it diverges, seconds a step
RULES = (
    ("sgd", 0.952, -0.5, 0.6, 40e-6),
    ("sgd:momentum=0.9", 0.961, -1.3, -0.1, 48e-6),
    ("adamw", 0.968, -2.5, -1.2, 61e-6),
    ("lion", 0.966, -3.4, -2.3, 52e-6),
)


def run(cell, rule, chance, *, lower=False, tests=0, error=""):
    """One training whose curve rises to a level that falls with the distance from the best learning rate.

    Beyond the rule's edge it diverges; with an ``error`` it fails.
    """
    _, best, where, edge, step = rule
    place = log10(cell.values["lr"])
    far, lost = abs(place - where), place > edge
    level = max(0.1, best - 0.02 * far**2) + chance.gauss(0, 0.003)
    epochs = tuple(range(11))
    accuracy = tuple(0.1 + (level - 0.1) * (1 - exp(-epoch / (1 + far))) for epoch in epochs)
    shown = tuple(3.0 * (1 - a) + 0.02 for a in accuracy) if lower else accuracy
    name = "loss" if lower else "accuracy"
    end = 3 if lost or error else 11
    curves = {f"{split}_{name}": Curve(epochs[:end], shown[:end], tests=tests) for split in ("valid", "test")}
    status = "failed" if error else "diverged" if lost else "done"
    message = error or ("train_loss was nan in epoch 3" if lost else "")
    return Run(cell.key, cell.seed, cell.values, status, message, curves, 400, 37_000, 0.6, step, "host")


def contender(label, where, trials, chance):
    """A rule with its draws, of which the learning rate's lie evenly."""
    # Trial by trial a place's binary digits, turned round: van der Corput's sequence.
    places = [0.5, *(int(f"{k:012b}"[::-1], 2) / 2**12 for k in range(1, trials))]
    rates = [1e-3, *(10 ** (where - 2 + 3.6 * place) for place in places[1:])]
    decays = [0.01, *(10 ** chance.uniform(-4, -1) for _ in rates[1:])]
    values = tuple({"lr": lr, "weight_decay": wd, "eps": 1e-8} for lr, wd in zip(rates, decays, strict=True))
    searched = {"lr": "log-uniform 1e-05 to 0.1", "weight_decay": "log-uniform"}
    edges = (("lr",) if label == "sgd" else (),) * trials
    rule = label.partition(":")[0]
    return Contender(label, label, rule, "0" * 64, "class Rule: ...", values, searched, edges, places=tuple(places))


def comparison(
    trials=25,
    seeds=5,
    *,
    rules=RULES,
    hostile=False,
    lower=False,
    failing=True,
    missing=0,
    task="digits-mlp",
    chance=3,
    tests=0,
    **asked,
) -> Comparison:
    """A comparison of a few rules; ``hostile`` puts markup wherever a user's text may stand.

    ``failing``  a training of lion has failed. ``missing``  so many re-runs are still to do. ``tests``: test examples.
    ``asked``    of the plan: against, matters, target.
    """
    chance = random.Random(chance)
    task = f"my {HOSTILE} script.py:train" if hostile else task
    budget = min(5, largest(trials))
    plan = Plan(
        task,
        "f" * 64,
        task,
        "",
        tuple(contender(label, where, trials, chance) for label, _, where, _, _ in rules),
        0,
        None,
        7,
        tuple(range(100, 100 + seeds)),
        {"thalweg": "0.1.0", "torch": "2.13.0"},
        budgets=(budget,) if budget > 1 else (),
        repeats=True,
        design=LATEST,
        search_seeds=tuple(range(1000, 1000 + trials)),
        **asked,
    )
    facts = {label: rule for rule in rules for label in rule[:1]}

    def trained(cells):
        return {cell.key: run(cell, facts[cell.called], chance, lower=lower, tests=tests) for cell in cells}

    have = trained(plan.search_cells())
    for rule, repeat in zip(plan.rules, plan.repeat_cells(), strict=True):
        first = have[plan.search_cell(rule, 0).key]
        have[repeat.key] = replace(first if rule.label != "lion" else otherwise(first), key=repeat.key)
        if failing and rule.label == "lion":
            cell = plan.search_cell(rule, 2)
            error = HOSTILE if hostile else "ValueError: expected 64 features, got 63 (my_script.py:12)"
            have[cell.key] = run(cell, facts["lion"], chance, lower=lower, tests=tests, error=error)
    again = trained(plan.fresh_cells(to_train_again(plan, have)))
    have |= dict([*again.items()][: len(again) - missing])
    return judge(plan, {"cpu": "Some CPU, 2 cores", "python": "3.11.7", "commit": "0123abc+"}, have, None)


def otherwise(run):
    """A training that did not repeat itself."""
    curves = {
        name: replace(curve, values=(*curve.values[:2], *(value + 1e-3 for value in curve.values[2:])))
        for name, curve in run.curves.items()
    }
    return replace(run, curves=curves)


def suite(tasks=3, **given) -> Suite:
    """The same rules on several tasks, every second one judged by a loss."""
    names = ("spiral", "digits-mlp", "quadratic-deep")
    named = [names[i] if i < 3 else f"task-{i}" for i in range(tasks)]
    return Suite(
        tuple(comparison(task=name, lower=i % 2 == 1, chance=i, **given) for i, name in enumerate(named)), None
    )
