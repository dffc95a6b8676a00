import os
import platform
import signal
import socket
import subprocess
import sys
import time
import types
from importlib.metadata import version
from pathlib import Path

import pytest
from comparing import default_runs, rows, run
from test_engines import alive, die, double, fail

from thalweg.study import Finished, StudyError
from thalweg.study.run.engines import WorkerDied
from thalweg.study.run.ray_engine import RayCluster

# Loopback, but not the address that Ray replaces by the machine's own.
HOST = "127.0.0.2"
SMALL = {"object_store_memory": 80 * 2**20, "node_ip_address": HOST}


def nap(seconds):
    time.sleep(seconds)
    return os.getpid(), os.getppid()


def threads(library):
    return os.environ[f"{library}_NUM_THREADS"]


def read(path):
    return Path(path).read_text()


def unheard_of(item):
    return item


class Odd(Exception):
    """Cannot be made again from its arguments, so it does not come through a pipe."""

    def __init__(self, one, two):
        super().__init__(one)


def raise_odd(item):
    raise Odd(item, 2)


@pytest.fixture(scope="module")
def cluster():
    """A Ray cluster of three machines, as far as Ray can tell; one of them is the head and runs no work."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **SMALL})
    try:
        for _ in range(2):
            made.add_node(num_cpus=1, wait=False, **SMALL)
        made.wait_for_nodes()
        yield made
    finally:
        made.shutdown()


@pytest.fixture(scope="module")
def shared(cluster):
    """One connection, for the tests that leave it as it was."""
    engine = RayCluster(cluster.address)
    yield engine
    engine.close()


@pytest.fixture
def engine(cluster):
    made = RayCluster(cluster.address)
    yield made
    made.close()


def on_a_cluster(test):
    # Ray's Cluster never waits for the processes that it starts and ends, nor closes their logs.
    unwaited = pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
    return pytest.mark.slow(unwaited(test))


def nobody(host="127.0.0.1"):
    """An address at which nothing answers."""
    with socket.socket() as taken:
        taken.bind((host, 0))
        return f"{host}:{taken.getsockname()[1]}"


@pytest.mark.parametrize("workers", [0, -1, 1.5, True, "two"])
def test_a_bad_number_of_workers_is_refused(workers):
    with pytest.raises(StudyError, match="workers must be a whole number, at least 1"):
        RayCluster(workers=workers)


def test_without_ray_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(StudyError, match=r"needs the package ray: pip install 'thalweg\[ray\]'"):
        RayCluster()


def test_nothing_to_do_needs_no_cluster():
    assert list(RayCluster(nobody()).map(double, [])) == []


def test_an_address_where_nothing_answers_is_told_at_once(monkeypatch):
    started = time.monotonic()
    for address in (nobody(), f"ray://{nobody()}"):
        with pytest.raises(StudyError, match=rf"nothing answers at {address} \(Connection refused\)"):
            list(RayCluster(address).map(double, [1]))
    monkeypatch.setenv("RAY_ADDRESS", nobody())
    with pytest.raises(StudyError, match=f"nothing answers at {os.environ['RAY_ADDRESS']}"):
        list(RayCluster().map(double, [1]))
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("address", ["head", "head:", ":6379", "head:port", "ray://head"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(StudyError, match="the address of a Ray cluster is host:port"):
        list(RayCluster(address).map(double, [1]))


@on_a_cluster
def test_every_item_comes_back_once_with_its_result(shared):
    assert sorted(shared.map(double, range(7))) == [(x, 2 * x) for x in range(7)]
    assert dict(shared.map(threads, ["OMP", "MKL", "OPENBLAS"])) == {"OMP": "1", "MKL": "1", "OPENBLAS": "1"}


@on_a_cluster
def test_a_comparison_finds_the_same_as_on_this_machine(in_a_folder_of_its_own, script, shared):
    task = script()
    found = run(task, store="ray.sqlite", engine=shared)
    again = run(task, store="local.sqlite")
    assert len(rows("ray.sqlite")) == len(found.runs) + len(found.rows)  # the defaults run twice
    assert rows("ray.sqlite") == rows("local.sqlite")
    assert found.verdict == again.verdict


HELD = """
    import os
    import time
    import torch

    def train(trial):
        torch.manual_seed(trial.seed("init"))
        m = torch.nn.Linear(2, 1)
        o = trial.optimizer(m)
        for _ in trial.epochs(2):
            o.zero_grad()
            (m(torch.ones(1, 2)) ** 2).sum().backward()
            o.step()
            trial.report(valid_loss=(m(torch.ones(1, 2)) ** 2).sum())
            if os.path.exists("FOLDER/hold"):
                open(f"FOLDER/{os.getpid()}", "w").close()
            while os.path.exists("FOLDER/hold"):
                time.sleep(0.01)
