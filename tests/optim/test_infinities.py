"""Weights that are infinite, as masks and transition tables hold them: a number that should do nothing does nothing.

0 times infinity is nan, so a decay of 0 that is multiplied is no decay of 0. The oracle shares the formulas, so the
judges here are torch, and what must be true: an infinite weight stays, and its neighbours do not notice it.
"""

import math
from typing import Any

import pytest
import torch

import thalweg
from thalweg.formula import Sum
from thalweg.formula.rule import decay_kind, parts
from thalweg.optim import OPTIMIZERS, Optimizer
from thalweg.rules import BY_WEIGHT
from thalweg.testing.cases import gaps
from thalweg.wrappers import Lookahead

INF = math.inf
DTYPES = [torch.float64, torch.float32, torch.bfloat16]
WEIGHTS = [1.0, -INF, 0.5, INF, -2.0, -INF, 3.0, *([0.25] * 12), INF]
FINITE = [0.125 if math.isinf(w) else w for w in WEIGHTS]
# What is asked for of an infinite weight beside decay: nothing, both directions, a clip, an average.
CHAINS: list[dict[str, Any]] = [{}, {"maximize": True}, {"clip_value": 0.5}, {"clip_norm": 1.0}, {"ema": 0.9}]


# The size of the weights is one of the totals of the others.
ELEMENTWISE = [name for name, rule in BY_WEIGHT.items() if not parts(rule, Sum)]


def decays(made: type[Optimizer]) -> list[dict[str, Any]]:
    kind = decay_kind(made.rule)
    if kind == "none":
        return [{}]
    if kind == "own":
        return [{"weight_decay": 0.0}, {"weight_decay": 0.25}]
    return [{"weight_decay": 0.0}, *({"weight_decay": 0.25, "decay": way} for way in ("decoupled", "l2"))]


def layouts(weights: list[float], dtype: torch.dtype) -> list[torch.Tensor]:
    """Served by a kernel, and by the torch reader."""
    plain = torch.tensor(weights, dtype=dtype)
    return [torch.nn.Parameter(plain.clone()), torch.nn.Parameter(gaps(plain))]


def gradient(step: int, like: torch.Tensor, at_infinity: float = 0.0) -> torch.Tensor:
    """Another one in each step for finite weights, for infinite ones none, as masks have it, or a small one."""
    drawn = torch.randn(len(WEIGHTS), generator=torch.Generator().manual_seed(step), dtype=torch.float64)
    there = torch.tensor([math.isinf(w) for w in WEIGHTS])
    return torch.where(there, at_infinity, drawn).to(like.dtype)


def train(made: torch.optim.Optimizer, at_infinity: float = 0.0, steps: int = 7) -> None:
    for step in range(steps):
        for group in made.param_groups:
            for p in group["params"]:
                p.grad = gradient(step, p, at_infinity)
        made.step()


def kinds(x: torch.Tensor) -> list[str]:
    return ["nan" if math.isnan(v) else f"{v}" if math.isinf(v) else "finite" for v in x.tolist()]


@pytest.mark.parametrize("name", [name for name, rule in BY_WEIGHT.items() if hasattr(torch.optim, rule.__name__)])
def test_kinds_are_torchs(name: str) -> None:
    """Of weights and states, after steps with and without a gradient there."""
    made_by = OPTIMIZERS[name]
    for decay in decays(made_by):
        for dtype in DTYPES:
            for at_infinity in (0.0, 0.5):
                arguments = {key: value for key, value in decay.items() if key != "decay"}
                if decay.get("decay", decay_kind(made_by.rule)) != decay_kind(made_by.rule):
                    if name not in ("adam", "nadam", "radam"):
                        continue  # torch has one of the two
                    arguments["decoupled_weight_decay"] = True
                reference = torch.nn.Parameter(torch.tensor(WEIGHTS, dtype=dtype))
                theirs = getattr(torch.optim, made_by.__name__)([reference], lr=0.01, foreach=False, **arguments)
                train(theirs, at_infinity)
                for ours in layouts(WEIGHTS, dtype):
                    made = made_by([ours], lr=0.01, **decay)
                    train(made, at_infinity)
                    case = f"{decay}, {dtype}, gradients of {at_infinity} there"
                    assert kinds(ours.detach()) == kinds(reference.detach()), case
                    for key, value in theirs.state[reference].items():
                        if isinstance(value, torch.Tensor) and value.shape == reference.shape:
                            assert kinds(made.state[ours][key]) == kinds(value), f"{case}: {key}"


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_infinite_weights_stay_where_they_are(name: str) -> None:
    """Without decay, and with one beside the rule's step; an L2 share of them is infinite, and rules differ."""
    made_by = OPTIMIZERS[name]
    for decay in decays(made_by):
        if decay.get("weight_decay") and (decay.get("decay") == "l2" or name.startswith("schedulefree")):
            continue
        for dtype in DTYPES:
            for chain in CHAINS if dtype is torch.float32 else CHAINS[:1]:
                for p in layouts(WEIGHTS, dtype):
                    made = made_by([p], lr=0.01, **decay, **chain)
                    train(made)
                    expected = kinds(torch.tensor(WEIGHTS))
                    assert kinds(p.detach()) == expected, f"{decay}, {dtype}, {chain}"
                    if "ema" in chain or name.startswith("schedulefree"):
                        with made.averaged():
                            assert kinds(p.detach()) == expected, f"{decay}, {dtype}, {chain}: averaged"


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_their_neighbours_do_not_notice(name: str) -> None:
    """To the bit, for rules that look at one weight at a time."""
    made_by = OPTIMIZERS[name]
    there = torch.tensor([not math.isinf(w) for w in WEIGHTS])
    for decay in decays(made_by):
        for dtype in DTYPES:
            for p, q in zip(layouts(WEIGHTS, dtype), layouts(FINITE, dtype), strict=True):
                for each in (p, q):
                    train(made_by([each], lr=0.01, **decay))
                assert torch.equal(p.detach()[there], q.detach()[there]), f"{decay}, {dtype}"


@pytest.mark.parametrize("wrapper", [Lookahead, thalweg.Cautious])
def test_around_a_rule(wrapper: Any) -> None:
    for dtype in DTYPES:
        for p in layouts(WEIGHTS, dtype):
            train(thalweg.wrap(thalweg.AdamW, wrapper)([p], lr=0.01))
            assert kinds(p.detach()) == kinds(torch.tensor(WEIGHTS)), dtype


def test_an_infinite_gradient_under_a_clip_by_norm_is_torchs() -> None:
    """A scale of 0 leaves nothing of finite gradients, and nan of the infinite one."""
    found = []
    for made_by in (thalweg.SGD, torch.optim.SGD):
        p = torch.nn.Parameter(torch.ones(4))
        p.grad = torch.tensor([1.0, INF, 2.0, 3.0])
        if made_by is thalweg.SGD:
            made_by([p], lr=0.1, clip_norm=1.0).step()
        else:
            torch.nn.utils.clip_grad_norm_([p], 1.0)
            made_by([p], lr=0.1).step()
        found.append(p.tolist())
    assert str(found[0]) == str(found[1])
