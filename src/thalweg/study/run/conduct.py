"""One controlled training: one thread, every generator seeded, and what comes of it."""

import random
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch

from thalweg.study.ask.loading import as_if_run, own_modules, where
from thalweg.study.ask.local_modules import modules_anew
from thalweg.study.model.cells import Status
from thalweg.study.model.errors import StudyError

from .reported import Diverged
from .trial import Trial
from .trials import Shared, Trials


@dataclass(frozen=True)
class Ending:
    """How a training ended; see `thalweg.study.model.cells.Run`."""

    status: Status
    message: str
    seconds: float
    traceback: str = ""


def conduct(
    trial: Trial, train: Callable[[Trial], object], path: Path | None = None, arguments: Sequence[str] = ()
) -> Ending:
    """Train once, on one thread and with every generator seeded. What the training raises is its ending.

    ``path`` is the script's, for the line in the message; ``arguments`` are what it finds in ``sys.argv``.
    """
    (ending,) = _conduct([trial], lambda: train(trial), path, arguments, trial.seed("everything else"))
    return ending


def conduct_stack(
    trials: Sequence[Trial],
    train: Callable[[Trials], object],
    path: Path | None = None,
    arguments: Sequence[str] = (),
) -> list[Ending]:
    """As `conduct`, many trainings at once. What is raised is the ending of all that have not diverged before.

    The seconds of each are its share.
    """
    stack = Trials(trials)

    def run() -> None:
        try:
            train(stack)
        finally:
            stack.finish()

    # What is drawn before there are models is the same for all stacks, whoever is in them.
    return _conduct(trials, run, path, arguments, seed=0)


def _conduct(
    trials: Sequence[Trial], run: Callable[[], object], path: Path | None, arguments: Sequence[str], seed: int
) -> list[Ending]:
    message = trace = ""
    ended = shared = False
    started = perf_counter()
    with _one_thread(), _as_a_process_of_its_own(path, arguments) if path else nullcontext():
        _seed_everything(seed)
        try:
            run()
            ended = True
        except Diverged:
            pass
        except StudyError as problem:
            message, shared = str(problem), isinstance(problem, Shared)
            trace = _trace(problem.__cause__) if problem.__cause__ else ""
        except (Exception, SystemExit) as problem:
            message = where(problem, path)
            trace = _trace(problem)
        finally:
            _leave_group()
    seconds = (perf_counter() - started) / len(trials)
    if shared:  # what a training has come to is not its own
        return [Ending("failed", message, seconds)] * len(trials)
    return [_ending(trial, trial.complaint() if ended else message, seconds, trace) for trial in trials]


def _ending(trial: Trial, message: str, seconds: float, trace: str) -> Ending:
    """``message``  of one that failed."""
    if trial.diverged:  # also when the script caught the exception
        return Ending("diverged", trial.diverged, seconds)
    return Ending("failed" if message else "done", message, seconds, trace)


def _leave_group() -> None:
    """A training that ended early leaves no process group to the next one in this process."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


@contextmanager
def _as_a_process_of_its_own(script: Path, arguments: Sequence[str]) -> Iterator[None]:
    """What a script finds, and what it leaves, as if this process were there for this training alone."""
    before = [*_reused_pools()]
    with as_if_run(script, arguments), modules_anew(own_modules(script)):
        try:
            yield
        finally:
            for pool in _reused_pools():
                if pool not in before:
                    pool.shutdown(wait=True, kill_workers=True)


def _reused_pools() -> Iterator[Any]:
    """The worker processes that joblib keeps for its next call, with the modules that they have imported."""
    for name in ("joblib.externals.loky", "loky"):
        pool = getattr(sys.modules.get(f"{name}.reusable_executor"), "_executor", None)
        if pool is not None:
            yield pool


def _trace(problem: BaseException) -> str:
    """The traceback from the script on, as Python prints it."""
    told = traceback.TracebackException.from_exception(problem)
    own = str(Path(__file__))
    while len(told.stack) > 1 and told.stack[0].filename.startswith(str(Path(own).parents[2])):
        del told.stack[0]
    return "".join(told.format()).rstrip()


def _seed_everything(seed: int) -> None:
    """So that a script that forgets a generator is still the same whatever ran before it in this worker."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums split over threads depend on their number: one thread gives the same bits on any machine load."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
