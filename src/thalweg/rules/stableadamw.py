"""StableAdamW."""

from thalweg.formula import Decay, Hyper, Rule, State, Sum, log_uniform, maximum, one_minus_log_uniform, share, sqrt


class StableAdamW(Rule):
    """AdamW with shorter steps where gradients outgrow their mean square.

    Source:  Wortsman et al. 2023, arXiv:2304.13013, Algorithm 2; the limit is Adafactor's, arXiv:1804.04235, section 6.
    Departs: the paper's betas that depend on t are the usual averages with their bias corrected: the same numbers.
             The shortened rate scales decay too, so the rule owns it.
    """

    year = 2023
    family = "adaptive"
    lr = Hyper(1e-3, log_uniform(1e-5, 1e-1))
    beta1 = Hyper(0.9, one_minus_log_uniform(4e-3, 0.5, trials=10), of="betas", below=1.0)
    beta2 = Hyper(0.99, one_minus_log_uniform(1e-4, 0.2, trials=25), of="betas", below=1.0)
    eps = Hyper(1e-6)
    weight_decay = Decay("own", 1e-2, log_uniform(1e-3, 1.0, trials=25))
    excess = Sum("tensor")
    size = Sum("tensor")
    m = State("exp_avg")
    v = State("exp_avg_sq")

    @staticmethod
    def prepare(t, beta1, beta2):
        return {"c1": 1 - beta1**t, "c2": 1 - beta2**t}

    @staticmethod
    def sums(g, v, beta2, eps, c2):
        v = beta2 * v + (1 - beta2) * g * g
        return {"excess": g * g / maximum(v / c2, eps * eps), "size": 1}

    @staticmethod
    def after(excess, size, lr):
        return {"rate": lr / maximum(1, sqrt(excess / size))}

    @staticmethod
    def step(w, g, m, v, beta1, beta2, eps, c1, c2, rate, weight_decay):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        return rate * ((m / c1) / (sqrt(v / c2) + eps) + share(weight_decay, w)), m, v
