"""MARS."""

from thalweg.formula import Decay, Hyper, Rule, State, Sum, log_uniform, maximum, one_minus_log_uniform, sqrt


def corrected(g, previous, gamma, beta1):
    """The gradient with a share of its change since the step before: less of its noise, if the noise is shared."""
    return g + gamma * beta1 / (1 - beta1) * (g - previous)


class MARS(Rule):
    """AdamW on gradients with a share of their change taken in: less noise.

    Source:  Yuan et al. 2024, arXiv:2411.10438, Algorithm 2 (MARS-AdamW) in the approximate form of its section 3.3,
             with the gradient of the last step in place of one computed twice.
    Departs: the correction starts with the second gradient; in the authors' code with the first, against 0. Every
             tensor is treated alike; the authors leave those without two dimensions to AdamW (use groups).
    """

    year = 2024
    family = "adaptive"
    lr = Hyper(3e-3, log_uniform(1e-5, 1e-1))
    beta1 = Hyper(0.95, one_minus_log_uniform(4e-3, 0.5, trials=10), of="betas", below=1.0)
    beta2 = Hyper(0.99, one_minus_log_uniform(1e-4, 0.2, trials=25), of="betas", below=1.0)
    eps = Hyper(1e-8)
    weight_decay = Decay("decoupled", 0.0, log_uniform(1e-3, 1.0, trials=25))
    gamma = Hyper(0.025, log_uniform(5e-3, 0.1, trials=25))
    squares = Sum("tensor")
    m = State("exp_avg")
    v = State("exp_avg_sq")
    previous = State("last_grad", start="g")

    @staticmethod
    def prepare(t, beta1, beta2):
        return {"c1": 1 - beta1**t, "c2": 1 - beta2**t}

    @staticmethod
    def sums(g, previous, gamma, beta1):
        c = corrected(g, previous, gamma, beta1)
        return {"squares": c * c}

    @staticmethod
    def after(squares):
        return {"limit": 1 / maximum(1, sqrt(squares))}

    @staticmethod
    def step(g, m, v, previous, lr, beta1, beta2, eps, gamma, c1, c2, limit):
        c = limit * corrected(g, previous, gamma, beta1)
        m = beta1 * m + (1 - beta1) * c
        v = beta2 * v + (1 - beta2) * c * c
        previous = g
        return lr * (m / c1) / (sqrt(v / c2) + eps), m, v, previous
