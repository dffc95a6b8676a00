"""What earlier versions left behind is read, and goes on where it was: checkpoints, pickles, stores."""

import pickle
import shutil
from pathlib import Path

import pytest
import torch
from kept_files import made, steps

from thalweg.cli import main
from thalweg.study import Suite
from thalweg.testing.judging import case

VERSIONS = sorted(path for path in Path(__file__).parent.iterdir() if (path / "checkpoints.pt").exists())


@pytest.mark.parametrize("folder", VERSIONS, ids=lambda folder: folder.name)
def test_checkpoints(folder: Path) -> None:
    kept = torch.load(folder / "checkpoints.pt", weights_only=True)
    fresh = dict(made())
    assert not kept.keys() - fresh.keys()
    for name, found in kept.items():
        with case(name):
            params = [p for group in fresh[name].param_groups for p in group["params"]]
            for p, weight in zip(params, found["weights"], strict=True):
                p.data.copy_(weight)
            fresh[name].load_state_dict(found["state"])
            for ours, theirs in zip(steps(fresh[name], 3, 2), found["after"], strict=True):
                torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("folder", VERSIONS, ids=lambda folder: folder.name)
def test_pickles(folder: Path) -> None:
    kept = torch.load(folder / "checkpoints.pt", weights_only=True)
    pickles = pickle.loads((folder / "optimizers.pickle").read_bytes())
    assert pickles.keys() == kept.keys()
    for name, pickled in pickles.items():
        with case(name):
            for ours, theirs in zip(steps(pickle.loads(pickled), 3, 2), kept[name]["after"], strict=True):
                torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("folder", VERSIONS, ids=lambda folder: folder.name)
def test_stores(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Read as values, and by the commands that show a store; the file is not changed by that."""
    store = tmp_path / "study.sqlite"
    shutil.copy(folder / "study.store", store)
    before = store.read_bytes()
    (comparison,) = Suite.load(store).comparisons
    assert [row.contender for row in comparison.rows] == ["sgd", "adamw"]
    assert comparison.missing == 0
    assert main(["report", str(store), "--out", str(tmp_path / "report.html")]) == 0
    assert main(["export", str(store), "--out", str(tmp_path / "tables")]) == 0
    assert "adamw" in (tmp_path / "tables" / "runs.csv").read_text()
    assert store.read_bytes() == before
    assert "Traceback" not in capsys.readouterr().err
