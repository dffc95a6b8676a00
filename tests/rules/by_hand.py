"""Update rules written out from their papers and from TensorFlow 1's documentation, for one tensor in float64.

They are here to be compared with, so nothing is shared with the library or between them, and each is as near to its
source's lines as Python allows. Each function makes a move: (weights, gradient, lr, t) -> new weights.
"""

import math
from typing import Any

import numpy as np
from oracles import Move


def moving_average(momentum: float = 0.9) -> Move:
    """v = momentum v + (1 - momentum) g; w = w - lr v."""
    v: Any = 0.0

    def move(w: Any, g: Any, lr: float, t: int) -> Any:
        nonlocal v
        v = momentum * v + (1 - momentum) * g
        return w - lr * v

    return move


def tf1_gradient_descent() -> Move:
    """tf.train.GradientDescentOptimizer."""
    return lambda w, g, lr, t: w - lr * g


def tf1_momentum(momentum: float, use_nesterov: bool = False) -> Move:
    """tf.train.MomentumOptimizer: accumulation = momentum * accumulation + gradient."""
    accumulation: Any = 0.0

    def move(w: Any, g: Any, lr: float, t: int) -> Any:
        nonlocal accumulation
        accumulation = momentum * accumulation + g
        if use_nesterov:
            return w - (g * lr + accumulation * momentum * lr)
        return w - lr * accumulation

    return move


def tf1_adagrad(initial_accumulator_value: float = 0.1) -> Move:
    """tf.train.AdagradOptimizer: there is no epsilon."""
    accumulator: Any = initial_accumulator_value

    def move(w: Any, g: Any, lr: float, t: int) -> Any:
        nonlocal accumulator
        accumulator = accumulator + g * g
        return w - lr * g / np.sqrt(accumulator)

    return move


def tf1_adadelta(rho: float, epsilon: float) -> Move:
    """tf.train.AdadeltaOptimizer: the learning rate stands outside the average of the updates."""
    accum: Any = 0.0
    accum_update: Any = 0.0

    def move(w: Any, g: Any, lr: float, t: int) -> Any:
        nonlocal accum, accum_update
        accum = rho * accum + (1 - rho) * g * g
        update = np.sqrt(accum_update + epsilon) * g / np.sqrt(accum + epsilon)
        accum_update = rho * accum_update + (1 - rho) * update * update
        return w - lr * update

    return move


def tf1_rmsprop(decay: float, epsilon: float, momentum: float = 0.0, centered: bool = False) -> Move:
    """tf.train.RMSPropOptimizer: the mean square starts at 1, epsilon is under the root, lr inside the momentum."""
    mean_square: Any = 1.0
    mean_grad: Any = 0.0
    mom: Any = 0.0

    def move(w: Any, g: Any, lr: float, t: int) -> Any:
        nonlocal mean_square, mean_grad, mom
        mean_square = decay * mean_square + (1 - decay) * g * g
        variance = mean_square
        if centered:
            mean_grad = decay * mean_grad + (1 - decay) * g
            variance = mean_square - mean_grad * mean_grad
        mom = momentum * mom + lr * g / np.sqrt(variance + epsilon)
        return w - mom

    return move


def tf1_adam(beta1: float, beta2: float, epsilon: float, amsgrad: bool = False, use_nesterov: bool = False) -> Move:
    """tf.train.AdamOptimizer, in the "epsilon hat" form.

    amsgrad: with the largest uncorrected v in v's place; use_nesterov: tf.contrib.opt.NadamOptimizer.
    """
    m: Any = 0.0
    v: Any = 0.0
    largest: Any = 0.0

    def move(w: Any, g: Any, lr: float, t: int) -> Any:
        nonlocal m, v, largest
        lr_t = lr * math.sqrt(1 - beta2**t) / (1 - beta1**t)
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        largest = np.maximum(largest, v)
        ahead = beta1 * m + (1 - beta1) * g if use_nesterov else m
        return w - lr_t * ahead / (np.sqrt(largest if amsgrad else v) + epsilon)

    return move


def amsgrad(beta1: float, beta2: float) -> Move:
    """Reddi, Kale & Kumar 2018, Algorithm 2: no bias correction, no epsilon."""
    m: Any = 0.0
    v: Any = 0.0
    vhat: Any = 0.0

    def move(w: Any, g: Any, lr: float, t: int) -> Any:
        nonlocal m, v, vhat
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        vhat = np.maximum(vhat, v)
        return w - lr * m / np.sqrt(vhat)

    return move


