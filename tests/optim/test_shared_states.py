"""States that torch moves to shared memory, in place, to send them to another process."""

import pickle
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler
from typing import Any

import pytest
import torch

import thalweg
from thalweg.optim import memory


def send(thing: Any) -> None:
    ForkingPickler.dumps(thing)


WAYS: dict[str, Callable[[thalweg.Optimizer], None]] = {
    "state_dict": lambda made: send(made.state_dict()),
    "optimizer": send,
    "state": lambda made: send(dict(made.state)),
    "share_memory_": lambda made: [t.share_memory_() for s in made.state_dict()["state"].values() for t in s.values()],
    "data": lambda made: [
        setattr(t, "data", t.data.clone()) for s in made.state_dict()["state"].values() for t in s.values()
    ],
}


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("clip_norm", [None, 1e9])
@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_lost(way: str, clip_norm: float | None, native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not native:
        monkeypatch.setattr(memory, "torch_interface", lambda: None)
    results = []
    for sent in (False, True):
        torch.manual_seed(0)
        weights = [torch.nn.Parameter(torch.randn(n)) for n in (100_000, 5, 100_000)]
        made = thalweg.AdamW(weights, lr=0.1, clip_norm=clip_norm)
        for step in range(6):
            if sent and step in (2, 4):
                WAYS[way](made)
            for p in weights:
                p.grad = torch.randn_like(p)
            made.step()
        results.append([*weights, *(made.state[p][key] for p in weights for key in ("step", "exp_avg", "exp_avg_sq"))])
    for a, b in zip(*results, strict=True):
        assert torch.equal(a, b)


def test_plain_pickles_too() -> None:
    weight = torch.nn.Parameter(torch.zeros(3))
    made = thalweg.AdamW([weight])
    weight.grad = torch.ones(3)
    made.step()
    twin = pickle.loads(pickle.dumps(made))
    assert torch.equal(next(iter(twin.state.values()))["exp_avg"], made.state[weight]["exp_avg"])
