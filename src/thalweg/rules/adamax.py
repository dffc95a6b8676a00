"""Adamax."""

from thalweg.formula import Decay, Hyper, Rule, State, Switch, abs, log_uniform, maximum, one_minus_log_uniform


class Adamax(Rule):
    """Adam scaled by the largest recent gradient instead of the mean square.

    Source:  Kingma & Ba 2015, arXiv:1412.6980, Algorithm 2.
    Departs: eps enters the maximum with the gradient, as in torch.optim.Adamax; the paper has none (and divides by 0
             where a weight has had no gradient). eps_added: it is added to the maximum, as in Keras.
             Weight decay is L2.
    """

    year = 2014
    family = "adaptive"
    conventions = {
        "torch": {},
        "keras": {"lr": 1e-3, "eps": 1e-7, "eps_added": True},
        "optax": {},
        "paper": {"eps": 0.0},
    }
    lr = Hyper(2e-3, log_uniform(1e-5, 1e-1))
    beta1 = Hyper(0.9, one_minus_log_uniform(4e-3, 0.5, trials=10), of="betas", below=1.0)
    beta2 = Hyper(0.999, one_minus_log_uniform(1e-4, 0.2, trials=25), of="betas", below=1.0)
    eps = Hyper(1e-8)
    weight_decay = Decay("l2", 0.0, log_uniform(1e-6, 1e-2, trials=25))
    eps_added = Switch(False)
    m = State("exp_avg")
    u = State("exp_inf")

    @staticmethod
    def prepare(t, beta1):
        return {"c1": 1 - beta1**t}

    @staticmethod
    def step(g, m, u, lr, beta1, beta2, eps, c1, eps_added):
        m = beta1 * m + (1 - beta1) * g
        u = maximum(beta2 * u, abs(g) if eps_added else abs(g) + eps)
        return lr / c1 * m / (u + eps if eps_added else u), m, u
