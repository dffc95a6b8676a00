"""docs/migrating.md: both lines of each pair take the same steps, and no argument of the other library is left out."""

import copy
import inspect
import re
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import optax
import optimi
import pytest
import pytorch_optimizer
import torch

import thalweg
from thalweg.testing.judging import case

PAGE = (Path(__file__).parents[2] / "docs" / "migrating.md").read_text(encoding="utf-8")
SECTIONS = {part.partition("\n")[0]: part for part in PAGE.split("\n## ")[1:]}
LIBRARIES = {
    "optax": optax,
    "optimi": optimi,
    "pytorch_optimizer": pytorch_optimizer,
    "thalweg": thalweg,
    "torch": torch,
}
MODEL = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.LayerNorm(3)).double()
STEPS = 25


def pairs(section: str) -> list[list[str]]:
    (block,) = re.findall(r"```python\n(.*?)```", SECTIONS[section], re.DOTALL)
    return [pair.strip().splitlines() for pair in block.split("\n\n")]


def gradients() -> list[list[torch.Tensor]]:
    seeded = torch.Generator().manual_seed(1)
    return [[torch.randn(p.shape, generator=seeded, dtype=p.dtype) for p in MODEL.parameters()] for _ in range(STEPS)]


def made(line: str, model: torch.nn.Module) -> Any:
    """What a line of the page makes, whose rate moves nothing that it has not been given."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return eval(line, {**LIBRARIES, "model": model, "params": [*model.parameters()]})


def by_torch(line: str) -> list[torch.Tensor]:
    model = copy.deepcopy(MODEL)
    optimizer = made(line, model)
    if hasattr(optimizer, "train"):
        optimizer.train()
    for each in gradients():
        for p, g in zip(model.parameters(), each, strict=True):
            p.grad = g.clone()
        optimizer.step()
    return [p.detach() for p in model.parameters()]


def by_jax(line: str) -> list[torch.Tensor]:
    import jax

    jax.config.update("jax_enable_x64", True)
    transformation = made(line, MODEL)
    weights = [jax.numpy.asarray(p.detach().numpy()) for p in MODEL.parameters()]
    state = transformation.init(weights)
    update = jax.jit(transformation.update)
    for each in gradients():
        updates, state = update([g.numpy() for g in each], state, weights)
        weights = optax.apply_updates(weights, updates)
    return [torch.from_numpy(np.array(w)) for w in weights]


def flat(tensors: Iterable[torch.Tensor]) -> torch.Tensor:
    return torch.cat([each.detach().reshape(-1) for each in tensors])


@pytest.mark.parametrize(
    ("section", "by"),
    [
        ("From torch.optim", by_torch),
        ("From torch-optimi", by_torch),
        ("From pytorch_optimizer", by_torch),
        pytest.param("From optax", by_jax, marks=pytest.mark.slow),  # each is compiled by JAX: 5 s
    ],
)
def test_both_lines_take_the_same_steps(section: str, by: Callable[[str], list[torch.Tensor]]) -> None:
    for there, here in pairs(section):
        with case(here):
            theirs, ours, start = flat(by(there)), flat(by_torch(here)), flat(MODEL.parameters())
            assert ((theirs - start).abs() > 1e-8).all()
            assert (theirs - ours).abs().max() < 1e-9 * theirs.abs().max()


def test_what_stands_for_timm_can_be_made() -> None:
    """timm itself is not installed here: the page says when its lines were run."""
    for _, here in pairs("From timm"):
        with case(here):
            by_torch(here)


@pytest.mark.parametrize("section", ["From torch.optim", "From torch-optimi", "From pytorch_optimizer"])
def test_every_argument_is_told(section: str) -> None:
    """One that is here under the same name, or stands in the section's table."""
    library = {"From torch.optim": torch.optim, "From torch-optimi": optimi}.get(section, pytorch_optimizer)
    table = {name for row in re.findall(r"^\| (.*?) \|", SECTIONS[section], re.MULTILINE) for name in words(row)}
    names = {name for pair in pairs(section) for name in re.findall(r"^\w+\.(?:optim\.)?(\w+)\(", pair[0])}
    if library is torch.optim:
        names = {*dir(torch.optim)}
    ours = {each.__name__: each for each in thalweg.OPTIMIZERS.values()}
    assert len(names & {*ours}) > 5
    for name in sorted(names & {*ours}):
        there, here = (inspect.signature(each).parameters for each in (getattr(library, name), ours[name]))
        told = {each for each, found in there.items() if found.kind is not found.VAR_KEYWORD}
        assert told - {*here} - table == set(), name


def words(row: str) -> list[str]:
    """The names between backticks, without the values that stand with them."""
    return [name for code in re.findall(r"`([^`]+)`", row) for name in re.findall(r"^\w+", code)]