def adamax(beta1: float, beta2: float) -> Move:
    """Kingma & Ba 2015, Algorithm 2: no epsilon."""
    m: Any = 0.0
    u: Any = 0.0

    def move(w: Any, g: Any, lr: float, t: int) -> Any:
        nonlocal m, u
        m = beta1 * m + (1 - beta1) * g
        u = np.maximum(beta2 * u, np.abs(g))
        return w - (lr / (1 - beta1**t)) * m / u

    return move


def radam(beta1: float, beta2: float) -> Move:
    """Liu et al. 2020, Algorithm 2: adaptive from rho > 4 on, no epsilon."""
    m: Any = 0.0
    v: Any = 0.0

    def move(w: Any, g: Any, lr: float, t: int) -> Any:
        nonlocal m, v
        rho_inf = 2 / (1 - beta2) - 1
        v = beta2 * v + (1 - beta2) * g**2
        m = beta1 * m + (1 - beta1) * g
        mhat = m / (1 - beta1**t)
        rho = rho_inf - 2 * t * beta2**t / (1 - beta2**t)
        if rho <= 4:
            return w - lr * mhat
        length = np.sqrt((1 - beta2**t) / v)
        r = math.sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho))
        return w - lr * r * mhat * length

    return move


def corrected_adamw(beta1: float, beta2: float, eps: float, weight_decay: float, largest_lr: float) -> Move:
    """Adam, and weight decay times lr times lr / largest lr (Defazio 2025, arXiv:2506.02285, AdamC)."""
    m: Any = 0.0
    v: Any = 0.0

    def move(w: Any, g: Any, lr: float, t: int) -> Any:
        nonlocal m, v
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        adam = (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)
        return w - lr * adam - (lr * lr / largest_lr) * weight_decay * w

    return move


def signum(momentum: float, weight_decay: float = 0.0) -> Move:
    """Bernstein et al. 2018, Algorithm 2; weight decay beside it."""
    m: Any = 0.0

    def move(w: Any, g: Any, lr: float, t: int) -> Any:
        nonlocal m
        m = momentum * m + (1 - momentum) * g
        return w - lr * (np.sign(m) + weight_decay * w)

    return move


def lars(momentum: float, weight_decay: float, trust: float) -> Move:
    """You, Gitman & Ginsburg 2017, Algorithm 1: the global and the local rate both stand inside the momentum."""
    v: Any = 0.0

    def move(w: Any, g: Any, lr: float, t: int) -> Any:
        nonlocal v
        norm_w, norm_g = math.sqrt((w * w).sum()), math.sqrt((g * g).sum())
        # The algorithm says nothing of a norm of 0; there the local rate is 1.
        local = trust * norm_w / (norm_g + weight_decay * norm_w) if norm_w * norm_g > 0 else 1.0
        v = momentum * v + lr * local * (g + weight_decay * w)
        return w - v

    return move


def adan(beta1: float, beta2: float, beta3: float, eps: float, weight_decay: float) -> Move:
    """Xie et al. 2022, Algorithm 1, with the bias corrections of the authors' code; betas are 1 minus the paper's."""
    m: Any = 0.0
    v: Any = 0.0
    n: Any = 0.0
    before: Any = None

    def move(w: Any, g: Any, lr: float, t: int) -> Any:
        nonlocal m, v, n, before
        change = 0.0 * g if before is None else g - before
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * change
        n = beta3 * n + (1 - beta3) * (g + beta2 * change) ** 2
        rate = lr / (np.sqrt(n / (1 - beta3**t)) + eps)
        before = g
        return (w - rate * (m / (1 - beta1**t) + beta2 * v / (1 - beta2**t))) / (1 + lr * weight_decay)

    return move


def mars(beta1: float, beta2: float, eps: float, weight_decay: float, gamma: float) -> Move:
    """Yuan et al. 2024, Algorithm 2 in the approximate form; x_0 = x_1, so the first correction is 0."""
    m: Any = 0.0
    v: Any = 0.0
    before: Any = None

    def move(w: Any, g: Any, lr: float, t: int) -> Any:
        nonlocal m, v, before
        c = g if before is None else g + gamma * (beta1 / (1 - beta1)) * (g - before)
        norm = math.sqrt((c * c).sum())
        if norm > 1:
            c = c / norm
        m = beta1 * m + (1 - beta1) * c
        v = beta2 * v + (1 - beta2) * c * c
        before = g
        return w - lr * ((m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps) + weight_decay * w)

    return move


def laprop(beta1: float, beta2: float, eps: float, weight_decay: float = 0.0) -> Move:
    """Ziyin, Wang & Ueda 2020, with AdamW's decay: the scale is applied before the average, lr after it."""
    n: Any = 0.0
    m: Any = 0.0

    def move(w: Any, g: Any, lr: float, t: int) -> Any:
        nonlocal n, m
        n = beta2 * n + (1 - beta2) * g**2
        m = beta1 * m + (1 - beta1) * g / (np.sqrt(n / (1 - beta2**t)) + eps)
        return w - lr * (m / (1 - beta1**t) + weight_decay * w)

    return move


