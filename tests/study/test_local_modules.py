"""What a result stands for includes the modules that the script brings along."""

import sys

import pytest
from comparing import run

from thalweg.study import Started, train
from thalweg.study.ask.local_modules import script_files, script_hash

SCRIPT = """
import torch
from base import WIDTH


def train(trial):
    from parts.loss import loss_of

    torch.manual_seed(trial.seed("init"))
    x = torch.randn(8, 3)
    model = torch.nn.Sequential(torch.nn.Linear(3, WIDTH), torch.nn.Linear(WIDTH, 1))
    optimizer = trial.optimizer(model)
    for _ in trial.epochs(2):
        loss = loss_of(model(x), x[:, :1])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        trial.report(valid_loss=loss, test_loss=loss)
"""
FILES = {
    "base.py": "WIDTH = 16\n",
    "unused.py": "WIDTH = 1\n",
    "parts/__init__.py": "",
    "parts/loss.py": "from . import power\nfrom .power import of\n\ndef loss_of(a, b):\n    return of(a - b).mean()\n",
    "parts/power.py": "import math\n\ndef of(x):\n    return x**2\n",
}


@pytest.fixture
def written(in_a_folder_of_its_own, script, tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return script(SCRIPT)


def test_the_files_that_count(written, tmp_path):
    """Those that are reached by import statements, inside functions too; no other file, and nothing installed."""
    found = script_files(tmp_path / "script.py")
    assert [*found] == ["script.py", "base.py", "parts/__init__.py", "parts/loss.py", "parts/power.py"]


def test_a_script_alone_is_known_by_its_own_text(script, tmp_path):
    """As it was before modules counted: stores that are there stay worth what they are."""
    script()
    assert script_hash(tmp_path / "script.py") == script_files(tmp_path / "script.py")["script.py"]


@pytest.mark.parametrize("name", ["base.py", "parts/power.py"])
def test_changed_code_is_run_again_and_told(written, tmp_path, name):
    """In this very process, which has imported the former text."""
    first = run(written, ("adamw",))
    events = []
    again = run(written, ("adamw",), events=events)
    assert (events[0].done, events[0].changed) == (events[0].total, ())
    assert again.rows[0].tuned == first.rows[0].tuned
    text = FILES[name]
    (tmp_path / name).write_text(text.replace("16", "17") if name == "base.py" else text.replace("x**2", "x**4"))
    events = []
    other = run(written, ("adamw",), events=events)
    assert isinstance(events[0], Started)
    assert (events[0].done, events[0].changed) == (0, (name,))
    assert other.rows[0].tuned != first.rows[0].tuned
    (tmp_path / name).write_text(text)
    events = []
    back = run(written, ("adamw",), events=events)
    assert events[0].done == events[0].total
    assert back.rows[0].tuned == first.rows[0].tuned


def test_what_does_not_count_changes_nothing(written, tmp_path):
    run(written, ("adamw",))
    (tmp_path / "unused.py").write_text("WIDTH = 2\n")
    events = []
    run(written, ("adamw",), events=events)
    assert (events[0].done, events[0].changed) == (events[0].total, ())


def test_two_scripts_with_modules_of_one_name(script, tmp_path):
    """One process, as a worker is: each gets its own."""
    places = []
    for name, width in (("one", 2), ("two", 20)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "base.py").write_text(f"WIDTH = {width}\n")
        text = SCRIPT.replace("from parts.loss import loss_of", "loss_of = torch.nn.functional.mse_loss")
        (tmp_path / name / "script.py").write_text(text)
        places.append(f"{tmp_path / name / 'script.py'}:train")
    sizes = [
        run(place, ("adamw",), store=tmp_path / f"{i}.sqlite").rows[0].state_bytes for i, place in enumerate(places)
    ]
    assert sizes[1] > 5 * sizes[0]


def test_a_script_in_a_package(in_a_folder_of_its_own, tmp_path):
    """It imports relatively, from beside it and from above; what is above counts too.

    In worker processes: test_twenty_scripts.py, package_with_relative_imports.
    """
    (tmp_path / "project" / "train").mkdir(parents=True)
    for name, text in {
        "__init__.py": "NAME = 'project'\n",
        "sizes.py": "WIDTH = 16\n",
        "train/__init__.py": "",
        "train/parts.py": "from ..sizes import WIDTH\n",
    }.items():
        (tmp_path / "project" / name).write_text(text)
    text = SCRIPT.replace("from base import WIDTH", "from .parts import WIDTH\nfrom .. import NAME\n")
    text = text.replace("from parts.loss import loss_of", "loss_of = torch.nn.functional.mse_loss")
    (tmp_path / "project" / "train" / "main.py").write_text(text)
    place = f"{tmp_path / 'project' / 'train' / 'main.py'}:train"
    assert [*script_files(tmp_path / "project" / "train" / "main.py")] == [
        "project/train/main.py", "project/__init__.py", "project/sizes.py", "project/train/__init__.py",
        "project/train/parts.py",
    ]  # fmt: skip
    first = run(place, ("adamw",), trials=1, seeds=2)
    (tmp_path / "project" / "sizes.py").write_text("WIDTH = 20\n")
    events = []
    other = run(place, ("adamw",), trials=1, seeds=2, events=events)
    assert events[0].changed == ("project/sizes.py",)
    assert other.rows[0].state_bytes > first.rows[0].state_bytes


COUNTING = """
import torch
from counting.calls import CALLS
import counting.more


def train(trial):
    CALLS.append(1)
    from counting import late

    late.CALLS.append(1)
    model = torch.nn.Linear(1, 1)
    optimizer = trial.optimizer(model)
    for _ in trial.epochs(1):
        loss = (len(CALLS) * len(late.CALLS) * model(torch.ones(1))).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        trial.report(valid_loss=loss, valid_score=len(CALLS) * len(late.CALLS))
"""


@pytest.mark.parametrize("package", [True, False])
def test_a_training_does_not_depend_on_those_before_it(script, tmp_path, package):
    """What the script's modules keep is as in a fresh process; none of them is left for whoever imports such a name."""
    (tmp_path / "counting").mkdir()
    for name in ("calls", "late", "more", *["__init__"] * package):
        (tmp_path / "counting" / f"{name}.py").write_text("CALLS = []\n")
    place = script(COUNTING)
    before = dict(sys.modules)
    found = [train(place, "sgd").final["valid_score"] for _ in range(3)]
    assert found == [1.0, 1.0, 1.0]
    assert not [name for name in sys.modules.keys() - before.keys() if name.startswith("counting")]
