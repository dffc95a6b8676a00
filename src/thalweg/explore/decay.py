"""How much of a weight L2 takes off in a step of Adam."""

from typing import Any

from thalweg.formula import sqrt


def l2_share(v: Any, t: Any, lr: Any, beta2: Any, eps: Any, weight_decay: Any) -> Any:
    """The part of a weight that L2 takes off in Adam's step t, once the moving average m has caught up with it.

    L2 adds weight_decay * w to the gradient, and Adam divides all of the gradient by the root of its recent squares,
    v (Kingma & Ba 2015, Algorithm 1): so the steeper a coordinate is, the less it decays. Decoupled decay takes off
    lr * weight_decay of every coordinate (Loshchilov & Hutter 2019). Works on floats, arrays, tensors and symbols.
    """
    return lr * weight_decay / (sqrt(v / (1 - beta2**t)) + eps)
