"""One training of `ppo.py`, in this process: ``WAY STEPS SEED``. Writes one line of JSON."""

import json
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from time import perf_counter
from typing import Any

import torch

import thalweg

THALWEG = "thalweg.Adam"
# stable-baselines3 gives torch's Adam this eps where nothing else is said; so all have it.
_EPS = {"eps": 1e-5}
_MADE: Mapping[str, tuple[Callable[..., torch.optim.Optimizer], Mapping[str, Any]]] = {
    "torch.optim.Adam": (torch.optim.Adam, _EPS),
    "torch.optim.Adam(fused=True)": (torch.optim.Adam, {**_EPS, "fused": True}),
    THALWEG: (thalweg.Adam, _EPS),
}
WAYS = tuple(_MADE)


def main(way: str, steps: int, seed: int) -> None:
    """Train, and print how many seconds it took."""
    torch.set_num_threads(1)
    made, options = _MADE[way]
    # By name, since the project does not depend on it.
    model = import_module("stable_baselines3").PPO(
        "MlpPolicy", "CartPole-v1", device="cpu", seed=seed,
        policy_kwargs={"optimizer_class": made, "optimizer_kwargs": dict(options)},
    )  # fmt: skip
    began = perf_counter()
    model.learn(steps)
    print(json.dumps({"seconds": perf_counter() - began}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
