"""LARS."""

from thalweg.formula import Decay, Hyper, Rule, State, Sum, log_uniform, one_minus_log_uniform, sqrt, times, where


class LARS(Rule):
    """Momentum at a rate in proportion to each tensor's norm over its gradient's.

    Source:  You, Gitman & Ginsburg 2017, arXiv:1708.03888, Algorithm 1 (lr stands inside the momentum).
    Departs: where weight decay is 0, or either norm, the rate is lr itself: what is exempt from decay, as biases and
             norms are, gets plain momentum.
    """

    year = 2017
    family = "layer-wise"
    lr = Hyper(1.0, log_uniform(1e-2, 100.0))
    momentum = Hyper(0.9, one_minus_log_uniform(5e-3, 0.3, trials=10, axis="beta1"), below=1.0)
    weight_decay = Decay("own", 1e-4, log_uniform(1e-6, 1e-2, trials=25))
    trust = Hyper(1e-3, log_uniform(1e-4, 1e-1, trials=50))
    of_w = Sum("tensor")
    of_g = Sum("tensor")
    b = State("momentum_buffer")

    @staticmethod
    def sums(w, g):
        return {"of_w": w * w, "of_g": g * g}

    @staticmethod
    def after(of_w, of_g, lr, weight_decay, trust):
        ratio = trust * sqrt(of_w) / (sqrt(of_g) + weight_decay * sqrt(of_w))
        local = where(of_w > 0, where(of_g > 0, ratio, 1), 1)
        return {"rate": lr * where(weight_decay > 0, local, 1)}

    @staticmethod
    def step(w, g, b, momentum, weight_decay, rate):
        b = momentum * b + rate * (g + times(weight_decay, w))
        return b, b
