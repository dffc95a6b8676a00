"""A step on a CUDA GPU: whether it is the CPU's, and how long it takes, into benchmarks/GPU.md.

python benchmarks/gpu.py                               # make bench-gpu: four minutes on a machine with a GPU
python benchmarks/gpu.py --only adamw                  # a part of it; the page goes to the terminal
python benchmarks/gpu.py --seconds 500                 # more time, for a slow machine
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import torch

from command_line import at_least
from gpu_cells import GPU_CELLS
from gpu_checks import CHECKS
from gpu_page import NOT_REACHED, Around, page
from gpu_worker import COPY, FAULT
from steps import published, say
from thalweg.cpu import cpu_name
from thalweg.doctor.facts import facts
from thalweg.formula import triton_kernel
from thalweg.optim import cuda

HERE = Path(__file__).resolve().parent
SECONDS = 210
# Of the time, checks may take so much; what a case may take that was begun in time; and how many processes check, since
# most of a check's time goes into compiling.
_CHECKING, _GRACE, _WORKERS = 0.55, 20.0, 4

Found = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Check and measure, write the page, and return the exit code: 1 if a check fails, 2 without a GPU."""
    chosen = _parser().parse_args(arguments)
    checks, cells = ([n for n in names if _asked(chosen.only, n)] for names in (CHECKS, GPU_CELLS))
    if not checks and not cells:
        say(
            f"gpu.py: no case's name has {' or '.join(chosen.only)} in it; there are {', '.join([*CHECKS, *GPU_CELLS])}"
        )
        return 2
    if why := problem():
        say(f"gpu.py: there is nothing to measure here, since {why}")
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # `timeout` ends it as Ctrl-C does
    began = time.monotonic()
    checked: list[Found] = []
    timed: list[Found] = []
    code = 0
    try:
        for found in _checked(checks, began + _CHECKING * chosen.seconds if cells else began + chosen.seconds):
            checked.append(found)
            say(f"{len(checked):3} of {len(checks)}  {found['case']}: {found.get('error', 'done')}")
        for found in run("cells", [COPY, *cells] if cells else [], began + chosen.seconds):
            timed.append(found)
            say(f"{len(timed) - 1:3} of {len(cells)}  {found['case']}: {found.get('error', 'done')}")
    except KeyboardInterrupt:
        say("stopped; writing what there is")
        code = 130
    text, wrong = page(checked, timed, around((time.monotonic() - began) / 60))
    published(text, chosen.page or HERE / "GPU.md", part=bool(chosen.only) and chosen.page is None)
    return code or int(wrong)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    only = "cases with this in their name, which is like adamw/500x64 or lamb/scaler; may be given several times"
    parser.add_argument("--only", action="append", default=[], metavar="PART", help=only)
    words = f"seconds after which no case is begun any more (default {SECONDS})"
    parser.add_argument("--seconds", type=at_least(1), default=SECONDS, help=words)
    where = "where to write; as a rule benchmarks/GPU.md, or the terminal with --only"
    parser.add_argument("--page", type=Path, help=where)
    return parser


def _asked(only: Sequence[str], name: str) -> bool:
    return not only or any(part in name for part in only)


def problem() -> str | None:
    """Why no GPU's kernels can be run here, in words; None if they can."""
    if not torch.cuda.is_available():
        return "torch finds no CUDA GPU"
    if not triton_kernel.installed():
        return "Triton is not installed, which compiles a GPU's kernels (torch's CUDA builds bring it)"
    return cuda.problem(torch.device("cuda", 0))


def around(minutes: float) -> Around:
    """What the figures depend on."""
    known = facts()
    return Around(
        card=torch.cuda.get_device_name(0), driver=_driver(), cpu=cpu_name(),
        versions={name: str(known[name]) for name in ("thalweg", "torch", "triton")}, date=date.today().isoformat(),
        minutes=minutes,
    )  # fmt: skip


def _driver() -> str:
    asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=20, check=True)
        return done.stdout.split()[0]
    except (OSError, subprocess.SubprocessError, IndexError):
        return "unknown"


def _checked(names: Sequence[str], until: float) -> Iterator[Found]:
    """The checks, several at a time; in the end in their order."""
    many = max(1, min(_WORKERS, (os.cpu_count() or 1) // 2, len(names)))
    with ThreadPoolExecutor(many) as pool:
        shares = [pool.submit(lambda own: [*run("checks", own, until)], names[k::many]) for k in range(many)]
        found = {each["case"]: each for share in shares for each in share.result()}
    yield from (found[name] for name in names)


def run(kind: str, names: Sequence[str], until: float) -> Iterator[Found]:
    """What a process finds, case by case; another one goes on behind a case that has ended it.

    ``until``  the time, on the monotonic clock, after which no case is begun.
    """
    left = [*names]
    while left and (seconds := until - time.monotonic()) > 0:
        with begun(kind, seconds, left) as worker:
            late = threading.Timer(seconds + _GRACE, worker.kill)
            late.start()
            try:
                assert worker.stdout is not None
                for line in worker.stdout:
                    if line.startswith("{"):  # whatever else a library prints
                        found: Found = json.loads(line)
                        left.remove(found["case"])
                        yield found
                ended = worker.wait()
            finally:
                late.cancel()
                worker.kill()
        if ended in (0, -signal.SIGINT):
            break
        if left and ended != FAULT:
            yield {"case": left.pop(0), "error": f"its process ended with {ended}"}
    yield from ({"case": name, "error": NOT_REACHED} for name in left)


def begun(kind: str, seconds: float, names: Sequence[str]) -> "subprocess.Popen[str]":
    """The process that checks or times."""
    script = [sys.executable, str(HERE / "gpu_worker.py"), kind, f"{seconds:.0f}", *names]
    return subprocess.Popen(script, stdout=subprocess.PIPE, text=True)


if __name__ == "__main__":
    sys.exit(main())
