"""Who runs the trainings. The only file that knows joblib."""

import atexit
import gc
import io
import multiprocessing
import multiprocessing.resource_tracker
import os
import re
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from contextlib import contextmanager, suppress
from math import inf
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from joblib import cpu_count
from joblib.externals.loky import ProcessPoolExecutor, process_executor
from joblib.externals.loky.backend.resource_tracker import ensure_running

from thalweg.study.model.cells import CPU, Status
from thalweg.study.model.errors import StudyError

from . import output
from .devices import Device, bound_to, checked_per_device, kind_here

T = TypeVar("T")
R = TypeVar("R")

# The longest that loky's thread is waited for, should it hang.
HANDED_OUT_S = 5.0
# The memory that a worker keeps for itself once a training has freed it.
KEPT_BYTES = 256 * 2**20
# How often a worker that starts is looked at.
STARTING_S = 0.2


class WorkerDied(Exception):
    """A worker process ended without an answer, twice on the same work: a crash in native code, or no memory.

    ``status``   of a run that ends so; ``seconds`` that it took, where that is known.
    """

    status: ClassVar[Status] = "died"
    seconds = 0.0


class RunTimeout(WorkerDied):
    """Work that took longer than it may, so that its worker process was ended."""

    status: ClassVar[Status] = "stopped"

    def __init__(self, minutes: float) -> None:
        super().__init__(f"it was stopped after {minutes_text(minutes)}, the most that one run may take")
        self.seconds = 60.0 * minutes


class Engine(Protocol):
    """Runs a function on many items, on one machine or more."""

    @property
    def run_timeout(self) -> float | None:
        """The minutes that one item may take; None: as many as it needs."""

    def device_kind(self) -> str:
        """The kind of device that results belong to, as in `thalweg.study.model.cells.Cell`."""

    def map(self, fn: Callable[[T], R], items: Sequence[T]) -> Generator[tuple[T, R | WorkerDied], None, None]:
        """Yield (item, result) in the order in which they end.

        A result is a `WorkerDied` when the process that computed it died twice, a `RunTimeout` when it took too long.
        An exception raised by ``fn`` is raised and ends the map; so does closing it.
        """

    def close(self) -> None:
        """Let go of the workers."""


def checked_workers(workers: int | None) -> int | None:
    """A number of workers as it was given; `StudyError` unless it is one, or None."""
    if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 1):
        raise StudyError(f"workers must be a whole number, at least 1; got {workers!r}")
    return workers


def checked_timeout(minutes: float | None) -> float | None:
    """The minutes of one run as they were given; `StudyError` unless they are a number above 0, or None."""
    number = isinstance(minutes, int | float) and not isinstance(minutes, bool) and 0 < minutes < inf
    if minutes is not None and not number:
        raise StudyError(f"run_timeout is a number of minutes above 0, or left out; got {minutes!r}")
    return minutes


def minutes_text(minutes: float) -> str:
    """2 minutes, 1 minute, 0.5 minutes."""
    return f"{minutes:.3g} minute{'s' * (minutes != 1)}"


class Serial:
    """In this process, one after the other: for debuggers. A crash in the script takes everything with it.

    ``cuda``  whether results belong to the first CUDA device that this process sees.
    """

    workers = 1
    run_timeout: float | None = None  # nothing in this process could end a run that hangs in native code

    def __init__(self, *, cuda: bool = False) -> None:
        self.cuda = cuda

    def device_kind(self) -> str:
        """See `Engine`. Raises `StudyError` where CUDA is asked for, and there is none."""
        if not self.cuda:
            return CPU
        if kind := kind_here():
            return kind
        raise StudyError("there is no CUDA device that torch sees in this process")

    def map(self, fn: Callable[[T], R], items: Sequence[T]) -> Generator[tuple[T, R | WorkerDied], None, None]:
        """See `Engine`."""
        for item in items:
            yield item, fn(item)

    def close(self) -> None:
        """Nothing to let go of."""


