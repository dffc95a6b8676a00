"""With which torch and Python the fast way to find tensors is known to be right.

`native` relies on what torch does not promise. With the pairs of versions below all its tests pass (`make test-torch`).
With any other pair it is first compared with the plain way (`probe`), in a process of its own, since it may crash; the
answer is kept beside the kernels, so that this happens once.
"""

import hashlib
import json
import logging
import platform
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path

import torch

# torch, Python; on Linux, x86-64. docs/versions.md has what was run.
VETTED = (("2.8.0", "3.11"), ("2.13.0", "3.11"), ("2.14.1", "3.11"))
# Seconds that a check may take; four are usual.
LIMIT = 120
# What the answer is about.
_PARTS = ("driver.py", "native.py", "memory.py", "probe.py")
_PROBE = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from thalweg.optim.probe import main; main()"
ANSWER = "thalweg.optim.probe: "
# Ends that say nothing of torch: somebody, or the system for want of memory, has ended it.
_ENDED = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def pair() -> tuple[str, str]:
    """This torch and this Python, as `VETTED` has them; a Python built otherwise (without its lock) says so."""
    return torch.__version__.partition("+")[0], f"{sys.version_info[0]}.{sys.version_info[1]}{sys.abiflags}"


def vetted() -> bool:
    """Whether the fast way has passed all tests with this pair, on such a machine."""
    return sys.platform == "linux" and platform.machine() == "x86_64" and pair() in VETTED


@cache
def problem() -> str | None:
    """Why the fast way is not to be taken, in words; None if it may be. Checks it, the first time, with a sentence."""
    if vetted():
        return None
    known = _kept()
    if known is None:
        logging.getLogger("thalweg").warning(
            "torch %s with Python %s is not among the pairs that thalweg was tested with: its fast way to find tensors "
            "is checked now, in a process of its own (some seconds), and the answer kept beside the kernels",
            *pair(),
        )
        known = checked()
    return known or None


def checked() -> str:
    """Check the fast way in a process of its own, and keep the answer: what is wrong with it, '' if nothing is."""
    if not sys.executable or getattr(sys, "frozen", False):
        return "it could not be checked, since this program starts no Python"
    try:
        # Isolated, so that nothing in the current folder is taken for a module of Python's.
        folders = json.dumps([folder for folder in sys.path if isinstance(folder, str)])
        done = subprocess.run(
            [sys.executable, "-I", "-c", _PROBE, folders], capture_output=True, text=True, timeout=LIMIT
        )
    except subprocess.TimeoutExpired:
        return f"it could not be checked within {LIMIT} s"
    except OSError as error:
        return f"it could not be checked: {error}"
    answers = [line.removeprefix(ANSWER) for line in done.stdout.splitlines() if line.startswith(ANSWER)]
    if done.returncode < 0 and -done.returncode not in _ENDED:
        found = f"it crashed with {signal.Signals(-done.returncode).name}"
    elif done.returncode > 0:
        found = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    elif answers and not done.returncode:
        found = str(json.loads(answers[-1]))
    else:
        return "it could not be checked: the process that did so has ended without an answer"
    from thalweg.formula.machine import write_cache

    write_cache(_name(), found.encode())
    return found


def _kept() -> str | None:
    from thalweg.formula.machine import read_cache

    found = read_cache(_name())
    return None if found is None else found.decode()


def _name() -> str:
    """Where the answer is kept: another one for each pair, build, and text of the fast way."""
    texts = [Path(__file__).with_name(name).read_text(encoding="utf-8") for name in _PARTS]
    said = ("the fast way", torch.version.git_version, torch.__version__, sys.version, platform.machine(), *texts)
    return hashlib.sha256("\n".join(map(str, said)).encode()).hexdigest()
