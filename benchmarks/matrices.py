"""Rules of rows, columns and matrices on GPT-2-like shapes, each beside its peer, into benchmarks/MATRICES.md.

python benchmarks/matrices.py                # make bench does it too; a few minutes
python benchmarks/matrices.py --only muon
"""

import gc
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

import thalweg
from command_line import line_parser
from page import markdown, times
from sides import Parameters, new_gradients
from steps import ATTEMPTS, gathered, published, say
from thalweg.cpu import cpu_name
from thalweg.optim.products import element_type
from thalweg.speed.cases import gpt2_like, parameters, weights
from thalweg.speed.measure import DISTURBED, Call, Timing
from worker import undisturbed

PAGE = Path(__file__).resolve().parent / "MATRICES.md"
_HEADINGS = ["rule", "beside", "ms", "beside, ms", "times faster", "quartiles", "products", "their floor, ms", "of it"]
# The square whose product is the yardstick.
_SQUARE = 1024
_HOW = (
    f"GPT-2 of width 320, {weights(gpt2_like()) / 1e6:.0f} million float32 weights in {len(gpt2_like())} tensors; "
    "milliseconds a step of all of them. Matrices of layers go to the matrix rule, embeddings, norms and biases "
    "to AdamW beside it: in one optimizer of thalweg's, and in two of the peer's. **beside** takes its steps in "
    "the same rounds, on weights and gradients of its own that are equal. **times faster**: how many times longer "
    "it takes, the median of the rounds' ratios, and their quartiles. **products**: the arithmetic of a step's "
    "matrix products, in billions of operations, and the element type that both sides compute them in; **their "
    f"floor**: what they take at the rate of one product of {_SQUARE} x {_SQUARE} matrices, measured in the same "
    "rounds; **of it**: the floor over the whole step, AdamW and all. In each round all run in random order; "
    "before every call, outside the clock, the gradients are new tensors. A line that others disturb by more than "
    f"{DISTURBED:.0%} of the machine is measured again, and void in the end."
)


@dataclass(frozen=True)
class Line:
    """What is timed: ``name`` is what `--only` selects by; of each side, a step of optimizers over parameters."""

    name: str
    title: str
    beside: str
    ours: Callable[[Parameters], Sequence[Any]]
    theirs: Callable[[Parameters], Sequence[Any]]


def _apart(params: Parameters) -> tuple[Parameters, Parameters]:
    """The matrices of layers, and all else: the two embeddings come first."""
    matrices = [p for p in params[2:] if p.ndim == 2]
    return matrices, [*params[:2], *(p for p in params[2:] if p.ndim < 2)]


def _one(rule: type[Any], params: Parameters, **options: Any) -> Sequence[Any]:
    matrices, others = _apart(params)
    return [rule([{"params": matrices}, {"params": others, "rule": thalweg.AdamW(lr=3e-4)}], **options)]


def _torchs_muon(params: Parameters) -> Sequence[Any]:
    matrices, others = _apart(params)
    return [torch.optim.Muon(matrices), torch.optim.AdamW(others, lr=3e-4, fused=True)]


def _transformers(params: Parameters) -> Sequence[Any]:
    from transformers.optimization import Adafactor

    make: Any = Adafactor  # it is not typed
    return [make(params)]