class LocalProcesses:
    """Worker processes on this machine, one thread each (joblib's loky). They start when first needed.

    ``workers``      how many; as many as there are CPUs unless given.
    ``devices``      instead: ``("cuda:0", "cuda:1")``, or sets of CPUs, ``("cpu:0-3", "cpu:4-7")``. Each worker is
                     bound to one of them for its life. It sees no other CUDA device: its own is ``cuda:0`` there.
    ``per_device``   how many workers each device has.
    ``run_timeout``  the minutes that one item may take. Then its worker is ended, and the others go on.

    What is printed in them is not shown: it would run through the display of a comparison, or the output of --json.
    Raises `StudyError` for devices that are not here, or not of one kind.
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        devices: str | Sequence[str] | None = None,
        per_device: int = 1,
        run_timeout: float | None = None,
    ) -> None:
        self.run_timeout = checked_timeout(run_timeout)
        self._workers = [
            _Worker(device, timed=run_timeout is not None) for device in _bound(workers, devices, per_device)
        ]

    @property
    def workers(self) -> int:
        """How many run at once."""
        return len(self._workers)

    def device_kind(self) -> str:
        """See `Engine`."""
        return self._workers[0].device.kind

    def map(self, fn: Callable[[T], R], items: Sequence[T]) -> Generator[tuple[T, R | WorkerDied], None, None]:
        """See `Engine`. Closing the iterator before its end, or an interrupt, stops the workers at once."""
        waiting, died = deque(range(len(items))), deque[int]()
        idle = deque(self._workers)
        running: list[_Job[R]] = []
        finished = False
        try:
            while waiting or died or running:
                while idle and (following := _following(waiting, died, running)):
                    index, again = following
                    running.append(_Job(idle.popleft(), fn, items[index], index, again))
                for job in self._over(running):
                    running.remove(job)
                    idle.append(job.worker)
                    result = job.result()
                    if isinstance(result, WorkerDied) and not (job.again or isinstance(result, RunTimeout)):
                        died.append(job.index)
                    else:
                        yield items[job.index], result
            finished = True
        finally:
            if not finished:
                self._stop(at_once=True)

    def close(self) -> None:
        """Let go of the workers."""
        self._stop(at_once=False)

    def _over(self, running: "Sequence[_Job[R]]") -> "list[_Job[R]]":
        """Wait until work has ended, or has taken too long: which."""
        futures = [job.future for job in running]
        if self.run_timeout is None:
            wait(futures, return_when=FIRST_COMPLETED)
        else:
            wait(futures, min(job.left(60.0 * self.run_timeout) for job in running), return_when=FIRST_COMPLETED)
            for job in running:
                if not job.future.done() and job.left(60.0 * self.run_timeout) <= 0:
                    job.overdue = RunTimeout(self.run_timeout)
        return [job for job in running if job.overdue or job.future.done()]

    def _stop(self, *, at_once: bool) -> None:
        for worker in self._workers:
            worker.stop(at_once=at_once)


def _bound(workers: int | None, devices: str | Sequence[str] | None, per_device: int) -> list[Device]:
    """The device of each worker."""
    each = checked_per_device(per_device)
    if devices is None:
        if each > 1:
            raise StudyError("per_device counts the trainings on each device: give devices too, or workers instead")
        return [Device()] * (checked_workers(workers) or cpu_count())
    if workers is not None:
        raise StudyError("there are as many workers as devices times per_device: leave workers out")
    # The devices take turns, so that few trainings are spread over all of them.
    return list(bound_to(devices)) * each


def _following(waiting: deque[int], died: deque[int], running: "Sequence[_Job[R]]") -> tuple[int, bool] | None:
    """What to hand out next, and whether it is for the second time: then alone, with all of the machine's memory."""
    if died:
        return None if running else (died.popleft(), True)
    return (waiting.popleft(), False) if waiting and not any(job.again for job in running) else None