"""


# Each kind of process that a training may start, one an epoch. Torch only where it is needed: it takes seconds.
STARTING = """
import subprocess
import sys

import joblib

KINDS = ("fork", "spawn", "joblib", "subprocess")


def double(x):
    return 2 * x


class Numbers:
    def __len__(self):
        return 8

    def __getitem__(self, i):
        import torch

        return torch.full((3,), i / 8)


def batches(kind):
    import torch

    if kind == "joblib":
        assert joblib.Parallel(n_jobs=2)(joblib.delayed(double)(i) for i in range(4)) == [0, 2, 4, 6]
    elif kind == "subprocess":
        assert subprocess.run([sys.executable, "-c", "print(5)"], capture_output=True).stdout.split() == [b"5"]
    else:
        return torch.utils.data.DataLoader(Numbers(), batch_size=4, num_workers=1, multiprocessing_context=kind)
    return torch.utils.data.DataLoader(Numbers(), batch_size=4)


def train(trial):
    import torch

    torch.manual_seed(trial.seed("init"))
    model = torch.nn.Linear(3, 1)
    optimizer = trial.optimizer(model)
    for epoch in trial.epochs(len(KINDS)):
        for x in batches(KINDS[epoch]):
            loss = model(x).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        trial.report(valid_loss=loss, test_loss=loss)
"""


@on_a_cluster
def test_trainings_start_processes_of_their_own_there(in_a_folder_of_its_own, script, shared):
    (found,) = default_runs(script(STARTING), "sgd", shared, seeds=(1,))
    assert (found.status, found.message) == ("done", "")


@on_a_cluster
def test_a_node_that_is_killed_loses_nothing_and_doubles_nothing(
    in_a_folder_of_its_own, script, tmp_path, cluster, engine, capfd
):
    (held := tmp_path / "held").mkdir()
    task = script(HELD.replace("FOLDER", str(held)))
    doomed = cluster.add_node(num_cpus=2, **SMALL)
    capfd.readouterr()

    def until(condition):
        deadline = time.monotonic() + 120
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def processes():
        return [int(each.name) for each in held.iterdir() if each.name != "hold"]

    class Watched(list):
        def append(self, event):
            super().append(event)
            if isinstance(event, Finished) and sum(isinstance(each, Finished) for each in self) == 5:
                # All four CPUs are in the middle of a training when two of them go.
                (held / "hold").touch()
                until(lambda: len(processes()) == 4)
                cluster.remove_node(doomed, allow_graceful=False)
                until(lambda: sum(map(alive, processes())) == 2)
                (held / "hold").unlink()

    events = Watched()
    found = run(task, store="ray.sqlite", engine=engine, events=events, trials=5)
    keys = [e.run.key for e in events if isinstance(e, Finished)]
    assert len(processes()) == 4
    assert len(keys) == len(set(keys)) == len(rows("ray.sqlite"))
    assert found.complete
    assert {r.status for r in found.runs} == {"done"}
    assert capfd.readouterr() == ("", "")
    run(task, store="local.sqlite", trials=5)
    assert rows("ray.sqlite") == rows("local.sqlite")


DIES = """
    import os, signal
    import torch

    def train(trial):
        print("loud")
        m = torch.nn.Linear(2, 1)
        o = trial.optimizer(m)
        for _ in trial.epochs(2):
            (m(torch.ones(1, 2)) ** 2).sum().backward()
            o.step()
            trial.report(valid_loss=(m(torch.ones(1, 2)) ** 2).sum())
        if o.param_groups[0]["lr"] != 1e-3:
            os.kill(os.getpid(), signal.SIGKILL)
