"""Workers that are bound to devices, results that belong to a kind of device, and a time limit for one run."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from comparing import rows, run

from thalweg.cli import main
from thalweg.study import Comparison, Finished, StudyError, train
from thalweg.study.ask.spec import resolve, study
from thalweg.study.keep.merge import merge
from thalweg.study.run import devices
from thalweg.study.run.devices import Device, bound_to, elsewhere
from thalweg.study.run.engines import LocalProcesses, RunTimeout, Serial
from thalweg.study.run.ray_engine import RayCluster
from thalweg.study.run.rerun import rerun

pytestmark = pytest.mark.usefixtures("in_a_folder_of_its_own")

CARDS = ("Stand-in 1", "Stand-in 1", "Stand-in 2")
SETS = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or not {0, 1} <= os.sched_getaffinity(0), reason="needs the CPUs 0 and 1"
)


@pytest.fixture
def cards(monkeypatch):
    """Three CUDA devices, of two kinds, as far as the process that compares can tell."""
    monkeypatch.setattr(devices, "_listed_here", lambda: CARDS)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def place(item):
    """Where a worker runs, its threads included, after a moment in which another one is needed too."""
    time.sleep(0.2)
    seen = []
    thread = threading.Thread(target=lambda: seen.append(frozenset(os.sched_getaffinity(0))))
    thread.start()
    thread.join()
    assert seen == [frozenset(os.sched_getaffinity(0))]
    return os.getpid(), seen[0]


def place_or_die(path):
    if path and not Path(path).exists():
        Path(path).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return place(path)


def visible(item):
    assert "torch" not in sys.modules
    time.sleep(0.2)
    return os.environ.get("CUDA_VISIBLE_DEVICES")


@SETS
@pytest.mark.slow
def test_each_worker_stays_on_its_cpus_and_one_that_dies_leaves_them_to_the_next(tmp_path):
    engine = LocalProcesses(devices="cpu:0,cpu:1", per_device=1)
    before = dict(found for _, found in engine.map(place, range(6)))
    assert sorted(map(sorted, before.values())) == [[0], [1]]
    once = str(tmp_path / "once")
    after = dict(found for _, found in engine.map(place_or_die, [once, "", "", ""]))
    assert sorted(map(sorted, after.values())) == [[0], [1]]
    assert len(before.keys() & after.keys()) == 1
    engine.close()
    both = LocalProcesses(devices=["cpu:0+1"], per_device=2)
    found = dict(found for _, found in both.map(place, range(4)))
    both.close()
    assert list(found.values()) == [{0, 1}] * 2


def test_each_worker_sees_one_card_which_is_set_before_torch_is_loaded(cards, monkeypatch):
    engine = LocalProcesses(devices="cuda:0,cuda:1", per_device=1)
    assert (engine.workers, engine.device_kind()) == (2, "cuda Stand-in 1")
    assert {found for _, found in engine.map(visible, range(6))} == {"0", "1"}
    engine.close()
    # On a cluster some were chosen already, and have names of any form.
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-7f,5,MIG-3")
    assert bound_to("cuda:1, cuda:0") == (Device("cuda Stand-in 1", (), "5"), Device("cuda Stand-in 1", (), "GPU-7f"))
    monkeypatch.setattr(devices, "_listed_here", lambda: CARDS[:2])
    assert LocalProcesses(devices="cuda", per_device=3).workers == 6


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ("gpu:0", "there is no device 'gpu:0': name devices as cuda:0,cuda:1"),
        ("", "name devices as cuda:0,cuda:1"),
        ("cuda:0,", "name devices as"),
        ("cuda:x", "there is no device 'cuda:x'"),
        ("cuda:3", r"there is no cuda:3: here are cuda:0 \(Stand-in 1\), cuda:1 \(Stand-in 1\) and cuda:2"),
        ("cuda:0,cuda:0", "cuda:0 is named twice: for several trainings on one device, give per_device"),
        ("cuda:0,cuda:2", "these devices are cuda Stand-in 1 and cuda Stand-in 2: .* of one kind"),
        ("cuda:0,cpu", "these devices are cuda Stand-in 1 and cpu"),
        ("cpu:1-0", "a set of CPUs is cpu:0-3, cpu:0[+]2, or both"),
        ("cpu:", "a set of CPUs is"),
        ("cpu:0-9999", r"cpu:0-9999: there is no CPU \d+ for this process, which has "),
        ("cpu:0,cpu:0+0", "CPU 0 stands in two sets"),
    ],
)
def test_what_is_no_device_here_is_refused(cards, names, words):
    with pytest.raises(StudyError, match=words):
        LocalProcesses(devices=names)


def test_torch_itself_says_that_there_is_no_card(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(StudyError, match=r"there is no cuda:0: torch .* sees no CUDA device here"):
        bound_to(["cuda:0"])
    with pytest.raises(StudyError, match="there is no CUDA device that torch sees in this process"):
        Serial(cuda=True).device_kind()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"per_device": 2}, "give devices too, or workers instead"),
        ({"per_device": 0, "devices": "cpu"}, "per_device must be a whole number"),
        ({"workers": 2, "devices": "cpu"}, "leave workers out"),
        ({"run_timeout": 0}, "run_timeout is a number of minutes above 0"),
        ({"run_timeout": float("nan")}, "run_timeout is a number of minutes above 0"),
    ],
)
def test_what_does_not_go_together_is_refused(given, words):
    with pytest.raises(StudyError, match=words):
        LocalProcesses(**given)


SAYS = """
    import os
    import torch

    def train(trial):
        assert trial.device == torch.device("cpu")
        torch.manual_seed(trial.seed("init"))
        m = torch.nn.Linear(2, 1).to(trial.device)
        o = trial.optimizer(m)
        trial.report(valid_loss=(m(torch.ones(1, 2)) ** 2).sum())
        for _ in trial.epochs(2):
            o.zero_grad()
            (m(torch.ones(1, 2)) ** 2).sum().backward()
            o.step()
            trial.report(valid_loss=(m(torch.ones(1, 2)) ** 2).sum())
