"""Rules of matrices against their sources, each written out plainly in NumPy and float64."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import thalweg

Array = np.ndarray
Move = Callable[[Array, Array], Array]
"""From a weight and its gradient to the next weight; it keeps its states."""

SHAPES = ((4, 4), (3, 7), (7, 3), (16, 5), (1, 6), (6, 1))
KELLER = ((3.4445, -4.7750, 2.0315),) * 5
YOU = (
    (4.0848, -6.8946, 2.9270), (3.9505, -6.3029, 2.6377), (3.7418, -5.5913, 2.3037), (2.8769, -3.1427, 1.2046),
    (2.8366, -3.0525, 1.2012),
)  # fmt: skip
SHARED = (
    (8.156554524902461, -22.48329292557795, 15.878769915207462),
    (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
    (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
)


def newton_schulz(x: Array, entries: Any) -> Array:
    """On the side that is the shorter one."""
    for a, b, c in entries:
        if len(x) > x.shape[1]:
            y = x.T @ x
            x = a * x + x @ (b * y + c * y @ y)
        else:
            y = x @ x.T
            x = a * x + (b * y + c * y @ y) @ x
    return x


def keller(lr: float, weight_decay: float, rows: int, columns: int) -> Move:
    """KellerJordan/Muon: an average, Nesterov's step, five equal ones."""
    m: Any = 0.0

    def move(w: Array, g: Array) -> Array:
        nonlocal m
        m = 0.95 * m + 0.05 * g
        u = 0.05 * g + 0.95 * m
        o = newton_schulz(u / (np.linalg.norm(u) + 1e-7), KELLER) * max(1.0, rows / columns) ** 0.5
        return w * (1 - lr * weight_decay) - lr * o

    return move


def in_torch(lr: float, weight_decay: float, rows: int, columns: int) -> Move:
    """torch/optim/_muon.py, with the scale that is its default: the norm has a floor."""
    m: Any = 0.0

    def move(w: Array, g: Array) -> Array:
        nonlocal m
        m = m + 0.05 * (g - m)
        u = g + 0.95 * (m - g)
        o = newton_schulz(u / max(np.linalg.norm(u), 1e-7), KELLER)
        return w * (1 - lr * weight_decay) - lr * math.sqrt(max(1.0, rows / columns)) * o

    return move


def moonshot(lr: float, weight_decay: float, rows: int, columns: int) -> Move:
    """Moonlight: a sum, Nesterov's step, steps of the size of AdamW's."""
    m: Any = 0.0

    def move(w: Array, g: Array) -> Array:
        nonlocal m
        m = 0.95 * m + g
        u = g + 0.95 * m
        o = newton_schulz(u / (np.linalg.norm(u) + 1e-7), KELLER)
        return w * (1 - lr * weight_decay) - lr * 0.2 * math.sqrt(max(rows, columns)) * o

    return move


def dion(lr: float, weight_decay: float, rows: int, columns: int) -> Move:
    """microsoft/dion: a sum, no Nesterov, Polar Express, the spectral scale."""
    m: Any = 0.0

    def move(w: Array, g: Array) -> Array:
        nonlocal m
        m = 0.95 * m + g
        o = newton_schulz(m / (np.linalg.norm(m) * 1.02 + 1e-6), SHARED)
        return w * (1 - lr * weight_decay) - lr * math.sqrt(rows / columns) * o

    return move


def nanochat(lr: float, weight_decay: float, rows: int, columns: int) -> Move:
    """karpathy/nanochat: rows of one length, Polar Express, a norm of sqrt(min), NorMuon's tail, cautious decay."""
    m: Any = 0.0
    v: Any = 0.0
    axis = 1 if rows >= columns else 0

    def move(w: Array, g: Array) -> Array:
        nonlocal m, v
        m = m + 0.05 * (g - m)
        u = g + 0.95 * (m - g)
        target = np.linalg.norm(u) / rows**0.5
        u = u * target / np.maximum(np.linalg.norm(u, axis=1, keepdims=True), 1e-6)
        o = newton_schulz(u / (np.linalg.norm(u) * 1.01 + 1e-6), SHARED)
        o = o * (min(rows, columns) ** 0.5 / max(np.linalg.norm(o), 1e-6))
        mean = (o**2).mean(axis=axis, keepdims=True)
        v = v + 0.05 * (mean - v)
        size = np.maximum(v, 1e-10) ** -0.5
        before, after = np.linalg.norm(o), math.sqrt((mean * o.shape[axis] * size**2).sum())
        d = lr * max(1.0, rows / columns) ** 0.5 * o * size * (before / max(after, 1e-10))
        return w - d - lr * weight_decay * w * (d * w >= 0)

    return move


