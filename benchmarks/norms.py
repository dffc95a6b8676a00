"""Normalisation layers against torch.nn's, into benchmarks/NORMS.md.

python benchmarks/norms.py                    # make bench does it too; a few minutes on a machine left alone
python benchmarks/norms.py --only RMSNorm
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import torch

import thalweg
from command_line import line_parser
from norm_cells import CELLS, NormCell
from page import markdown
from steps import ATTEMPTS, ENVIRONMENTS, WORDS, gathered, measured, say
from thalweg.cpu import cpu_name
from thalweg.speed.measure import DISTURBED, Timing

PAGE = Path(__file__).resolve().parent / "NORMS.md"
_HEADINGS = ["layer", "x", "layout", "thalweg", "torch", "times faster", "quartiles", "floor", "of the floor"]
_HOW = (
    "Milliseconds. **times faster**: how many times longer torch takes, the median of the rounds' ratios, and their "
    "quartiles; in each round both sides run in random order. **floor**: the least bytes that must move, at the best "
    "bandwidth of any plain pass in the same rounds, all in memory that has been used before; where x stays in the "
    "cache it says nothing. *forward + backward* computes the gradients of x and of the parameters. Both sides give "
    f"the same numbers, or the run stops. A line that others disturb by more than {DISTURBED:.0%} of the machine is "
    "measured again, and void in the end. Below a size, thalweg calls torch's own function (docs/norms.md)."
)


@dataclass(frozen=True)
class Result:
    """A cell, timed under one allocator."""

    allocator: str
    cell: NormCell
    timing: Timing
    plain: Mapping[str, int]

    @property
    def row(self) -> list[str]:
        """Its line of the table."""
        low, middle, high = self.timing.ratio("torch", "thalweg")
        ratio = ("void", "") if self.timing.disturbed else (f"{middle:.2f}", f"{low:.2f} to {high:.2f}")
        floor = self._floor
        ours = self.timing.median("thalweg")
        return [
            self.cell.layer, "x".join(map(str, self.cell.shape)), self.cell.layout,
            f"{ours * 1e3:.3g}", f"{self.timing.median('torch') * 1e3:.3g}", *ratio,
            f"{floor * 1e3:.3g}" if floor else "", f"{floor / ours:.0%}" if floor else "",
        ]  # fmt: skip

    @property
    def _floor(self) -> float | None:
        if not self.cell.floor_bytes:
            return None
        best = max(moved / min(self.timing.seconds[name]) for name, moved in self.plain.items())
        return self.cell.floor_bytes / best


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write the page, and return the exit code."""
    chosen = line_parser(__doc__, 9).parse_args(arguments)
    names = [name for name in CELLS if not chosen.only or any(part in name for part in chosen.only)]
    if not names:
        say(f"norms.py: no line's name has {' or '.join(chosen.only)} in it; there are {', '.join(CELLS)}")
        return 2
    expected = len(names) * len(ENVIRONMENTS)
    settings = (*map(str, (chosen.rounds, ATTEMPTS, chosen.threads)), *names)
    measuring = (
        _result(allocator, written)
        for allocator in ENVIRONMENTS
        for written in measured("norm_worker.py", settings, allocator)
    )
    found, code = gathered(measuring, expected, lambda r: f"{r.cell.name:60} {' '.join(r.row[3:])}", "norms.py")
    text = page(found, chosen.threads, chosen.rounds, expected - len(found))
    if chosen.only:
        print(text, end="")
    else:
        PAGE.write_text(text, encoding="utf-8")
        say(f"Page: {PAGE}")
    return code


def page(found: Sequence[Result], threads: int, rounds: int, missing: int) -> str:
    """The whole page."""
    parts = [
        "# Normalisation layers, on this machine",
        f"{cpu_name()}, {threads} threads, thalweg {thalweg.__version__}, torch {torch.__version__}. "
        f"{date.today().isoformat()}, {rounds} rounds a line. Made by `python benchmarks/norms.py`.",
        _HOW,
    ]
    for allocator in ENVIRONMENTS:
        mine = [result for result in found if result.allocator == allocator]
        if mine:
            parts += [f"## {allocator.capitalize()} allocator", _allocator_words(allocator)]
            for way in dict.fromkeys(result.cell.way for result in mine):
                rows = [result.row for result in sorted(mine, key=_order) if result.cell.way == way]
                parts += [f"### {way}", markdown(_HEADINGS, rows)]
    if missing:
        parts.append(f"**Stopped early**: {missing} lines were not measured.")
    return "\n\n".join(parts) + "\n"


def _order(result: Result) -> tuple[bool, str, int]:
    return result.cell.residual, result.cell.layer, torch.Size(result.cell.shape).numel()


def _allocator_words(allocator: str) -> str:
    return WORDS[allocator].partition(" torch's loop")[0] if allocator == "warm" else WORDS[allocator]


def _result(allocator: str, written: Mapping[str, Any]) -> Result:
    seconds = {name: tuple(times) for name, times in written["seconds"].items()}
    return Result(allocator, CELLS[written["cell"]], Timing(seconds, written["others"]), written["plain"])


if __name__ == "__main__":
    sys.exit(main())