def lookahead_sgd(momentum: float, k: int, slow_step: float) -> Move:
    """Zhang et al. 2019, Algorithm 1, around torch's form of momentum."""
    b: Any = 0.0
    slow: Any = None

    def move(w: Any, g: Any, lr: float, t: int) -> Any:
        nonlocal b, slow
        slow = w if slow is None else slow
        b = momentum * b + g
        w = w - lr * b
        if t % k == 0:
            w = slow = slow + slow_step * (w - slow)
        return w

    return move


def cautious_sgd(momentum: float) -> Move:
    """Liang et al. 2024, Algorithm 2, around torch's form of momentum, with the scale of the authors' code."""
    b: Any = 0.0

    def move(w: Any, g: Any, lr: float, t: int) -> Any:
        nonlocal b
        b = momentum * b + g
        mask = np.where(b * g > 0, 1.0, 0.0)
        return w - lr * b * mask / max(mask.mean(), 1e-3)

    return move


def hyperball_sgd(momentum: float) -> Move:
    """Wen et al. 2026: a step of lr times the first norm along the rule's, then back to that norm."""
    b: Any = 0.0
    radius: Any = None

    def move(w: Any, g: Any, lr: float, t: int) -> Any:
        nonlocal b, radius
        radius = np.sqrt((w * w).sum()) if radius is None else radius
        b = momentum * b + g
        length = np.sqrt((b * b).sum())
        if length == 0 or radius == 0:
            return w - lr * b
        w = w - lr * radius * b / length
        return radius * w / np.sqrt((w * w).sum())

    return move


def floored_sgd(momentum: float, least_update: float) -> Move:
    """The floor of |u| / |w| in modded-nanogpt's records."""
    b: Any = 0.0

    def move(w: Any, g: Any, lr: float, t: int) -> Any:
        nonlocal b
        b = momentum * b + g
        length, least = np.sqrt((b * b).sum()), least_update * np.sqrt((w * w).sum())
        return w - lr * b * (least / length if 0 < length < least else 1.0)

    return move


def clipped_sgd(momentum: float, clip_threshold: float) -> Move:
    """Shazeer & Stern 2018, section 6: U / max(1, RMS(U) / d), of the whole step."""
    b: Any = 0.0

    def move(w: Any, g: Any, lr: float, t: int) -> Any:
        nonlocal b
        b = momentum * b + g
        u = lr * b
        return w - u / max(1.0, np.sqrt(np.mean(u * u)) / clip_threshold)

    return move


def adafactor(beta2_decay: float, eps: tuple[float, float], clip_threshold: float) -> Move:
    """Shazeer & Stern 2018, Algorithms 4 (matrices; of more dimensions the last two) and 5 (vectors), as printed."""
    r: Any = 0.0
    c: Any = 0.0

    def move(w: Any, g: Any, lr: float, t: int) -> Any:
        nonlocal r, c
        beta2 = 1 - t**beta2_decay
        rate = max(eps[1], np.sqrt(np.mean(w * w))) * min(lr, 1 / np.sqrt(t))
        squares = g * g + eps[0]
        if g.ndim < 2:
            r = beta2 * r + (1 - beta2) * squares
            v = r
        else:
            r = beta2 * r + (1 - beta2) * squares.sum(-1)
            c = beta2 * c + (1 - beta2) * squares.sum(-2)
            v = r[..., :, None] * c[..., None, :] / r.sum(-1)[..., None, None]
        u = g / np.sqrt(v)
        return w - rate * u / max(1.0, np.sqrt(np.mean(u * u)) / clip_threshold)

    return move


def gpa_sgd(momentum: float, mu_x: float, mu_y: float) -> Move:
    """Defazio et al. 2025: y between x and z, all three kept."""
    b: Any = 0.0
    x: Any = None
    z: Any = None

    def move(y: Any, g: Any, lr: float, t: int) -> Any:
        nonlocal b, x, z
        x, z = (y, y) if x is None else (x, z)
        b = momentum * b + g
        z = z - lr * b
        x = mu_x * x + (1 - mu_x) * z
        return mu_y * x + (1 - mu_y) * z

    return move


def averaged_sgd(ema: float) -> Move:
    """The average of SGD's weights that ema= keeps, from the weights before the first step on, warmed up."""
    weights: Any = None

    def move(average: Any, g: Any, lr: float, t: int) -> Any:
        nonlocal weights
        weights = (average if weights is None else weights) - lr * g
        kept = min(ema, (1 + t) / (10 + t))
        return kept * average + (1 - kept) * weights

    return move
