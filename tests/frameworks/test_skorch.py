"""skorch: an optimizer class and its arguments as scikit-learn parameters, callbacks, and saved parameters."""

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from skorch import NeuralNetClassifier
from skorch.callbacks import Checkpoint, GradientNormClipping, LoadInitState, LRScheduler
from small_training import EVERY, MADE, SHARED, each_rule

import thalweg

SEEDED = np.random.default_rng(0)
X = SEEDED.normal(size=(48, 5)).astype(np.float32)
Y = (X[:, 0] + X[:, 1] > 0).astype(np.int64)


class Classifier(torch.nn.Module):
    """The same weights each time, whatever the process has drawn before."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.hidden, self.out = torch.nn.Linear(5, 12), torch.nn.Linear(12, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.out(torch.tanh(self.hidden(x))), 1)


def net(made_by: Any, epochs: int = 3, **options: Any) -> NeuralNetClassifier:
    return NeuralNetClassifier(
        Classifier, optimizer=made_by, max_epochs=epochs, batch_size=16, train_split=None, verbose=0, **options
    )


def under(prefix: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {f"{prefix}__{key}": value for key, value in arguments.items()}


def at(trained: NeuralNetClassifier) -> torch.Tensor:
    return torch.cat([p.detach().double().reshape(-1) for p in trained.module_.parameters()])


@pytest.mark.parametrize("callbacks", ["none", "schedule and clip"])
@pytest.mark.parametrize("name", SHARED)
def test_as_torch(name: str, callbacks: str) -> None:
    found = []
    for made_by, more in ((getattr(thalweg, name), {}), (getattr(torch.optim, name), {"foreach": False})):
        how: dict[str, Any] = under("optimizer", {**SHARED[name], **more})
        if callbacks != "none":
            annealing = LRScheduler(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=4, step_every="batch")
            how["callbacks"] = [annealing, GradientNormClipping(0.05)]
        found.append(at(net(made_by, **how).fit(X, Y)))
    start = at(net(torch.optim.SGD).initialize())
    assert (found[0] - found[1]).norm() < 1e-4 * (found[1] - start).norm()


@each_rule
def test_groups_by_pattern(name: str) -> None:
    """skorch makes groups from names; ``optimizer__lr`` and its like may be set again afterwards."""
    groups = [("hidden.*", {"lr": 0.0}), ("*.bias", {"lr": 0.5})]
    trained = net(MADE[name], **under("optimizer", {"param_groups": groups, "lr": 0.01, **EVERY[name]}))
    trained.initialize()
    before = copy.deepcopy(trained.module_)
    assert [group["lr"] for group in trained.optimizer_.param_groups] == [0.0, 0.5, 0.01]
    trained.partial_fit(X, Y)
    if name != "rprop":  # lr is the size of its first step, which grows from 1e-6
        assert torch.equal(trained.module_.hidden.weight, before.hidden.weight)
    assert not torch.equal(trained.module_.out.weight, before.out.weight)
    trained.set_params(optimizer__lr=0.125)
    assert trained.optimizer_.param_groups[-1]["lr"] == 0.125


@each_rule
def test_saved_and_loaded(name: str, tmp_path: Path) -> None:
    how = under("optimizer", {"lr": 0.05, **EVERY[name]})
    straight = net(MADE[name], **how).fit(X, Y)
    files = {f"f_{what}": str(tmp_path / what) for what in ("params", "optimizer", "history")}
    straight.save_params(**files)
    again = net(MADE[name], **how).initialize()
    again.load_params(**files)
    copied = pickle.loads(pickle.dumps(straight))
    for trained in (straight, again, copied):
        trained.partial_fit(X, Y)
    assert torch.equal(at(again), at(straight))
    assert torch.equal(at(copied), at(straight))
    assert len(again.history) == 6


def test_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    """The callbacks for training that is cut off and started again."""
    how = under("optimizer", {"lr": 0.05})
    straight = net(thalweg.AdamW, 6, **how).fit(X, Y)
    kept = Checkpoint(monitor=None, dirname=str(tmp_path))
    net(thalweg.AdamW, 3, callbacks=[kept], **how).fit(X, Y)
    again = net(thalweg.AdamW, 3, callbacks=[LoadInitState(kept)], **how).fit(X, Y)
    assert torch.equal(at(again), at(straight))


def test_searched_by_scikit_learn() -> None:
    choices = {"optimizer__lr": [1e-6, 0.1], "optimizer": [thalweg.AdamW, thalweg.Adam]}
    search = GridSearchCV(net(thalweg.AdamW, 10), choices, scoring="accuracy", cv=2)
    search.fit(X, Y)
    assert search.best_params_["optimizer__lr"] == 0.1
    assert search.best_score_ > 0.8


def test_mistake_in_an_argument() -> None:
    with pytest.raises(TypeError, match="AdamW takes no 'momentum'; it takes lr, betas"):
        net(thalweg.AdamW, optimizer__momentum=0.9).fit(X, Y)
