"""Every rule of the catalogue on one tensor of 25M, against the best at hand, into benchmarks/CATALOGUE.md.

python benchmarks/catalogue.py                  # make bench does it after the tables; a few minutes
python benchmarks/catalogue.py --only radam
"""

import statistics
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import torch

import thalweg
from cells import CATALOGUE
from command_line import line_parser
from page import Result, markdown, milliseconds, ratio_words
from sides import installed_peers
from steps import ATTEMPTS, gathered, published, results, say
from thalweg.cpu import cpu_name
from thalweg.optim import Optimizer
from thalweg.speed.cases import least_bytes, traffic

PAGE = Path(__file__).resolve().parent / "CATALOGUE.md"
FORMS = ("torch loop", "torch foreach", "torch fused", "pytorch_optimizer")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write the page, and return the exit code."""
    chosen = line_parser(__doc__, 7, only="rules with this in their name", sides="all sides").parse_args(arguments)
    names = [name for name in CATALOGUE if not chosen.only or any(part in name for part in chosen.only)]
    if not names:
        say(f"catalogue.py: no rule has {' or '.join(chosen.only)} in its name; there are {', '.join(CATALOGUE)}")
        return 2
    measuring = results(names, chosen.rounds, ATTEMPTS, chosen.threads, allocators=("default",))
    found, code = gathered(measuring, len(names), lambda result: " ".join(_row(result)), "catalogue.py")
    text = page(found, chosen.threads, chosen.rounds, missing=len(names) - len(found))
    published(text, PAGE, part=bool(chosen.only))
    return code


def page(found: Sequence[Result], threads: int, rounds: int, missing: int) -> str:
    """The whole page."""
    peers = ", ".join(f"{name} {number}" for name, number in installed_peers().items()) or "no other library"
    rules = [r for r in found if "+" not in r.cell.rule]
    wrapped = [r for r in found if "+" in r.cell.rule]
    lines = [
        "# Every rule, one tensor of 25 million float32 weights",
        f"{cpu_name()}, {threads} threads, thalweg {thalweg.__version__}, torch {torch.__version__}, {peers}. "
        f"{date.today().isoformat()}, {rounds} rounds a line, default allocator. Made by "
        "`python benchmarks/catalogue.py`; how it is measured: [RESULTS.md](RESULTS.md).",
        _WORDS,
        markdown(
            ["rule", "thalweg", *FORMS, "best", "times faster", "quartiles", "bytes", "of the floor"],
            [_row(r) for r in rules],
        ),
    ]
    if wrapped:
        lines += [_WRAPPED, markdown(_WRAPPER_HEADINGS, [_wrapper_row(r) for r in wrapped])]
    lines.append("Bandwidth of the plain passes, the median over all lines: " + _bandwidths(found) + ".")
    if missing:
        lines.append(f"**Stopped early**: {missing} lines were not measured.")
    return "\n\n".join(lines) + "\n"


_WORDS = (
    "Milliseconds a step. A blank: there is no such form. torch has no Lion: under foreach stands eager code. "
    "**best** is the fastest of the others, **times faster** how many times longer it takes: the median of the rounds' "
    "ratios, and their quartiles. **bytes** a weight are the least that thalweg's passes move; **of the floor**: at "
    "the best bandwidth of any plain pass in the same rounds. All sides take the same steps, or the run stops. Rules "
    "without another form: no library at hand has the same formula (docs/sources.md says what proves them)."
)
_WRAPPED = (
    "Wrappers around AdamW. **bytes** and **reads**: what the wrapped step moves, and what it reads, in relation to "
    "AdamW's; **time**: what it takes in relation to AdamW's. A pass that only adds up has no writes to overlap its "
    "reads with: compare the bandwidth of `sum(w)` with that of `w *= 1` below."
)
_WRAPPER_HEADINGS = ["wrapped", "thalweg", "AdamW", "bytes", "reads", "time", "quartiles"]


def _row(result: Result) -> list[str]:
    others = [form for form in FORMS if result.has(form)]
    best = min(others, key=result.timing.median, default="")
    words = ratio_words(result, best) if best else ("", "")
    floor = f"{result.floor / result.timing.median('thalweg'):.0%}" if result.floor else ""
    moved = str(least_bytes(result.cell.made.rule))
    return [
        result.cell.made.__name__, milliseconds(result, "thalweg"), *(milliseconds(result, form) for form in FORMS),
        best.removeprefix("torch "), *words, moved, "" if result.timing.disturbed else floor,
    ]  # fmt: skip


def _bandwidths(found: Sequence[Result]) -> str:
    names = found[0].plain if found else {}
    speeds = {
        name: statistics.median(r.plain[name] / r.timing.median(name) / 1e9 for r in found if name in r.plain)
        for name in names
    }
    return ", ".join(f"`{name}` {speed:.0f} GB/s" for name, speed in speeds.items())


def _wrapper_row(result: Result) -> list[str]:
    plain: type[Optimizer] = thalweg.AdamW
    more = least_bytes(result.cell.made.rule) / least_bytes(plain.rule)
    reads = traffic(result.cell.made.rule)[0] / traffic(plain.rule)[0]
    seconds = result.timing.seconds
    ratios = [a / b for a, b in zip(seconds["thalweg"], seconds["thalweg, not wrapped"], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return [
        result.cell.rule, milliseconds(result, "thalweg"), milliseconds(result, "thalweg, not wrapped"),
        f"{more:.2f}", f"{reads:.2f}", "void" if result.timing.disturbed else f"{middle:.2f}",
        f"{low:.2f} to {high:.2f}",
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
