"""What docs/primers/l2-under-adam.md says, by Adam written out and by torch's classes."""

import inspect

import numpy as np
import torch

from primers.reading import claimed

LR, DECAY, STEPS = 1e-3, 1e-3, 100
# Defaults of Keras's and optax's adamw are looked up by test_primers.py's slow test.
KERAS, OPTAX = 0.004, 1e-4


def path(gradients: np.ndarray, l2: float = 0.0, decoupled: float = 0.0) -> np.ndarray:
    """Adam from weights of 1, gradients (steps, n): the weights at the end, (n,)."""
    w, m, v = np.ones(gradients.shape[1]), 0.0, 0.0
    for t, each in enumerate(gradients, 1):
        g = each + l2 * w
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        w = w - LR * decoupled * w - LR * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return w


def taken(sizes: tuple[float, ...], **decay: float) -> np.ndarray:
    """What decay takes off weights whose gradients have these sizes and change their sign, over lr steps."""
    gradients = np.outer((-1.0) ** np.arange(STEPS), sizes)
    return (path(gradients) - path(gradients, **decay)) / (LR * STEPS)


def weight_decay_of(name: str) -> float:
    return inspect.signature(getattr(torch.optim, name)).parameters["weight_decay"].default


def is_decoupled(name: str) -> bool:
    """Whether a weight without a gradient loses lr λ w a step, after the first steps, which may be otherwise."""
    w = torch.nn.Parameter(torch.ones(2, 2, dtype=torch.float64))
    optimizer = getattr(torch.optim, name)([w], lr=LR, weight_decay=DECAY)
    for _ in range(20):
        before = w.detach().clone()
        w.grad = torch.zeros_like(w)
        optimizer.step()
        lost = float((before - w.detach())[0, 0])
    return bool(np.isclose(lost, LR * DECAY * float(before[0, 0]), rtol=1e-6))


def said() -> list[str]:
    """Pieces of the page with its numbers."""
    large, small, none = taken((1.0, 0.01, 0.0), l2=DECAY)
    assert np.allclose(taken((1.0, 0.01, 0.0), decoupled=DECAY) / DECAY, 1, rtol=0.01)
    by_hand = []
    for shown, g in (("±1", 1.0), ("±0.01", 0.01), ("none", 0.0)):
        pull = DECAY * 1.0
        root = np.sqrt(g * g + pull * pull)
        row = (shown, f"{pull:g}", f"{root:.1g}", *(f"{each:.6f}" for each in (LR * pull / root, LR * DECAY)))
        by_hand.append("| " + " | ".join(row[:3] + tuple(each.rstrip("0") for each in row[3:])) + " |")
    # One step without a gradient is lr, whatever λ; with a gradient of 1 it is the same with decay and without.
    for decay in (1e-5, 0.1):
        assert np.isclose(1 - path(np.zeros((1, 1)), l2=decay), LR, rtol=2e-3)
        assert np.isclose(path(np.ones((1, 1)), l2=decay), path(np.ones((1, 1))), rtol=1e-9)
    steady = np.ones((STEPS, 1))
    assert abs(float((path(steady) - path(steady, l2=DECAY))[0])) < 0.02 * LR * DECAY * STEPS
    l2 = ("Adam", "Adamax", "NAdam", "RAdam", "RMSprop", "Adagrad", "Adadelta")
    assert not any(map(is_decoupled, l2))
    assert all(map(is_decoupled, ("SGD", "AdamW", "Muon")))
    assert {weight_decay_of(name) for name in (*l2, "SGD")} == {0}
    assert np.isclose(taken((0.01,), l2=0.001), taken((0.01,), decoupled=0.001 / 0.01), rtol=0.05)
    adamw = weight_decay_of("AdamW")
    assert inspect.signature(torch.optim.AdamW).parameters["lr"].default == 0.001
    ratio, _ = claimed("l2-shrinks-unequally-with-scaling")
    (tuned,) = claimed("decay-better-than-l2")
    classes = ", ".join(f"`{name}`" for name in l2)
    return [
        f"`torch.optim.Adam(weight_decay={DECAY})` takes {small / large:.0f} times as much off one weight as off "
        f"another of the same size, and {none / large:.0f} times as much",
        "Three weights of 1; the gradients of the first change their sign at every step and are 1 in size, those of "
        f"the second are 0.01, the third has none. What decay takes off in {STEPS} steps",
        "λ/2 ‖w‖²",
        f"lr and λ of {LR}, w = 1,",
        *by_hand,
        "only the part 1 / √v",
        f"L2 takes {ratio} times as much off the quarter",
        "With `weight_decay=1e-5` as with 0.1",
        "g + λ w by its own size is 1, as is g by its own",
        "a gradient of 1 moves it by lr",
        f"torch's {classes} | L2 | 0 |",
        "for momentum's delay | 0 |",
        f"| {adamw:g} and {weight_decay_of('Muon'):g} |",
        f"none; `AdamW` {KERAS:g} |",
        f"decoupled, lr × λ × w | {OPTAX:.4f} |",
        f"Adam with `weight_decay={adamw:g}` is one thing in torch",
        "in 1 / (lr × λ) steps",
        f"lr = 0.001 and λ = {adamw:g}, that is {1 / (0.001 * adamw):,.0f} steps, so a training of 1,000 steps hardly "
        f"notices it: it takes {1 - (1 - 0.001 * adamw) ** 1000:.1%}",
        f"lr = 0.0003 and λ = 0.1, as large models have, it is {1 / (0.0003 * 0.1):,.0f}.",
        "a cosine to 0 halves",
        f"0.001 is {0.001 / 0.01:g} where s is 0.01",
        f"paper_to_torch_decay(1e-5, lr=1e-3)` is {1e-5 / 1e-3:g}",
        f"AdamW on test was {tuned} times that of Adam with L2",
    ]
