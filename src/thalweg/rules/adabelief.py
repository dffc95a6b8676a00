"""AdaBelief."""

from thalweg.formula import Decay, Hyper, Rule, State, Switch, log_uniform, one_minus_log_uniform, sqrt, where

from .radam import rectification


class AdaBelief(Rule):
    """Adam scaled by how far gradients stray from their average.

    Source:  Zhuang et al. 2020, arXiv:2010.07468, Algorithm 1; rectify: as in RAdam, arXiv:1908.03265.
    Departs: as in the authors' package adabelief-pytorch, rectify is on and eps counts twice: added to s at every step,
             where it stays, and to the root (of the uncorrected s, if rectified).
    Search:  docs/comparison.md: as Adam's; eps counts from 1e-16 to 1e-3.
    """

    year = 2020
    family = "adaptive"
    conventions = {
        "tf1": {"eps": 1e-14, "weight_decay": 0.0},
        "optax": {"rectify": False},
        "paper": {"eps": 1e-8, "rectify": False},
    }
    lr = Hyper(1e-3, log_uniform(1e-5, 1e-1))
    beta1 = Hyper(0.9, one_minus_log_uniform(4e-3, 0.5, trials=10), of="betas", below=1.0)
    beta2 = Hyper(0.999, one_minus_log_uniform(1e-4, 0.2, trials=25), of="betas", below=1.0)
    eps = Hyper(1e-16, log_uniform(1e-16, 1e-3, trials=50))
    weight_decay = Decay("decoupled", 0.0, log_uniform(1e-3, 1.0, trials=25))
    rectify = Switch(True)
    m = State("exp_avg")
    s = State("exp_avg_var")

    @staticmethod
    def prepare(t, beta1, beta2, eps, rectify):
        c2 = 1 - beta2**t
        rectified = rectification(t, beta2, 5) if rectify else 1
        damping = eps / sqrt(c2) if rectify else eps
        return {"c1": 1 - beta1**t, "c2": c2, "rectified": rectified, "damping": damping}

    @staticmethod
    def step(g, m, s, lr, beta1, beta2, eps, c1, c2, rectified, damping):
        m = beta1 * m + (1 - beta1) * g
        s = beta2 * s + (1 - beta2) * (g - m) * (g - m) + eps
        scale = where(rectified > 0, rectified / (sqrt(s / c2) + damping), 1)
        return lr * (m / c1) * scale, m, s
