"""Processes of their own without what their start costs: forked from one that has loaded torch and done nothing yet.

For what is about a process: crashes, hangs, exit codes, signals, a first step, warnings as errors. What is about the
start itself (imports, a broken package, the shell's command) starts an interpreter instead.
"""

import faulthandler
import multiprocessing
import os
import runpy
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LIMIT = 120.0
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["torch._dynamo", "thalweg.optim", "thalweg.cli"])


@dataclass(frozen=True)
class Ended:
    """How a process ended; a negative number is the signal that ended it."""

    returncode: int
    stdout: str
    stderr: str


def run(work: Callable[..., Any], *arguments: Any, cwd: Path | None = None, **environment: str) -> Ended:
    """Call ``work`` in a process of its own. It may crash; `TimeoutError` if it hangs."""
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        around = (str(cwd or Path.cwd()), {**os.environ, **environment}, str(out), str(err))
        process = SERVER.Process(target=_begin, args=(*around, work, arguments))
        process.start()
        process.join(LIMIT)
        if process.exitcode is None:
            os.killpg(process.pid or 0, signal.SIGKILL)  # with any child of its own
            raise TimeoutError(f"hangs: {err.read_text()[-2000:]}")
        return Ended(process.exitcode, out.read_text(), err.read_text())


def code(text: str, **around: Any) -> str:
    """What a program prints that ends well."""
    ended = run(_execute, text, **around)
    assert ended.returncode == 0, f"ended with {ended.returncode}: {ended.stderr[-2000:]}"
    return ended.stdout.strip()


def script(path: Path, **around: Any) -> Ended:
    """``python -W error path``."""
    return run(_script, str(path), **around)


def command(*tokens: object, **around: Any) -> Ended:
    """``thalweg tokens``."""
    return run(_command, [*map(str, tokens)], **around)


def _begin(
    cwd: str, environment: Mapping[str, str], out: str, err: str, work: Callable[..., Any], arguments: Any
) -> None:
    os.setsid()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for stream, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), stream)
    faulthandler.enable(2)
    work(*arguments)
    sys.stdout.flush()


def _execute(text: str) -> None:
    exec(compile(text, "alone", "exec"), {"__name__": "__main__"})


def _script(path: str) -> None:
    sys.argv = [path]
    sys.path.insert(0, str(Path(path).parent))
    warnings.simplefilter("error")
    runpy.run_path(path, run_name="__main__")


def _command(tokens: list[str]) -> None:
    from thalweg.cli import main

    sys.exit(main(tokens))
