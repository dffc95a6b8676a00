"""Many small trainings in lockstep against one after another, a process for each core, into benchmarks/LOCKSTEP.md.

python benchmarks/lockstep.py                 # some minutes on a machine left alone

Each training is 300 steps of a small network on digits (64 inputs; a hidden layer, or two; 10 classes) with AdamW, its
batches drawn for it. *thalweg* and *torch* train one after the other in each process, *lockstep* a stack of 64.
*products* is what no way of training in lockstep on this library's products can be below: those of a stack's matrices,
forwards and backwards, and nothing else. All ways run in random order in each round, each in both processes at once.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import thalweg
from command_line import at_least
from comparison import others_of_children
from page import markdown
from steps import say
from thalweg.cpu import cpu_name
from thalweg.speed.measure import DISTURBED
from thalweg.study.run.engines import LocalProcesses

PAGE = Path(__file__).resolve().parent / "LOCKSTEP.md"
PROCESSES, STACK, STEPS = 2, 64, 300
# What is timed of each way in one process: so many trainings.
TRAININGS = {"thalweg": 4, "torch": 4, "lockstep": STACK, "products": STACK}
TESTED = 17
"""Steps between two evaluations, where there are any: an epoch of 1,078 examples in batches of 64."""


@dataclass(frozen=True)
class Case:
    """``width`` of the hidden layers, and the ``batch``; ``tested``: on 359 images after each 17 steps."""

    width: int
    batch: int
    layers: int = 1
    tested: bool = False

    @property
    def name(self) -> str:
        sizes = "-".join(map(str, (64, *[self.width] * self.layers, 10)))
        return f"{sizes}, batch {self.batch}{', tested each epoch' * self.tested}"


CASES = (
    Case(32, 32), Case(64, 64), Case(128, 128),
    Case(32, 32, 2), Case(64, 64, 2), Case(128, 128, 2),
    Case(64, 64, 1, tested=True),
)  # fmt: skip


def make_model(case: Case) -> Any:
    """The network."""
    from torch import nn

    sizes = (64, *[case.width] * case.layers)
    hidden = [layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*hidden, nn.Linear(case.width, 10))


def one_by_one(case: Case, count: int, kind: Callable[..., Any]) -> None:
    """Train one after the other."""
    import torch

    from thalweg.tasks.digits import examples, loss, scores

    every = examples()
    for seed in range(count):
        torch.manual_seed(seed)
        model = make_model(case)
        optimizer = kind(model.parameters(), lr=1e-3 * (1 + seed))
        for step in range(STEPS):
            index = torch.randint(0, 1078, (case.batch,))
            optimizer.zero_grad()
            value: Any = loss(model, every.images[index], every.classes[index])
            value.backward()
            optimizer.step()
            if case.tested and step % TESTED == TESTED - 1:
                with torch.no_grad():
                    scores(model, every.images[1078:1437], every.classes[1078:1437])


def in_lockstep(case: Case, count: int) -> None:
    """Train a stack."""
    import torch

    from thalweg.stacks import rows
    from thalweg.tasks.digits import examples, loss, scores

    every = examples()
    settings = [{"lr": 1e-3 * (1 + seed)} for seed in range(count)]
    stack = thalweg.lockstep(lambda: make_model(case), "adamw", settings=settings, seeds=range(count))
    tested = [x[1078:1437].expand(count, *x[1078:1437].shape) for x in (every.images, every.classes)]
    for step in range(STEPS):
        index = torch.randint(0, 1078, (count, case.batch))
        stack.step(loss, rows(every.images, index), rows(every.classes, index))
        if case.tested and step % TESTED == TESTED - 1:
            stack.evaluate(scores, *tested)
    if stack.alone:
        raise RuntimeError("the stack was trained one by one")


def products(case: Case, count: int) -> None:
    """The products of matrices of a stack's steps."""
    import torch

    sizes = (64, *[case.width] * case.layers, 10)
    layers = [
        (torch.randn(count, case.batch, a), torch.randn(count, b, a), torch.randn(count, case.batch, b))
        for a, b in pairwise(sizes)
    ]
    outs = [(torch.empty_like(y), torch.empty_like(w), torch.empty_like(x)) for x, w, y in layers]
    for _ in range(STEPS):
        for first, ((x, w, y), (to_y, to_w, to_x)) in enumerate(zip(layers, outs, strict=True)):
            torch.bmm(x, w.mT, out=to_y)
            torch.bmm(y.mT, x, out=to_w)
            if first:
                torch.bmm(y, w, out=to_x)


