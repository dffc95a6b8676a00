"""A training that is a function of a notebook: compared in processes, continued, trained again, shown in the cell."""

from pathlib import Path

import pytest
from comparing import rows

import forked
import thalweg
from thalweg.study import Serial, StudyError
from thalweg.study.ask.functions import function_reference, parts_of
from thalweg.study.run.rerun import rerun

# As a notebook has it: everything in __main__, which no other process can import.
CELLS = """
import numpy as np
import torch
from torch import nn
import thalweg
from helper import scaled
# %%
WIDTH = 4
DATA = np.linspace(-1, 1, 64, dtype=np.float32)
# %%
class Net(nn.Module):
    calls = 0

    def __init__(self, width):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(1, width), nn.Tanh(), nn.Linear(width, 1))

    def forward(self, x):
        return self.inner(x)
# %%
def loss_of(model, x):
    return (model(x) - scaled(x)).square().mean()
# %%
def train(trial):
    torch.manual_seed(trial.seed("init"))
    x = torch.from_numpy(DATA)[:, None]
    model = Net(WIDTH)
    Net.calls += 1
    optimizer = trial.optimizer(model)
    for _ in trial.epochs(3):
        loss = loss_of(model, x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        trial.report(valid_loss=loss_of(model, x).item() + (Net.calls - 1), test_loss=loss_of(model, x).item())
"""
HELPER = "def scaled(x):\n    return 2 * x\n"
COMPARE = """
found = thalweg.compare(train, ["sgd", "adamw"], trials=2, seeds=2, workers=1)
print(found.verdict.sentences[0])
print(len(found.runs), {run.status for run in found.runs}, found.plan.task)
"""


@pytest.fixture(autouse=True)
def helper(in_a_folder_of_its_own, tmp_path):
    (tmp_path / "helper.py").write_text(HELPER)


TYPED = """
import sys
import warnings

sys.path.insert(0, "")
warnings.simplefilter("error")
"""


def typed(cells):
    """What a process prints that has had these cells typed in."""
    return forked.code(TYPED + cells)


def test_a_function_is_compared_continued_and_trained_again():
    said = typed(CELLS + COMPARE)
    assert "On train, " in said
    assert "{'done'} train" in said
    first = rows("thalweg-train.sqlite")
    # Another process goes on with it: nothing is trained anew.
    more = typed(CELLS + COMPARE)
    assert more == said
    assert rows("thalweg-train.sqlite") == first
    # Tomorrow, with the notebook gone: nothing of it is in this process.
    assert rerun("thalweg-train.sqlite", first[0][0], engine=Serial()).same
    # What changed is told by name.
    changed = CELLS.replace("WIDTH = 4", "WIDTH = 5")
    events = """
found = []
thalweg.compare(train, ["sgd"], trials=1, seeds=2, engine=thalweg.study.Serial(), on_event=found.append)
"""
    assert "('WIDTH',)" in typed(changed + events + "print(found[0].changed)")
    Path("helper.py").write_text("def scaled(x):\n    return 3 * x\n")
    assert "('helper.py',)" in typed(changed + events + "print(found[0].changed)")


def made(width, data=(1, 2)):
    def helper(x):
        return x + width

    def train(trial):
        return helper(len(data))

    return train


def test_what_a_function_consists_of():
    one, two = parts_of(made(3)), parts_of(made(4))
    assert one.keys() == two.keys() == {"train", "train.helper", "train.data", "helper.width"}
    assert [name for name in one if one[name] != two[name]] == ["helper.width"]
    assert one == parts_of(made(3))
    assert parts_of(made(3, (1, 3)))["train.data"] != one["train.data"]


def test_a_function_of_a_file_is_its_file(tmp_path, monkeypatch):
    Path("standing.py").write_text("def train(trial):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    import standing

    assert function_reference(standing.train, tmp_path) == f"{tmp_path / 'standing.py'}:train"
    assert not list(tmp_path.glob("*.function"))


def test_what_cannot_be_sent_is_told(tmp_path):
    handle = open(tmp_path / "x", "w")  # noqa: SIM115

    def train(trial):
        handle.write("")

    with pytest.raises(StudyError, match=r"train.handle cannot be sent to the processes that train .PicklingError"):
        thalweg.compare(train, ["sgd"], engine=Serial())
    handle.close()
    with pytest.raises(StudyError, match=r"there is no file nowhere\.function"):
        thalweg.compare("nowhere.function:train", ["sgd"])
    (tmp_path / "other.function").write_text("no pickle")
    with pytest.raises(StudyError, match="holds no function"):
        thalweg.compare("other.function:train", ["sgd"])


@pytest.mark.slow  # a kernel of Jupyter, and worker processes
def test_in_a_real_notebook(tmp_path):
    import nbclient
    import nbformat

    cells = [*CELLS.split("# %%\n"), "found = thalweg.compare(train, ['sgd', 'adamw'], trials=2, seeds=2, workers=1)"]
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(text) for text in (*cells, "found", "found.page()")]
    )
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    *_, compared, shown, page = notebook.cells
    (progress,) = [output for output in compared.outputs if "data" in output]
    assert "<progress" in progress["data"]["text/html"]
    assert "re-runs: " in progress["data"]["text/html"]
    assert "On train, " in shown.outputs[0]["data"]["text/html"]
    assert "<iframe srcdoc=" in page.outputs[0]["data"]["text/html"]
    assert "On train, " in page.outputs[0]["data"]["text/html"]
