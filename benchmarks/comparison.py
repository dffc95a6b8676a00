"""What a comparison costs beside its trainings, into benchmarks/COMPARISON.md.

python benchmarks/comparison.py               # about a quarter of an hour on a machine left alone

Five ways to run the same trainings, in random order in each round, each in a process of its own, start-up included:
*bare*, one after another in a loop without thalweg's comparison; *serial*, ``compare(engine=Serial())``; *study*, the
comparison with a process for each CPU; *optuna*, a script that asks Optuna's RandomSampler and trains in a process pool
of as many; *apart*, the bare loop in as many processes that share nothing, each with its part of the trainings: no way
of sharing out the work can be faster on this machine.
"""

import argparse
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from datetime import date
from os import cpu_count
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import quantiles
from time import perf_counter

from command_line import at_least
from page import markdown
from steps import say
from thalweg.cpu import cpu_name
from thalweg.speed.measure import DISTURBED, busy_seconds

PAGE = Path(__file__).resolve().parent / "COMPARISON.md"
WAYS = ("bare", "serial", "study", "optuna", "apart")
ATTEMPTS = 3


def main() -> int:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=at_least(2), default=3)
    parser.add_argument("--trials", type=at_least(10), default=120)
    parser.add_argument("--task", default="digits-mlp")
    parser.add_argument("--workers", type=at_least(1), default=2)
    given = parser.parse_args()
    chance = random.Random(0)
    rounds = []
    for number in range(given.rounds):
        rounds.append(_round(given, chance))
        say(f"round {number + 1}: " + ", ".join(f"{way} {seconds:.1f} s" for way, seconds in rounds[-1].items()))
    PAGE.write_text(_page(given, rounds), encoding="utf-8")
    return 0


def _round(given: argparse.Namespace, chance: random.Random) -> Mapping[str, float]:
    found: dict[str, float] = {}
    for way in chance.sample(WAYS, len(WAYS)):
        for _ in range(ATTEMPTS):
            found[way], others = _timed(given, way)
            if others <= DISTURBED:
                break
            say(f"{way}: others took {others:.0%} of the machine; again")
        else:
            raise SystemExit(f"other processes disturbed each of {ATTEMPTS} attempts: run it on a machine left alone")
    return found


def _timed(given: argparse.Namespace, way: str) -> tuple[float, float]:
    """Seconds of one way's process, and the share of the machine that others took meanwhile."""
    script = Path(__file__).with_name("comparison_ways.py")
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, script, way, given.task, str(given.trials), str(given.workers), folder]
        others, started = others_of_children(), perf_counter()
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        seconds, share = perf_counter() - started, others()
    return seconds, share


def others_of_children() -> Callable[[], float]:
    """From now on: a function that says what share of the machine others than ended children have taken since."""
    busy, own, began = busy_seconds() or 0.0, _children(), perf_counter()

    def share() -> float:
        others = (busy_seconds() or 0.0) - busy - (_children() - own)
        return max(others, 0.0) / ((perf_counter() - began) * (cpu_count() or 1))

    return share


def _children() -> float:
    used = getrusage(RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _page(given: argparse.Namespace, rounds: list[Mapping[str, float]]) -> str:
    def ratio(above: str, below: str) -> list[str]:
        low, middle, high = quantiles([each[above] / each[below] for each in rounds], n=4)
        return [f"{middle:.3f}", f"{low:.3f} to {high:.3f}"]

    rows = [
        ["one after another / study", "how many times as fast a study is", *ratio("bare", "study")],
        ["one after another / apart", "how many times as fast it could be", *ratio("bare", "apart")],
        ["serial / bare", "what the harness adds", *ratio("serial", "bare")],
        ["optuna / study", "how many times as long Optuna takes", *ratio("optuna", "study")],
    ]
    times = [[way, *(f"{each[way]:.1f}" for each in rounds)] for way in WAYS]
    head = (
        f"# What a comparison costs\n\n{date.today()}, {cpu_name()}, {given.workers} processes of one thread.\n\n"
        f"{given.trials} trainings of {given.task} with AdamW. Seconds of whole processes, start-up included: imports, "
        f"worker processes, the store's commits. Ratios: median over {len(rounds)} rounds, and quartiles.\n{__doc__}"
    )
    body = markdown(["ratio", "what it says", "median", "quartiles"], rows)
    return f"{head}\n{body}\n\n{markdown(['seconds', *(f'round {n + 1}' for n in range(len(rounds)))], times)}\n"


if __name__ == "__main__":
    sys.exit(main())
