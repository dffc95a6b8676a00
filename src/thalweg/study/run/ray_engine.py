"""Trainings on a Ray cluster, on as many machines as it has. `thalweg.study.run.ray_driver` is what talks to Ray."""

import os
import pickle
import select
import socket
import subprocess
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, TypeVar, cast

from thalweg.study.ask.spec import COMPUTING, installed
from thalweg.study.model.cells import CPU
from thalweg.study.model.errors import StudyError

from .devices import kind_here
from .engines import WorkerDied, checked_workers
from .ray_driver import GPU, Request

T = TypeVar("T")
R = TypeVar("R")

DRIVER = Path(__file__).with_name("ray_driver.py")
# Ray itself would try for two minutes, then end the process.
ANSWERING = 5.0  # seconds, until the address takes a connection
CONNECTING = 100.0  # seconds, until Ray is connected, or has started here: a busy machine takes half of it
ENDING = 15.0  # seconds, for an orderly end


class RayCluster:
    """Worker processes of a Ray cluster, one CPU and one thread each. It is connected to when first needed.

    ``address``  ``host:port`` of the cluster's head, ``auto``, or ``ray://host:port``. None is Ray's own rule:
                 ``RAY_ADDRESS``, or a cluster that runs on this machine, or one is started here and ended by `close`.
    ``workers``  the most to run at once; as many as the cluster has CPUs at the time, unless given.
    ``num_gpus``   graphics cards that Ray gives each training: 1, or a part, 0.5, where several share one. The training
                   sees no other, and `trial.device` is ``cuda:0``.
    ``resources``  of the cluster's own naming that each takes, ``{"licence": 1}``.

    Nodes may come and go: what ran on a node that is lost runs again on another. It is given up, as `WorkerDied`,
    after the fifth time, since it may be what brings them down; and after the second death of its process, as in
    `LocalProcesses`. What is printed in workers is left to Ray's log files.

    Every node needs the same thalweg and torch as this process, and must find scripts and rules under the same path:
    put them in a folder that all nodes share. A node that differs refuses the work, and the map ends with a
    `StudyError` that names it. Raises `StudyError` too when Ray is not installed.
    """

    run_timeout: float | None = None  # Ray does not say when a training begins, and so not how long it has taken

    def __init__(
        self,
        address: str | None = None,
        workers: int | None = None,
        *,
        num_gpus: float = 0.0,
        resources: Mapping[str, float] | None = None,
    ) -> None:
        if find_spec("ray") is None:
            raise StudyError("running on a Ray cluster needs the package ray: pip install 'thalweg[ray]'")
        self.workers = checked_workers(workers)
        self._needs = _checked_needs({**(resources or {}), **({GPU: num_gpus} if num_gpus != 0 else {})})
        self.address = address
        self._driver: _Driver | None = None

    def device_kind(self) -> str:
        """See `thalweg.study.run.engines.Engine`. Where graphics cards are asked for, a node that has one is."""
        if GPU not in self._needs:
            return CPU
        for _, kind in self.map(kind_here, [None]):
            if not isinstance(kind, WorkerDied) and kind:
                return kind
        raise StudyError("torch sees no CUDA device in a Ray worker that was given one: install torch for CUDA there")

    def map(self, fn: Callable[[T], R], items: Sequence[T]) -> Generator[tuple[T, R | WorkerDied], None, None]:
        """See `thalweg.study.run.engines.Engine`. One map at a time; ``fn`` is a function at the top of a module.

        Closing the iterator before its end, or an interrupt, stops the workers at once. Raises `StudyError` when
        nothing answers at the address, the cluster is lost, or a node cannot do the work.
        """
        if not items:
            return
        packed = [pickle.dumps((fn, item)) for item in items]
        versions = {name: installed(name) for name in COMPUTING}
        finished = False
        try:
            if self._driver is None:
                address = self.address or os.environ.get("RAY_ADDRESS", "")
                _refuse_unless_it_answers(address)
                self._driver = _Driver(address)
                self._driver.connect()
            self._driver.send((packed, versions, sys.path, self.workers, self._needs))
            for _ in items:
                kind, index, content = self._driver.receive()
                if kind == "raised":
                    raise content
                if kind == "refused":
                    raise StudyError(content)
                yield items[index], WorkerDied(content) if kind == "died" else content
            finished = True
        finally:
            if not finished:
                self.close()

    def close(self) -> None:
        """Let go of the workers, and end Ray if it was started here."""
        driver, self._driver = self._driver, None
        if driver is not None:
            driver.end()


