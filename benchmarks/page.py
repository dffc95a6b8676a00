"""The page: what was measured, as Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cells import CHAINS, Cell
from thalweg.optim import OPTIMIZERS
from thalweg.speed.measure import DISTURBED, Timing

FORMS = ("loop", "foreach", "fused", "fused, grad_scale")
PEERS = ("optimi", "optimi foreach", "pytorch_optimizer")


@dataclass(frozen=True)
class Result:
    """A cell, timed under one allocator. ``plain`` is what each plain pass in it moves, in bytes, by name."""

    allocator: str
    cell: Cell
    timing: Timing
    plain: Mapping[str, int]

    @property
    def best(self) -> str:
        """The fastest of torch's forms."""
        return min((f"torch {form}" for form in FORMS if self.has(f"torch {form}")), key=self.timing.median)

    @property
    def floor(self) -> float | None:
        """Seconds that the step's bytes take at the best bandwidth of any round; None where that says nothing."""
        if not self.cell.floor_bytes:
            return None
        moved = {**self.plain, "thalweg": self.cell.floor_bytes}
        return self.cell.floor_bytes / max(moved[name] / min(self.timing.seconds[name]) for name in moved)

    def has(self, side: str) -> bool:
        """Whether the cell has this side."""
        return side in self.timing.seconds


@dataclass(frozen=True)
class Circumstances:
    """What the figures depend on. ``peers``: versions of the other libraries; ``missing``: cells not measured."""

    cpu: str
    threads: int
    versions: Mapping[str, str]
    peers: Mapping[str, str]
    date: str
    rounds: int
    minutes: float
    missing: int


def page(results: Sequence[Result], around: Circumstances, allocators: Mapping[str, str]) -> str:
    """The whole page. ``allocators``: what to say of each that was asked for, by name."""
    parts = [_head(results, around), _HOW.format(tenth=f"{DISTURBED:.0%}")]
    for allocator, words in allocators.items():
        mine = [r for r in results if r.allocator == allocator]
        if mine:
            parts += [f"## {allocator.capitalize()} allocator", words]
            parts += [table for chain in CHAINS if (table := _chain_table(chain, mine))]
            parts += [_peer_table(mine)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(results: Sequence[Result], around: Circumstances) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in around.versions.items())
    peers = ", ".join(f"{name} {number}" for name, number in around.peers.items()) or "not installed"
    lines = [
        "# One step of the optimizer, on this machine",
        f"{around.cpu}, {around.threads} threads, {versions}. {around.date}, {around.rounds} rounds a line, "
        f"{around.minutes:.0f} minutes in all. Other libraries: {peers}. Made by `make bench`.",
        _summary(results),
    ]
    if around.missing:
        lines.append(f"**Stopped early**: {around.missing} lines were not measured.")
    return "\n\n".join(lines)


def _summary(results: Sequence[Result]) -> str:
    """How often thalweg was faster, in words: the quartiles decide, so that a level pair is not called a win."""
    valid = [r for r in results if not r.timing.disturbed]
    bounds = [r.timing.ratio(r.best, "thalweg") for r in valid]
    faster, slower = sum(low > 1 for low, _, _ in bounds), sum(high < 1 for _, _, high in bounds)
    level = len(valid) - faster - slower
    return (
        f"Of {len(results)} lines, thalweg is faster than the best of torch in {faster}, slower in {slower}, level in "
        f"{level} (1 lies between the quartiles); {len(results) - len(valid)} are void."
    )


