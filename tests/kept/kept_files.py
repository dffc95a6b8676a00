"""Writes what a version of thalweg leaves behind: checkpoints, pickles, a study's store. Later versions must read it.

python tests/kept/kept_files.py tests/kept/0.1.0      # once, with the version of that name; then never again
"""

import copy
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

import thalweg
from thalweg.formula import like
from thalweg.formula.rule import of_matrices
from thalweg.optim import Optimizer, optimizer
from thalweg.wrappers import Cautious, Lookahead


def parameters() -> list[torch.nn.Parameter]:
    """Of two shapes, one of them in bfloat16."""
    kinds = ((3, 4), torch.float32), ((5,), torch.float32), ((7,), torch.bfloat16)
    return [torch.nn.Parameter(torch.linspace(-1, 1, torch.Size(s).numel()).view(s).to(d)) for s, d in kinds]


def made() -> Iterator[tuple[str, Optimizer]]:
    """By name: every rule, wrappers and conventions, groups that have names, options of the chain."""
    for name, kind in thalweg.OPTIMIZERS.items():
        taken = parameters()[:1] if of_matrices(kind.rule) else parameters()
        yield name, kind(taken)
    yield "named", thalweg.AdamW([("a.weight", parameters()[0]), ("a.bias", parameters()[1])], ema=0.9, amsgrad=True)
    a, b, c = parameters()
    yield (
        "groups",
        thalweg.SGD([{"params": [a], "lr": 0.5}, {"params": [b, c], "momentum": 0.9}], lr=0.1, nesterov=False),
    )
    yield "chain", thalweg.Adam(parameters(), decay="independent", weight_decay=0.1, clip_norm=0.5, clip_value=0.3)
    yield "wrapped", thalweg.wrap(thalweg.wrap(thalweg.AdamW, Cautious), Lookahead)(parameters())
    yield "convention", optimizer(like(thalweg.RMSprop.rule, "tf1"))(parameters(), lr=0.01)


def steps(made: Optimizer, first: int, count: int) -> list[torch.Tensor]:
    """The weights after some steps along drawn gradients, those of a step by its number."""
    params = [p for group in made.param_groups for p in group["params"]]
    for number in range(first, first + count):
        chance = torch.Generator().manual_seed(number)
        for p in params:
            p.grad = torch.randn(p.shape, generator=chance).to(p.dtype)
        made.step()
    return [p.detach().clone() for p in params]


def main(folder: Path) -> None:
    """Write the folder's files."""
    folder.mkdir(parents=True)
    checkpoints, pickles = {}, {}
    for name, trained in made():
        weights = steps(trained, 0, 3)
        pickles[name] = pickle.dumps(trained)
        state = copy.deepcopy(trained.state_dict())
        checkpoints[name] = {"state": state, "weights": weights, "after": steps(trained, 3, 2)}
    torch.save(checkpoints, folder / "checkpoints.pt")
    (folder / "optimizers.pickle").write_bytes(pickle.dumps(pickles))
    thalweg.compare("quadratic-deep", ["sgd", "adamw"], trials=3, seeds=2, store=folder / "study.store")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
