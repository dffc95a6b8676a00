"""Prodigy."""

from thalweg.formula import (
    Decay,
    Hyper,
    Rule,
    Scalar,
    State,
    Sum,
    abs,
    log_uniform,
    maximum,
    one_minus_log_uniform,
    share,
    sqrt,
    where,
)


class Prodigy(Rule):
    """Adam that finds its own rate: an estimate of how far the weights have to go.

    Source:  Mishchenko & Defazio 2023, arXiv:2306.06101, Algorithm 4, at the scale of the authors' package prodigyopt.
    Departs: eps counts with the new d, the rest of the step with the old one, as in that package. d is one for all
             groups, so their lr should be equal, or 0. No bias correction, as there by default. States are multiples
             of d and d^2, far below what half precision holds, so they are kept in float32 at least.
    Search:  lr stays near 1: it scales what is estimated.
    """

    year = 2023
    family = "parameter-free"
    lr = Hyper(1.0, log_uniform(0.1, 10.0))
    beta1 = Hyper(0.9, one_minus_log_uniform(4e-3, 0.5, trials=10), of="betas", below=1.0)
    beta2 = Hyper(0.999, one_minus_log_uniform(1e-4, 0.2, trials=25), of="betas", below=1.0)
    eps = Hyper(1e-8)
    weight_decay = Decay("own", 0.0, log_uniform(1e-3, 1.0, trials=25))
    d0 = Hyper(1e-6, low=1e-30)
    d_coef = Hyper(1.0, log_uniform(0.1, 10.0, trials=50))
    d = Scalar("d0", "all")
    d_numerator = Scalar(0.0, "all")
    toward = Sum("all")
    size = Sum("all")
    start = State("p0", start="w")
    m = State("exp_avg", dtype="float32")
    v = State("exp_avg_sq", dtype="float32")
    s = State("s", dtype="float32")

    @staticmethod
    def prepare(lr, beta2, d, d0):
        return {"rate": d * lr, "scale": d, "gain": d / d0 * (d * lr), "beta3": sqrt(beta2)}

    @staticmethod
    def sums(w, g, start, s, gain, beta3):
        s = beta3 * s + gain * g
        return {"toward": gain * g * (start - w), "size": abs(s)}

    @staticmethod
    def after(toward, size, d, d_numerator, d_coef, beta3, eps):
        d_numerator = beta3 * d_numerator + toward
        d = maximum(d, where(size > 0, d_coef * d_numerator / size, 0))
        return {"d": d, "d_numerator": d_numerator, "damping": d * eps}

    @staticmethod
    def step(w, g, m, v, s, beta1, beta2, weight_decay, rate, scale, gain, beta3, damping):
        m = beta1 * m + (1 - beta1) * scale * g
        v = beta2 * v + (1 - beta2) * (scale * g) * (scale * g)
        s = beta3 * s + gain * g
        return rate * (m / (sqrt(v) + damping) + share(weight_decay, w)), m, v, s