"""


@SETS
@pytest.mark.slow
def test_sets_of_cpus_change_no_bit_and_no_key(script):
    task = script(SAYS)
    run(task, ("sgd",), trials=2, seeds=2, store="bound.sqlite", engine=LocalProcesses(devices="cpu:0+1"))
    run(task, ("sgd",), trials=2, seeds=2, store="plain.sqlite")
    assert rows("bound.sqlite") == rows("plain.sqlite")


class StandIn(Serial):
    """A device that computes as the CPU does, and is another."""

    def __init__(self, kind="cuda Stand-in 1"):
        super().__init__()
        self.kind = kind

    def device_kind(self):
        return self.kind

    def map(self, fn, items):
        for item in items:
            if not isinstance(item, tuple) or not hasattr(item[0], "key"):
                yield item, fn(item)
                continue
            done = fn([replace(cell, device="cpu") for cell in item])
            yield item, [replace(run, key=cell.key) for cell, run in zip(item, done, strict=True)]


def test_rows_of_different_devices_do_not_mix(script):
    task = script()
    run(task, ("sgd",), trials=1, seeds=2, store="cpu.sqlite")
    card = run(task, ("sgd",), trials=1, seeds=2, store="card.sqlite", engine=StandIn())
    assert card.plan.device == "cuda Stand-in 1"
    assert not {row[0] for row in rows("cpu.sqlite")} & {row[0] for row in rows("card.sqlite")}
    assert all('"device": "cuda Stand-in 1"' in row[1] for row in rows("card.sqlite"))
    assert not any("device" in row[1] for row in rows("cpu.sqlite"))
    # In one store the latest is shown, and counts its own rows only.
    events = []
    run(task, ("sgd",), trials=1, seeds=2, store="card.sqlite", events=events)
    assert sum(isinstance(event, Finished) for event in events) == len(rows("cpu.sqlite"))
    shown = Comparison.load("card.sqlite")
    assert shown.plan.device == "cpu"
    assert {each.key for each in shown.runs} <= {row[0] for row in rows("cpu.sqlite")}
    # Merged, they are two comparisons.
    run(task, ("adam",), trials=1, seeds=2, store="other.sqlite", engine=StandIn())
    (said,) = merge("cpu.sqlite", "other.sqlite").separate
    assert "they differ in device: 'cpu' and 'cuda Stand-in 1'" in said
    assert [row.contender for row in Comparison.load("cpu.sqlite").rows] == ["sgd"]


def test_a_row_of_a_device_that_is_not_here_is_not_trained_again(script):
    found = run(script(), ("sgd",), trials=1, seeds=2, engine=StandIn())
    with pytest.raises(
        StudyError, match=r"can no longer be reproduced: it is a result of cuda Stand-in 1, and here is"
    ):
        rerun("s.sqlite", found.runs[0].key, engine=Serial())


def test_what_trained_elsewhere_than_it_should_is_refused():
    assert elsewhere("cpu", frozenset({"cpu"})) == elsewhere("cuda", frozenset({"cuda", "cpu"})) == ""
    assert elsewhere("cpu", frozenset({"mps"})) == ""
    assert "give it devices (--devices cuda:0)" in elsewhere("cpu", frozenset({"cuda"}))
    assert "put model and data on trial.device, which is cuda" in elsewhere("cuda", frozenset({"cpu"}))
    with pytest.raises(StudyError, match="digits-mlp is a task of thalweg's, which trains on CPUs"):
        run("digits-mlp", engine=StandIn())
    with pytest.raises(StudyError, match="a device is cpu, cuda or cuda:1; got 'gpu'"):
        train(lambda trial: None, "sgd", device="gpu")


def test_keys_of_before_stand(script):
    plan = resolve(study(script(), "sgd", trials=1, seeds=2))
    (cell,) = plan.search_cells()
    assert "device" not in cell.identity()
    assert replace(cell, device="cuda Stand-in 1").key != cell.key


SLOW = """
    import os, time
    import torch

    def train(trial):
        torch.manual_seed(trial.seed("init"))
        m = torch.nn.Linear(2, 1)
        o = trial.optimizer(m)
        for _ in trial.epochs(2):
            (m(torch.ones(1, 2)) ** 2).sum().backward()
            o.step()
            trial.report(valid_loss=(m(torch.ones(1, 2)) ** 2).sum())
        if o.param_groups[0]["lr"] != 1e-3 and not os.path.exists("quick"):
            time.sleep(1000)
