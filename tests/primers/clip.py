"""What docs/primers/clip.md says, by plain NumPy and by torch's clip_grad_norm_."""

import numpy as np
import torch

from primers.reading import claimed

GRADIENT = np.array([100.0, 1.0, -0.5, 0.5])
CUT = 0.01


def left(share: float, steps: int = 12_000) -> tuple[float, float]:
    """What is left of steps whose gradients are 1, and CUT in a share of the steps: under SGD, and under Adam."""
    m = v = total = adam = 0.0
    for t in range(1, steps + 1):
        g = CUT if np.floor(t * share + 1e-9) > np.floor((t - 1) * share + 1e-9) else 1.0
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        if t > steps / 2:
            total, adam = total + g, adam + (m / (1 - 0.9**t)) / np.sqrt(v / (1 - 0.999**t))
    return total / (steps / 2), adam / (steps / 2)


def after_a_spike(spike: float) -> np.ndarray:
    """Adam's steps over lr, its averages settled at gradients of 1: one with a spike, and those after it."""
    m, v, moved = 1.0, 1.0, []
    for g in (spike, *[1.0] * 20_000):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        moved.append(m / v**0.5)
    return np.array(moved)


def clipped_by_torch(gradient: list[float], limit: float) -> torch.Tensor:
    w = torch.zeros(len(gradient), dtype=torch.float64, requires_grad=True)
    w.grad = torch.tensor(gradient, dtype=torch.float64)
    torch.nn.utils.clip_grad_norm_([w], limit)
    return w.grad


def said() -> list[str]:
    """Pieces of the page with its numbers."""
    norm = np.linalg.norm(GRADIENT)
    by_value = GRADIENT.clip(-1, 1)
    angle = np.degrees(np.arccos(GRADIENT @ by_value / norm / np.linalg.norm(by_value)))
    assert torch.allclose(clipped_by_torch([3e-6, 4e-6], 1e-6), torch.tensor([3e-6, 4e-6]).double() / 6, rtol=1e-6)
    infinite = clipped_by_torch([float("inf"), 1.0], 1.0)
    assert infinite.isnan().tolist() == [True, False]
    assert infinite[1] == 0
    rows = []
    for share in (0.01, 0.1, 0.5, 0.9, 0.99, 1.0):
        sgd, adam = left(share)
        assert np.isclose(sgd, 1 - share + share * CUT, atol=1e-3)
        assert np.isclose(adam, (1 - share + share * CUT) / np.sqrt(1 - share + share * CUT**2), atol=3e-3)
        rows.append(f"| {share:.0%} | {sgd:.3f} | {adam:.3f} |")
    spiked = after_a_spike(100.0)
    assert np.allclose(after_a_spike(1.0), 1)
    settled = spiked[100:]  # m has forgotten it
    starved, _ = claimed("clipping-by-norm-starves")
    return [
        "Clipped by norm to 1, a gradient with one coordinate of 100 leaves each other coordinate "
        f"{1 / norm:.2f} of its step",
        f"by the same 1 / ‖g‖, here 1 / {norm:.2f}.",
        f"made {starved} of the way",
        f"here by {angle:.1f} degrees",
        "Let it spike to 100 in a share of the steps, where the others' gradients are 1 throughout",
        *rows,
        "m falls to 1 - p + p c and √v to the root of 1 - p + p c².",
        f"down to 2 √c / (1 + c), for c = {CUT} to {2 * CUT**0.5 / (1 + CUT):.3f},",
        "A spike of 100 that is not clipped stays in v for long: where gradients are 1, one of them shortens the steps "
        f"of its own weight to {spiked.min():.2f} lr, it takes {np.argmax(settled >= 0.9) + 100:,} steps until they "
        f"are at 0.9 lr again, and in all the weight loses {(1 - spiked).sum():,.0f} steps. Clipped to 1 it loses none",
        "`clip_norm=1.0` is part of the step",
        "min(1, clip_norm / (norm + 1e-6))",
        "all else is multiplied by 0,",
        "`telemetry = optimizer.watch(every=10)`",
    ]
