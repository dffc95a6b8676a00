"""Grams."""

from thalweg.formula import Decay, Hyper, Rule, State, abs, log_uniform, one_minus_log_uniform, sign, sqrt


class Grams(Rule):
    """Steps as long as Adam's, in the direction of the sign of the present gradient.

    Source:  Cao, Li & Song 2024, arXiv:2412.17107. sign(0) is 0: idle weights stay.
    Departs: nothing. lr, betas, eps and decay are pytorch_optimizer's.
    Search:  docs/comparison.md: as AdamW's.
    """

    year = 2024
    family = "adaptive"
    lr = Hyper(1e-3, log_uniform(1e-5, 1e-1))
    beta1 = Hyper(0.9, one_minus_log_uniform(4e-3, 0.5, trials=10), of="betas", below=1.0)
    beta2 = Hyper(0.999, one_minus_log_uniform(1e-4, 0.2, trials=25), of="betas", below=1.0)
    eps = Hyper(1e-6)
    weight_decay = Decay("decoupled", 0.0, log_uniform(1e-3, 1.0, trials=25))
    m = State("exp_avg")
    v = State("exp_avg_sq")

    @staticmethod
    def prepare(t, beta1, beta2):
        return {"c1": 1 - beta1**t, "c2": 1 - beta2**t}

    @staticmethod
    def step(g, m, v, lr, beta1, beta2, eps, c1, c2):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        return lr * (abs(m) / c1) / (sqrt(v / c2) + eps) * sign(g), m, v
