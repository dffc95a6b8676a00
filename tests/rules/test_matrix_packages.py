"""Rules of matrices beside packages that have them: what each computes in, it is compared in."""

from typing import Any

import numpy as np
import pytest
import torch

import thalweg

SHAPES = ((48, 48), (24, 96), (96, 24), (33, 65))


def drawn(shapes: Any, steps: int, dtype: torch.dtype = torch.float32) -> list[list[torch.Tensor]]:
    """Gradients of each step."""
    chance = torch.Generator().manual_seed(11)
    return [[torch.randn(shape, generator=chance, dtype=dtype) for shape in shapes] for _ in range(steps)]


def moves(made: Any, params: list[torch.nn.Parameter], rows: list[list[torch.Tensor]]) -> list[list[torch.Tensor]]:
    """What each step takes off each weight."""
    found = []
    for row in rows:
        before = [p.detach().clone() for p in params]
        for p, g in zip(params, row, strict=True):
            p.grad = g.clone()
        made.step()
        found.append([b - p.detach() for b, p in zip(before, params, strict=True)])
    return found


def zeros(shapes: Any, dtype: torch.dtype = torch.float32) -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(torch.zeros(shape, dtype=dtype)) for shape in shapes]


def test_muon_and_adamw_of_its_author(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both rules in one optimizer, in float64: he turns to bfloat16, which is left out here."""
    muon = pytest.importorskip("muon")
    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda self: self)
    shapes = (*SHAPES, (3, 12, 8), (7,), (5,))
    rows = drawn(shapes, 8, torch.float64)
    ours, theirs = ([torch.nn.Parameter(w.clone()) for w in rows[-1]] for _ in range(2))
    beside: dict[str, Any] = {"lr": 3e-3, "betas": (0.9, 0.95), "eps": 1e-10, "weight_decay": 0.1}
    made = thalweg.Muon(
        [{"params": ours[:-2]}, {"params": ours[-2:], "rule": "AdamW", **beside}], like="keller", weight_decay=0.1
    )
    other = muon.SingleDeviceMuonWithAuxAdam(
        [
            {"params": theirs[:-2], "use_muon": True, "weight_decay": 0.1},
            {"params": theirs[-2:], "use_muon": False, **beside},
        ]
    )
    for mine, yours in zip(moves(made, ours, rows), moves(other, theirs, rows), strict=True):
        for a, b in zip(mine, yours, strict=True):
            assert float((a - b).norm()) < 1e-12 * float(b.norm())


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("adjusted", [True, False])
def test_muon_of_pytorch_optimizer(nesterov: bool, adjusted: bool) -> None:
    """It multiplies in bfloat16, so steps may differ by what that leaves."""
    pytest.importorskip("pytorch_optimizer")
    from pytorch_optimizer import Muon

    rows = drawn(SHAPES, 8)
    ours, theirs = zeros(SHAPES), zeros(SHAPES)
    scale = "rms" if adjusted else "original"
    made = thalweg.Muon(ours, like="keller", scale=scale, nesterov=nesterov, products="bfloat16", lr=0.02)
    other = Muon([{"params": theirs, "use_muon": True}], lr=0.02, nesterov=nesterov, use_adjusted_lr=adjusted)
    for mine, yours in zip(moves(made, ours, rows), moves(other, theirs, rows), strict=True):
        for a, b in zip(mine, yours, strict=True):
            assert float((a - b).norm() / b.norm()) < 0.03
            assert b.norm() > 0


def test_soap_of_pytorch_optimizer() -> None:
    """Squares, whose first gradients leave no axis open; past two turns of the axes."""
    pytest.importorskip("pytorch_optimizer")
    from pytorch_optimizer import SOAP

    shapes = ((12, 12), (7, 7))
    rows = drawn(shapes, 25, torch.float64)
    ours, theirs = zeros(shapes, torch.float64), zeros(shapes, torch.float64)
    made = thalweg.SOAP(ours, lr=3e-3, weight_decay=0.0)
    other = SOAP(theirs, lr=3e-3, weight_decay=0.0)
    for step, (mine, yours) in enumerate(zip(moves(made, ours, rows), moves(other, theirs, rows), strict=True)):
        for a, b in zip(mine, yours, strict=True):
            torch.testing.assert_close(
                a, b, rtol=0, atol=1e-6 * 3e-3, msg=lambda said, step=step: f"step {step}: {said}"
            )


@pytest.mark.slow  # jax compiles it
def test_muon_of_optax() -> None:
    """In float64, without eps. Its weights are inputs x outputs; its correction of the average changes no direction."""
    jax = pytest.importorskip("jax")
    contrib = pytest.importorskip("optax.contrib")
    rows = drawn(SHAPES, 12, torch.float64)
    params = zeros(SHAPES, torch.float64)
    made = thalweg.Muon(params, like="keller", nesterov=False, floor="floored", eps=0.0, lr=0.02, transposed=True)
    mine = moves(made, params, rows)
    with jax.enable_x64(True):
        other = contrib.muon(0.02, nesterov=False, eps=0.0, weight_decay=0.0)
        theirs = [jax.numpy.zeros(shape, jax.numpy.float64) for shape in SHAPES]
        state, update = other.init(theirs), jax.jit(other.update)
        for row, ours in zip(rows, mine, strict=True):
            updates, state = update([jax.numpy.asarray(g.numpy()) for g in row], state, theirs)
            for a, b in zip(ours, updates, strict=True):
                np.testing.assert_allclose(a.numpy(), -np.asarray(b), rtol=0, atol=1e-12)
                assert np.abs(b).max() > 1e-4
