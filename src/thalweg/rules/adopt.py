"""ADOPT."""

from thalweg.formula import Decay, Hyper, Rule, State, clip, log_uniform, maximum, one_minus_log_uniform, sqrt, where


class ADOPT(Rule):
    """Adam that scales by the mean square before the gradient: converges for every beta2.

    Source:  Taniguchi et al. 2024, arXiv:2411.02853, Algorithm 2 of the revised version (with the clip at t^(1/4)).
    Departs: nothing from the authors' package, whose first step only notes the gradient; but decoupled decay, which the
             chain does, acts in that step too.
    """

    year = 2024
    family = "adaptive"
    lr = Hyper(1e-3, log_uniform(1e-5, 1e-1))
    beta1 = Hyper(0.9, one_minus_log_uniform(4e-3, 0.5, trials=10), of="betas", below=1.0)
    beta2 = Hyper(0.9999, one_minus_log_uniform(1e-5, 0.2, trials=25), of="betas", below=1.0)
    eps = Hyper(1e-6)
    weight_decay = Decay("l2", 0.0, log_uniform(1e-6, 1e-2, trials=25))
    m = State("exp_avg")
    v = State("exp_avg_sq")

    @staticmethod
    def prepare(t):
        return {"first": where(t <= 1, 1, 0), "limit": maximum(t - 1, 0) ** 0.25}

    @staticmethod
    def step(g, m, v, lr, beta1, beta2, eps, first, limit):
        scaled = clip(g / maximum(sqrt(v), eps), -limit, limit)  # the first step's limit is 0
        m = where(first > 0, 0, beta1 * m + (1 - beta1) * scaled)
        v = where(first > 0, g * g, beta2 * v + (1 - beta2) * g * g)
        return lr * m, m, v
