"""The bits of a training, as hashes: rules x chains x element types x one row of numbers or several.

python tests/bits.py > before.txt          # and again after a change that should move none of them
diff before.txt after.txt
"""

import hashlib
import math
from collections.abc import Iterator
from typing import Any

import torch

from thalweg.formula.rule import decay_kind
from thalweg.optim import OPTIMIZERS
from thalweg.rules import BY_WEIGHT
from thalweg.testing.cases import gradients, weights

SHAPES = ((), (17,), (31, 33))
CHAINS: dict[str, dict[str, Any]] = {
    "plain": {},
    "clipped": {"clip_norm": 1.0, "clip_value": 0.5},
    "averaged": {"ema": 0.9, "maximize": True},
}
DECAYS = ("none", "l2", "decoupled", "independent", "corrected")


def cases() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The name of a case, its rule, and the arguments."""
    for name in BY_WEIGHT:  # what torch multiplies has the bits of its libraries
        made_by = OPTIMIZERS[name]
        kind = decay_kind(made_by.rule)
        for chain, options in CHAINS.items():
            if kind == "none":
                yield f"{name} {chain}", name, options
                continue
            for decay in DECAYS if kind != "own" else ("none", "own"):
                weight_decay = 0.0 if decay == "none" else 0.1
                chosen = {} if decay in ("none", "own") else {"decay": decay}
                yield f"{name} {chain} {decay}", name, {**options, **chosen, "weight_decay": weight_decay}


def bits(name: str, arguments: dict[str, Any], dtype: torch.dtype, several: bool) -> str:
    """The weights and states after 12 steps. ``several``: a group for each tensor, with rates and steps of its own."""
    params = weights(dtype, SHAPES)
    lr = OPTIMIZERS[name](weights(dtype, SHAPES)).defaults["lr"]
    groups: Any = [{"params": [p], "lr": lr * (1 + i / 8)} for i, p in enumerate(params)] if several else params
    made = OPTIMIZERS[name](groups, **arguments)
    for number, row in enumerate(gradients(12, SHAPES)):
        for i, (p, g) in enumerate(zip(params, row, strict=True)):
            p.grad = None if several and number == i else g.to(dtype)
        made.step()
    found = hashlib.sha256()
    for p in params:
        for value in (p, *(made.state[p][key] for key in sorted(made.state[p]))):
            found.update(value.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()[:16] + ("" if all(p.isfinite().all() for p in params) else " " + str(math.inf))


if __name__ == "__main__":
    torch.set_num_threads(1)
    for case, rule, arguments in cases():
        for dtype in (torch.float64, torch.float32, torch.bfloat16):
            for several in (False, True):
                print(
                    f"{case} {str(dtype)[6:]} {'several rows' if several else 'one row'}:",
                    bits(rule, arguments, dtype, several),
                )
