"""One command, one page: rules x tensors x chains, thalweg against torch and others, into benchmarks/RESULTS.md.

python benchmarks/steps.py                        # make bench: under 10 minutes on a machine left alone
python benchmarks/steps.py --only gpt2 --quick    # a part of it, roughly; the page goes to the terminal
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import torch

import thalweg
from cells import CATALOGUE, CELLS
from command_line import line_parser
from page import Circumstances, Result, page
from sides import installed_peers
from thalweg.cpu import cpu_name
from thalweg.speed.measure import Timing

HERE = Path(__file__).resolve().parent
# A line that others disturb is measured again so often, less one.
ATTEMPTS = 4
# glibc returns large blocks to the system when they are freed, so temporaries of foreach and loop are fetched from it,
# page by page, every step. These settings let the heap keep them; nothing here needs 16 GB.
_KEEP = str(1 << 34)
_WARM = {"MALLOC_TOP_PAD_": str(1 << 28), "MALLOC_TRIM_THRESHOLD_": _KEEP, "MALLOC_MMAP_THRESHOLD_": _KEEP}
ENVIRONMENTS: Mapping[str, Mapping[str, str]] = {"default": {}, "warm": _WARM}
WORDS = {
    "default": "The process runs as it is started: what most people have. Tensors go from the smallest to the largest, "
    "since glibc keeps more memory to itself once larger blocks have been freed.",
    "warm": "The same lines in a process whose heap keeps its pages ("
    + ", ".join(f"`{name}={value}`" for name, value in _WARM.items())
    + "). torch's loop and foreach, which need temporaries, do not have to fetch them from the system each step.",
}

T = TypeVar("T")


class WorkerFailed(RuntimeError):
    """The measuring process ended before its last line."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write the page, and return the exit code."""
    chosen = _parser().parse_args(arguments)
    names = [name for name in CELLS if not chosen.only or any(part in name for part in chosen.only)]
    if not names:
        say(f"steps.py: no line's name has {' or '.join(chosen.only)} in it; there are {', '.join(CELLS)}")
        return 2
    # A part must not take the place of the whole.
    path = chosen.page or (None if chosen.only or chosen.quick else HERE / "RESULTS.md")
    if path and not path.parent.is_dir():
        say(f"steps.py: {path.parent} is no folder; make it, or name another page")
        return 2
    rounds, attempts = (3, 1) if chosen.quick else (chosen.rounds, ATTEMPTS)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # `timeout` ends it as Ctrl-C does
    began, expected = time.monotonic(), len(names) * len(ENVIRONMENTS)
    found, code = gathered(results(names, rounds, attempts, chosen.threads), expected, _line, "steps.py")
    around = Circumstances(
        cpu=cpu_name(),
        threads=chosen.threads,
        versions={"thalweg": thalweg.__version__, "torch": torch.__version__},
        peers=installed_peers(),
        date=date.today().isoformat(),
        rounds=rounds,
        minutes=(time.monotonic() - began) / 60,
        missing=expected - len(found),
    )
    text = page(found, around, WORDS)
    if path:
        path.write_text(text, encoding="utf-8")
        say(f"Page: {path}")
    else:
        print(text, end="")
    return code


def published(text: str, path: Path, part: bool) -> None:
    """Write a page; only a part of it goes to the terminal, as it must not take the place of the whole."""
    if part:
        print(text, end="")
    else:
        path.write_text(text, encoding="utf-8")
        say(f"Page: {path}")


def gathered(measuring: Iterable[T], expected: int, line: Callable[[T], str], script: str) -> tuple[list[T], int]:
    """What is measured until it ends, or is stopped, or its process fails; and the exit code. Each line is said."""
    found: list[T] = []
    try:
        for result in measuring:
            found.append(result)
            say(f"{len(found):3} of {expected}  {line(result)}")
    except KeyboardInterrupt:
        say("stopped; writing what there is")
        return found, 130
    except WorkerFailed as failure:
        say(f"{script}: {failure}; writing what there is")
        return found, 1
    return found, 0


def _parser() -> argparse.ArgumentParser:
    only = "lines with this in their name, which is like adamw/gpt2/step; may be given several times"
    parser = line_parser(__doc__, 9, only, "all sides")
    parser.add_argument("--quick", action="store_true", help="3 rounds, disturbed or not: to try, not to quote")
    parser.add_argument(
        "--page", type=Path,
        help="where to write; as a rule benchmarks/RESULTS.md, or the terminal with --only or --quick",
    )  # fmt: skip
    return parser


def results(
    names: Sequence[str], rounds: int, attempts: int, threads: int, allocators: Sequence[str] = tuple(ENVIRONMENTS)
) -> Iterator[Result]:
    """Every line, as each is done: one process for each allocator."""
    for allocator in allocators:
        for written in measured("worker.py", (*map(str, (rounds, attempts, threads)), *names), allocator):
            yield _result(allocator, written)


def measured(script: str, arguments: Sequence[str], allocator: str) -> Iterator[Mapping[str, Any]]:
    """What a process with this allocator writes, line by line, as it is done."""
    plainly = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    # In a process group of its own, so that Ctrl-C reaches this process alone, which then ends the other.
    with subprocess.Popen(
        [sys.executable, str(HERE / script), *arguments],
        env={**plainly, **ENVIRONMENTS[allocator]},
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as worker:
        try:
            assert worker.stdout is not None
            for line in worker.stdout:
                yield json.loads(line)
            ended = worker.wait()
        finally:
            worker.terminate()
    if ended:
        raise WorkerFailed(f"the process with the {allocator} allocator ended with {ended}, see above")


def _result(allocator: str, written: Mapping[str, Any]) -> Result:
    seconds = {name: tuple(times) for name, times in written["seconds"].items()}
    return Result(
        allocator, {**CELLS, **CATALOGUE}[written["cell"]], Timing(seconds, written["others"]), written["plain"]
    )


def _line(result: Result) -> str:
    """A finished line, for the person who waits."""
    timing = result.timing
    _, middle, _ = timing.ratio(result.best, "thalweg")
    ratio = f"void, others took {timing.others:.0%}" if timing.disturbed else f"{middle:.2f} times {result.best}"
    return f"{result.allocator:8}{result.cell.name:26}{timing.median('thalweg') * 1e3:8.2f} ms  {ratio}"


def say(sentence: str) -> None:
    """To the person who waits; the page may go to standard output."""
    print(sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