"""


@on_a_cluster
def test_a_training_whose_process_dies_is_recorded_and_the_rest_goes_on(in_a_folder_of_its_own, script, shared, capfd):
    found = run(script(DIES), ("adam",), engine=shared)
    assert [r.status for r in found.rows[0].trials.values()] == ["done", "died", "died"]
    assert "its process died, twice" in found.rows[0].trials[1].message
    assert found.complete
    assert capfd.readouterr() == ("", "")


@on_a_cluster
def test_a_worker_that_dies_is_retried_once(shared, tmp_path):
    once = str(tmp_path / "once")
    found = dict(shared.map(die, [1, "always", 2, once, 3]))
    assert isinstance(found.pop("always"), WorkerDied)
    assert found == {1: 1, 2: 2, once: once, 3: 3}


@on_a_cluster
def test_an_exception_of_the_function_is_raised_as_it_was(engine):
    with pytest.raises(StudyError, match=r"^no 1$") as caught:
        list(engine.map(fail, [1]))
    assert type(caught.value) is StudyError
    with pytest.raises(RuntimeError, match=r"^Odd: odd$"):
        list(engine.map(raise_odd, ["odd"]))
    assert list(engine.map(double, [3])) == [(3, 6)]


@on_a_cluster
def test_closing_stops_what_runs_and_starts_nothing_more(engine, tmp_path):
    results = engine.map(nap, [0, 1000, 1000, 1000])
    (_, (pid, _)) = next(results)
    time.sleep(1)
    results.close()
    assert gone([pid])
    # The CPUs are free again.
    assert sorted(engine.map(double, [1, 2])) == [(1, 2), (2, 4)]


@on_a_cluster
def test_what_a_node_lacks_is_told_with_its_name(shared, tmp_path, monkeypatch):
    host = platform.node()
    with pytest.raises(StudyError, match=rf"^the Ray node {host} has no file {tmp_path}/script.py: .* all nodes share"):
        list(shared.map(read, [f"{tmp_path}/script.py"]))
    module = types.ModuleType("only_here")
    module.unheard_of = unheard_of
    monkeypatch.setitem(sys.modules, "only_here", module)
    monkeypatch.setattr(unheard_of, "__module__", "only_here")
    with pytest.raises(StudyError, match=rf"^the Ray node {host} cannot load .*No module named 'only_here'"):
        list(shared.map(unheard_of, [1]))


@on_a_cluster
def test_a_node_with_another_torch_refuses(cluster, shared, tmp_path, monkeypatch):
    other = tmp_path / "torch-0.0.1.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 0.0.1\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    strange = cluster.add_node(num_cpus=1, **SMALL)
    try:
        told = f"has torch 0.0.1, but the comparison was started with torch {version('torch')}"
        with pytest.raises(StudyError, match=f"^the Ray node {platform.node()} {told}".replace("+", r"\+")):
            list(shared.map(nap, [1] * 9))
    finally:
        cluster.remove_node(strange)


def spell(item):
    began = time.monotonic()
    time.sleep(0.3)
    return began, time.monotonic(), os.environ.get("CUDA_VISIBLE_DEVICES")


@on_a_cluster
def test_each_training_gets_what_it_asks_for_and_no_more_run_at_once(in_a_folder_of_its_own, cluster, script):
    """A resource that stands for a graphics card, of which two trainings may have one half each."""
    holder = cluster.add_node(num_cpus=4, resources={"fake_gpu": 1}, num_gpus=1, **SMALL)
    engine = RayCluster(cluster.address, resources={"fake_gpu": 0.5})
    cards = RayCluster(cluster.address, num_gpus=1)
    try:
        spells = [found for _, found in engine.map(spell, range(6))]
        at_once = [sum(began <= moment < ended for began, ended, _ in spells) for moment, _, _ in spells]
        assert max(at_once) == 2
        assert engine.device_kind() == "cpu"
        task = script()
        run(task, ("sgd",), trials=1, seeds=2, store="ray.sqlite", engine=engine)
        run(task, ("sgd",), trials=1, seeds=2, store="here.sqlite")
        assert rows("ray.sqlite") == rows("here.sqlite")
        # Ray names the card that it gives; here is none that torch could see.
        assert {card for _, (_, _, card) in cards.map(spell, range(2))} == {"0"}
        with pytest.raises(StudyError, match="torch sees no CUDA device in a Ray worker that was given one"):
            cards.device_kind()
    finally:
        engine.close()
        cards.close()
        cluster.remove_node(holder)


@on_a_cluster
def test_what_no_node_has_is_told_at_once(cluster):
    engine = RayCluster(cluster.address, num_gpus=0.5, resources={"fake_gpu": 2})
    with pytest.raises(StudyError, match=r"each training asks for 2 of fake_gpu, 0.5 of GPU, and no node .* has that"):
        list(engine.map(double, [1]))


@on_a_cluster
def test_a_cluster_that_is_started_here_ends_with_it():
    engine = RayCluster("local", workers=1)
    ((_, (worker, raylet)),) = engine.map(nap, [0])
    assert alive(worker)
    assert alive(raylet)
    engine.close()
    assert gone([worker, raylet])


PARENT = """
import sys
from thalweg.study.run.ray_engine import RayCluster
from test_ray import nap
try:
    for _, (pid, _) in RayCluster(sys.argv[1]).map(nap, [0, 0, 0.5, 0.5, 100, 100]):
        print(pid, flush=True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@on_a_cluster
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_workers_do_not_outlive_their_parent(cluster, how):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, cluster.address], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}, start_new_session=True,
    )  # fmt: skip
    workers = {int(parent.stdout.readline()) for _ in range(4)}
    time.sleep(0.2)
    # As a terminal does it, Ctrl-C goes to the whole group.
    os.killpg(parent.pid, how) if how == signal.SIGINT else parent.kill()
    out, err = parent.communicate(timeout=20)
    assert ("interrupted" in out) == (how == signal.SIGINT)
    assert "Traceback" not in err
    assert gone(workers)


def gone(processes):
    deadline = time.monotonic() + 20
    while any(map(alive, processes)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not any(map(alive, processes))