_ALL = (
    Line("muon", "Muon", "torch.optim.Muon + fused AdamW", partial(_one, thalweg.Muon), _torchs_muon),
    Line(
        "muon-as-torch", "Muon, like='torch'", "torch.optim.Muon + fused AdamW",
        partial(_one, thalweg.Muon, like="torch"), _torchs_muon,
    ),
    Line(
        "adafactor", "Adafactor", "torch.optim.Adafactor",
        lambda params: [thalweg.Adafactor(params)], lambda params: [torch.optim.Adafactor(params)],
    ),
    Line(
        "adafactor-foreach", "Adafactor", "torch.optim.Adafactor, foreach",
        lambda params: [thalweg.Adafactor(params)], lambda params: [torch.optim.Adafactor(params, foreach=True)],
    ),
    Line(
        "adafactor-as-transformers", "Adafactor, like='transformers'", "transformers.Adafactor",
        lambda params: [thalweg.Adafactor(params, like="transformers")], _transformers,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Result:
    """A line, timed. ``operations``: of the products of a step of thalweg's, computed in ``kind``."""

    line: Line
    timing: Timing
    operations: int
    kind: str

    @property
    def row(self) -> list[str]:
        """Its line of the table."""
        low, middle, high = self.timing.ratio("theirs", "ours")
        ratio = ("void", "") if self.timing.disturbed else (times(middle), f"{times(low)} to {times(high)}")
        ms = [f"{self.timing.median(side) * 1e3:.3g}" for side in ("ours", "theirs")]
        if not self.operations:
            return [self.line.title, self.line.beside, *ms, *ratio, "", "", ""]
        rate = 2 * _SQUARE**3 / statistics.median(self.timing.seconds["rate"])
        floor = self.operations / rate
        share = floor / self.timing.median("ours")
        products = f"{self.operations / 1e9:.0f}, {self.kind}"
        return [self.line.title, self.line.beside, *ms, *ratio, products, f"{floor * 1e3:.3g}", f"{share:.0%}"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write the page, and return the exit code."""
    chosen = line_parser(__doc__, 15).parse_args(arguments)
    lines = [line for line in _ALL if not chosen.only or any(part in line.name for part in chosen.only)]
    if not lines:
        names = ", ".join(line.name for line in _ALL)
        say(f"matrices.py: no line's name has {' or '.join(chosen.only)} in it; there are {names}")
        return 2
    torch.set_num_threads(chosen.threads)
    measuring = _measured(lines, chosen.rounds)
    found, code = gathered(measuring, len(lines), lambda result: " ".join(result.row), "matrices.py")
    text = page(found, chosen.threads, chosen.rounds, missing=len(lines) - len(found))
    published(text, PAGE, part=bool(chosen.only))
    return code


def _measured(lines: Sequence[Line], rounds: int) -> Iterator[Result]:
    for line in lines:
        yield timed(line, rounds, ATTEMPTS)
        gc.collect()  # the line's tensors, before the next one's are made


def timed(line: Line, rounds: int, attempts: int) -> Result:
    """A line, taken again while others use the machine, ``attempts`` times at most."""
    calls: dict[str, Call] = {}
    before: dict[str, Call] = {}
    for side, make in (("ours", line.ours), ("theirs", line.theirs)):
        torch.manual_seed(0)
        params = parameters(gpt2_like())
        sources = [torch.randn_like(p) for p in reversed(params)]
        made = make(params)
        calls[side], before[side] = partial(_step, made), partial(new_gradients, params, sources)
    operations, kind = _products(calls["ours"], before["ours"], line)
    if operations:
        square = torch.randn(_SQUARE, _SQUARE).to(getattr(torch, kind))
        calls["rate"] = partial(torch.mm, square, square, out=torch.empty_like(square))
    return Result(line, undisturbed(line.name, calls, rounds, attempts, before), operations, kind)


def _step(made: Sequence[Any]) -> None:
    for optimizer in made:
        optimizer.step()


def _products(call: Call, before: Call, line: Line) -> tuple[int, str]:
    """The operations of a step's products, and what they are computed in."""
    before()
    call()
    before()
    found = 0

    def counted(multiply: Any, places: tuple[int, int], *given: Any, **options: Any) -> Any:
        nonlocal found
        p, q = (given[place] for place in places)
        found += 2 * p.shape[0] * p.shape[1] * p.shape[2] * q.shape[2]
        return multiply(*given, **options)

    # A step leaves torch's modes, its counter of operations among them.
    with (
        patch.object(torch, "bmm", partial(counted, torch.bmm, (0, 1))),
        patch.object(torch, "baddbmm", partial(counted, torch.baddbmm, (1, 2))),
    ):
        call()
    if not found:
        return 0, ""
    (p,) = parameters([(4, 4)])
    (group,) = line.ours([*parameters([(1,), (1,)]), p])[0].param_groups[:1]
    return found, str(element_type(p, group["products"])).removeprefix("torch.")


def page(found: Sequence[Result], threads: int, rounds: int, missing: int) -> str:
    """The whole page."""
    parts = [
        "# Rows, columns and matrices, on this machine",
        f"{cpu_name()}, {threads} threads, thalweg {thalweg.__version__}, torch {torch.__version__}. "
        f"{date.today().isoformat()}, {rounds} rounds a line, default allocator. Made by "
        "`python benchmarks/matrices.py`.",
        _HOW,
        markdown(_HEADINGS, [result.row for result in found]),
    ]
    if missing:
        parts.append(f"**Stopped early**: {missing} lines were not measured.")
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.exit(main())
