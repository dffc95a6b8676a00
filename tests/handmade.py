"""Comparisons made by hand: every case the report must show, without training anything."""

import random
from dataclasses import replace
from itertools import combinations
from math import exp, log10

from thalweg.stats.intervals import t_interval
from thalweg.stats.paired import difference
from thalweg.stats.pool import Pool, largest_budget, to_rerun
from thalweg.stats.sensitivity import sensitivity
from thalweg.stats.verdict import Verdict
from thalweg.study.judge.findings import ContenderRow
from thalweg.study.judge.procedures import procedures
from thalweg.study.judge.results import Comparison, Suite
from thalweg.study.model.cells import Curve, Run
from thalweg.study.model.metric import Metric
from thalweg.study.model.plan import Contender, Plan

HOSTILE = '</script><img src="http://evil.example/x.png" onerror="alert(1)">&"\''

# label, best accuracy, log10 of the best learning rate, where it diverges, seconds a step
RULES = (
    ("sgd", 0.952, -0.5, 0.6, 40e-6),
    ("sgd:momentum=0.9", 0.961, -1.3, -0.1, 48e-6),
    ("adamw", 0.968, -2.5, -1.2, 61e-6),
    ("lion", 0.966, -3.4, -2.3, 52e-6),
)


def run(label, trial, seed, values, best, far, chance, *, status="done", message="", lower=False):
    """One training whose curve rises to a level that falls with the distance from the best learning rate."""
    level = max(0.1, best - 0.02 * far**2) + chance.gauss(0, 0.003)
    epochs = tuple(range(11))
    accuracy = tuple(0.1 + (level - 0.1) * (1 - exp(-epoch / (1 + far))) for epoch in epochs)
    shown = tuple(3.0 * (1 - a) + 0.02 for a in accuracy) if lower else accuracy
    name = "loss" if lower else "accuracy"
    end = 3 if status != "done" else 11
    curves = {f"{split}_{name}": Curve(epochs[:end], shown[:end]) for split in ("valid", "test")}
    return Run(f"{label}/{trial}/{seed}", seed, values, status, message, curves, 400, 0, 0.6, 5e-5, "host")


def search(label, best, where, edge, trials, lower, chance):
    """A rule's trials; those beyond its edge diverge."""
    made = []
    for number in range(trials):
        lr = 1e-3 if number == 0 else 10 ** chance.uniform(where - 2, where + 1.6)
        lost = log10(lr) > edge
        made.append(
            run(label, number, 7, {"lr": lr, "weight_decay": 0.01, "eps": 1e-8}, best, abs(log10(lr) - where), chance,
                status="diverged" if lost else "done", message="train_loss was nan in epoch 3" if lost else "",
                lower=lower)
        )  # fmt: skip
    return made