def nvidia(lr: float, weight_decay: float, rows: int, columns: int) -> Move:
    """NVIDIA-NeMo/Emerging-Optimizers: an average, no Nesterov, the quintic list, the scale sqrt(max)."""
    m: Any = 0.0

    def move(w: Array, g: Array) -> Array:
        nonlocal m
        m = 0.95 * m + 0.05 * g
        o = newton_schulz(m / max(np.linalg.norm(m), 1e-15), YOU)
        return w - lr * weight_decay * w - lr * math.sqrt(max(rows, columns)) * o

    return move


CONVENTIONS = {
    "keller": keller, "torch": in_torch, "moonshot": moonshot, "dion": dion, "nanochat": nanochat, "nvidia": nvidia,
}  # fmt: skip


def normuon(lr: float, weight_decay: float, rows: int, columns: int) -> Move:
    """Li et al. 2025, as microsoft/dion has it: rows, and eps beside the root."""
    m: Any = 0.0
    v: Any = 0.0

    def move(w: Array, g: Array) -> Array:
        nonlocal m, v
        m = 0.95 * m + 0.05 * g
        u = 0.95 * m + 0.05 * g
        o = newton_schulz(u / (np.linalg.norm(u) * 1.02 + 1e-6), SHARED)
        v = 0.95 * v + 0.05 * (o**2).mean(axis=1, keepdims=True)
        even = o / (np.sqrt(v) + 1e-8)
        even *= np.linalg.norm(o) / np.linalg.norm(even)
        return w * (1 - lr * weight_decay) - lr * 0.2 * math.sqrt(max(rows, columns)) * even

    return move


def soap(lr: float, weight_decay: float, rows: int, columns: int) -> Move:
    """nikhilvyas/SOAP at a1e5535, betas (.95, .95), which its shampoo_beta follows, precondition_frequency 3.

    Side by side as there: GG the squares of rows and of columns, Q their axes, exp_avg and exp_avg_sq along them; the
    first gradient finds the axes, and the weight is left as it is; decay comes last.
    """
    beta, every = 0.95, 3
    squares = [np.zeros((rows, rows)), np.zeros((columns, columns))]
    axes: list[Array] = []
    average, average_of_squares = np.zeros((rows, columns)), np.zeros((rows, columns))
    step = 0

    def along(x: Array) -> Array:
        for q in axes:
            x = np.tensordot(x, q, axes=[[0], [0]])
        return x

    def back(x: Array) -> Array:
        for q in axes:
            x = np.tensordot(x, q, axes=[[0], [1]])
        return x

    def renew(g: Array) -> None:
        nonlocal axes, average, average_of_squares
        if axes:
            average = back(average)
        for side in (0, 1):
            squares[side] += (1 - beta) * (np.tensordot(g, g, axes=[[1 - side], [1 - side]]) - squares[side])
        if not axes:
            axes = [np.linalg.eigh(square)[1][:, ::-1] for square in squares]
        if step > 0 and step % every == 0:
            for side in (0, 1):
                sizes = np.diag(axes[side].T @ squares[side] @ axes[side])
                order = np.argsort(-sizes, kind="stable")
                average_of_squares = np.take(average_of_squares, order, axis=side)
                axes[side] = np.linalg.qr(squares[side] @ axes[side][:, order])[0]
        if step > 0:
            average = along(average)

    def move(w: Array, g: Array) -> Array:
        nonlocal average, average_of_squares, step
        if not axes:
            renew(g)
            return w
        projected = along(g)
        step += 1
        average = beta * average + (1 - beta) * projected
        average_of_squares = beta * average_of_squares + (1 - beta) * projected**2
        size = lr * math.sqrt(1 - beta**step) / (1 - beta**step)
        w = w - size * back(average / (np.sqrt(average_of_squares) + 1e-8))
        w = w - lr * weight_decay * w
        renew(g)
        return w

    return move


def soap_decayed_beside(lr: float, weight_decay: float, rows: int, columns: int) -> Move:
    """The same step, which does not depend on the weight, with decay taken off beside it, in the first step too."""
    theirs = soap(lr, 0.0, rows, columns)
    return lambda w, g: theirs(w, g) - lr * weight_decay * w


def shampoo(lr: float, weight_decay: float, rows: int, columns: int) -> Move:
    """One-sided, on the shorter side, with a pseudo-inverse root and the norm of Adam's step."""
    m: Any = 0.0
    v: Any = 0.0
    square: Any = 0.0
    taken = 0

    def move(w: Array, g: Array) -> Array:
        nonlocal m, v, square, taken
        taken += 1
        m, v = 0.95 * m + 0.05 * g, 0.9 * v + 0.1 * g**2
        adam = (m / (1 - 0.95**taken)) / (np.sqrt(v / (1 - 0.9**taken)) + 1e-15)
        square = 0.9 * square + 0.1 * (g.T @ g if rows > columns else g @ g.T)
        values, vectors = np.linalg.eigh(square)
        large = values > 1e-6 * values.sum()
        root = (vectors[:, large] / np.sqrt(values[large])) @ vectors[:, large].T
        o = m @ root if rows > columns else root @ m
        return w * (1 - lr * weight_decay) - lr * o * np.linalg.norm(adam) / np.linalg.norm(o)

    return move