class _Driver:
    """The other process, and the pipes to and from it."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._process = subprocess.Popen(
            # -P: the folder of a script is on its path otherwise, and ours has modules named as Python's own.
            [sys.executable, "-P", str(DRIVER), address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # Ray's processes here, if it starts any, find what this one finds, and report to nobody.
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "RAY_USAGE_STATS_ENABLED": "0"},
            # Ctrl-C reaches this process alone, which stops the other.
            start_new_session=True,
        )
        self._input = cast(IO[bytes], self._process.stdin)
        self._output = cast(IO[bytes], self._process.stdout)

    def connect(self) -> None:
        """Wait until it is connected to Ray."""
        ready, _, _ = select.select([self._output], [], [], CONNECTING)
        if not ready:
            place = f"no Ray cluster answers at {self._address}" if self._address else "Ray did not start here"
            raise StudyError(f"{place}: waited {CONNECTING:.0f} seconds. {_ADVICE}")
        kind, _, problem = self.receive()
        if kind == "refused":
            place = f"connecting to the Ray cluster at {self._address}" if self._address else "starting Ray here"
            raise StudyError(f"{place} failed: {problem}")

    def send(self, request: Request) -> None:
        """Hand over the work of one map."""
        try:
            pickle.dump(request, self._input)
            self._input.flush()
        except BrokenPipeError:
            raise StudyError(_LOST) from None

    def receive(self) -> tuple[str, int, Any]:
        """The next answer."""
        try:
            kind, index, content = pickle.load(self._output)
        except (EOFError, pickle.UnpicklingError):
            raise StudyError(_LOST) from None
        return kind, index, pickle.loads(content)

    def end(self) -> None:
        """End it, and with it whatever runs for it."""
        with suppress(BrokenPipeError):
            self._input.close()  # which tells it
        try:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(ENDING)
        finally:
            self._process.kill()
            self._process.wait()
            self._output.close()


def _checked_needs(needs: Mapping[str, float]) -> Mapping[str, float]:
    """What each training asks for, by name; `StudyError` unless these are numbers that Ray takes."""
    for name, amount in needs.items():
        if isinstance(amount, bool) or not isinstance(amount, int | float) or not amount > 0:
            raise StudyError(f"of {name} each training takes a number above 0; got {amount!r}")
        if amount > 1 and amount != int(amount):
            raise StudyError(f"of {name} each training takes a part of one, or a whole number; got {amount!r}")
        if name == "CPU":
            raise StudyError("each training takes one CPU: leave CPU out of resources")
    return needs


_ADVICE = "Give the address that `ray start --head` prints, host:6379 unless told otherwise"
_LOST = (
    "the connection to the Ray cluster was lost: its head, or the node on this machine, has ended. What has finished "
    "is kept: once the cluster runs again, the same command goes on where it stopped"
)


def _refuse_unless_it_answers(address: str) -> None:
    """Raise `StudyError` unless something takes a connection at host:port."""
    place = address.rpartition("://")[2].partition("/")[0]
    host, _, port = place.rpartition(":")
    if address in ("", "auto", "local"):
        return
    if not host or not port.isdigit():
        raise StudyError(f"the address of a Ray cluster is host:port, auto, or ray://host:port; got {address!r}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWERING).close()
    except (OSError, OverflowError) as problem:
        reason = getattr(problem, "strerror", None) or str(problem)
        raise StudyError(f"nothing answers at {address} ({reason}). {_ADVICE}") from None
