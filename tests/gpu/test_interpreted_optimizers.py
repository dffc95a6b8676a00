"""Every rule of the catalogue as an optimizer on a GPU that is interpreted, against the same on the CPU.

How a step is taken there (graphs, scalers, steps that are left out) is in test_gpu_steps.py.
"""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from interpreted import Interpreted, interpreting
from walking import assert_same

import thalweg
from thalweg.formula.rule import by_lines, decay_kind
from thalweg.optim import OPTIMIZERS, Optimizer, wrap
from thalweg.rules import BY_WEIGHT, CATALOGUE
from thalweg.testing.cases import gradients, weights
from thalweg.wrappers import WRAPPERS

BY_LINE = [name for name, rule in CATALOGUE.items() if by_lines(rule)]
SHAPES = ((3, 5), (1029,), (), (0, 3), (7,))
Make = Callable[[list[Any]], Optimizer]
Row = Sequence[torch.Tensor | None]


def rows(steps: int, absent: bool = False) -> list[list[torch.Tensor | None]]:
    """Gradients; ``absent``: in each step another one is not there."""
    found: list[list[torch.Tensor | None]] = [[g.clone() for g in row] for row in gradients(steps, SHAPES)]
    for t, row in enumerate(found):
        if absent:
            row[t % len(row)] = None
    return found


def trained(make: Make, steps: Sequence[Row], dtype: torch.dtype) -> tuple[list[torch.Tensor], Optimizer]:
    params = weights(dtype, SHAPES)
    made = make([{"params": params[:2]}, {"params": params[2:], "lr": 0.002}])
    for row in steps:
        for p, g in zip(params, row, strict=True):
            p.grad = None if g is None else g.to(dtype, copy=True)
        made.step()
    return params, made


def judge(make: Make, steps: Sequence[Row], dtype: torch.dtype = torch.float32, ulps: int = 0) -> Interpreted:
    """The same weights, states and step counts; and the device has done it."""
    expected, by_cpu = trained(make, steps, dtype)
    with interpreting() as device:
        found, by_device = trained(make, steps, dtype)
    assert device.launched, "nothing ran on the device"
    for i, (p, q) in enumerate(zip(found, expected, strict=True)):
        compared = {"weight": (p, q)}
        if p in by_device.state or q in by_cpu.state:
            assert by_device.state[p].keys() == by_cpu.state[q].keys()
            compared |= {key: (value, by_cpu.state[q][key]) for key, value in by_device.state[p].items()}
        for key, (a, b) in compared.items():
            exact = key == "step"
            assert_same(a.reshape(-1), b.reshape(-1), 0 if exact else ulps, exact, f"{key} {i}, {tuple(q.shape)}")
    return device


def options(name: str, **more: Any) -> dict[str, Any]:
    """Everything that may stand around a rule."""
    kind = decay_kind(CATALOGUE[name])
    decay = {} if kind == "none" else {"weight_decay": 0.1}
    return {**decay, "clip_value": 0.5, "maximize": True, "ema": 0.9, "clear": True, **more}


@pytest.mark.parametrize("name", ["adamw", "lion"])
def test_some_rules(name: str) -> None:
    device = judge(lambda groups: OPTIMIZERS[name](groups, **options(name)), rows(2, absent=True))
    assert {*device.launched} == {"walk"}


def test_a_clip_by_norm() -> None:
    device = judge(lambda groups: thalweg.AdamW(groups, clip_norm=0.5), rows(2), ulps=2)
    assert device.launched == ["walk", "between", "walk"] * 2


def test_rows_and_columns() -> None:
    device = judge(lambda groups: thalweg.Adafactor(groups, weight_decay=0.1), rows(1), ulps=2)
    assert {*device.launched} == {"added", "along", "between", "walk"}


@pytest.mark.slow
@pytest.mark.parametrize("like", CATALOGUE["adafactor"].conventions)
def test_adafactors_conventions(like: str) -> None:
    ways = (torch.float32, options("adafactor", clip_norm=0.5), 2), (torch.float64, {"nonfinite": "raise"}, 2**12)
    for dtype, more, ulps in ways:  # in float64 totals are within 1e-12
        judge(lambda groups, more=more: thalweg.Adafactor(groups, like=like, **more), rows(2), dtype, ulps)


@pytest.mark.slow
def test_adafactor_is_torchs() -> None:
    """A judge that knows nothing of this library, over many steps."""
    of = ((3, 5), (70, 9), (2, 3, 4), (17,), ())
    mine, theirs = weights(torch.float64, of), weights(torch.float64, of)
    with interpreting() as device:
        made = thalweg.Adafactor(mine, lr=0.05, weight_decay=0.1)
        judge_ = torch.optim.Adafactor(theirs, lr=0.05, weight_decay=0.1)
        for row in gradients(20, of):
            for optimizer, params in ((made, mine), (judge_, theirs)):
                for p, g in zip(params, row, strict=True):
                    p.grad = g.double()
                optimizer.step()
    assert "added" in device.launched
    for p, q in zip(mine, theirs, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*BY_WEIGHT, *BY_LINE])
def test_every_rule(name: str) -> None:
    """Plain and in the whole chain; where sums decide, they are added in another order: 2 units in the last place.

    Each kernel by itself, of every element type, is in test_triton_walks.py.
    """
    for dtype, more in (
        (torch.float32, {}), (torch.bfloat16, options(name)), (torch.float32, options(name, clip_norm=0.5)),
    ):  # fmt: skip
        summed = "clip_norm" in more or "sums" in CATALOGUE[name].formulas
        judge(
            lambda groups, more=more: OPTIMIZERS[name](groups, **more), rows(2, absent=True), dtype, 2 if summed else 0
        )


@pytest.mark.slow
@pytest.mark.parametrize("name", WRAPPERS)
def test_every_wrapper(name: str) -> None:
    wrapper = WRAPPERS[name]
    ulps = 2 if "sums" in wrapper.formulas else 0
    made = wrap(thalweg.Adam, wrapper)
    judge(lambda groups: made(groups), rows(3, absent=True), ulps=ulps)


@pytest.mark.slow
@pytest.mark.parametrize("decay", ["l2", "decoupled", "cautious", "strictly-cautious", "independent", "corrected"])
def test_every_decay(decay: str) -> None:
    judge(lambda groups: thalweg.AdamW(groups, weight_decay=0.1, decay=decay), rows(2))
