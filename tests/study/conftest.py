import subprocess
import textwrap

import pytest
from comparing import Kept

# A training of milliseconds with the real parts: torch, an optimizer of thalweg, seeds, reports.
QUICK = """
    import torch

    def train(trial):
        torch.manual_seed(trial.seed("init"))
        chance = torch.Generator().manual_seed(trial.seed("data"))
        x = torch.randn(64, 8, generator=chance)
        y = x.sum(1, keepdim=True) + 0.1 * torch.randn(64, 1, generator=chance)
        model = torch.nn.Linear(8, 1)
        optimizer = trial.optimizer(model)

        def loss():
            return torch.nn.functional.mse_loss(model(x), y)

        trial.report(valid_loss=loss().detach(), test_loss=loss().item())
        for epoch in trial.epochs(3):
            optimizer.zero_grad()
            loss().backward()
            optimizer.step()
            trial.report(valid_loss=loss().detach(), test_loss=loss().item())
"""


@pytest.fixture(scope="session")
def workers():
    """Two worker processes for all comparisons that want such: each takes seconds to start.

    The files whose tests ask for it stay together (TOGETHER in tests/conftest.py).
    """
    engine = Kept(2)
    yield engine
    engine.let_go()


@pytest.fixture
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    """What a test writes beside itself, stores above all, lands in its own folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def script(tmp_path):
    """Writes a script, given its text or nothing for a quick one; the reference of its `train`."""

    def write(text=QUICK, name="script.py"):
        (tmp_path / name).write_text(textwrap.dedent(text))
        return f"{tmp_path / name}:train"

    return write


@pytest.fixture
def mounted(tmp_path):
    """A function that mounts a real tmpfs; the test is skipped where that is not allowed."""
    places = []

    def mount(options):
        place = tmp_path / f"mount{len(places)}"
        place.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], capture_output=True)
        if done.returncode:
            pytest.skip("mounting a small file system needs root")
        places.append(place)
        return place

    yield mount
    for place in places:
        subprocess.run(["umount", place], check=True)