def comparison(
    trials=25, seeds=5, *, rules=RULES, hostile=False, lower=False, failing=True, missing=0, task="digits-mlp", chance=3
) -> Comparison:
    """A comparison of a few rules; ``hostile`` puts markup wherever a user's text may stand."""
    chance = random.Random(chance)
    metric = Metric("loss" if lower else "accuracy", not lower)
    task = f"my {HOSTILE} script.py:train" if hostile else task
    rows, planned, pools = [], [], {}
    third = largest_budget(trials) if not missing else 0
    budgets = (third,) if third > 1 else ()
    for label, best, where, edge, step in rules:
        made = search(label, best, where, edge, trials, lower, chance)
        if failing and label == "lion":
            message = HOSTILE if hostile else "ValueError: expected 64 features, got 63 (my_script.py:12)"
            made[2] = run(label, 2, 7, made[2].values, best, 1, chance, status="failed", message=message, lower=lower)
        pick = min if lower else max
        done = [number for number, t in enumerate(made) if t.status == "done"]
        winner = pick(done, key=lambda number: made[number].curves[metric.selection].end())
        again = {}
        ranking = ranked(made, metric)
        for number in to_rerun(ranking, budgets):
            far = abs(log10(made[number].values["lr"]) - where)
            again[number] = tuple(
                run(label, number, 100 + s, made[number].values, best, far, chance, lower=lower) for s in range(seeds)
            )
        ends = {n: [r.curves[metric.judgement].end() for r in runs] for n, runs in again.items()}
        finished = sorted((t.curves[metric.selection].end() for t in made if t.status == "done"), reverse=lower)
        tuning = tuple(counted(t, metric.judgement) for t in made)
        pools[label] = Pool(ranking, tuning, {n: tuple(values) for n, values in ends.items()})
        shares = sensitivity([counted(t, metric.selection) for t in made[1:]], higher_is_better=not lower)
        curve = tuple(finished[int((len(finished) - 1) * (1 - 0.6 / (n + 1)))] for n in range(trials))
        rows.append(
            ContenderRow(
                contender=label, name=label, trials=dict(enumerate(made)),
                default=t_interval(ends[0]), tuned=t_interval(ends[winner]), default_values=made[0].values,
                winner_trial=winner, winner_values=made[winner].values, best_after=curve,
                near_edge=("lr",) if label == "sgd" else (), diverged=sum(t.status == "diverged" for t in made),
                failed=sum(t.status == "failed" for t in made), default_lost=0, tuned_lost=0, step_seconds=step,
                step_ratio=step / rules[0][4], state_bytes=37_000, seconds=31.5, again=again, repeated=made[0],
                unlike=("valid_loss differs from epoch 2 on",) if label == "lion" else (), sensitivity=shares,
                best_after_half=tuple(0.01 * n for n in range(third)),
            )
        )  # fmt: skip
        planned.append(
            Contender(label, label, label.partition(":")[0], "0" * 64, "class Rule: ...",
                        tuple(t.values for t in made),
                        {"lr": "log-uniform 1e-05 to 0.1", "weight_decay": "log-uniform"}, ((),) * trials)
        )  # fmt: skip
    pairs = tuple(
        difference(a.contender, b.contender, a.tuned.values, b.tuned.values, higher_is_better=not lower, together=6)
        for a, b in combinations(sorted(rows, key=lambda row: row.tuned.mean, reverse=not lower), 2)
    )
    tuning = {
        r.contender: difference(
            r.contender, r.contender, r.tuned.values, r.default.values, higher_is_better=not lower, together=4
        )
        for r in rows
    }
    plan = Plan(
        task,
        "f" * 64,
        task,
        "",
        tuple(planned),
        0,
        None,
        7,
        tuple(range(100, 100 + seeds)),
        {"thalweg": "0.1.0", "torch": "2.13.0"},
        budgets=budgets,
    )
    verdict = Verdict(
        (
            f"AdamW is better than SGD on {task}: test accuracy 96.8% against 95.1% "
            "(difference 1.7 points, 0.9 to 2.5).",
            "AdamW against Lion: cannot tell; about 12 more seeds would.",
            "This holds for the configurations found here, over new seeds; another search might have found others.",
        ),
        "adamw",
    )
    return Comparison(
        plan,
        metric,
        tuple(rows),
        pairs,
        tuning,
        verdict,
        missing,
        {"cpu": "Some CPU, 2 cores", "python": "3.11.7", "commit": "0123abc+"},
        None,
        tuple(
            procedures(pools, dict.fromkeys(pools, n), higher_is_better=not lower, level=0.95, possible=metric.possible)
            for n in budgets
        ),
    )


def ranked(trials, metric):
    """Numbers of the trials, the best on validation first, those that did not end well last."""

    def place(number):
        run = trials[number]
        value = run.curves[metric.selection].end()
        return (run.status != "done", -value if metric.higher_is_better else value)

    return tuple(sorted(range(len(trials)), key=place))


def counted(run, metric):
    """What a run counts with: one that was lost, with its value before training."""
    values = run.curves[metric].values
    return values[-1] if run.status == "done" else values[0]


def suite(tasks=3, **given) -> Suite:
    """The same rules on several tasks, every second one judged by a loss."""
    names = ("spiral", "digits-mlp", "quadratic-deep")
    named = [names[i] if i < 3 else f"task-{i}" for i in range(tasks)]
    made = [comparison(task=name, lower=i % 2 == 1, chance=i, **given) for i, name in enumerate(named)]
    said = [
        replace(each, verdict=Verdict((f"On {each.plan.task}, cannot tell AdamW from Lion.", "Test: 1 against 2.")))
        for each in made
    ]
    return Suite(tuple(said), None)
