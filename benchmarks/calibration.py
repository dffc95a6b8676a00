"""How often the comparison's statistics are right where the truth is known, into benchmarks/CALIBRATION.md.

python benchmarks/calibration.py                  # a quarter of an hour of one core; the same numbers every time
python benchmarks/calibration.py --studies 200 --only equal
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from math import sqrt
from pathlib import Path

import thalweg
from judged import comparisons, planned
from page import markdown
from simulated import (
    Coverage,
    Gains,
    Share,
    any_claim,
    configurations,
    coverage,
    gains,
    generator,
    noncentral,
    share_of,
    summed,
    tuning_covered,
)
from steps import at_least, say
from thalweg.stats.paired import Answer
from worlds import made_up, published

PAGE = Path(__file__).resolve().parent / "CALIBRATION.md"
BUDGETS = (5, 25)
PLANTED = (1.0, 2.0, 3.0)
CLAIMS: tuple[Answer, ...] = ("better", "worse")


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate, write the page, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--studies", type=at_least(20), default=1000, help="studies of each cell (default 1000)")
    parser.add_argument("--only", choices=sorted(PARTS), action="append", help="these tables, to standard output")
    chosen = parser.parse_args(arguments)
    began, parts = time.monotonic(), []
    for name, part in PARTS.items():
        if not chosen.only or name in chosen.only:
            say(f"{name} ...")
            parts.append(part(chosen.studies))
    minutes = (time.monotonic() - began) / 60
    if chosen.only:
        print("\n\n".join(parts))
    else:
        PAGE.write_text("\n\n".join([_head(chosen.studies, minutes), *parts]) + "\n", encoding="utf-8")
        say(f"Page: {PAGE}")
    return 0


def _head(studies: int, minutes: float) -> str:
    return (
        "# Are the intervals and verdicts of a comparison right?\n\n"
        f"thalweg {thalweg.__version__}, {studies} simulated studies a cell, {minutes:.0f} minutes. Made by "
        "`python benchmarks/calibration.py`; in short: [docs/calibration.md](../docs/calibration.md).\n\n"
        "A world is an optimizer on a problem: test value as a function of the learning rate, read off the published "
        "grids of the DeepOBS baselines ([published/](published/README.md)), and normal noise from seed to seed as "
        "published there. Searches draw log-uniform learning rates from 1e-4 to 1, the default first; validation and "
        "test noise are independent unless said otherwise. Pools have 75 trials and 5 fresh seeds. A diverged run "
        "counts with the value before training. ± is the Monte Carlo standard error."
    )


def covered(studies: int) -> str:
    """Coverage and width of the procedure's interval, in every world."""
    every = [coverage(world, n, studies) for world in (*published(), *made_up()) for n in BUDGETS]
    real = [each for each in every if each.world.rule]
    known = [each for each in every if not each.world.rule]
    variants = [
        ("validation and test noise of a run correlated 0.5", {"correlation": 0.5}),
        ("half the noise's variance common to all configurations of a seed", {"common": 0.5}),
    ]
    rows = []
    for words, change in variants:
        for n in BUDGETS:
            found = [coverage(replace(world, **change), n, max(studies // 4, 20)) for world in published()]  # type: ignore[arg-type]
            least = min(found, key=lambda each: each.inside.value)
            rows.append([words, str(n), _percent(summed([each.inside for each in found])), _least(least)])
    return "\n\n".join(
        [
            "## 1. Does the 95% interval of a procedure hold the truth?",
            "**inside**: how often it does. **misses**: how often it lies below the truth, and above. **bias** of the "
            "estimate in its standard deviations. **width** in relation to the t interval of as many new studies (n "
            "trials and one training with a fresh seed each) as the same number of trainings buys, also simulated; "
            "**ideal**: to what that would be if the standard deviation of studies were known. **seeds only**: how "
            "often the usual interval, over the winner's 5 fresh seeds, holds the procedure's mean: it answers another "
            "question.",
            _table(real),
            "Each problem, its optimizers together:",
            markdown(["problem", "n", "inside", "width"], _by_problem(real)),
            "Made-up worlds: a smooth bowl; flat, the upper quarter of the box diverging; a peak that 1 draw in 40 "
            "hits; the bowl with Student's t noise of 3 degrees; flat. The narrow peak shows the limit: where few "
            "trials of 75 find what matters, no interval from these 75 can know what it missed.",
            _table(known),
            "With other noise, all published worlds together, and the one that is covered least:",
            markdown(["noise", "n", "inside", "the least"], rows),
            "The interval of what tuning gains over the default, likewise:",
            markdown(["n", "inside", "the least"], _tuning(max(studies // 4, 20))),
        ]
    )


def _tuning(studies: int) -> list[list[str]]:
    rows = []
    for n in BUDGETS:
        found = {world.name: tuning_covered(world, n, studies) for world in published()}
        least = min(found, key=lambda name: found[name].value)
        rows.append([f"{n}", _percent(summed(list(found.values()))), f"{least}, {_percent(found[least])}"])
    return rows


def equal_rules(studies: int) -> str:
    """How often rules that are the same thing are told apart."""
    rows = []
    worlds = published()
    for n in BUDGETS:
        for words, share in (("draws and seeds of their own", False), ("the same draws and seeds", True)):
            found = [gains(world, n, max(studies // 4, 20), share=share).said(0.0, *CLAIMS) for world in worlds]
            rows.append(_claims(f"procedures, 2 rules, {words}", f"{n}", summed(found), max(found, key=_value)))
        found = [any_claim(world, n, 6, max(studies // 15, 5)) for world in worlds]
        rows.append(_claims("procedures, 6 rules, any of the 15 pairs", f"{n}", summed(found), None))
    for rules in (2, 6):
        for common in (0.0, 0.5):
            words = f"configurations, {rules} rules" + (", half the noise common" if common else "")
            told = configurations(studies * (3 if rules == 2 else 1), 5, rules=rules, common=common)
            rows.append(_claims(words, "", share_of(told, *CLAIMS), None))
    return "\n\n".join(
        [
            "## 2. Is something called better that is not?",
            "Rules that are the same thing, compared; Holm's correction over all pairs. **told apart**: how often some "
            "pair is called better or worse, with the upper 95% bound (Clopper & Pearson). All published worlds "
            "together, and the worst of them.",
            markdown(["what", "n", "told apart", "at most", "worst world"], rows),
            "Through `thalweg.study.judge.results.judge`: real plans whose trainings are simulated, each rule with "
            "draws of its own. The configurations that two searches find do differ, except in the flat world; there "
            "**wrong** is any claim, elsewhere one with the wrong sign. **missed**: some pair's interval of "
            "configurations "
            "does not hold their true difference (of 6 rules Holm's intervals need not hold jointly).",
            markdown(["world", "rules", "what", "wrong", "at most"], _judged(studies)),
        ]
    )


def _judged(studies: int) -> list[list[str]]:
    each = {world.name: world for world in (*published(), *made_up())}
    rows = []
    names = ("fmnist_2c2d SGD", "fmnist_2c2d Adam", "mnist_vae Momentum", "cifar10_3c3d Momentum", "flat")
    plan = planned(2, trials=75, seeds=5, budgets=BUDGETS)
    told = {n: list(comparisons(each[n], plan, generator("judged", n), max(studies // 10, 5))) for n in names}
    every = [one for found in told.values() for one in found]
    for n in BUDGETS:
        claims = Share(sum(one.procedures[n] for one in every), len(every))
        rows.append(["the five below", "2", f"procedures, n = {n}", _percent(claims), f"{claims.upper:.1%}"])
    for name, found in told.items():
        for what, words in (("wrong", "configurations"), ("missed", "configurations, missed")):
            if what == "wrong" or name != "flat":
                rows.append(_outcome(name, "2", words, [getattr(one, what) for one in found]))
    small = planned(6, trials=6, seeds=5, budgets=())
    flat = list(comparisons(each["flat"], small, generator("judged", 6), max(studies // 2, 5)))
    rows.append(_outcome("flat", "6", "configurations, any of 15 pairs", [one.configurations for one in flat]))
    return rows


def power(studies: int) -> str:
    """How often a planted difference is found, beside what theory gives."""
    rows = []
    for seeds in (5, 10):
        for planted in PLANTED:
            found = share_of(configurations(studies, seeds, planted=planted), "better")
            theory = noncentral(planted * sqrt(seeds / 2), seeds - 1)
            rows.append([f"configurations, {seeds} seeds", "", f"{planted:g}", _percent(found), f"{theory:.1%}"])
    for n in BUDGETS:
        found_all = [gains(world, n, max(studies // 4, 20)) for world in published()]
        for planted in PLANTED:
            shares = summed([each.said(planted, "better") for each in found_all])
            expected = sum(each.power(planted) for each in found_all) / len(found_all)
            rows.append(["procedures, all worlds", f"{n}", f"{planted:g}", _percent(shares), f"{expected:.1%}"])
    return "\n\n".join(
        [
            "## 3. Is a real difference found?",
            "A difference of 1, 2 and 3 standard deviations of one training, planted between two rules. **theory**: "
            "the noncentral t; of configurations exactly, with seeds - 1 degrees of freedom; of procedures "
            "approximately, with the true standard deviation of the estimates and the mean of their degrees of "
            "freedom.",
            markdown(["what", "n", "planted", "found", "theory"], rows),
        ]
    )


def equal(studies: int) -> str:
    """How often "equal within noise" is said, rightly and wrongly."""
    rows = []
    for seeds in (5, 20, 50):
        right, wrong = (share_of(configurations(studies, seeds, planted=p), "equal within noise") for p in (0.0, 1.0))
        rows.append([f"configurations, {seeds} seeds", "", _percent(right), _percent(wrong)])
    for n in BUDGETS:
        for seeds in (5, 20, 50):
            found = [gains(world, n, max(studies // 10, 10), seeds=seeds) for world in published()]
            rows.append([f"procedures, {seeds} seeds", f"{n}", *(_said_equal(found, p) for p in (0.0, 1.0))])
    return "\n\n".join(
        [
            '## 4. Is "equal within noise" right?',
            "It is said when the interval lies within one standard deviation of a training on both sides. **rightly**: "
            "how often at a true difference of 0. **wrongly**: at one of exactly that size.",
            markdown(["what", "n", "rightly", "wrongly"], rows),
        ]
    )


PARTS: dict[str, Callable[[int], str]] = {
    "coverage": covered,
    "equal-rules": equal_rules,
    "power": power,
    "equal": equal,
}


def _said_equal(found: Sequence[Gains], planted: float) -> str:
    return _percent(summed([each.said(planted, "equal within noise") for each in found]))


def _table(found: Sequence[Coverage]) -> str:
    headings = ["world", "n", "inside", "misses", "bias", "width", "ideal", "new studies", "re-run", "seeds only"]
    return markdown(headings, [_row(each) for each in found])


def _row(each: Coverage) -> list[str]:
    return [
        each.world.name, f"{each.n}", _percent(each.inside), f"{each.below:.1%}, {each.above:.1%}", f"{each.bias:+.2f}",
        _ratio(each.width, each.fresh), _ratio(each.width, each.ideal), f"{each.studies}", f"{each.rerun:.0f}",
        f"{each.seeds_only.value:.0%}",
    ]  # fmt: skip


def _by_problem(found: Sequence[Coverage]) -> list[list[str]]:
    rows = []
    for problem, group in groupby(found, key=lambda each: each.world.task):
        cells = list(group)
        for n in BUDGETS:
            mine = [each for each in cells if each.n == n]
            width = sum(each.width / each.fresh for each in mine) / len(mine)
            rows.append([problem, f"{n}", _percent(summed([each.inside for each in mine])), f"{width:.2f}"])
    return rows


def _claims(what: str, n: str, claims: Share, worst: Share | None) -> list[str]:
    return [what, n, _percent(claims), f"{claims.upper:.1%}", _percent(worst) if worst else ""]


def _outcome(world: str, rules: str, what: str, counted: Sequence[bool]) -> list[str]:
    found = Share(sum(counted), len(counted))
    return [world, rules, what, _percent(found), f"{found.upper:.1%}"]


def _least(each: Coverage) -> str:
    return f"{each.world.name}, {_percent(each.inside)}"


def _percent(found: Share) -> str:
    return f"{found.value:.1%} ± {100 * found.error:.1f}"


def _ratio(width: float, other: float) -> str:
    return f"{width / other:.2f}"


def _value(found: Share) -> float:
    return found.value


if __name__ == "__main__":
    sys.exit(main())
