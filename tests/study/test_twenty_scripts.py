"""Twenty scripts as people have them (tests/scripts): each compares two rules, or what refuses it can be followed."""

import re
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree

import pytest
import torch
from comparing import run

from thalweg.study import StudyError

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("in_a_folder_of_its_own")]

SCRIPTS = Path(__file__).parents[1] / "scripts"
NAMES = (
    "tabular", "vision_with_workers", "text_char_model", "gan", "reinforce", "ddp_two_ranks", "hf_trainer",
    "with_accelerate", "with_skorch", "timm_like_main", "notebook_export", "package_with_relative_imports/train",
    "sam", "gradient_accumulation", "one_cycle", "plateau", "ema", "mixed_precision", "lora", "raises_late",
)  # fmt: skip
RULES = ("sgd", "adamw")


@dataclass(frozen=True)
class Refusal:
    """What a script is refused with, and what whoever follows it changes: old text and new."""

    words: str
    edits: tuple[tuple[str, str], ...]


REFUSED = {
    "gan": Refusal("TypeError: SGD takes no 'betas'; it takes lr, momentum,", ((", betas=(0.5, 0.999)", ""),)),
    "with_skorch": Refusal(
        "lr is chosen by the comparison: leave it out here",
        (("optimizer=trial.optimizer,", "optimizer=lambda params, lr: trial.optimizer(params),"),),
    ),
    "notebook_export": Refusal(
        "it is a notebook's export and calls get_ipython(), which only notebooks have: remove the lines with it",
        (("get_ipython().run_line_magic('matplotlib', 'inline')\n", ""),),
    ),
    "one_cycle": Refusal(
        "OneCycleLR with max_lr=optimizer.param_groups[0]['lr'] and cycle_momentum=False",
        (("max_lr=0.01,", "max_lr=optimizer.param_groups[0]['lr'], cycle_momentum=False,"),),
    ),
    "ddp_two_ranks": Refusal(
        "nothing comes back from",
        (
            ("trial, queue):\n", "trial):\n"),
            ("queue.put((valid.item(), test.item()))", "trial.report(valid_loss=valid, test_loss=test)"),
            (
                '    queue = mp.get_context("spawn").SimpleQueue()\n'
                "    mp.spawn(main_worker, args=(find_free_port(), trial, queue), nprocs=WORLD_SIZE, join=True)\n"
                "    for _ in trial.epochs(EPOCHS):\n"
                "        valid_loss, test_loss = queue.get()\n"
                "        trial.report(valid_loss=valid_loss, test_loss=test_loss)\n",
                "    port = find_free_port()\n"
                '    other = mp.get_context("spawn").Process(target=main_worker, args=(1, port, trial))\n'
                "    other.start()\n"
                "    try:\n"
                "        main_worker(0, port, trial)\n"
                "    finally:\n"
                "        other.kill()\n"
                "        other.join()\n",
            ),
        ),
    ),
}


def followed(name, folder):
    """A copy of a script in which what refuses it is put right."""
    copytree(SCRIPTS, folder, ignore=lambda *_: ["__pycache__"])
    path = folder / f"{name}.py"
    text = path.read_text(encoding="utf-8")
    for old, new in REFUSED[name].edits:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", NAMES)
def test_compares_two_rules(name, tmp_path, workers):
    path = followed(name, tmp_path / "scripts") if name in REFUSED else SCRIPTS / f"{name}.py"
    # Of this study the second trial has a large learning rate. Two ranks take a process a training, of 3 s.
    trials = 1 if name == "ddp_two_ranks" else 2
    found = run(
        f"{path}:train", RULES, store=tmp_path / "s.sqlite", trials=trials, seeds=2, study_seed=6, engine=workers
    )
    assert found.missing == 0
    assert all(rule in found.verdict.answer for rule in ("SGD", "AdamW"))
    assert [(row.unlike, row.alike) for row in found.rows] == [((), "")] * 2
    ends = {trial.status for row in found.rows for trial in row.trials.values()}
    assert "done" in ends
    assert ("failed" in ends) == (name == "raises_late")


@pytest.mark.parametrize("name", REFUSED)
def test_is_refused_with_one_sentence(name):
    """In this process: a refusal stops worker processes, which take seconds to start."""
    with pytest.raises(StudyError, match=re.escape(REFUSED[name].words)):
        run(f"{SCRIPTS / name}.py:train", RULES, trials=2, seeds=2)


def test_one_cycle_with_the_rate_that_it_sets(workers):
    """What is said to whoever would leave the script as it is."""
    task = f"{SCRIPTS / 'one_cycle.py'}:train"
    with pytest.raises(StudyError, match="Or leave lr out of the search: sgd:lr=") as raised:
        run(task, RULES, trials=2, seeds=2)
    rate = str(raised.value).rpartition("lr=")[2]
    assert run(task, [f"{rule}:lr={rate}" for rule in RULES], trials=2, seeds=2, engine=workers).complete


# What scripts have shown to be wrong.


def test_betas_are_chosen_by_the_comparison():
    with pytest.raises(StudyError, match="betas is chosen by the comparison"):
        run(f"{SCRIPTS / 'gan.py'}:train", ("adam", "adamw"), trials=1, seeds=2)


OVERTAKING = """
import time
from pathlib import Path

import torch


def train(trial):
    model = torch.nn.Linear(1, 1)
    optimizer = trial.optimizer(model)
    failed = Path(__file__).with_name("failed")
    for epoch in trial.epochs(2):
        loss = model(torch.ones(1)).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if optimizer.param_groups[0]["lr"] > 0.001:
            failed.touch()
            raise RuntimeError("too large a step")
        while not failed.exists():
            time.sleep(0.01)
        time.sleep(0.5)
        trial.report(valid_loss=loss, test_loss=loss)
"""


def test_a_trial_that_fails_before_the_default_has_ended(script, workers):
    """Where the default ends first, such a trial is a row that failed."""
    found = run(script(OVERTAKING), ("adamw",), trials=2, seeds=2, engine=workers)
    assert [trial.status for trial in found.rows[0].trials.values()] == ["done", "failed"]


PROCESS_GROUP = """
import torch
import torch.distributed as dist


def train(trial):
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    torch.manual_seed(trial.seed("init"))
    model = torch.nn.Linear(4, 1)
    optimizer = trial.optimizer(model)
    x = torch.randn(16, 4)
    for _ in trial.epochs(3):
        for _ in range(50):
            loss = (model(x) - x[:, :1]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        trial.report(valid_loss=loss, test_loss=loss)
    dist.destroy_process_group()
"""


def test_a_process_group_that_a_diverged_run_leaves(script):
    try:
        found = run(script(PROCESS_GROUP), ("sgd:lr=1e6", "adamw"), trials=1, seeds=2)
        assert [row.trials[0].status for row in found.rows] == ["diverged", "done"]
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