_HOW = """## How to read it

Each line is one call, in milliseconds. **loop**, **foreach** and **fused** are what `torch.optim` offers for the rule;
a blank is a form that torch does not have. torch has no Lion: under foreach stands eager code that does it in one
foreach operation after another. Momentum is torch's SGD with dampening = momentum.

- **times faster**: how many times longer the best of torch takes (named beside it: the form with the lowest median),
  the median of the rounds' ratios. Below 1, torch is faster. **quartiles**: the middle half of the rounds lies between.
- **floor**: the time that the least possible traffic takes, every operand read and written once, at the best
  bandwidth of any round of the same line: of three plain passes (`sum(w)`, `w *= 1`, `w += a * b`) over 300 MB, and of
  thalweg's own. Only for tensors that no cache holds. **of the floor**: the share of it that thalweg's median reaches.
- **void**: other processes took more than {tenth} of the machine, in every attempt (four, unless it was a quick run).

All sides run in one process on copies of the same weights. Before they are timed all take two steps, and the run stops
if their weights differ by more than rounding. A round runs every side once, in random order, as a block of at least
20 ms; a block begins with one untimed call, since the side before it has filled the cache with its own tensors.

Before every call, outside the clock, the gradients are written anew, the first layers' last, as by a backward pass. So
all sides meet the same gradients, although clip, unscale and clear change them, and no average fades into denormal
numbers, which are slow. They are new tensors, as after `zero_grad()`; in the longest chain, which clears them, the same
ones.

The chains:

- **step**: the optimizer alone.
- **clip + step**: `clip_grad_norm_(params, 1.0)` before it; thalweg's `clip_norm=1.0`.
- **unscale + clip + step + EMA + clear**: on torch's side what GradScaler's `unscale_` does
  (`torch._amp_foreach_non_finite_check_and_unscale_`), `clip_grad_norm_`, the optimizer unless a gradient was not
  finite, `torch._foreach_lerp_` for the average of the weights, `torch._foreach_zero_` for `zero_grad`. **fused,
  grad_scale** leaves the unscaling to torch's fused kernel, clips at 1.0 times the scale and takes the finiteness from
  the norm: the shortest chain torch allows. thalweg's is one call: `clip_norm=1.0, ema=0.999, clear=True,
  nonfinite="skip"` and `optimizer.grad_scale`.

AdamW is timed on all tensors in all chains; each of these rules on 500 tensors of 1,000 and on one of 25M; a few more
lines are what people train those models with, or known to be hard for thalweg. Every rule of the catalogue on 25M:
[CATALOGUE.md](CATALOGUE.md)."""


def _chain_table(chain: str, results: Sequence[Result]) -> str:
    mine = [r for r in results if r.cell.chain == chain]
    forms = [form for form in FORMS if any(r.has(f"torch {form}") for r in mine)]
    headings = ["rule", "tensors", "thalweg", *forms, "best of torch", "times faster", "quartiles", "floor"]
    rows = [
        [
            *_named(r),
            *(milliseconds(r, side) for side in ("thalweg", *(f"torch {form}" for form in forms))),
            r.best.removeprefix("torch "),
            *ratio_words(r, r.best),
            *_floor(r),
        ]
        for r in mine
    ]
    return f"### {CHAINS[chain].title}\n\n{markdown([*headings, 'of the floor'], rows)}" if mine else ""


def _peer_table(results: Sequence[Result]) -> str:
    """The other libraries, one line for each of their sides."""
    rows = [
        [*_named(r), peer, milliseconds(r, "thalweg"), milliseconds(r, peer), *ratio_words(r, peer)]
        for r in results
        for peer in PEERS
        if r.has(peer)
    ]
    words = (
        "optimi is `torch-optimi`: on a CPU it loops unless asked for foreach. pytorch_optimizer's AdamW is torch's "
        "own class, so only its Lion stands here."
    )
    headings = ["rule", "tensors", "library", "thalweg", "library's", "times faster", "quartiles"]
    return f"### Other libraries, step\n\n{words}\n\n{markdown(headings, rows)}" if rows else ""


def _named(result: Result) -> tuple[str, str]:
    return OPTIMIZERS[result.cell.rule].__name__, result.cell.model.title


def milliseconds(result: Result, side: str) -> str:
    """A side's median, with three digits; nothing where there is no such side."""
    return f"{result.timing.median(side) * 1e3:.3g}" if result.has(side) else ""


def ratio_words(result: Result, side: str) -> tuple[str, str]:
    """How many times longer a side takes than thalweg, and the quartiles."""
    if result.timing.disturbed:
        return "void", ""
    low, middle, high = result.timing.ratio(side, "thalweg")
    return times(middle), f"{times(low)} to {times(high)}"


def times(ratio: float) -> str:
    """Three digits; two after the point where it may be close to 1."""
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.3g}"


def _floor(result: Result) -> tuple[str, str]:
    floor = result.floor
    if floor is None or result.timing.disturbed:
        return "", ""
    return f"{floor * 1e3:.3g}", f"{floor / result.timing.median('thalweg'):.0%}"


def markdown(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table, numbers to the right."""
    text = {"rule", "tensors", "best of torch", "library", "best", "wrapped", "limit", "beside"}
    rule = ["---" if heading in text else "---:" for heading in headings]
    return "\n".join("| " + " | ".join(row) + " |" for row in (headings, rule, *rows))
