"""A training that is a function of a notebook: compared in processes, continued, trained again, shown in the cell."""

import json
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from comparing import rows

import forked
import thalweg
from thalweg.study import Serial, StudyError
from thalweg.study.ask.function_parts import consists_of
from thalweg.study.ask.functions import function_reference
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


@pytest.mark.slow
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


def parts_of(function):
    return dict(consists_of(function, "train").written)


def made(width, data=(1, 2)):
    def helper(x):
        return x + width

    def train(trial):
        return helper(len(data))

    return train


def test_what_a_function_consists_of():
    one, two = parts_of(made(3)), parts_of(made(4))
    assert one.keys() == two.keys() == {"train", "helper", "data", "width"}
    assert "width" in [name for name in one if one[name] != two[name]]
    assert one == parts_of(made(3))
    assert parts_of(made(3, (1, 3)))["data"] != one["data"]


def test_a_function_of_a_file_is_its_file(tmp_path, monkeypatch):
    Path("standing.py").write_text("def train(trial):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    import standing

    assert function_reference(standing.train, tmp_path) == f"{tmp_path / 'standing.py'}:train"
    assert not list(tmp_path.glob("*.function"))


def test_a_checkout_of_thalweg_is_no_module_of_ones_own(monkeypatch):
    monkeypatch.chdir(Path(thalweg.__file__).parents[2])

    def train(trial):
        return thalweg.nn.RMSNorm(4), Fraction(1, 2)

    assert not consists_of(train, "train").files


def test_a_class_is_no_task():
    with pytest.raises(StudyError, match=r"a task is a function that trains.*got the class Fraction"):
        thalweg.compare(Fraction, ["sgd"])


def test_what_cannot_be_sent_is_told(tmp_path):
    handle = open(tmp_path / "x", "w")  # noqa: SIM115

    def train(trial):
        handle.write("")

    with pytest.raises(StudyError, match=r"handle cannot be sent to the processes that train .PicklingError"):
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


# Something that is used, and the same with another meaning: results stand for the first alone.
MEANINGS = {
    "a base class": ("class B:\n    v = 3\nclass N(B): pass\ndef train(t): return N.v", "v = 3", "v = 4"),
    "a method": ("class N:\n    def f(self): return 1\ndef train(t): return N().f()", "return 1", "return 2"),
    "a property": ("class N:\n    @property\n    def f(s): return 1\ndef train(t): N().f", "return 1", "return 2"),
    "two lambdas of one line": ("fs = [lambda t: 1, lambda t: 2]\ntrain = fs[0]", "fs[0]", "fs[1]"),
    "what is decorated": (
        "def d(f):\n    def inner(t): return f(t)\n    return inner\n"
        "@d\ndef build(t): return 1\n@d\ndef train(t): return build(t)",
        "return 1",
        "return 2",
    ),
    "a default": ("import numpy as np\nX = np.zeros(5000)\nX[2500] = 1\ndef train(t, d=X): return d", "= 1", "= 2"),
    "a partial's argument": ("import functools\ndef f(t, w): w\ntrain = functools.partial(f, w=1)", "w=1", "w=2"),
    "in a list": ("SIZES = [1, {2: (3,)}]\ndef train(t): return SIZES", "(3,)", "(4,)"),
    "an instance": ("class C:\n    def __init__(s): s.a = 1\nc = C()\ndef train(t): return c.a", "s.a = 1", "s.a = 2"),
    "a tensor": ("import torch\nX = torch.ones(3)\ndef train(t): return X", "ones(3)", "ones(3) * 2"),
    "a model": ("import torch\nM = torch.nn.Linear(2, 2)\nM.weight.data.fill_(1)\nM.bias.data.fill_(0)\n"
                "def train(t): return M", "fill_(1)", "fill_(2)"),
}  # fmt: skip
# What is used in name alone, or differs from process to process.
ALIKE = {
    "an attribute of that name": ("seed = 1\ndef train(t): t.seed('x')", "seed = 1", "seed = 2"),
    "a set of words": ("S = {'a', 'bb', 'ccc'}\ndef train(t): return S", "", ""),
    "an enumeration": ("import enum\nclass E(enum.Enum):\n    A = 1\ne = E.A\ndef train(t): return e", "", ""),
    "itself": ("def train(t): return t and train(None)", "", ""),
}


PARTS = """
import json
import sys
from thalweg.study.ask.function_parts import consists_of

spaces = [{"__name__": "__main__"} for _ in sys.argv[1:]]
for space, text in zip(spaces, sys.argv[1:]):
    exec(compile(text, "cell", "exec"), space)
print(json.dumps([dict(consists_of(space["train"], "train").written) for space in spaces]))
"""


def parts_in_a_process(texts, hash_seed):
    """An interpreter of its own, since forked ones order sets alike; so do 1 and 2, but not 1 and 3."""
    done = subprocess.run(
        [sys.executable, "-c", PARTS, *texts], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("case", MEANINGS)
def test_what_means_something_else_is_something_else(case):
    text, old, new = MEANINGS[case]
    assert old in text
    namespaces = [{"__name__": "__main__"} for _ in range(3)]
    for space, written in zip(namespaces, (text, text, text.replace(old, new)), strict=True):
        exec(compile(written, "cell", "exec"), space)
    first, again, other = (parts_of(space["train"]) for space in namespaces)
    assert first == again
    assert first != other


def test_what_means_the_same_is_the_same():
    first = parts_in_a_process([text for text, _, _ in ALIKE.values()], "1")
    again = parts_in_a_process([text.replace(old, new) if old else text for text, old, new in ALIKE.values()], "3")
    assert {*ALIKE} == {case for case, one, other in zip(ALIKE, first, again, strict=True) if one and one == other}


@pytest.mark.slow
def test_data_files_and_modules_of_a_function_count_as_they_are_now(tmp_path, monkeypatch):
    cells = CELLS.replace(
        "x = torch.from_numpy(DATA)[:, None]", "x = torch.tensor([[float(trial.file('d.txt').read_text())]])"
    )
    (tmp_path / "d.txt").write_text("0.5")
    typed(cells + COMPARE)
    (kept,) = tmp_path.glob("*.function")
    events = []
    settings = {"trials": 2, "seeds": 2, "engine": Serial(), "store": "thalweg-train.sqlite", "on_event": events.append}
    # As the page says it: from the kept file, whose parts are the same, while the files are not.
    for name, text in (("d.txt", "0.75"), ("helper.py", HELPER.replace("2", "5"))):
        (tmp_path / name).write_text(text)
        events.clear()
        thalweg.compare(f"{kept}:train", ["sgd", "adamw"], **settings)
        assert events[0].changed == (name,)
        assert events[0].done == 0


def test_a_cached_helper_is_refused_by_its_name(tmp_path):
    space = {"__name__": "__main__"}
    exec("import functools\n@functools.lru_cache\ndef data(): return 1\ndef train(t): return data()", space)
    with pytest.raises(StudyError, match=r"data is wrapped by functools\.lru_cache"):
        function_reference(space["train"], tmp_path)
