"""AdaBound."""

from thalweg.formula import (
    Decay,
    Hyper,
    Rule,
    Scalar,
    State,
    Switch,
    clip,
    log_uniform,
    maximum,
    one_minus_log_uniform,
    sqrt,
)


class AdaBound(Rule):
    """Adam whose rates are held between bounds that close in: it ends as SGD.

    Source:  Luo, Xiong, Liu & Sun 2019, arXiv:1902.09843, Algorithm 2; amsbound: its Algorithm 3.
    Departs: as the authors' package adabound: Adam's bias corrections are in the rate before it is bounded (the paper
             has none), eps is added to the root of the uncorrected v (there is none in the paper), and the bounds
             follow a schedule of lr, as final_lr * lr / first lr. Weight decay is L2.
    """

    year = 2019
    family = "adaptive"
    conventions = {"tf1": {}}
    lr = Hyper(1e-3, log_uniform(1e-5, 1e-1))
    beta1 = Hyper(0.9, one_minus_log_uniform(4e-3, 0.5, trials=10), of="betas", below=1.0)
    beta2 = Hyper(0.999, one_minus_log_uniform(1e-4, 0.2, trials=25), of="betas", below=1.0)
    final_lr = Hyper(0.1, log_uniform(1e-3, 0.5, trials=10))
    gamma = Hyper(1e-3, log_uniform(1e-4, 0.1, trials=25))
    eps = Hyper(1e-8)
    weight_decay = Decay("l2", 0.0, log_uniform(1e-6, 1e-2, trials=25))
    amsbound = Switch(False)
    base_lr = Scalar("lr", "group")
    m = State("exp_avg")
    v = State("exp_avg_sq")
    top = State("max_exp_avg_sq", when="amsbound")

    @staticmethod
    def prepare(t, lr, beta1, beta2, final_lr, gamma, base_lr):
        final = final_lr * lr / base_lr
        return {
            "rate": lr * sqrt(1 - beta2**t) / (1 - beta1**t),
            "low": final * (1 - 1 / (gamma * t + 1)),
            "high": final * (1 + 1 / (gamma * t)),
        }

    @staticmethod
    def step(g, m, v, top, beta1, beta2, eps, rate, low, high, amsbound):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        if amsbound:
            top = maximum(top, v)
        return clip(rate / (sqrt(top if amsbound else v) + eps), low, high) * m, m, v, top