class _Worker:
    """One process, which is started anew when it has died. A pool of its own, so that its end harms no other."""

    def __init__(self, device: Device, *, timed: bool) -> None:
        self.device = device
        self._timed = timed
        self._pool: ProcessPoolExecutor | None = None
        self._last: Future[Any] | None = None
        self._leaders: set[int] = set()  # the processes there were, each of a group with what it has started
        self.ready: Future[None] | None = None  # over when it has started, of one whose work is timed

    def submit(self, fn: Callable[[T], R], item: T) -> Future[R]:
        """Hand over work, when it has none."""
        try:
            with _interrupts_held_back():
                if self._pool is None:
                    self._pool = self._started()
                submitted: Future[R] = self._pool.submit(fn, item)
                self._last = submitted
                self._leaders.update(self._pool._processes)
            return submitted
        except BrokenExecutor as problem:  # it died between two items
            failed: Future[R] = Future()
            failed.set_exception(problem)
            return failed

    def stop(self, *, at_once: bool) -> None:
        """End the process."""
        pool, last = self._pool, self._last
        self._pool = self._last = self.ready = None
        if pool is None:
            return
        # loky's thread fails, loudly, if it is told to kill before it has handed out what it was given last.
        deadline = time.monotonic() + HANDED_OUT_S
        while last is not None and not (last.running() or last.done()) and time.monotonic() < deadline:
            time.sleep(0.001)
        pool.shutdown(wait=True, kill_workers=at_once)
        # Nobody else ends what a training has left running, or had when its worker died.
        for worker in self._leaders:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(worker, signal.SIGKILL)
        self._leaders.clear()

    def _started(self) -> ProcessPoolExecutor:
        _quiet_tracker()
        threads = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS")}
        # Memory that a step frees is the next one's: given back to the system, it would be cleared page by page again.
        kept = {f"MALLOC_{which}_THRESHOLD_": str(KEPT_BYTES) for which in ("TRIM", "MMAP")}
        pool = ProcessPoolExecutor(
            1,
            initializer=_start_worker,
            initargs=(os.getpid(), self.device.cpus),
            env={**threads, **kept, **self.device.environment},
        )
        if self._timed:
            self.ready = pool.submit(_get_ready)
        return pool


class _Job(Generic[R]):
    """An item that a worker has. ``again``: for the second time; ``overdue``: that it took too long."""

    def __init__(self, worker: _Worker, fn: Callable[[T], R], item: T, index: int, again: bool) -> None:
        self.worker, self.index, self.again = worker, index, again
        self.future = worker.submit(fn, item)
        self.overdue: RunTimeout | None = None
        self._began: float | None = None

    def left(self, seconds: float) -> float:
        """How many of so many seconds are left; a moment to wait while its worker starts, which does not count."""
        now = time.monotonic()
        if self._began is None:
            if self.worker.ready is not None and not self.worker.ready.done():
                return STARTING_S
            self._began = now
        return self._began + seconds - now

    def result(self) -> R | WorkerDied:
        """What came of it. A worker that died, or has to, is ended."""
        if not self.overdue:
            try:
                return self.future.result()
            except BrokenExecutor as problem:
                said = f"its process died, twice{_how(problem)}: no memory left, or a crash in native code"
        self.worker.stop(at_once=True)
        return self.overdue or WorkerDied(said)


def _get_ready() -> None:
    """What a training needs before it begins, and should not be charged for: torch takes seconds to load."""
    import torch  # noqa: F401


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
        multiprocessing.resource_tracker.ensure_running()  # Python's own, which scripts' processes use
    finally:
        del os.environ["PYTHONWARNINGS"]
        if before is not None:
            os.environ["PYTHONWARNINGS"] = before


def _start_worker(parent: int, cpus: Sequence[int]) -> None:
    """A worker prints nothing, into whatever its parent shows; nor does it outlive its parent, even a killed one.

    With it ends what its trainings have started: it leads a session of its own, without the terminal, of which it might
    wait for input otherwise. ``cpus``: the only ones that it runs on, if any are named; so does what it starts.
    """
    os.setsid()
    if os.isatty(0):
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if cpus:
        os.sched_setaffinity(0, cpus)
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
