"""`thalweg speed`: the table."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from .cases import CASES, Case
from .first_step import first_step
from .measure import Timing, cpu_name, measure


@dataclass(frozen=True)
class Row:
    """One case, timed. ``floor`` is the share of the step that moving its bytes takes at the measured bandwidth."""

    case: Case
    timing: Timing
    floor: float

    def as_json(self) -> Mapping[str, Any]:
        """The row for machines; times in seconds."""
        low, middle, high = self.timing.ratio("peer", "thalweg")
        return {
            "case": self.case.name, "peer": self.case.peer, "thalweg": self.timing.median("thalweg"),
            "peer_seconds": self.timing.median("peer"), "ratio": middle, "quartiles": [low, high],
            "floor_share": self.floor, "others": self.timing.others, "void": self.timing.disturbed,
        }  # fmt: skip


def speed(*, rounds: int, threads: int, as_json: bool) -> None:
    """Time one optimizer step on this machine, thalweg against torch, and print a table, or JSON.

    Each round runs both in random order; the ratio is the median of the rounds' ratios, with quartiles, for which
    there must be at least 2. A case during which other processes took more than a tenth of the machine is void.
    """
    torch.set_num_threads(threads)
    progress = Console(stderr=True)
    rows = []
    for row in timed(rounds):
        rows.append(row)
        progress.print(f"[dim]{row.case.name}: done[/dim]")
    cold, warm = first_step()
    if as_json:
        found = {"cpu": cpu_name(), "threads": threads, "rounds": rounds, "torch": torch.__version__}
        first = {"first_step_cold": cold, "first_step_warm": warm}
        json.dump({**found, **first, "cases": [row.as_json() for row in rows]}, sys.stdout, indent=2)
        print()
        return
    _print(Console(), rows, rounds, threads, cold, warm)


def timed(rounds: int) -> Iterator[Row]:
    """Every case, one after the other; the bandwidth is measured in the same rounds, as it drifts."""
    stream, stream_bytes = _streaming()
    for case in CASES:
        ours, theirs = case.make()
        timing = measure({"thalweg": ours, "peer": theirs, "stream": stream}, rounds)
        moved = case.weights * case.bytes_per_weight / stream_bytes
        yield Row(case, timing, moved * timing.median("stream") / timing.median("thalweg"))


def _streaming() -> tuple[Callable[[], object], int]:
    """A plain pass over memory and its bytes: w += a * b on 25 million weights, three reads and a write of 4 bytes."""
    weight, a, b = (torch.randn(25_000_000) for _ in range(3))
    return lambda: weight.addcmul_(a, b, value=1e-9), 16 * weight.numel()


def _print(console: Console, rows: list[Row], rounds: int, threads: int, cold: float, warm: float) -> None:
    table = Table(caption=f"{cpu_name()}, {threads} threads, torch {torch.__version__}, {rounds} rounds")
    for name in ("one step", "against", "thalweg", "peer", "times faster", "quartiles", "floor"):
        table.add_column(name, justify="left" if name in ("one step", "against") else "right")
    for row in rows:
        low, middle, high = row.timing.ratio("peer", "thalweg")
        ratio = "void" if row.timing.disturbed else f"{middle:.2f}"
        times = [f"{row.timing.median(n) * 1e3:.2f} ms" for n in ("thalweg", "peer")]
        quartiles = f"{low:.2f} to {high:.2f}"
        # Small tensors stay in the cache, where memory bandwidth is no floor.
        floor = f"{row.floor:.0%}" if row.case.weights > 10_000_000 else ""
        table.add_row(row.case.name, row.case.peer, *times, ratio, quartiles, floor)
    console.print(table)
    console.print(
        "floor: how much of the step it takes just to move its bytes, at the speed of w += a * b on this machine.\n"
        f"First step of a fresh process: {cold:.2f} s while kernels are compiled, {warm:.2f} s once they are stored."
    )
    if any(row.timing.disturbed for row in rows):
        console.print("Void: another process used the machine meanwhile. Close it and run again.")
