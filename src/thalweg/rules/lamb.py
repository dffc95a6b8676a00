"""LAMB."""

from thalweg.formula import (
    Decay,
    Hyper,
    Rule,
    State,
    Sum,
    Switch,
    log_uniform,
    one_minus_log_uniform,
    share,
    sqrt,
    where,
)


def direction(w, g, m, v, beta1, beta2, eps, c1, c2, weight_decay):
    """Adam's step and decay's share, without the rate; and the next averages."""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    return (m / c1) / (sqrt(v / c2) + eps) + share(weight_decay, w), m, v


class LAMB(Rule):
    """AdamW whose step, in each tensor, is lr times the tensor's norm: for large batches.

    Source:  You et al. 2020, arXiv:1904.00962, Algorithm 2, with the identity for its phi.
    Departs: averages are bias-corrected, as in the authors' experiments. Where weight decay is 0 the ratio of the norms
             is left out, as NVIDIA's and timm's LAMB do for biases and norms; always_adapt: nowhere, as in the paper.
             Those libraries also clip the gradients: clip_norm=1.0.
    """

    year = 2019
    family = "layer-wise"
    conventions = {"optax": {"weight_decay": 0.0, "always_adapt": True}, "paper": {"always_adapt": True}}
    lr = Hyper(1e-3, log_uniform(1e-5, 1e-1))
    beta1 = Hyper(0.9, one_minus_log_uniform(4e-3, 0.5, trials=10), of="betas", below=1.0)
    beta2 = Hyper(0.999, one_minus_log_uniform(1e-4, 0.2, trials=25), of="betas", below=1.0)
    eps = Hyper(1e-6)
    weight_decay = Decay("own", 1e-2, log_uniform(1e-3, 1.0, trials=25))
    always_adapt = Switch(False)
    of_w = Sum("tensor")
    of_step = Sum("tensor")
    m = State("exp_avg")
    v = State("exp_avg_sq")

    @staticmethod
    def prepare(t, beta1, beta2):
        return {"c1": 1 - beta1**t, "c2": 1 - beta2**t}

    @staticmethod
    def sums(w, g, m, v, beta1, beta2, eps, c1, c2, weight_decay):
        d, m, v = direction(w, g, m, v, beta1, beta2, eps, c1, c2, weight_decay)
        return {"of_w": w * w, "of_step": d * d}

    @staticmethod
    def after(of_w, of_step, lr, weight_decay, always_adapt):
        ratio = where(of_w > 0, where(of_step > 0, sqrt(of_w / of_step), 1), 1)
        return {"rate": lr * (ratio if always_adapt else where(weight_decay > 0, ratio, 1))}

    @staticmethod
    def step(w, g, m, v, beta1, beta2, eps, c1, c2, weight_decay, rate):
        d, m, v = direction(w, g, m, v, beta1, beta2, eps, c1, c2, weight_decay)
        return rate * d, m, v
