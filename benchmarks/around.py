"""What goes around a rule, and rules that are new, each beside AdamW or LAMB, into benchmarks/AROUND.md.

python benchmarks/around.py                  # make bench does it too; a few minutes
python benchmarks/around.py --only hyperball
"""

import gc
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial, reduce
from pathlib import Path
from typing import Any

import torch

import thalweg
from command_line import line_parser
from page import markdown, times
from shapes import MODELS
from sides import Parameters, Side, new_gradients
from steps import ATTEMPTS, gathered, published, say
from thalweg.cpu import cpu_name
from thalweg.optim import OPTIMIZERS, Optimizer, wrap
from thalweg.speed.cases import Shapes, parameters
from thalweg.speed.measure import DISTURBED, Timing
from thalweg.wrappers import WRAPPERS
from worker import undisturbed

PAGE = Path(__file__).resolve().parent / "AROUND.md"
_HEADINGS = ["rule", "beside", "ms", "beside, ms", "bytes", "beside, bytes", "bytes, ratio", "time, ratio", "quartiles"]
_HOW = (
    "One tensor of 25 million float32 weights; milliseconds a step. **beside** is a rule of thalweg's in the same "
    "rounds, on weights and gradients of its own that are equal. **bytes** a weight are what `explain()` says that "
    "the step's passes move. **ratio**: of the rule to the one beside it; of time the median of the rounds' ratios, "
    "and their quartiles. Where time grows no more than bytes, what is added costs its traffic and nothing else. In "
    "each round both run in random order; before every call, outside the clock, the gradients are new tensors. A line "
    f"that others disturb by more than {DISTURBED:.0%} of the machine is measured again, and void in the end."
)


@dataclass(frozen=True)
class Around:
    """A line: ``rule``, with wrappers as in ``adam+hyperball`` and what ``options`` gives, ``beside`` a rule as it is.

    ``name`` is what `--only` selects by, ``title`` what the page says.
    """

    name: str
    title: str
    rule: str
    beside: str
    options: Callable[[], Mapping[str, Any]] = dict

    def made(self, params: Parameters) -> Optimizer:
        """The optimizer of the line, over parameters."""
        rule, *around = self.rule.split("+")
        return reduce(wrap, (WRAPPERS[name] for name in around), OPTIMIZERS[rule])(params, **self.options())


def _cautious() -> Mapping[str, Any]:
    return {"decay": "cautious"}


def _one_average() -> Mapping[str, Any]:
    return {"readouts": {"average": thalweg.averaged(horizon=1000)}}


_ALL = (
    Around("cautious-decay", "AdamW, decay='cautious'", "adamw", "adamw", _cautious),
    Around("readout", "AdamW, one average to read out", "adamw", "adamw", _one_average),
    Around("hyperball", "Adam under Hyperball", "adam+hyperball", "lamb"),
    Around("laprop", "LaProp", "laprop", "adamw"),
    Around("grams", "Grams", "grams", "adamw"),
)
AROUND = {line.name: line for line in _ALL}


@dataclass(frozen=True)
class Result:
    """A line, timed; ``bytes`` a weight of the rule and of the one beside it."""

    line: Around
    timing: Timing
    bytes: tuple[int, int]

    @property
    def row(self) -> list[str]:
        """Its line of the table."""
        low, middle, high = self.timing.ratio("rule", "beside")
        ratio = ("void", "") if self.timing.disturbed else (times(middle), f"{times(low)} to {times(high)}")
        ms = (f"{self.timing.median(side) * 1e3:.3g}" for side in ("rule", "beside"))
        moved, least = self.bytes
        beside = OPTIMIZERS[self.line.beside].__name__
        return [self.line.title, beside, *ms, str(moved), str(least), times(moved / least), *ratio]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write the page, and return the exit code."""
    chosen = line_parser(__doc__, 15).parse_args(arguments)
    lines = [line for line in _ALL if not chosen.only or any(part in line.name for part in chosen.only)]
    if not lines:
        say(f"around.py: no line's name has {' or '.join(chosen.only)} in it; there are {', '.join(AROUND)}")
        return 2
    torch.set_num_threads(chosen.threads)
    measuring = _measured(lines, chosen.rounds)
    found, code = gathered(measuring, len(lines), lambda result: " ".join(result.row), "around.py")
    text = page(found, chosen.threads, chosen.rounds, missing=len(lines) - len(found))
    published(text, PAGE, part=bool(chosen.only))
    return code


def _measured(lines: Sequence[Around], rounds: int) -> Iterator[Result]:
    for line in lines:
        yield timed(line, MODELS["25m"].shapes, rounds, ATTEMPTS)
        gc.collect()  # the line's tensors, before the next one's are made


def timed(line: Around, shapes: Shapes, rounds: int, attempts: int) -> Result:
    """A line on tensors of these shapes, taken again while others use the machine, ``attempts`` times at most."""
    (rule, moved), (beside, least) = (side_of(line.made, shapes), side_of(OPTIMIZERS[line.beside], shapes))
    found = {"rule": rule, "beside": beside}
    calls = {name: side.call for name, side in found.items()}
    before = {name: side.refill for name, side in found.items()}
    return Result(line, undisturbed(line.name, calls, rounds, attempts, before), (moved, least))


def side_of(make: Any, shapes: Shapes) -> tuple[Side, int]:
    """A side, and the bytes a weight that its steps move; all sides start alike and meet the same gradients."""
    torch.manual_seed(0)
    params = parameters(shapes)
    sources = [torch.randn_like(p) for p in reversed(params)]
    optimizer: Optimizer = make(params)
    return Side(params, partial(new_gradients, params, sources), optimizer.step), moved_by(optimizer)


def moved_by(optimizer: Optimizer) -> int:
    """Bytes a weight that a step moves, as `Optimizer.explain` says of parameters that are served alike."""
    (found,) = re.findall(r"(\d+)\s+bytes\s+a\s+weight", optimizer.explain())
    return int(found)


def page(found: Sequence[Result], threads: int, rounds: int, missing: int) -> str:
    """The whole page."""
    parts = [
        "# What goes around a rule, and rules beside AdamW, on this machine",
        f"{cpu_name()}, {threads} threads, thalweg {thalweg.__version__}, torch {torch.__version__}. "
        f"{date.today().isoformat()}, {rounds} rounds a line, default allocator. Made by "
        "`python benchmarks/around.py`.",
        _HOW,
        markdown(_HEADINGS, [result.row for result in found]),
    ]
    if missing:
        parts.append(f"**Stopped early**: {missing} lines were not measured.")
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.exit(main())
