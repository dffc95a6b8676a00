"""`thalweg speed`: the table."""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from rich.console import Console

from thalweg.cpu import cpu_name
from thalweg.terminal.console import table

from .cases import CASES, FROM_MEMORY, Case
from .first_step import first_step
from .measure import Timing, measure
from .plain import plain_passes


@dataclass(frozen=True)
class Row:
    """One case, timed; beside large ones a plain pass over memory, which moves ``stream_bytes`` a call."""

    case: Case
    timing: Timing
    stream_bytes: int

    @property
    def bandwidth(self) -> float | None:
        """Bytes a second that the step moves at the least; None where they do not come from memory."""
        moved = self.case.weights * self.case.bytes_per_weight
        return moved / self.timing.median("thalweg") if self.case.weights > FROM_MEMORY else None

    @property
    def plain(self) -> float | None:
        """Bytes a second of the plain pass, in the same rounds."""
        return self.stream_bytes / self.timing.median("plain pass") if "plain pass" in self.timing.seconds else None

    def as_json(self) -> Mapping[str, Any]:
        """The row for machines; times in seconds, bandwidths in bytes a second."""
        low, middle, high = self.timing.ratio("peer", "thalweg")
        return {
            "case": self.case.name, "peer": self.case.peer, "seconds": self.timing.median("thalweg"),
            "peer_seconds": self.timing.median("peer"), "ratio": middle, "quartiles": [low, high],
            "bandwidth": self.bandwidth, "plain_bandwidth": self.plain,
            "others": self.timing.others, "void": self.timing.disturbed,
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
    plain = plain_passes()["w += a * b"]
    for case in CASES:
        ours, theirs = case.make()
        calls = {"thalweg": ours, "peer": theirs}
        if case.weights > FROM_MEMORY:
            calls["plain pass"] = plain.call
        yield Row(case, measure(calls, rounds), plain.bytes)


def _print(console: Console, rows: list[Row], rounds: int, threads: int, cold: float, warm: float) -> None:
    figures = ("thalweg", "peer", "faster", "quartiles", "GB/s")
    made = table("one step, ms", *figures, right=figures)
    for column in made.columns:
        column.no_wrap = True
    for row in rows:
        low, middle, high = row.timing.ratio("peer", "thalweg")
        ratio = "void" if row.timing.disturbed else f"{middle:.2f}x"
        times = [f"{row.timing.median(n) * 1e3:.2f}" for n in ("thalweg", "peer")]
        rates = f"{row.bandwidth / 1e9:.0f} ({row.plain / 1e9:.0f})" if row.bandwidth and row.plain else ""
        name = f"{row.case.name}\n[dim]  vs {row.case.peer}[/dim]"
        made.add_row(name, *times, ratio, f"{low:.2f}-{high:.2f}", rates)
    console.print(f"{cpu_name()}, {threads} threads, torch {torch.__version__}, {rounds} rounds\n")
    console.print(made)
    console.print(
        "\nGB/s: what thalweg's step moves, each operand read and written once; in brackets what a plain w += a * b "
        "moved in the same rounds. The floor is the memory's speed.\n"
        f"First step of a fresh process: {cold:.2f} s while kernels are compiled, {warm:.2f} s once they are stored."
    )
    if any(row.timing.disturbed for row in rows):
        console.print("Void: another process used the machine meanwhile. Close it and run again.")
