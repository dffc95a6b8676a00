"""docs/integrations.md: its blocks as they stand, with the real frameworks, and stand-ins for what is the reader's."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist

import thalweg

pytestmark = pytest.mark.slow
PAGE = (Path(__file__).parents[2] / "docs" / "integrations.md").read_text(encoding="utf-8")
SECTIONS = {part.partition("\n")[0]: part for part in PAGE.split("\n## ")[1:]}


def blocks(section: str) -> list[str]:
    found = re.findall(r"```python\n(.*?)```", SECTIONS[section], re.DOTALL)
    assert found, section
    return found


def run(section: str, **names: Any) -> dict[str, Any]:
    """All blocks of a section in one module, after what a reader has of his own."""
    module = {"torch": torch, "thalweg": thalweg, "__name__": "page", **names}
    for block in blocks(section):
        exec(block, module)
    return module


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))


def moved(model: torch.nn.Module) -> bool:
    return not torch.equal(next(model.parameters()).detach().cpu(), next(network().parameters()).detach())


class Classifier(torch.nn.Module):
    """As the Trainer wants it: loss first."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = network()

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        scores = self.inner(x)
        return torch.nn.functional.cross_entropy(scores, labels), scores


EXAMPLES = [{"x": torch.randn(5), "labels": torch.tensor(i % 2)} for i in range(12)]


def test_trainer(tmp_path: Path) -> None:
    from transformers import TrainingArguments

    arguments = TrainingArguments(
        str(tmp_path), max_steps=2, per_device_train_batch_size=4, report_to="none", save_strategy="no", use_cpu=True,
        disable_tqdm=True, dataloader_pin_memory=False,
    )  # fmt: skip
    model = Classifier()
    found = run("The Trainer", model=model, arguments=arguments, dataset=EXAMPLES)
    assert type(found["trainer"].optimizer.optimizer) is thalweg.AdamW
    assert moved(model.inner)


def test_accelerate() -> None:
    model = Classifier()
    found = run("Accelerate", model=model, dataset=EXAMPLES, loss_of=lambda model, batch: model(**batch)[0])
    assert isinstance(found["optimizer"].optimizer, thalweg.AdamW)
    assert moved(model.inner)


@pytest.fixture
def alone() -> Iterator[None]:
    """A group of one process."""
    dist.init_process_group("gloo", rank=0, world_size=1, store=dist.HashStore())
    yield
    dist.destroy_process_group()


def step(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    model(torch.ones(3, 5)).square().sum().backward()
    optimizer.step()


@pytest.mark.usefixtures("alone")
def test_ddp() -> None:
    found = run("DDP", model=network())
    step(found["model"], found["optimizer"])
    assert moved(found["model"].module)


@pytest.mark.usefixtures("alone")
def test_fsdp(tmp_path: Path) -> None:
    found = run("FSDP2 and checkpoints", model=network(), train=step, folder=tmp_path)
    states = found["optimizer"].state_dict()["state"].values()
    assert states
    assert all(state["step"] == 1 for state in states)


def test_skorch() -> None:
    seeded = np.random.default_rng(0)
    x = seeded.normal(size=(24, 5)).astype(np.float32)

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = network()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.softmax(self.inner(x), 1)

    found = run("skorch", Net=Net, x=x, y=(x[:, 0] > 0).astype(np.int64))
    assert moved(found["net"].module_.inner)


def test_lightning_s_hook_is_a_method() -> None:
    (indented,) = re.findall(r"((?:^    .*\n)+)", SECTIONS["Lightning"], re.MULTILINE)
    module = {"thalweg": thalweg}
    exec(f"import torch\nclass Module(torch.nn.Linear):\n{indented}", module)
    assert isinstance(module["Module"](2, 2).configure_optimizers(), thalweg.AdamW)


def test_trackers_and_optuna(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    compare = thalweg.compare
    engine = thalweg.study.Serial()
    monkeypatch.setattr(thalweg, "compare", lambda *given, **named: compare(*given, engine=engine, **named))
    found = run("Comparisons beside trackers, Optuna, Ray")
    assert len(found["study"].trials) == 1
    assert found["study"].best_value > 0
    assert [*(tmp_path / "runs").rglob("events.*")]