"""


@pytest.mark.slow
def test_a_run_that_takes_too_long_is_stopped_until_it_is_given_more(script, tmp_path):
    task = script(SLOW.replace('"quick"', repr(str(tmp_path / "quick"))))
    # 4.8 seconds, in which the start of a process does not count; a first training takes one or two.
    asked = {"trials": 2, "seeds": 2}
    found = run(task, ("adam",), engine=LocalProcesses(1, run_timeout=0.08), **asked)
    trials = found.rows[0].trials
    assert [each.status for each in trials.values()] == ["done", "stopped"]
    assert trials[1].message == "it was stopped after 0.08 minutes, the most that one run may take"
    assert (trials[1].seconds, found.rows[0].failed) == (pytest.approx(4.8), 1)
    assert found.complete
    (tmp_path / "quick").touch()
    events = []
    run(task, ("adam",), engine=LocalProcesses(1, run_timeout=0.08), events=events, **asked)
    assert not [event for event in events if isinstance(event, Finished)]
    with pytest.raises(StudyError, match=r"has no result to compare with: it was stopped .*longer --run-timeout"):
        rerun("s.sqlite", trials[1].key, engine=Serial())
    again = run(task, ("adam",), engine=LocalProcesses(1, run_timeout=1), events=events, **asked)
    assert [each.status for each in again.rows[0].trials.values()] == ["done"] * 2
    run(task, ("adam",), store="whole.sqlite", **asked)
    assert set(rows("whole.sqlite")) <= set(rows("s.sqlite"))


def nap(seconds):
    time.sleep(seconds)
    return os.getpid()


@pytest.mark.slow  # it waits for a clock, and so long as torch takes to load
def test_the_others_go_on_beside_one_that_is_stopped():
    engine = LocalProcesses(2, run_timeout=0.03)
    found = list(engine.map(nap, [1000, 0.01, 0.02, 0.03, 0.04]))
    engine.close()
    (stopped,) = [result for _, result in found if isinstance(result, RunTimeout)]
    assert (stopped.status, stopped.seconds) == ("stopped", pytest.approx(1.8))
    assert [item for item, _ in found if item < 1000] == [0.01, 0.02, 0.03, 0.04]
    assert len({result for item, result in found if item < 1000}) == 1


def test_a_first_run_that_is_stopped_stops_the_comparison(script):
    class Stopping(Serial):
        def map(self, fn, items):
            for item in items:
                yield item, RunTimeout(2) if hasattr(item[0], "key") else fn(item)

    with pytest.raises(StudyError, match=r"it was stopped after 2 minutes.* Give it more .--run-timeout."):
        run(script(), engine=Stopping())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--per-device", "2"], "--per-device counts the trainings on each device"),
        (["--devices", "cpu:x"], "a set of CPUs is cpu:0-3"),
        (["--devices", "cpu", "--workers", "2"], "leave workers out"),
        (["--engine", "serial", "--run-timeout", "1"], "leave it out with --engine serial"),
        (["--engine", "serial", "--devices", "cuda:1"], "--engine serial trains in this process"),
        (["--engine", "ray", "--devices", "cuda:0"], "with --engine ray write --devices cuda"),
    ],
)
def test_the_command_refuses_in_a_sentence(options, words, capsys):
    assert main(["compare", "digits-mlp", "-r", "sgd,adam", *options]) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert words in error
    assert "Traceback" not in error


@pytest.mark.parametrize("needs", [{"num_gpus": -1}, {"num_gpus": 1.5}, {"resources": {"CPU": 2}}])
def test_what_no_ray_training_can_ask_for_is_refused(needs):
    with pytest.raises(StudyError, match="each training takes"):
        RayCluster(**needs)


SHELL = """
thalweg() { "$PYTHON" -m thalweg "$@"; }
srun() { "$@"; }
set -e
"""


@pytest.mark.slow
def test_an_array_of_jobs_a_rule_each_becomes_one_comparison(script):
    """The recipe for SLURM as it stands in the documents: processes with a store each, a merge, the whole command."""
    script(name="my_script.py")
    document = (Path(__file__).parents[2] / "docs" / "comparison.md").read_text()
    job, after = re.search(
        r"```bash\n(#!/bin/bash\n#SBATCH --array=0-2.*?)```.*?```\n(.*?)```", document, re.S
    ).groups()
    merging, comparing = after.splitlines()

    def start(text, task=""):
        # The jobs of an array may be on different machines: as many workers as each has CPUs, here one.
        named = {
            **os.environ, "PYTHON": sys.executable, "SLURM_ARRAY_TASK_ID": task, "LOKY_MAX_CPU_COUNT": "1",
        }  # fmt: skip
        return subprocess.Popen(["bash", "-c", SHELL + text], env=named, stdout=subprocess.PIPE, text=True)

    jobs = [start(job, str(task)) for task in range(3)]
    assert [(each.communicate(timeout=300), each.returncode)[1] for each in jobs] == [0] * 3
    merged = start(merging)
    assert "It shows one comparison on my_script.py:train, of sgd, adamw, lion." in merged.communicate(timeout=60)[0]
    before = rows("all.sqlite")
    assert len(before) == sum(len(rows(f"part-{rule}.sqlite")) for rule in ("sgd", "adamw", "lion"))
    answer = start(comparing).communicate(timeout=60)[0]
    # Nothing was trained anew, and it is what one comparison of all would have been.
    whole = run("my_script.py:train", ("sgd", "adamw", "lion"), trials=25, seeds=5, store="whole.sqlite")
    assert rows("all.sqlite") == before == rows("whole.sqlite")
    assert Comparison.load("all.sqlite").verdict == whole.verdict
    assert " ".join(whole.verdict.sentences[0].split()) in " ".join(answer.split())
