"""Optimizer steps that take microseconds, where the overhead counts, into benchmarks/SMALL.md.

python benchmarks/small_steps.py                         # a few minutes on a machine left alone
python benchmarks/small_steps.py --only policy --quick   # a part of it, roughly; the page goes to the terminal
"""

import argparse
import gc
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import torch

import thalweg
from command_line import at_least
from page import markdown, times
from small_cells import CLIP_NORM, SMALL_CELLS, THALWEG, TORCH, SmallCell, small_sides
from steps import ATTEMPTS, gathered, say
from thalweg.cpu import cpu_name
from thalweg.speed.measure import DISTURBED, Timing
from worker import undisturbed

PAGE = Path(__file__).resolve().parent / "SMALL.md"
_HEADINGS = ["tensors", "rule", "thalweg, us", "torch fused, us", "times faster", "quartiles", "limit"]
_HOW = f"""## How to read it

Each line is one call, in microseconds, on one thread: the median of the rounds. **times faster**: how many times longer
torch takes, the median of the rounds' ratios, and their quartiles; below 1, torch is faster. **limit**: what the
project asks of the line, whether it is met, and with which figure. Microseconds are thalweg's own median; *times
faster* and *of torch's time* are medians of the rounds' ratios. In each round both sides run in random order, as
blocks of at least 20 ms. A line that others disturb by more than {DISTURBED:.0%} of the machine is measured again, and
void in the end.

Before every call, outside of the clock, all gradients are new tensors, as after `zero_grad()` and a backward pass. Both
sides start alike and take the same steps, or the run stops.

- **6 x 1**: six parameters of one weight: nothing but overhead.
- **policy**: the twelve tensors of stable-baselines3's MlpPolicy on CartPole.
- **1 of 500 moved**: 500 tensors of 64 weights. Before every step one of them, drawn anew, has its weight in another
  place (`p.data = p.data.clone()`), its first state replaced (`state[p]["exp_avg"]`), or its gradient laid out column
  after column, the weights being 8 x 8. torch's fused kernel reads such a gradient in the order of memory and so takes
  a wrong step, without a word: its time is that of less work, and thalweg's step is checked against torch's foreach.
- **500 groups**: 500 tensors of 64 weights, each a group of its own, whose rates a `LambdaLR` lowers by 1% after every
  step, from the start again every 1,000. The step, and below it `scheduler.step()`, which is torch's own code on both
  sides; what differs is how much of the cache the step before it has filled.
- **500 x 64**: the same tensors in one group, for reference.

*clip* is by norm, at {CLIP_NORM}: thalweg's `clip_norm`, and `torch.nn.utils.clip_grad_norm_` before torch's step."""


@dataclass(frozen=True)
class Result:
    """A line, timed."""

    cell: SmallCell
    timing: Timing

    @property
    def row(self) -> list[str]:
        """Its line of the table."""
        low, middle, high = self.timing.ratio(TORCH, THALWEG)
        ratio = ("void", "") if self.timing.disturbed else (times(middle), f"{times(low)} to {times(high)}")
        return [self.cell.title, self.what, self.microseconds(THALWEG), self.microseconds(TORCH), *ratio, self.verdict]

    def microseconds(self, side: str) -> str:
        """A side's median, with three digits or all before the point."""
        found = self.timing.median(side) * 1e6
        return f"{found:.3g}" if found < 100 else f"{found:,.0f}"

    @property
    def what(self) -> str:
        """The rule, and what of it is timed."""
        if self.cell.timed == "scheduler":
            return "scheduler.step()"
        return self.cell.rule + (", clip" if self.cell.clip else "")

    @property
    def verdict(self) -> str:
        """The limit, and whether it is met."""
        return self.cell.limit.verdict(self.timing) if self.cell.limit else "none, for reference"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write the page, and return the exit code."""
    chosen = _parser().parse_args(arguments)
    names = [name for name in SMALL_CELLS if not chosen.only or any(part in name for part in chosen.only)]
    if not names:
        say(f"small_steps.py: no line's name has {' or '.join(chosen.only)} in it; there are {', '.join(SMALL_CELLS)}")
        return 2
    # A part must not take the place of the whole.
    path = chosen.page or (None if chosen.only or chosen.quick else PAGE)
    if path and not path.parent.is_dir():
        say(f"small_steps.py: {path.parent} is no folder; make it, or name another page")
        return 2
    rounds, attempts = (3, 1) if chosen.quick else (chosen.rounds, ATTEMPTS)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # `timeout` ends it as Ctrl-C does
    began = time.monotonic()
    found, code = gathered(_measured(names, rounds, attempts), len(names), _line, "small_steps.py")
    text = page(found, rounds, (time.monotonic() - began) / 60, missing=len(names) - len(found))
    if path:
        path.write_text(text, encoding="utf-8")
        say(f"Page: {path}")
    else:
        print(text, end="")
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--only", action="extend", nargs="+", default=[], metavar="NAME",
        help="lines with one of these in their name, which is like policy/adam+clip",
    )  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="3 rounds, disturbed or not: to try, not to quote")
    parser.add_argument("--rounds", type=at_least(2), default=21, help="rounds for each line, 2 or more (default 21)")
    parser.add_argument(
        "--page", type=Path,
        help="where to write; as a rule benchmarks/SMALL.md, or the terminal with --only or --quick",
    )  # fmt: skip
    return parser


def _measured(names: Sequence[str], rounds: int, attempts: int) -> Iterator[Result]:
    """Every line, as each is done, on one thread."""
    torch.set_num_threads(1)
    for name in names:
        yield _result(SMALL_CELLS[name], rounds, attempts)
        gc.collect()  # the cell's tensors, before the next one's are made


def _result(cell: SmallCell, rounds: int, attempts: int) -> Result:
    sides = small_sides(cell)
    calls = {name: side.call for name, side in sides.items()}
    before = {name: side.refill for name, side in sides.items()}
    return Result(cell, undisturbed(cell.name, calls, rounds, attempts, before=before))


def _line(result: Result) -> str:
    """A finished line, for the person who waits."""
    _, _, ours, torchs, ratio, _, verdict = result.row
    others = f"void, others took {result.timing.others:.0%}" if result.timing.disturbed else f"{ratio} times faster"
    return f"{result.cell.name:20}{ours:>7} us, torch {torchs:>7} us  {others}; limit: {verdict}"


def page(found: Sequence[Result], rounds: int, minutes: float, missing: int) -> str:
    """The whole page."""
    parts = [
        "# Small steps of the optimizer, on this machine",
        f"{cpu_name()}, 1 thread, thalweg {thalweg.__version__}, torch {torch.__version__}. "
        f"{date.today().isoformat()}, {rounds} rounds a line, {minutes:.0f} minutes in all. Made by "
        "`python benchmarks/small_steps.py`.",
        _summary(found),
        markdown(_HEADINGS, [result.row for result in found]),
    ]
    if missing:
        parts.append(f"**Stopped early**: {missing} lines were not measured.")
    return "\n\n".join([*parts, _HOW]) + "\n"


def _summary(found: Sequence[Result]) -> str:
    limited = [(result.cell.limit, result.timing) for result in found if result.cell.limit]
    valid = [(limit, timing) for limit, timing in limited if not timing.disturbed]
    met = sum(limit.met(timing) for limit, timing in valid)
    return (
        f"Of {len(limited)} lines that have a limit, {met} meet it and {len(valid) - met} miss it; "
        f"{len(limited) - len(valid)} are void."
    )


if __name__ == "__main__":
    sys.exit(main())
