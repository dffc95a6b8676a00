import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from joblib.externals.loky import ProcessPoolExecutor

from thalweg.study import StudyError
from thalweg.study.run.engines import LocalProcesses, Serial, WorkerDied


def double(x):
    return 2 * x


def fail(x):
    raise StudyError(f"no {x}")


def die(item):
    """Kills its process: always for "always", the first time for a path, which then names a process it had started."""
    if item == "always":
        os.kill(os.getpid(), signal.SIGKILL)
    if isinstance(item, str) and item.startswith("/") and not Path(item).exists():
        Path(item).write_text(str(subprocess.Popen(["sleep", "300"]).pid))
        os.kill(os.getpid(), signal.SIGKILL)
    return item


@pytest.fixture(scope="module")
def engine():
    """One for all, since its processes take seconds to start: after whatever has ended them it starts new ones."""
    made = LocalProcesses(2)
    yield made
    made.close()


def test_every_item_comes_back_once_with_its_result(engine):
    for each in (engine, Serial()):
        assert sorted(each.map(double, range(7))) == [(x, 2 * x) for x in range(7)]
        assert list(each.map(double, [])) == []


def test_an_exception_of_the_function_is_raised(engine):
    with pytest.raises(StudyError, match=r"no [12]"):
        list(engine.map(fail, [1, 2]))
    assert list(engine.map(double, [3])) == [(3, 6)]


def test_a_worker_that_dies_is_retried_once_and_the_rest_goes_on(engine, tmp_path):
    once = str(tmp_path / "once")
    found = dict(engine.map(die, [1, "always", 2, once, 3, 4]))
    assert isinstance(found.pop("always"), WorkerDied)
    assert found == {1: 1, 2: 2, once: once, 3: 3, 4: 4}
    assert not alive(int(Path(once).read_text()))


GROWN = []


def grow(_):
    """Longer than loky looks away, by more than it lets a worker grow."""
    GROWN.append(b"x" * 350_000_000)
    time.sleep(1.1)
    return os.getpid()


@pytest.mark.slow
def test_a_worker_that_holds_data_goes_on():
    """It is not started anew, for seconds each time, and nobody is warned of it: warnings are errors here."""
    with closing(LocalProcesses(1)) as engine:
        assert len({pid for _, pid in engine.map(grow, [0, 1, 2])}) == 1


def leave_open(path):
    global left_open
    left_open = path.open("w")
    left_open.write("all of it")


def test_what_a_script_left_open_is_written(tmp_path):
    engine = LocalProcesses(1)
    list(engine.map(leave_open, [tmp_path / "log"]))
    engine.close()
    assert (tmp_path / "log").read_text() == "all of it"


class Interrupted(list):
    """Its last item cannot be had: what Ctrl-C does right after work was handed out."""

    def __getitem__(self, index):
        if index == len(self) - 1:
            raise KeyboardInterrupt
        return super().__getitem__(index)


def test_an_interrupt_while_work_is_handed_out_comes_after_it(monkeypatch):
    """Whichever thread receives it: another one than the main thread does not have the mask. A process starts too."""
    handed_out = []
    submit = ProcessPoolExecutor.submit

    def interrupted(pool, *work):
        signal.raise_signal(signal.SIGINT)
        other = threading.Thread(target=lambda: signal.pthread_kill(threading.get_ident(), signal.SIGINT))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        other.start()
        other.join()
        handed_out.append(submit(pool, *work))
        return handed_out[-1]

    monkeypatch.setattr(ProcessPoolExecutor, "submit", interrupted)
    with closing(LocalProcesses(2)) as engine, pytest.raises(KeyboardInterrupt):
        list(engine.map(double, [1, 2]))
    assert len(handed_out) == 1
    assert handed_out[0].done()


def test_an_interrupt_right_after_work_was_handed_out_is_quiet(engine, capfd):
    # An exception in the pool's own thread would be a warning, which is an error here.
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            list(engine.map(double, Interrupted([1, 2, 3, 4])))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("workers", [0, -1, 1.5, True, "two"])
def test_a_bad_number_of_workers_is_refused(workers):
    with pytest.raises(StudyError, match="workers must be a whole number, at least 1"):
        LocalProcesses(workers)


PARENT = """
import os, sys, time
from thalweg.study.run.engines import LocalProcesses
from tests_engine_work import sleep
engine = LocalProcesses(2)
try:
    for item, pids in engine.map(sleep, [0, 0, 100, 100]):
        print(*pids, flush=True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
WORK = """
import multiprocessing, os, subprocess, time
def sleep(seconds):
    child = subprocess.Popen(["sh", "-c", "sleep 300 & wait"])
    other = multiprocessing.get_context("fork").Process(target=time.sleep, args=(300,))
    other.start()
    time.sleep(seconds or 0.3)
    return os.getpid(), child.pid, other.pid
"""


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie that nobody has waited for is dead.
    return ") Z" not in Path(f"/proc/{pid}/stat").read_text()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_workers_do_not_outlive_their_parent(tmp_path, how):
    """Nor does anything that they have started."""
    (tmp_path / "tests_engine_work.py").write_text(WORK)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": path}, start_new_session=True,
    )  # fmt: skip
    workers = {int(pid) for _ in range(2) for pid in parent.stdout.readline().split()}
    time.sleep(0.2)
    # As a terminal does it, Ctrl-C goes to the whole group.
    os.killpg(parent.pid, how) if how == signal.SIGINT else parent.kill()
    out, err = parent.communicate(timeout=20)
    assert ("interrupted" in out) == (how == signal.SIGINT)
    assert "Traceback" not in err
    deadline = time.monotonic() + 10
    while any(map(alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(alive, workers))
