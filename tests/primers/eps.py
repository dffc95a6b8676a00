"""What docs/primers/eps.md says, by the formulas written out and by torch."""

import inspect

import numpy as np
import torch
from scipy.optimize import brentq

from primers.reading import claimed

BETA2 = 0.999
# By library; those of Keras and optax are looked up by test_primers.py's slow test.
TORCH, TF1, KERAS, OPTAX = 1e-8, 1e-8, 1e-7, 1e-8
KERAS_RMSPROP, OPTAX_RMSPROP = 1e-7, 1e-8


def hat(t: int) -> float:
    """What an eps beside the uncorrected root is multiplied by, in the units of the corrected one."""
    return 1 / np.sqrt(1 - BETA2**t)


def beside(g: float, eps: float) -> float:
    """Adam's first step over lr: the corrected averages are g and g squared."""
    return g / (np.sqrt(g * g) + eps)


def beside_uncorrected(g: float, eps: float) -> float:
    rate = np.sqrt(1 - BETA2) / 0.1
    return rate * 0.1 * g / (np.sqrt((1 - BETA2) * g * g) + eps)


def under(g: float, eps: float) -> float:
    return g / np.sqrt(g * g + eps)


def half(step: object, eps: float) -> str:
    """The gradient at which a first step is lr / 2, to two digits."""
    return f"{10 ** brentq(lambda power: step(10**power, eps) - 0.5, -12, 0):.2g}".replace("e-0", "e-")


def rmsprop(g: float, eps: float, inside: bool) -> float:
    v = (1 - 0.9) * g * g
    return g / (np.sqrt(v + eps) if inside else np.sqrt(v) + eps)


def short(value: float) -> str:
    return f"{value:.2g}".replace("e-0", "e-")


def in_half(steps: int, g: float, **options: bool) -> list[float]:
    """torch's Adam on a weight of float16 at a steady gradient: each step by itself, over lr."""
    w = torch.zeros(1, dtype=torch.float16, requires_grad=True)
    optimizer, moved = torch.optim.Adam([w], lr=1e-3, **options), []
    for _ in range(steps):
        w.grad = torch.full_like(w, g)
        with torch.no_grad():
            w.zero_()
        optimizer.step()
        moved.append(-w.item() / 1e-3)
    return moved


def said() -> list[str]:
    """Pieces of the page with its numbers."""
    g = 1e-6
    assert inspect.signature(torch.optim.Adam).parameters["eps"].default == TORCH
    assert inspect.signature(torch.optim.RMSprop).parameters["eps"].default == TORCH
    assert half(beside, TORCH) == "1e-8"
    assert np.isclose(beside(g / 256, TORCH), beside(g, 256 * TORCH))
    assert np.float16(1e-8) == 0
    assert np.float16((1 - BETA2) * 1e-3**2) == 0
    assert np.isnan(in_half(1, 0.0)[0])
    assert np.isinf(in_half(1, 1e-3)[0])
    grown = in_half(1000, 1e-4, fused=True)
    small, recipe = claimed("adam-eps-numerical")
    apart = max((np.sqrt(v) + 1) / np.sqrt(v + 1) for v in np.logspace(-3, 3, 601))
    return [
        f"a gradient of 1e-6, Adam's first step is {beside(g, TORCH):.2f} lr in torch and "
        f"{beside_uncorrected(g, KERAS):.2f} lr in Keras",
        f"torch, optax | {short(TORCH)} | {half(beside, TORCH)} |",
        "v / (1 - β₂ᵗ)",
        f"| {short(TF1)} | {half(beside_uncorrected, TF1)} |",
        f"| the same | Keras | {short(KERAS)} | {half(beside_uncorrected, KERAS)} |",
        f"where `eps_root` is given | 0 | {half(under, 1e-8)} if it is 1e-8 |",
        f"it is ε / √(1 - β₂ᵗ), with the usual β₂ of {BETA2} that is {hat(1):.1f} times ε at step 1, "
        f"{hat(10):.1f} times at step 10, {hat(100):.2f} at step 100, {hat(1000):.2f} at step 1,000 and "
        f"{hat(5000):.3f} at step 5,000",
        f"With its default of {short(KERAS)}, Keras begins with {KERAS * hat(1) / TORCH:.0f} times the eps of torch "
        f"and ends with {KERAS / TORCH:.0f} times",
        f"1e-8 there is a floor of {short(1e-8**0.5)}",
        f"in Keras ({short(KERAS_RMSPROP)}, a floor of {KERAS_RMSPROP**0.5:.5f}) and optax "
        f"({short(OPTAX_RMSPROP)}), and beside the root in torch ({short(TORCH)}). With α = 0.9 and a gradient of "
        f"1e-4, the first step of RMSprop is {rmsprop(1e-4, TORCH, False):.2f} lr in torch, "
        f"{rmsprop(1e-4, OPTAX_RMSPROP, True):.2f} lr in optax and "
        f"{rmsprop(1e-4, KERAS_RMSPROP, True):.2f} lr in Keras",
        "has 1e-10 under the root, and starts v at 1;",
        f"eps = 0.001 there, which is a floor of {0.001**0.5:.3f}",
        f"with 1e-6 was {small} times that with 1e-12",
        f"With 0.01 it was {recipe} times that with 1e-8",
        "a sum over 256 examples or their mean, but its eps counts 256 times as much",
        "In float16, 1e-8 is 0.",
        f"smallest number above 0 there is {np.finfo(np.float16).smallest_subnormal:.1e}".replace("e-0", "e-"),
        "a gradient of 0 gives 0 / 0: the weight is nan after 1 step",
        f"A gradient of 0.001 fares no better: v would be {short((1 - BETA2) * 1e-6)}, which is 0 too",
        f"v in float16, as 0: at a steady gradient of 1e-4 the second step is {grown[1]:.2f} lr, the tenth "
        f"{grown[9]:.2f} lr, the thousandth {grown[999]:.1f} lr",
        f"1e-8 is {torch.tensor(1e-8).bfloat16().item():.3e} there".replace("e-0", "e-"),
        f"Keras's {short(KERAS)} is {short(KERAS * hat(1))} of torch's at step 1, and {short(KERAS)} in the end",
        f"a factor of up to {apart:.2f}, where v is eps",
    ]
