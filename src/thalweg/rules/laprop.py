"""LaProp."""

from thalweg.formula import Decay, Hyper, Rule, State, log_uniform, one_minus_log_uniform, sqrt


class LaProp(Rule):
    """Adam that scales each gradient before it averages them, not their average after.

    Source:  Ziyin, Wang & Ueda 2020, arXiv:2002.04839.
    Departs: lr stands outside the average, as in the paper; the authors' code averages lr times the scaled gradient,
             which under a schedule is another path. weight_decay is multiplied by lr, in their code it is not.
             lr, betas and eps are their code's.
    Search:  docs/comparison.md: as Adam's.
    """

    year = 2020
    family = "adaptive"
    lr = Hyper(4e-4, log_uniform(1e-5, 1e-1))
    beta1 = Hyper(0.9, one_minus_log_uniform(4e-3, 0.5, trials=10), of="betas", below=1.0)
    beta2 = Hyper(0.999, one_minus_log_uniform(1e-4, 0.2, trials=25), of="betas", below=1.0)
    eps = Hyper(1e-15)
    weight_decay = Decay("decoupled", 0.0, log_uniform(1e-3, 1.0, trials=25))
    m = State("exp_avg")
    v = State("exp_avg_sq")

    @staticmethod
    def prepare(t, beta1, beta2):
        return {"c1": 1 - beta1**t, "c2": 1 - beta2**t}

    @staticmethod
    def step(g, m, v, lr, beta1, beta2, eps, c1, c2):
        v = beta2 * v + (1 - beta2) * g * g
        m = beta1 * m + (1 - beta1) * g / (sqrt(v / c2) + eps)
        return lr * (m / c1), m, v
