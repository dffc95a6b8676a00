"""Threads: torch's own OpenMP team, forked and spawned children, several Python threads; the same bits everywhere."""

import ctypes
import hashlib
import multiprocessing
import os
import pickle
import select
import signal
import threading
import time
from collections.abc import Iterator

import pytest
import torch

import thalweg
from thalweg.formula import team
from thalweg.formula.team import SERIAL_BELOW

LARGE = 3 * SERIAL_BELOW


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def trained(seed: int, steps: int = 3, **options: object) -> torch.Tensor:
    """A large weight after a few clipped AdamW steps: a summing pass and an update each."""
    seeded = torch.Generator().manual_seed(seed)
    weight = torch.nn.Parameter(torch.randn(LARGE, generator=seeded))
    small = torch.nn.Parameter(torch.randn(17, generator=seeded))
    optimizer = thalweg.AdamW([weight, small], lr=1e-2, clip_norm=1.0, **options)
    for _ in range(steps):
        for p in (weight, small):
            p.grad = torch.randn(p.shape, generator=seeded)
        optimizer.step()
    return torch.cat([weight.detach(), small.detach()])


def entered(threads: int) -> list[int]:
    """Which operating system threads enter a function that the team runs."""
    found: list[int] = []
    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda task: found.append(threading.get_native_id()))
    address = ctypes.cast(function, ctypes.c_void_p).value
    assert address is not None
    team.run(function, address, 0, threads)
    return found


def test_the_team_is_torchs() -> None:
    """The library torch loaded is found, and as many threads enter a kernel as were asked for."""
    if team._gomp_parallel() is None:
        pytest.skip("this torch has no OpenMP library that is known here")
    assert entered(1) == [threading.get_native_id()]
    three = entered(3)
    assert len(three) == len(set(three)) == 3
    assert set(entered(3)) == set(three)  # a team, not new threads each time


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
def test_same_bits_for_any_number_of_threads(threads: int) -> None:
    torch.set_num_threads(1)
    expected = trained(1)
    torch.set_num_threads(threads)
    assert torch.equal(trained(1), expected)


def in_forked_child(optimizer: torch.optim.Optimizer, weight: torch.Tensor, seconds: float = 30.0) -> bytes:
    """What a forked child makes of the weight in a step; empty if it crashed or did not finish in time.

    The child does nothing else with large tensors: torch's own operations on them may hang there.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        status = 1
        try:
            optimizer.step()
            os.write(writing, hashlib.sha256(weight.detach().numpy().tobytes()).digest())
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    received, until = b"", time.monotonic() + seconds
    while select.select([reading], [], [], max(0.0, until - time.monotonic()))[0]:
        part = os.read(reading, 4096)
        if not part:
            break
        received += part
    os.close(reading)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return received


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_forked_child_does_not_hang() -> None:
    weight = torch.nn.Parameter(torch.linspace(-1, 1, LARGE))
    optimizer = thalweg.AdamW([weight], lr=1e-2, clip_norm=1.0)
    weight.grad = torch.linspace(3, -5, LARGE)
    optimizer.step()  # the parent's team exists now
    before = weight.detach().clone()
    received = in_forked_child(optimizer, weight)
    assert received, "the child hung or crashed"
    assert torch.equal(weight.detach(), before)
    optimizer.step()  # the parent goes on, and gets the same
    assert received == hashlib.sha256(weight.detach().numpy().tobytes()).digest()
    assert not torch.equal(weight.detach(), before)


def child(queue: "multiprocessing.Queue[bytes]", pickled: bytes) -> None:
    weight, optimizer = pickle.loads(pickled)
    weight.grad = torch.ones_like(weight)
    optimizer.step()
    queue.put(pickle.dumps(weight.detach()))


def test_spawned_process_continues() -> None:
    weight = torch.nn.Parameter(torch.arange(LARGE, dtype=torch.float32) / LARGE)
    optimizer = thalweg.AdamW([weight], lr=0.1)
    weight.grad = torch.ones_like(weight)
    optimizer.step()
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=child, args=(queue, pickle.dumps((weight, optimizer))))
    process.start()
    theirs = pickle.loads(queue.get(timeout=60))
    process.join(timeout=60)
    assert process.exitcode == 0
    optimizer.step()
    assert torch.equal(weight.detach(), theirs)


def test_two_python_threads() -> None:
    """Two optimizers step at once, several times over, each with kernels of its own and the team's threads."""
    expected = [trained(seed, amsgrad=seed == 4) for seed in (3, 4)]
    for _ in range(5):
        found: dict[int, torch.Tensor] = {}
        failures: list[BaseException] = []
        together = threading.Barrier(2)

        def work(
            seed: int,
            found: dict[int, torch.Tensor] = found,
            failures: list[BaseException] = failures,
            together: threading.Barrier = together,
        ) -> None:
            try:
                together.wait(timeout=30)
                found[seed] = trained(seed, amsgrad=seed == 4)
            except BaseException as error:
                failures.append(error)

        workers = [threading.Thread(target=work, args=(seed,)) for seed in (3, 4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(timeout=60)
        assert not failures
        assert [torch.equal(found[seed], e) for seed, e in zip((3, 4), expected, strict=True)] == [True, True]


def test_first_use_by_two_threads_at_once() -> None:
    """Both may find a kernel that nobody has compiled yet."""
    failures: list[BaseException] = []
    found: list[torch.Tensor] = []
    together = threading.Barrier(4)

    def work() -> None:
        try:
            weight = torch.nn.Parameter(torch.ones(LARGE, dtype=torch.float64))
            optimizer = thalweg.RMSprop([weight], lr=0.1, momentum=0.3, centered=True, clip_value=0.7, clip_norm=3.0)
            weight.grad = torch.ones_like(weight)
            together.wait(timeout=30)
            optimizer.step()
            found.append(weight.detach())
        except BaseException as error:
            failures.append(error)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)
    assert not failures
    assert len(found) == 4
    assert all(torch.equal(x, found[0]) for x in found)
