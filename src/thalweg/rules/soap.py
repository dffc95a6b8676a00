"""SOAP."""

from thalweg.formula import (
    Decay,
    Due,
    Hyper,
    Rule,
    State,
    Switch,
    descending,
    eigh,
    log_uniform,
    maximum,
    one_minus_log_uniform,
    qr,
    sqrt,
    transpose,
)


class SOAP(Rule):
    """Adam along the axes of Shampoo: the eigenvectors of the gradients' mean squares.

    Source:  Vyas et al. 2024, arXiv:2409.11321, and the authors' code, nikhilvyas/SOAP: its first step finds the axes
             and moves nothing; every `frequency` steps one step of orthogonal iteration turns them, in the order of
             the eigenvalues that they then have, and the averages with them.
    Departs: weight decay is taken off beside the step, and in the first step too; the authors take it off what the step
             has left, and nothing in the first. beta_axes is a number of its own, where the authors' shampoo_beta
             follows beta2 unless it is given: with another beta2, set both. Both sides of every matrix are turned,
             however large. Its matrices are multiplied in float32.
    Search:  docs/comparison.md: as Adam's.
    """

    year = 2024
    family = "matrix"
    lr = Hyper(3e-3, log_uniform(1e-5, 1e-1))
    beta1 = Hyper(0.95, one_minus_log_uniform(4e-3, 0.5, trials=10), of="betas", below=1.0)
    beta2 = Hyper(0.95, one_minus_log_uniform(1e-3, 0.2, trials=25), of="betas", below=1.0)
    beta_axes = Hyper(0.95, below=1.0)
    eps = Hyper(1e-8)
    frequency = Hyper(10.0, low=1.0, whole=True)
    weight_decay = Decay("decoupled", 0.01, log_uniform(1e-3, 1.0, trials=25))
    bias_correction = Switch(True)
    first = Due()
    turning = Due(every="frequency")
    m = State("exp_avg")
    v = State("exp_avg_sq")
    left = State("left", dtype="float32", shape="left")
    right = State("right", dtype="float32", shape="right")
    axes_l = State("left_axes", dtype="float32", shape="left")
    axes_r = State("right_axes", dtype="float32", shape="right")

    @staticmethod
    def prepare(t, beta1, beta2, bias_correction):
        averaged = maximum(t - 1, 1)  # the first step, which only finds the axes, does not count
        return {"rate": sqrt(1 - beta2**averaged) / (1 - beta1**averaged) if bias_correction else 1.0}

    @staticmethod
    def enter(g):
        return {"u": g}

    @staticmethod
    def matrix(u, m, v, left, right, axes_l, axes_r, beta1, beta2, beta_axes, eps, first, turning):
        left = beta_axes * left + (1 - beta_axes) * (u @ transpose(u))
        right = beta_axes * right + (1 - beta_axes) * (transpose(u) @ u)
        if first:
            _values, axes_l = eigh(left)
            _values, axes_r = eigh(right)
            o = 0.0 * u
        else:
            turned = transpose(axes_l) @ u @ axes_r
            m = beta1 * m + (1 - beta1) * turned
            v = beta2 * v + (1 - beta2) * turned * turned
            o = axes_l @ (m / (sqrt(v) + eps)) @ transpose(axes_r)
        if turning:
            back = axes_l @ m @ transpose(axes_r)
            order_l = descending(transpose(axes_l) @ left @ axes_l)
            order_r = descending(transpose(axes_r) @ right @ axes_r)
            axes_l = qr(left @ axes_l @ order_l)
            axes_r = qr(right @ axes_r @ order_r)
            m = transpose(axes_l) @ back @ axes_r
            v = transpose(order_l) @ v @ order_r
        return {"o": o, "m": m, "v": v, "left": left, "right": right, "axes_l": axes_l, "axes_r": axes_r}

    @staticmethod
    def step(o, lr, rate):
        return lr * rate * o
