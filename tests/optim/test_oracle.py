"""Every rule against the float64 oracle and, where torch has the rule, against torch's for-loop."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from contract_rules import CONTRACT
from thalweg.formula import Rule, Sum, torch_reader
from thalweg.formula.rule import decay_kind, parts
from thalweg.optim import OPTIMIZERS, build
from thalweg.rules import CATALOGUE

STEPS = 200
SHAPES = ((3,), (16,), (17,), (4, 5), (), (0,), (61, 67))
TOLERANCE = {torch.float32: 2e-5, torch.float64: 1e-12}

# Each line: the rule, its values by the rule's names, options of the chain.
SETTINGS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("sgd", {"lr": 0.01}, {}),
    ("sgd", {"lr": 0.01, "weight_decay": 0.1}, {"maximize": True}),
    ("sgd", {"lr": 0.01, "momentum": 0.9}, {}),
    ("sgd", {"lr": 0.01, "momentum": 0.9, "dampening": 0.5, "weight_decay": 0.01}, {}),
    ("sgd", {"lr": 0.01, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}, {}),
    ("momentum", {"lr": 0.1}, {}),
    ("momentum", {"lr": 0.1, "momentum": 0.5, "weight_decay": 0.1}, {"maximize": True}),
    ("adagrad", {}, {}),
    ("adagrad", {"lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.1}, {"maximize": True}),
    ("rmsprop", {}, {}),
    ("rmsprop", {"lr": 1e-3, "momentum": 0.9, "weight_decay": 0.1}, {}),
    ("rmsprop", {"centered": True, "alpha": 0.9}, {"maximize": True}),
    ("rmsprop", {"lr": 1e-3, "centered": True, "momentum": 0.9, "eps": 1e-4}, {}),
    ("adam", {}, {}),
    ("adam", {"weight_decay": 0.1, "beta1": 0.8}, {"maximize": True}),
    ("adam", {"amsgrad": True, "beta2": 0.5}, {}),
    ("adamw", {}, {}),
    ("adamw", {"weight_decay": 0.3, "amsgrad": True, "beta2": 0.5}, {"maximize": True}),
    ("adamw", {"lr": 1e-5}, {}),
    ("lion", {}, {}),
    ("lion", {"lr": 1e-3, "weight_decay": 0.5}, {"maximize": True}),
]
IDS = [f"{name}-{'-'.join(f'{k}={v}' for k, v in {**values, **options}.items())}" for name, values, options in SETTINGS]


def start(dtype: torch.dtype, shapes: tuple[tuple[int, ...], ...] = SHAPES) -> list[torch.nn.Parameter]:
    seeded = torch.Generator().manual_seed(1)
    return [torch.nn.Parameter(torch.randn(s, generator=seeded, dtype=torch.float32).to(dtype)) for s in shapes]


def gradients(steps: int = STEPS, shapes: tuple[tuple[int, ...], ...] = SHAPES) -> list[list[torch.Tensor]]:
    """Random, with zeros and spikes, exactly representable in float32."""
    seeded = torch.Generator().manual_seed(2)
    rows = []
    for _ in range(steps):
        row = [torch.randn(s, generator=seeded) for s in shapes]
        for g in row:
            kind = torch.rand(g.shape, generator=seeded)
            g[kind < 0.1] = 0.0
            g[kind > 0.99] *= 1e3
        rows.append(row)
    return rows


def trained(optimizer: torch.optim.Optimizer, rows: list[list[torch.Tensor]]) -> torch.Tensor:
    params = [p for group in optimizer.param_groups for p in group["params"]]
    for row in rows:
        for p, g in zip(params, row, strict=True):
            p.grad = g.to(p.dtype)
        optimizer.step()
    return flat(params)


def oracle(rule: type[Rule], values: dict[str, Any], options: dict[str, Any], rows: Any, shapes: Any) -> torch.Tensor:
    """Each parameter trained by the torch reader in float64."""
    known = torch_reader.values_of(rule, **values)
    known["unscale"] = -1.0 if options.get("maximize") else 1.0
    if decay_kind(rule) == "l2":
        known["l2"] = known["weight_decay"]
    elif decay_kind(rule) == "decoupled":
        known["shrink"] = known["lr"] * known["weight_decay"]
    final = []
    for i, weight in enumerate(start(torch.float64, shapes)):
        now = torch_reader.begin(rule, weight.detach(), known)
        for row in rows:
            now = torch_reader.step(rule, now, row[i].double(), known)
        final.append(now.weight)
    return flat(final)


def flat(tensors: list[torch.Tensor]) -> torch.Tensor:
    return torch.cat([t.detach().double().reshape(-1) for t in tensors])


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).norm() / b.norm())


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize(("name", "values", "options"), SETTINGS, ids=IDS)
def test_rule(name: str, values: dict[str, Any], options: dict[str, Any], dtype: torch.dtype) -> None:
    rows, params = gradients(), start(dtype)
    ours = trained(build(CATALOGUE[name], params, values, **options), rows)
    truth = oracle(CATALOGUE[name], values, options, rows, SHAPES)
    assert distance(ours, truth) < TOLERANCE[dtype]
    # The rule moved the weights by far more than the tolerance, so agreement means something.
    assert distance(truth, flat(start(torch.float64))) > 1e-4

    theirs = getattr(torch.optim, OPTIMIZERS[name].__name__, None)
    if theirs is not None:
        defaults = build(CATALOGUE[name], params, values, **options).defaults
        known = {k: v for k, v in defaults.items() if k not in ("decay", "clip_value", "ema")}
        loop = trained(theirs(start(dtype), foreach=False, **known), rows)
        assert distance(ours, loop) < TOLERANCE[dtype]


def test_every_rule_is_tested() -> None:
    assert {name for name, _, _ in SETTINGS} == set(CATALOGUE)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("rule", CONTRACT, ids=lambda rule: rule.__name__)
def test_contract(rule: type[Rule], dtype: torch.dtype) -> None:
    """States, scalars and sums of every scope; with totals over all weights the oracle knows one parameter."""
    overall = any(total.scope == "all" for total in parts(rule, Sum).values())
    shapes = ((61, 67),) if overall else SHAPES
    rows = gradients(60, shapes)
    ours = trained(build(rule, start(dtype, shapes)), rows)
    assert distance(ours, oracle(rule, {}, {}, rows, shapes)) < TOLERANCE[dtype]


def test_nadam_like_is_torchs() -> None:
    """An independent source of truth for prepare and scalars (torch keeps its product in float32: 1e-7 here)."""
    rows = gradients(60)
    ours = trained(build(CONTRACT[0], start(torch.float64)), rows)
    assert distance(ours, trained(torch.optim.NAdam(start(torch.float64), foreach=False), rows)) < 1e-7


@given(
    sizes=st.lists(st.integers(0, 40_000), min_size=1, max_size=4),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    threads=st.integers(1, 3),
)
def test_any_cut_gives_the_same_bits(sizes: list[int], dtype: torch.dtype, threads: int) -> None:
    """However weights are spread over tensors, pieces and threads, each comes out the same."""
    before = torch.get_num_threads()
    weights, grads = torch.randn(sum(sizes), dtype=dtype), torch.randn(sum(sizes), dtype=dtype)
    whole = torch.nn.Parameter(weights.clone())
    parts_ = [torch.nn.Parameter(w.clone()) for w in weights.split(sizes)]
    try:
        for params, grad in (([whole], [grads]), (parts_, list(grads.split(sizes)))):
            torch.set_num_threads(threads if params is parts_ else 1)
            optimizer = OPTIMIZERS["adamw"](params)
            for _ in range(2):
                for p, g in zip(params, grad, strict=True):
                    p.grad = g.clone()
                optimizer.step()
    finally:
        torch.set_num_threads(before)
    assert torch.equal(flat([whole]), flat(parts_))
