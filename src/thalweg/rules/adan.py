"""Adan."""

from thalweg.formula import Decay, Hyper, Rule, State, log_uniform, one_minus_log_uniform, share, sqrt


class Adan(Rule):
    """Nesterov momentum for adaptive steps: averages the gradient and its change.

    Source:  Xie, Zhou, Li, Lin & Yan 2022, arXiv:2208.06677, Algorithm 1; betas as the authors' package has them,
             1 minus the paper's, and its bias corrections.
    Departs: weight decay divides the new weight by 1 + lr * weight_decay, as in the paper, so the rule owns it.
    """

    year = 2022
    family = "adaptive"
    lr = Hyper(1e-3, log_uniform(1e-5, 1e-1))
    beta1 = Hyper(0.98, one_minus_log_uniform(4e-3, 0.5, trials=10), of="betas", below=1.0)
    beta2 = Hyper(0.92, one_minus_log_uniform(1e-2, 0.5, trials=25, axis="beta3"), of="betas", below=1.0)
    beta3 = Hyper(0.99, one_minus_log_uniform(1e-4, 0.2, trials=25, axis="beta2"), of="betas", below=1.0)
    eps = Hyper(1e-8)
    weight_decay = Decay("own", 0.0, log_uniform(1e-3, 1.0, trials=25))
    m = State("exp_avg")
    change = State("exp_avg_diff")
    n = State("exp_avg_sq")
    previous = State("previous_grad", start="g")

    @staticmethod
    def prepare(t, beta1, beta2, beta3):
        return {"c1": 1 - beta1**t, "c2": 1 - beta2**t, "c3": 1 - beta3**t}

    @staticmethod
    def step(w, g, m, change, n, previous, lr, beta1, beta2, beta3, eps, weight_decay, c1, c2, c3):
        difference = g - previous
        m = beta1 * m + (1 - beta1) * g
        change = beta2 * change + (1 - beta2) * difference
        ahead = g + beta2 * difference
        n = beta3 * n + (1 - beta3) * ahead * ahead
        d = lr * (m / c1 + beta2 * (change / c2)) / (sqrt(n / c3) + eps)
        d = (d + share(lr * weight_decay, w)) / (1 + lr * weight_decay)
        previous = g
        return d, m, change, n, previous
