"""What pages of rules say of optimizers that step: their code runs, and they keep and move as many bytes."""

import re
from typing import Any

import numpy as np
import pytest
import torch
from page_reading import EVERY, MADE, Pages, published, section, tables
from torch import nn

from page_text import markdown_tables
from thalweg.formula.rule import of_matrices
from thalweg.optim import OPTIMIZERS
from thalweg.rules import CATALOGUE
from thalweg.testing.judging import case


def blocks(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", section(page, "Call it"), re.DOTALL | re.MULTILINE)


def test_torch_blocks_run(pages: Pages) -> None:
    """Each on a small model, with a step taken, by the defaults of the rule's own signature."""
    for key in EVERY:
        block, *_ = blocks(pages[key])
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
        given: dict[str, Any] = {"model": model}
        with case(key):
            exec(block, given)
            if key in CATALOGUE and not of_matrices(CATALOGUE[key]):
                plain = OPTIMIZERS[key]([nn.Parameter(torch.ones(2, 2))])
                assert without_params(given["optimizer"]) == without_params(plain)
            model(torch.ones(1, 3)).square().sum().backward()
            given["optimizer"].step()
            assert given["optimizer"].state


def without_params(optimizer: Any) -> dict[str, Any]:
    return {name: each for name, each in optimizer.param_groups[0].items() if name != "params"}


@pytest.mark.slow  # six seconds: a step of every rule and wrapper by JAX
def test_jax_blocks_run(pages: Pages) -> None:
    """Each on a matrix, one step of which is torch's."""
    from jax import numpy as jnp

    gradient = np.linspace(-0.3, 0.6, 6, dtype=np.float32).reshape(2, 3)
    without = []
    for key in EVERY:
        torchs, *others = blocks(pages[key])
        if not others:
            without.append(key)
            continue
        (block,) = others
        given: dict[str, Any] = {}
        with case(key):
            exec(block, given)
            params = {"w": jnp.ones((2, 3))}
            updates, _ = given["tx"].update({"w": jnp.asarray(gradient)}, given["tx"].init(params), params)
            weight = nn.Parameter(torch.ones(2, 3))
            theirs: dict[str, Any] = {"model": around(weight)}
            exec(torchs, theirs)
            weight.grad = torch.from_numpy(gradient)
            theirs["optimizer"].step()
            step = weight.detach().numpy() - 1
            # Weights near 1 round; and torch's side multiplies matrices in bfloat16 where the processor can.
            near = 0.05 if key in CATALOGUE and of_matrices(CATALOGUE[key]) else 0.002
            np.testing.assert_allclose(updates["w"], step, rtol=0, atol=near * np.abs(step).max() + 1e-7)
    assert without == ["soap"]
    assert "Not in JAX" in pages["soap"]


def around(weight: nn.Parameter) -> nn.Module:
    """A model with this matrix in its middle."""
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2, bias=False), nn.Linear(2, 2))
    model[1].weight = weight
    return model


def taken(key: str, shape: tuple[int, ...], dtype: torch.dtype) -> Any:
    """An optimizer of this rule, or around Adam, after a step."""
    options: dict[str, Any] = {"ema": 0.9} if key == "weightaverage" else {}
    options |= {"products": "float32"} if key in CATALOGUE and of_matrices(CATALOGUE[key]) else {}
    weight = nn.Parameter(torch.ones(shape, dtype=dtype))
    optimizer = MADE[key]([weight], **options)
    weight.grad = torch.full_like(weight, 0.5)
    optimizer.step()
    return optimizer


def kept(optimizer: Any, shape: tuple[int, ...]) -> float:
    """Of each weight, of states that are of its shape."""
    (state,) = optimizer.state.values() or [{}]
    whole = [each for each in state.values() if isinstance(each, torch.Tensor) and each.shape == shape]
    return sum(each.element_size() for each in whole)


def moved(optimizer: Any) -> float:
    return float(re.findall(r"(\d+) bytes a weight", " ".join(optimizer.explain().split()))[0])


@pytest.mark.slow  # four seconds: a kernel for every rule and wrapper
def test_bytes_are_those_of_an_optimizer(pages: Pages) -> None:
    """In bfloat16, and in float32 where the next test knows no figure."""
    rules, _ = markdown_tables(published("CATALOGUE.md"))
    known = {row["rule"].lower() for row in rules}
    for key in EVERY:
        (rows,) = tables(pages[key], "Bytes")
        for dtype in (torch.bfloat16, *(() if key in known else (torch.float32,))):
            column = str(dtype).removeprefix("torch.")
            for shape, place in (((5, 7), 0), *([((35,), 2)] if len(rows) > 2 else [])):
                optimizer = taken(key, shape, dtype)
                with case(f"{key} {column} {shape}"):
                    assert int(rows[place][column].split()[0]) == kept(optimizer, shape)
                    assert int(rows[place + 1][column].split()[0]) == moved(optimizer)