def timed(asked: tuple[str, Case]) -> float:
    """What a worker does: seconds for a training, on one thread."""
    import torch

    way, case = asked
    torch.set_num_threads(1)
    count = TRAININGS[way]
    started = time.perf_counter()
    if way == "lockstep":
        in_lockstep(case, count)
    elif way == "products":
        products(case, count)
    elif way == "torch":
        one_by_one(case, count, lambda params, lr: torch.optim.AdamW(params, lr=lr, fused=True))
    else:
        one_by_one(case, count, thalweg.AdamW)
    return (time.perf_counter() - started) / count


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write the page, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=at_least(3), default=9, help="rounds for each line, 3 or more (default 9)")
    chosen = parser.parse_args(arguments)
    found: dict[Case, Mapping[str, Sequence[float]]] = {}
    void = []
    for case in CASES:
        others = others_of_children()
        with closing(LocalProcesses(PROCESSES)) as engine:
            found[case] = _rounds(case, chosen.rounds, engine)
        if (taken := others()) > DISTURBED:
            void.append(case)
        say(" | ".join(_row(case, found[case])) + (f" (others took {taken:.0%})" if case in void else ""))
    PAGE.write_text(page(found, void, chosen.rounds), encoding="utf-8")
    say(f"Page: {PAGE}")
    return 1 if void else 0


def _rounds(case: Case, rounds: int, engine: LocalProcesses) -> Mapping[str, Sequence[float]]:
    """Trainings a second of both processes together, by way: one a round."""
    chance, seconds = Random(0), {way: list[float]() for way in TRAININGS}
    for number in range(rounds + 1):  # the first is not counted: kernels are made
        for way in chance.sample([*TRAININGS], len(TRAININGS)):
            rate = 0.0
            for _, took in engine.map(timed, [(way, case)] * PROCESSES):
                if not isinstance(took, float):
                    raise took
                rate += 1 / took
            if number:
                seconds[way].append(rate)
    return seconds


def _row(case: Case, rates: Mapping[str, Sequence[float]]) -> list[str]:
    def ratio(other: str) -> str:
        each = [a / b for a, b in zip(rates["lockstep"], rates[other], strict=True)]
        low, middle, high = statistics.quantiles(each, n=4)
        return f"{middle:.2f} ({low:.2f} to {high:.2f})"

    share = statistics.median(a / b for a, b in zip(rates["lockstep"], rates["products"], strict=True))
    per_second = [f"{statistics.median(rates[way]):.1f}" for way in ("lockstep", "thalweg", "torch")]
    return [case.name, *per_second, ratio("thalweg"), ratio("torch"), f"{share:.0%}"]


def page(found: Mapping[Case, Mapping[str, Sequence[float]]], void: Sequence[Case], rounds: int) -> str:
    """The whole page."""
    headings = ["network", "lockstep", "thalweg", "torch", "times thalweg", "times torch", "of the products' speed"]
    rows = [_row(case, rates) for case, rates in found.items() if case not in void]
    missing = [f"**Void**, since others used the machine: {', '.join(case.name for case in void)}."] if void else []
    parts = [
        "# Trainings in lockstep, on this machine",
        f"{cpu_name()}, {PROCESSES} processes of one thread. {date.today().isoformat()}, {rounds} rounds a line. Made "
        "by `python benchmarks/lockstep.py`.",
        "Trainings a second, medians over the rounds. " + " ".join((__doc__ or "").split("\n\n")[2].split()),
        "**times**: the median of the rounds' ratios, and their quartiles.",
        markdown(headings, rows),
        *missing,
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.exit(main())
