"""Killed at random moments, parent or worker: nothing lost, nothing double, the same result."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from comparing import rows
from test_compare import stored

from thalweg.study import Comparison, compare
from thalweg.study.run.engines import Serial

ASKED = {"rules": ["sgd", "adam", "lion"], "trials": 12, "seeds": 3}
STUDY = f"""
import sys
from thalweg.study import compare
compare(sys.argv[1], **{ASKED}, store=sys.argv[2], workers=2)
"""
KILLS = 12


def workers_of(process):
    """The processes that train: those of the parent's children that loky started."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            words = (folder / "cmdline").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == process.pid and "LokyProcess" in words:
            found.append(int(folder.name))
    return found


@pytest.mark.slow
def test_killed_at_random_moments(in_a_folder_of_its_own, script):
    task = script()
    chance = random.Random(20)

    def start(store):
        return subprocess.Popen([sys.executable, "-c", STUDY, task, store], start_new_session=True)

    whole = compare(task, **ASKED, store="whole.sqlite", engine=Serial())
    struck = {"parent": 0, "worker": 0}
    process = start("killed.sqlite")
    before = 0
    while sum(struck.values()) < KILLS:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None and stored("killed.sqlite") <= before:
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.05))
        there = stored("killed.sqlite")
        assert there >= before, "a row was lost"
        before = there
        if process.poll() is not None:
            assert process.returncode == 0
            break
        victims = workers_of(process)
        if victims and chance.random() < 0.4:
            subprocess.run(["kill", "-9", str(chance.choice(victims))], check=False)
            struck["worker"] += 1
        else:
            process.send_signal(signal.SIGKILL)
            assert process.wait(60) == -signal.SIGKILL
            struck["parent"] += 1
            process = start("killed.sqlite")
    assert process.wait(300) == 0
    # A training that was killed twice is recorded as such, and trained again by the next call.
    assert start("killed.sqlite").wait(300) == 0
    assert sum(struck.values()) == KILLS, struck
    assert min(struck.values()) >= 3, struck
    assert rows("killed.sqlite") == rows("whole.sqlite")
    assert Comparison.load("killed.sqlite").verdict == whole.verdict


@pytest.mark.slow
def test_two_parents_on_one_store(in_a_folder_of_its_own, script):
    task = script()
    both = [
        subprocess.Popen([sys.executable, "-c", STUDY, task, "s.sqlite"], stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = [process.communicate(timeout=300)[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 1], told
    loser = told[0] if both[0].returncode else told[1]
    assert "another thalweg compare is writing to it" in loser
    compare(task, **ASKED, store="alone.sqlite", engine=Serial())
    assert rows("s.sqlite") == rows("alone.sqlite")
