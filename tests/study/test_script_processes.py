"""The world around a training: workers of a DataLoader, processes that it starts."""

import pytest
from comparing import default_runs

from thalweg.study import train
from thalweg.study.run.engines import Serial

pytestmark = pytest.mark.usefixtures("in_a_folder_of_its_own")

LOADING = """
import torch


class Numbers(torch.utils.data.Dataset):
    def __len__(self):
        return 16

    def __getitem__(self, i):
        return torch.full((3,), i / 16), torch.tensor([i / 8])


def train(trial):
    torch.manual_seed(trial.seed("init"))
    data = torch.utils.data.DataLoader(Numbers(), batch_size=8, num_workers=1, {how})
    model = torch.nn.Linear(3, 1)
    optimizer = trial.optimizer(model)
    for _ in trial.epochs(1):
        for x, y in data:
            loss = (model(x) - y).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        trial.report(valid_loss=loss, test_loss=loss)
"""
HOW = {
    "as usual": "",
    "persistent": "persistent_workers=True",
    "spawn": "multiprocessing_context='spawn'",
    "forkserver": "multiprocessing_context='forkserver'",
}
SPAWNING = """
import torch


def work(rank, answers):
    answers.put(rank + 1)


def train(trial):
    queue = torch.multiprocessing.get_context("spawn").SimpleQueue()
    torch.multiprocessing.spawn(work, (queue,), nprocs=1)
    assert queue.get() == 1
    model = torch.nn.Linear(1, 1)
    optimizer = trial.optimizer(model)
    for _ in trial.epochs(1):
        loss = model(torch.ones(1)).square().sum()
        loss.backward()
        optimizer.step()
        trial.report(valid_loss=loss, test_loss=loss)
"""
STARTING = """
import concurrent.futures
import multiprocessing
import subprocess
import sys
import time
import joblib

CALLS = []


def calls(_):
    CALLS.append(1)
    time.sleep(0.1)  # so that the other process takes the other call
    return len(CALLS)


def of_joblib(**how):
    return min(joblib.Parallel(n_jobs=2, **how)(joblib.delayed(calls)(i) for i in range(2)))


def train(trial):
    import torch  # here: the processes that it starts need none

    asked = [sys.executable, "-c", "print(7)"]
    found = [of_joblib(**how) for how in ({}, {"backend": "threading"}, {"backend": "multiprocessing"})]
    found.append(int(subprocess.run(asked, capture_output=True, text=True, check=True).stdout))
    with multiprocessing.Pool(1) as pool:
        found += pool.map(calls, [0])
    with concurrent.futures.ProcessPoolExecutor(1) as pool:
        found += pool.map(calls, [0])
    model = torch.nn.Linear(1, 1)
    optimizer = trial.optimizer(model)
    for _ in trial.epochs(1):
        loss = model(torch.ones(1)).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        trial.report(valid_loss=loss, test_loss=loss, **{f"valid_{i}_score": n for i, n in enumerate(found)})
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", HOW)
def test_workers_of_a_data_loader(how, script, workers):
    """Of every way in which processes start; what is trained is the same."""
    found = default_runs(script(LOADING.replace("{how}", HOW[how])), "sgd:lr=0.1", workers)
    alone = script(LOADING.replace("num_workers=1, {how}", ""), "alone.py")
    plain = default_runs(alone, "sgd:lr=0.1", Serial())
    assert [(r.status, r.curves) for r in found] == [("done", r.curves) for r in plain]


@pytest.mark.slow
def test_processes_that_a_training_starts(script, workers):
    assert [r.status for r in default_runs(script(SPAWNING), "sgd", workers)] == ["done"] * 2
    assert train(script(SPAWNING), "sgd").status == "done"


@pytest.mark.slow
def test_processes_of_every_kind_at_every_training(script, workers):
    """Of joblib, subprocess, multiprocessing and concurrent.futures, and each training finds them as the first does."""
    place = script(STARTING)
    runs = default_runs(place, "sgd", workers, seeds=(1, 2, 3))  # more than there are workers
    assert [(r.status, r.message) for r in runs] == [("done", "")] * 3
    counts = [[curve.values for name, curve in r.curves.items() if name.endswith("_score")] for r in runs]
    assert counts[0] == counts[1] == counts[2]
    assert train(place, "sgd").status == train(place, "sgd").status == "done"
