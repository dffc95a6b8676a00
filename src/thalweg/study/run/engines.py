"""Who runs the trainings. The only file that knows joblib."""

import atexit
import gc
import io
import multiprocessing
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from contextlib import contextmanager, suppress
from typing import Any, Protocol, TypeVar

from joblib import cpu_count
from joblib.externals.loky import ProcessPoolExecutor, process_executor
from joblib.externals.loky.backend.resource_tracker import ensure_running

from thalweg.study.model.errors import StudyError

from . import output

T = TypeVar("T")
R = TypeVar("R")

# The longest that loky's thread is waited for, should it hang.
HANDED_OUT_S = 5.0


class WorkerDied(Exception):
    """A worker process ended without an answer, twice on the same work: a crash in native code, or no memory."""


class Engine(Protocol):
    """Runs a function on many items, on one machine or more."""

    def map(self, fn: Callable[[T], R], items: Sequence[T]) -> Generator[tuple[T, R | WorkerDied], None, None]:
        """Yield (item, result) in the order in which they end.

        A result is a `WorkerDied` when the process that computed it died twice. An exception raised by ``fn`` is
        raised and ends the map; so does closing it.
        """

    def close(self) -> None:
        """Let go of the workers."""


def checked_workers(workers: int | None) -> int | None:
    """A number of workers as it was given; `StudyError` unless it is one, or None."""
    if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 1):
        raise StudyError(f"workers must be a whole number, at least 1; got {workers!r}")
    return workers


class Serial:
    """In this process, one after the other: for debuggers. A crash in the script takes everything with it."""

    def map(self, fn: Callable[[T], R], items: Sequence[T]) -> Generator[tuple[T, R | WorkerDied], None, None]:
        """See `Engine`."""
        for item in items:
            yield item, fn(item)

    def close(self) -> None:
        """Nothing to let go of."""


class LocalProcesses:
    """Worker processes on this machine, one thread each (joblib's loky). They start when first needed.

    What is printed in them is not shown: it would run through the display of a comparison, or the output of --json.
    """

    def __init__(self, workers: int | None = None) -> None:
        self.workers = checked_workers(workers) or cpu_count()
        # A pool of its own, not joblib's shared one, so that stopping it harms nobody else.
        self._pool: ProcessPoolExecutor | None = None
        self._last: Future[Any] | None = None
        self._started: set[int] = set()

    def map(self, fn: Callable[[T], R], items: Sequence[T]) -> Generator[tuple[T, R | WorkerDied], None, None]:
        """See `Engine`. Closing the iterator before its end, or an interrupt, stops the workers at once."""
        todo = list(range(len(items)))
        finished = False
        try:
            while todo:
                # When a worker dies, all that ran are suspects: they are tried again, each alone.
                suspects = yield from self._until_a_death(fn, items, todo)
                for index in suspects:
                    yield items[index], self._alone(fn, items[index])
            finished = True
        finally:
            if not finished:
                self._stop(at_once=True)

    def close(self) -> None:
        """Let go of the workers."""
        self._stop(at_once=False)

    def _until_a_death(
        self, fn: Callable[[T], R], items: Sequence[T], todo: list[int]
    ) -> Generator[tuple[T, R | WorkerDied], None, list[int]]:
        """Work off ``todo``; the indices that were running when a worker died, if one did."""
        running: dict[Future[R], int] = {}
        while todo or running:
            # No more are handed out than run at once: then it is known what ran when a worker died.
            while todo and len(running) < self.workers:
                index = todo.pop(0)
                running[self._submit(fn, items[index])] = index
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            broken = [future for future in ended if isinstance(future.exception(), BrokenExecutor)]
            for future in ended.difference(broken):
                yield items[running.pop(future)], future.result()
            if broken:
                self._stop(at_once=True)
                return sorted(running.values())
        return []

    def _alone(self, fn: Callable[[T], R], item: T) -> R | WorkerDied:
        try:
            return self._submit(fn, item).result()
        except BrokenExecutor as problem:
            self._stop(at_once=True)
            return WorkerDied(f"its process died, twice{_how(problem)}: no memory left, or a crash in native code")

    def _submit(self, fn: Callable[[T], R], item: T) -> Future[R]:
        try:
            with _interrupts_held_back():
                if self._pool is None:
                    _quiet_tracker()
                    threads = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS")}
                    self._pool = ProcessPoolExecutor(
                        self.workers, initializer=_start_worker, initargs=(os.getpid(),), env=threads
                    )
                submitted: Future[R] = self._pool.submit(fn, item)
                self._last = submitted
                self._started.update(self._pool._processes)
            return submitted
        except BrokenExecutor as problem:  # a worker died between two items
            failed: Future[R] = Future()
            failed.set_exception(problem)
            return failed

    def _stop(self, *, at_once: bool) -> None:
        pool, last = self._pool, self._last
        self._pool = self._last = None
        if pool is None:
            return
        # loky's thread fails, loudly, if it is told to kill before it has handed out what it was given last.
        deadline = time.monotonic() + HANDED_OUT_S
        while last is not None and not (last.running() or last.done()) and time.monotonic() < deadline:
            time.sleep(0.001)
        pool.shutdown(wait=True, kill_workers=at_once)
        # Nobody else ends what a training has left running, or had when its worker died.
        for worker in self._started:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(worker, signal.SIGKILL)
        self._started.clear()


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Ctrl-C counts when this is over: raised between the pool's own lines, it may leave a lock of the pool locked.

    Workers inherit the mask, so that Ctrl-C reaches the parent alone, which stops them. But the mask holds for this
    thread only: Python raises here what another thread (one of a numerical library's) has received.
    """
    came: list[int] = []
    handler = signal.getsignal(signal.SIGINT)
    exchanged = callable(handler) and threading.current_thread() is threading.main_thread()
    if exchanged:
        signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if exchanged:
            signal.signal(signal.SIGINT, handler)
        if came:
            signal.raise_signal(signal.SIGINT)


def _how(problem: BrokenExecutor) -> str:
    """The signal that ended a worker, as far as loky tells it: " (SIGKILL)"."""
    found = re.search(r"\{(SIG\w+)", str(problem))
    return f" ({found[1]})" if found else ""


def _quiet_tracker() -> None:
    """Start loky's clean-up process, told to keep quiet: what it removes after a kill -9 is no news to the user."""
    before = os.environ.get("PYTHONWARNINGS")
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, (before, "ignore:resource_tracker")))
    try:
        ensure_running()
    finally:
        del os.environ["PYTHONWARNINGS"]
        if before is not None:
            os.environ["PYTHONWARNINGS"] = before


def _start_worker(parent: int) -> None:
    """A worker prints nothing, into whatever its parent shows; nor does it outlive its parent, even a killed one.

    With it ends what its trainings have started: it leads a session of its own, without the terminal, of which it might
    wait for input otherwise.
    """
    os.setsid()
    if os.isatty(0):
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    # loky makes its own way of starting processes the usual one here; a script's DataLoader asks for the system's.
    multiprocessing.set_start_method(None, force=True)
    # loky would end a worker that has grown by 300 MB since its first item, which data alone do, and warn of it.
    process_executor._USE_PSUTIL = False
    atexit.register(_end_worker)  # the first to be registered is the last to run
    output.keep()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os.killpg(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True, name="thalweg-parent-watch").start()


def _end_worker() -> None:
    """End without taking every module apart, which takes torch a second; what scripts have left open is written."""
    for each in gc.get_objects():
        if type(each) in (io.TextIOWrapper, io.BufferedWriter) and not each.closed:
            each.flush()
    os._exit(0)