def gradients(shapes: Any, steps: int = 20) -> list[list[Array]]:
    drawn = np.random.default_rng(3)
    return [[drawn.normal(size=shape) * 10.0 ** drawn.integers(-3, 4) for shape in shapes] for _ in range(steps)]


def apart(made: Callable[..., Move], build: Callable[[Any], Any], shapes: Any = SHAPES) -> float:
    """The largest difference after 20 steps, over the size of the weights; every other step sees half of them."""
    drawn = np.random.default_rng(4)
    start = [drawn.normal(size=shape) for shape in shapes]
    params = [torch.nn.Parameter(torch.tensor(w)) for w in start]
    optimizer = build(params)
    group = optimizer.param_groups[0]
    moves = [made(group["lr"], group["weight_decay"], *shape) for shape in shapes]
    for number, row in enumerate(gradients(shapes)):
        for i, (p, g) in enumerate(zip(params, row, strict=True)):
            here = number % 2 == 0 or i % 2 == 0
            p.grad = torch.tensor(g) if here else None
            start[i] = moves[i](start[i], g) if here else start[i]
        optimizer.step()
    return max(
        float(np.abs(p.detach().numpy() - w).max() / np.abs(w).max()) for p, w in zip(params, start, strict=True)
    )


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_conventions(convention: str) -> None:
    for more in ({}, {"lr": 0.1, "weight_decay": 0.3}):
        assert apart(CONVENTIONS[convention], lambda ps, more=more: thalweg.Muon(ps, like=convention, **more)) < 1e-10


def test_normuon() -> None:
    assert apart(normuon, lambda ps: thalweg.NorMuon(ps, lr=0.1, divisor="added", eps2=1e-8)) < 1e-10


@pytest.mark.parametrize(
    ("made", "weight_decay"), [(soap, 0.0), (soap_decayed_beside, 0.3)], ids=["step", "decay beside it"]
)
def test_soap(made: Callable[..., Move], weight_decay: float) -> None:
    """Of matrices that are nearly square: of others, the axes of eigenvalues that are 0 are any."""
    nearly = ((4, 4), (6, 7), (7, 6), (9, 9), (2, 2), (2, 1))
    assert apart(made, lambda ps: thalweg.SOAP(ps, lr=0.1, frequency=3, weight_decay=weight_decay), nearly) < 1e-10


def test_shampoo() -> None:
    assert apart(shampoo, lambda ps: thalweg.Shampoo(ps, lr=0.1)) < 1e-10


def test_golden_normuon() -> None:
    """Of the exact polar factor of [[1, 2, 3], [4, 5, 6]], by rows and by the longer side."""
    g = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], dtype=torch.float64)
    polar = [[-0.5777918268, 0.1151166951, 0.8080252170], [0.7067460210, 0.5657574391, 0.4247688571]]
    columns = [[-0.5167927276, 0.1627995871, 0.7227197348], [0.6321328668, 0.8001018218, 0.3799248208]]
    for longer_side, expected in ((False, polar), (True, columns)):
        weight = torch.nn.Parameter(torch.zeros_like(g))
        options: dict[str, Any] = {"coefficients": "simple12", "safety": 1.0, "eps": 0.0, "scale": "none"}
        made = thalweg.NorMuon([weight], lr=1.0, weight_decay=0.0, longer_side=longer_side, **options)
        weight.grad = g
        made.step()
        np.testing.assert_allclose(-weight.detach().numpy(), expected, atol=2e-9)


def test_an_average_and_a_sum_give_equal_steps() -> None:
    """What is orthogonalised is 20 times as long, and its length does not matter, but for eps."""
    drawn = gradients(SHAPES)
    found = []
    for heavy_ball in (False, True):
        params = [torch.nn.Parameter(torch.ones(shape, dtype=torch.float64)) for shape in SHAPES]
        made = thalweg.Muon(params, lr=0.1, heavy_ball=heavy_ball, eps=0.0)
        for row in drawn:
            for p, g in zip(params, row, strict=True):
                p.grad = torch.tensor(g)
            made.step()
        found.append(torch.cat([p.detach().flatten() for p in params]))
    assert (found[0] - found[1]).abs().max() < 1e-11
